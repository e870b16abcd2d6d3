"""Import machines before their installers enroll them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple

from ..core.machine import DETAILS, look, new_machine_id, said_in
from ..core.problems import MachineBlocked
from .agent_tokens import LIVE_TOKEN, AgentTokens
from .agents import AS_TEXT, BY_ID, Agents, by_id
from .blocks import Blocks
from .events import Events
from .heartbeats import changes
from .presence import Presence
from .releases import Releases
from .tags import Tags
from .unit_of_work import UnitOfWork

#: What an import does with a machine.
#:
#: ``imported``: it is new. ``adopted``: it is active but has no token, as if enrolled
#: by an older server. ``updated``, ``unchanged``: it was imported or adopted before and
#: has not enrolled since. The others are not changed: ``enrolled`` has a token,
#: ``uninstalled`` can re-enroll without an import.
Outcome = Literal[
    "imported", "adopted", "updated", "unchanged", "enrolled", "uninstalled"
]

#: The outcomes that change something.
CHANGES: tuple[Outcome, ...] = ("imported", "adopted", "updated")


class Imported(NamedTuple):
    """What became of a machine, and whether its tags have changed."""

    outcome: Outcome
    is_tagged: bool

    @property
    def changes(self) -> bool:
        return self.is_tagged or self.outcome in CHANGES


_KNOWN = ("machine_id", *DETAILS, "status", "enrolled_at")
_FIND = (
    f"SELECT {', '.join(f'{AS_TEXT[name]} AS {name}' for name in _KNOWN)},"
    f" EXISTS ({LIVE_TOKEN}) AS has_token FROM enrolled_agents AS agent WHERE {BY_ID}"
)


class Imports:
    """Import machines one by one. add() needs an open transaction."""

    def __init__(self, unit: UnitOfWork) -> None:
        self._unit = unit
        self._agents = Agents(unit)
        self._releases = Releases(unit)
        self._tokens = AgentTokens(unit)
        self._tags = Tags(unit)
        self._blocked: frozenset[str] | None = None

    @contextmanager
    def transaction(self, machine_ids: list[str]) -> Iterator[None]:
        """Run the block in a transaction about these machines, one import at a time.

        Two that insert the same machines in another order would be a deadlock.
        """
        with self._unit.transaction(machine_ids):
            self._unit.dialect.take_turn(self._unit.session, "import")
            self._blocked = None  # a block takes its turn too
            yield

    def foresee(
        self,
        machine_id: str,
        details: Mapping[str, str | None],
        tags: Sequence[str] = (),
    ) -> Imported:
        """Return what :meth:`add` would do, or raise what it would."""
        self._refuse_blocked(machine_id)
        known = self._find(machine_id)
        if known is None:
            new_machine_id(machine_id)
            return Imported("imported", bool(tags))
        is_tagged = bool(tags) and self._tags.adds(known["machine_id"], tags)
        return Imported(self._outcome(known, details), is_tagged)

    def add(
        self,
        machine_id: str,
        details: Mapping[str, str | None],
        tags: Sequence[str] = (),
    ) -> Imported:
        """Add or update a machine and allow its enrollment; return what was done.

        A detail that is None or missing keeps its old value; *tags* are given whatever
        the outcome is. Importing the same data again changes nothing. Raises
        MachineBlocked, and InvalidField for a new *machine_id* that is not valid and
        for too many tags.
        """
        self._refuse_blocked(machine_id)
        known = self._find(machine_id)
        if known is None:
            new = new_machine_id(machine_id)
            if self._insert(new, details):
                return Imported("imported", self._tagged(new, tags))
            known = self._find(new) or {}
        is_tagged = self._tagged(known["machine_id"], tags)  # raises before an update
        return Imported(self._update(known, details), is_tagged)

    def _update(
        self, known: Mapping[str, Any], details: Mapping[str, str | None]
    ) -> Outcome:
        outcome = self._outcome(known, details)
        if outcome not in CHANGES:
            return outcome
        self._agents.update(known["machine_id"], details)
        Presence(self._unit).forget_before(known, details)
        # What a dead token said would be passed on by a rotation.
        self._tokens.note_said(known, 0, stored=said_in(details))
        if outcome == "adopted":
            self._releases.add_endless(known)
        self._record(known["machine_id"], details, because=outcome)
        return outcome

    def _tagged(self, machine_id: str, tags: Sequence[str]) -> bool:
        return bool(tags) and self._tags.change(machine_id, tags)

    def _refuse_blocked(self, machine_id: str) -> None:
        if self._blocked is None:  # once for all lines of a transaction
            self._blocked = Blocks(self._unit).looks()
        if self._blocked and look(machine_id) in self._blocked:
            raise MachineBlocked(machine_id)

    def _find(self, machine_id: str) -> dict[str, Any] | None:
        row = self._unit.session.execute(_FIND, by_id(machine_id)).fetchone()
        return None if row is None else dict(zip((*_KNOWN, "has_token"), row))

    def _outcome(
        self, known: Mapping[str, Any], details: Mapping[str, str | None]
    ) -> Outcome:
        if known["status"] != "active":
            return "uninstalled"
        if known["has_token"]:
            return "enrolled"
        if not self._releases.is_endless(known):
            return "adopted"
        return "updated" if changes(known, details) else "unchanged"

    def _insert(self, machine_id: str, details: Mapping[str, str | None]) -> bool:
        """Insert a new machine; return False if somebody else has done it meanwhile."""
        agent = self._agents.insert(machine_id, details, seen=False)
        if agent is None:
            return False
        self._releases.add_endless(agent)
        self._record(machine_id, details)
        return True

    def _record(
        self, machine_id: str, details: Mapping[str, str | None], **because: str
    ) -> None:
        version = details.get("version")
        Events(self._unit).add("imported", machine_id, version=version, **because)
