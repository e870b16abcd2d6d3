"""Mend what is stored about a machine: its id and its details. Its tokens stay."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..core.machine import IDENTITY, said_in
from ..core.rows import Agent
from .agent_tokens import AgentTokens
from .agents import Agents
from .blocks import Blocks
from .events import Events
from .heartbeats import changes
from .ignored import Ignored
from .presence import Presence
from .refused import Refused
from .unit_of_work import Repository

#: The tables of ours with rows about a machine, which a new id is written to.
CARRIED = (
    "lea_fleet_tokens",
    "lea_fleet_enrollments",
    "lea_fleet_releases",
    "lea_fleet_mutes",
    "lea_fleet_tags",
    "lea_fleet_notes",
    "lea_fleet_retirements",
    "lea_fleet_identities",
    "lea_fleet_clones",
    "lea_fleet_ignored",
    "lea_fleet_budgets",
    "lea_fleet_events",
    "lea_fleet_alerts",
    "lea_fleet_silences",
    "lea_fleet_presence",
)

#: Alerts also tell of ids that were refused and have never been enrolled; presence ends
#: by itself.
_NO_SIGN = ("lea_fleet_alerts", "lea_fleet_presence")


class Edits(Repository):
    """Edit machines. edit() needs an open transaction, which names both ids."""

    def is_taken(self, machine_id: str) -> bool:
        """Return whether a machine has that id, or a deleted one has left rows."""
        return any(
            self._unit.session.execute(
                f"SELECT 1 FROM {table} WHERE machine_id = :machine_id LIMIT 1",
                {"machine_id": machine_id},
            ).fetchone()
            for table in ("enrolled_agents", *CARRIED)
            if table not in _NO_SIGN
        )

    def edit(
        self, agent: Agent, details: Mapping[str, str | None], new_id: str | None = None
    ) -> Agent:
        """Store the *details* that are given and the new id, which must not be taken.

        Return the agent. Nothing is recorded if all of it is stored already. Raises
        MachineBlocked where either id is blocked, since the block would be lost.
        """
        old_id, machine_id = agent["machine_id"], new_id or agent["machine_id"]
        if machine_id != old_id:
            self._unit.lock_look(machine_id)
            for each in (old_id, machine_id):
                Blocks(self._unit).refuse(each)
        changed = changes(agent, details)
        if not changed and machine_id == old_id:
            return agent
        agents = Agents(self._unit)
        agents.update(old_id, changed)
        # An operator says nothing for a machine: its agent does not get to see this.
        AgentTokens(self._unit).note_said(agent, 0, stored=said_in(changed))
        Ignored(self._unit).clear(agent, changed)
        Presence(self._unit).forget_before(agent, changed)
        told = _told(agent, changed)
        if machine_id != old_id:
            AgentTokens(self._unit).note_former_id(old_id)
            Refused(self._unit).forget(old_id, machine_id)
            self._carry(old_id, machine_id)
            told["former_id"] = old_id
        Events(self._unit).add("edited", machine_id, **told)
        return agents.require(machine_id)

    def _carry(self, old_id: str, new_id: str) -> None:
        carried = {"machine_id": new_id}
        stored = self._unit.dialect.with_keys(carried)
        Presence(self._unit).carry(old_id, new_id)
        for table in ("enrolled_agents", *CARRIED):
            if table == "lea_fleet_presence":  # which has no index on the id
                continue
            columns = stored if table == "enrolled_agents" else carried
            assignments = ", ".join(f"{name} = :{name}" for name in columns)
            self._unit.session.execute(
                f"UPDATE {table} SET {assignments} WHERE machine_id = :old_id",
                {**columns, "old_id": old_id},
            )
        self._unit.dialect.note_change(self._unit.session, new_id)


def _told(agent: Agent, changed: Mapping[str, str]) -> dict[str, Any]:
    """Return the detail of the event; what tells of people is kept apart."""
    known: Mapping[str, Any] = agent
    told: dict[str, Any] = {n: v for n, v in changed.items() if n not in IDENTITY}
    after = {name: value for name, value in changed.items() if name in IDENTITY}
    if after:
        told |= {"before": {name: known[name] for name in after}, "after": after}
    return told
