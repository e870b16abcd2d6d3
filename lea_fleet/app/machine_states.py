"""What an operator decides about a machine: to block it, mute it or retire it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import cached_property
from typing import Any, NamedTuple

from ..core import clock
from ..core.machine import look, new_machine_id, stored_form
from ..core.rows import Agent, Block, Retirement
from ..storage.agents import Agents
from ..storage.blocks import Blocks
from ..storage.events import Events
from ..storage.lookalikes import Lookalikes
from ..storage.mutes import Mutes
from ..storage.retirements import Retirements
from ..storage.unit_of_work import UnitOfWork


class Blocked(NamedTuple):
    """A *block*, and the ids of the machines that were *uninstalled* for it."""

    block: Block
    uninstalled: list[str]


class MachineStates:
    """Block, mute and retire machines.

    Each write runs in a transaction of its own, or as a part of the open one.
    Reached as :attr:`AgentRepository.states`, whose method *uninstall* is.
    """

    def __init__(
        self, unit: UnitOfWork, uninstall: Callable[[str, str | None], Agent]
    ) -> None:
        self._unit = unit
        self._uninstall = uninstall
        self._groups: dict[str, list[str]] = {}

    @cached_property
    def blocks(self) -> Blocks:
        return Blocks(self._unit)

    @cached_property
    def mutes(self) -> Mutes:
        return Mutes(self._unit)

    @cached_property
    def retirements(self) -> Retirements:
        return Retirements(self._unit)

    def of(self, agent: Agent) -> dict[str, Any]:
        """Return what is decided about an *agent*, by name; for operators only."""
        machine_id = agent["machine_id"]
        block = self.blocks.find(machine_id)
        return {
            "block": block
            and {"blocked_at": block["blocked_at"], "reason": block["reason"]},
            "muted_until": self.mutes.until(machine_id),
            "retirement": self.retirements.of(agent),
        }

    def marks(self) -> dict[str, list[str]]:
        """Return the words for what is decided, by machine id."""
        marks: dict[str, list[str]] = {}
        for word, machines in (
            ("blocked", self.blocks.known()),
            ("muted", self.mutes.machines()),
            ("retiring", self.retirements.machines()),
        ):
            for machine_id in machines:
                marks.setdefault(machine_id, []).append(word)
        return marks

    def block(self, machine_id: str, reason: str | None = None) -> Blocked:
        """Keep a machine out: uninstall it, and let nothing enroll it again.

        It holds for all machines whose ids look alike, and for an id that was never
        enrolled, and ends their mutes. One that is blocked already keeps its date, and
        its reason unless another one is given. Raises InvalidField for an id that no
        machine can have.
        """
        unit, events = self._unit, Events(self._unit)
        with unit.transaction():
            unit.lock_look(machine_id)
            alike = self._locked(machine_id)
            block = self.blocks.find(machine_id)
            if block is None:
                named = _named(machine_id, alike)
                self.blocks.add(named, reason)
                for each in alike:
                    self._end_mute(each)  # what tries to come back is news
            elif reason not in (None, block["reason"]):
                named = block["machine_id"]
                self.blocks.set_reason(named, reason)
            else:
                named, reason = "", block["reason"]
            for each in (alike or [named]) if named else ():
                events.add("blocked", each, reason=reason)
            uninstalled = [each for each in alike if self._uninstalls(each, reason)]
            return Blocked(self._require(machine_id), uninstalled)

    def prepare_blocks(self, machine_ids: Collection[str]) -> dict[str, str]:
        """Take the turns of several blocks in the open transaction, and look ahead.

        Return the machines among them that cannot be blocked without another one, and
        that one: it is active, looks like them, and is not among them.
        """
        for machine_id in sorted(machine_ids):
            self._unit.lock_look(machine_id)
        self._groups = Lookalikes(self._unit).groups(machine_ids)
        kept = {}
        for machine_id in machine_ids:
            for other in self._groups[look(machine_id)]:
                if other not in machine_ids and self._is_active(other):
                    kept[machine_id] = other
        return kept

    def unblock(self, machine_id: str) -> Block | None:
        """Let a machine be enrolled again; return the block that it had, if any."""
        unit, events = self._unit, Events(self._unit)
        with unit.transaction():
            unit.lock_look(machine_id)
            block = self.blocks.find(machine_id)
            if block is None:
                return None
            self.blocks.remove(machine_id)
            known = Lookalikes(unit).all_of(machine_id)
            for each in known or [block["machine_id"]]:
                events.add("unblocked", each)
            return block

    def mute(self, machine_id: str, until: str) -> str:
        """Let nobody be alerted about a machine *until* then, whatever its status.

        *until* is an ISO 8601 date or time; it is returned as UTC. Raises ValueError
        for text that is neither, and UnknownAgent.
        """
        until = clock.parse_time(until)
        with self._unit.transaction(about=machine_id):
            known = Agents(self._unit).require(machine_id)["machine_id"]
            if self.mutes.until(known) != until:
                self.mutes.set(known, until)
                Events(self._unit).add("muted", known, until=until)
            return until

    def unmute(self, machine_id: str) -> None:
        """End the mute of a machine, if it is muted. Raises UnknownAgent."""
        with self._unit.transaction(about=machine_id):
            self._end_mute(Agents(self._unit).require(machine_id)["machine_id"])

    def retire(self, machine_id: str) -> Retirement:
        """Let an active machine's agent be told to uninstall itself.

        One that is being retired already stays as it is. Raises UnknownAgent and
        MachineUninstalled.
        """
        with self._unit.transaction(about=machine_id):
            agent = Agents(self._unit).require_active(machine_id)
            retirement = self.retirements.of(agent)
            if retirement is None:
                self.retirements.add(agent)
                Events(self._unit).add("retire_requested", agent["machine_id"])
                retirement = {"retired_at": self._unit.timestamp, "told_at": None}
            return retirement

    def cancel_retirement(self, machine_id: str) -> None:
        """End the retirement of a machine, if there is one. Raises UnknownAgent."""
        with self._unit.transaction(about=machine_id):
            agent = Agents(self._unit).require(machine_id)
            if self.retirements.of(agent) is not None:
                Events(self._unit).add("retire_cancelled", agent["machine_id"])
                self.retirements.remove(agent["machine_id"])

    def _end_mute(self, machine_id: str) -> None:
        if self.mutes.until(machine_id) is not None:
            Events(self._unit).add("unmuted", machine_id)
            self.mutes.clear(machine_id)

    def _locked(self, machine_id: str) -> list[str]:
        """Return the machines that look like this one, each of them locked."""
        alike = self._groups.get(look(machine_id))
        if alike is None:
            alike = Lookalikes(self._unit).all_of(machine_id)
        for each in alike:
            self._unit.lock(each)
        return alike

    def _uninstalls(self, machine_id: str, reason: str | None) -> bool:
        if not self._is_active(machine_id):
            return False
        self._uninstall(machine_id, reason)
        return True

    def _is_active(self, machine_id: str) -> bool:
        agent = Agents(self._unit).find(machine_id)  # None if its id is not text
        return agent is not None and agent["status"] == "active"

    def _require(self, machine_id: str) -> Block:
        block = self.blocks.find(machine_id)
        assert block is not None
        return block


def _named(machine_id: str, alike: list[str]) -> str:
    """Return the id to keep with a block: that of a machine that is known, if any."""
    for known in (machine_id, stored_form(machine_id), *alike[:1]):
        if known in alike:
            return known
    return new_machine_id(machine_id)
