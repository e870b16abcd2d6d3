"""Heartbeats: a machine is seen, and says something about itself."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ..core import clock
from ..core.machine import IDENTITY
from ..core.rows import Agent, AgentToken
from ..core.text import folded
from .agent_tokens import LIVE
from .clones import Clones
from .events import Events
from .unit_of_work import Repository

#: Checks the credential where it acts, as AgentTokens.find() does.
_TOUCH = f"""UPDATE enrolled_agents SET last_seen_at = :now
  WHERE id = :id AND status = 'active' AND enrolled_at = :enrolled_at
  AND EXISTS (
    SELECT 1 FROM lea_fleet_tokens
    WHERE token_hash = :token_hash AND {LIVE}
  )"""


def changes(machine: Mapping[str, Any], details: Mapping[str, Any]) -> dict[str, str]:
    """Return those *details* that are given and differ from what is known."""
    changed = {}
    for name, value in details.items():
        if value is not None and machine[name] != value:
            changed[name] = value
    return changed


class Heartbeats(Repository):
    """The machines that are seen."""

    def touch(self, token: AgentToken, now: datetime) -> bool:
        """Write down when an agent was seen, if the *token* it was found by is live.

        Tell whether it was. One statement, and a transaction of its own, since
        the other writers wait for it: most heartbeats say nothing else.
        """
        values = {
            "id": token["id"],
            "enrolled_at": token["enrolled_at"],
            "token_hash": token["token_hash"],
            "now": clock.iso(now),
        }
        unit = self._unit
        return unit.dialect.write_once(unit.session, _TOUCH, values) == 1

    def see(self, machine: Agent | AgentToken, details: Mapping[str, Any]) -> None:
        """Write down that an active machine was seen, with what it says.

        *machine* is as the transaction that is open has read it.
        """
        changed = changes(machine, details)
        self._note_identity(machine, changed)
        assignments = "".join(f", {name} = :{name}" for name in changed)
        self._unit.session.execute(
            f"UPDATE enrolled_agents SET last_seen_at = :now{assignments}"
            " WHERE id = :id",
            {**changed, "id": machine["id"], "now": self._unit.timestamp},
        )

    def mark_seen(self, machine_id: str) -> None:
        """Write down that a machine was seen, whatever its status."""
        self._unit.session.execute(
            "UPDATE enrolled_agents SET last_seen_at = :now"
            " WHERE machine_id = :machine_id",
            {"machine_id": machine_id, "now": self._unit.timestamp},
        )

    def _note_identity(
        self, machine: Agent | AgentToken, changed: Mapping[str, str]
    ) -> None:
        """Leave an event where the machine or its user is another one now.

        What two machines, or two users, say alternately is not reported: it never ends.
        """
        known: Mapping[str, Any] = machine
        now_said = {
            name: value
            for name, value in changed.items()
            if name in IDENTITY and folded(value) != folded(known[name])
        }
        if not now_said:
            return
        clones, events = Clones(self._unit), Events(self._unit)
        back = {
            name
            for name, value in now_said.items()
            if clones.comes_back(known, name, value)
        }
        if "hostname" in back and clones.suspect(machine):
            hostnames = sorted([known["hostname"], now_said["hostname"]])
            events.add("suspected_clone", machine["machine_id"], hostnames=hostnames)
        if now_said.keys() <= back:
            return
        # With what is news, whatever else changes: an event says whose the news is.
        before = {name: known[name] for name in now_said}
        events.add(
            "identity_changed", machine["machine_id"], before=before, after=now_said
        )
