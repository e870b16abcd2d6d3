"""Record heartbeats: when a machine was seen, and what it reports about itself."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ..core import clock
from ..core.identity import is_fuller, is_same
from ..core.machine import IDENTITY, SEARCHED, said_in
from ..core.presence import is_new_hour
from ..core.rows import Agent, AgentToken
from ..core.text import folded
from .agent_tokens import LIVE, AgentTokens
from .budgets import Budget
from .clones import Clones
from .events import Events
from .presence import Presence
from .unit_of_work import Repository

#: Checks the token again in the statement that writes, as AgentTokens.find() does.
_TOUCH = f"""UPDATE enrolled_agents SET last_seen_at = :now
  WHERE id = :id AND status = 'active' AND enrolled_at = :enrolled_at
  AND EXISTS (
    SELECT 1 FROM lea_fleet_tokens
    WHERE token_hash = :token_hash AND {LIVE}
  )"""


def changes(machine: Mapping[str, Any], details: Mapping[str, Any]) -> dict[str, str]:
    """Return the *details* that are given and differ from those of *machine*."""
    changed = {}
    for name, value in details.items():
        if value is not None and machine[name] != value:
            changed[name] = value
    return changed


def unsaid(machine: Mapping[str, Any], details: Mapping[str, Any]) -> int:
    """Return which personal *details* an agent has not said before, as bits.

    *machine* is its token; an operator says nothing for a machine.
    """
    return said_in(details) & ~machine["said"] if details and "said" in machine else 0


class Heartbeats(Repository):
    """Write when machines were seen, and what they report."""

    def touch(self, token: AgentToken, now: datetime) -> bool:
        """Record that an agent was seen at *now*, if its *token* is still live.

        Return whether it was. Most heartbeats report nothing else, so this is a single
        statement and its own transaction, to keep other writers waiting least.
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
        """Record that an active machine was seen, with the *details* it reports.

        *machine* must have been read in the open transaction.
        """
        changed = changes(machine, details)
        self._note_identity(machine, changed)
        stored = self._unit.dialect.with_keys(changed)
        assignments = "".join(f", {name} = :{name}" for name in stored)
        self._unit.session.execute(
            f"UPDATE enrolled_agents SET last_seen_at = :now{assignments}"
            " WHERE id = :id",
            {**stored, "id": machine["id"], "now": self._unit.timestamp},
        )
        if not changed.keys().isdisjoint(SEARCHED):
            self._unit.dialect.note_change(self._unit.session, machine["machine_id"])
        self._note_said(machine, details, changed)
        self._note_presence(machine, changed)

    def mark_seen(self, machine: Agent) -> None:
        """Record that a machine was seen, whatever its status."""
        self._unit.session.execute(
            "UPDATE enrolled_agents SET last_seen_at = :now"
            " WHERE machine_id = :machine_id",
            {"machine_id": machine["machine_id"], "now": self._unit.timestamp},
        )
        if machine["status"] == "active":
            self._note_presence(machine, {})

    def _note_presence(
        self, machine: Agent | AgentToken, changed: Mapping[str, str]
    ) -> None:
        """Record the hour at its first heartbeat, or at the first one of a user."""
        presence = Presence(self._unit)
        is_anew = presence.forget_before(machine, changed)
        if is_anew or is_new_hour(machine["last_seen_at"], self._unit.now):
            presence.note(machine["machine_id"])

    def _note_said(
        self,
        machine: Agent | AgentToken,
        details: Mapping[str, Any],
        changed: Mapping[str, str],
    ) -> None:
        """Record what the machine itself has said, or what an operator has changed."""
        said, stored = unsaid(machine, details), said_in(changed)
        if "said" in machine and said:
            AgentTokens(self._unit).note_said(machine, said, stored=0)
        elif "said" not in machine and stored:
            AgentTokens(self._unit).note_said(machine, 0, stored)

    def _note_identity(
        self, machine: Agent | AgentToken, changed: Mapping[str, str]
    ) -> None:
        """Record an event if the hostname or the user has changed.

        Values that come back are not recorded as changes: two machines or users that
        alternate would add events without end. So would a hostile agent, without its
        budget. Other spellings of a hostname are no change; the longest is remembered
        while a shorter one is reported, to tell it from that of another host.
        """
        known: Mapping[str, Any] = machine
        news = {
            name: value
            for name, value in changed.items()
            if name in IDENTITY and folded(value) != folded(known[name])
        }
        if not news:
            return
        clones, events = Clones(self._unit), Events(self._unit)
        past = clones.past(known)
        reported = {
            name: value
            for name, value in news.items()
            if not is_same(name, value, past.known(name))
        }
        if is_fuller(past.full_hostname, news.get("hostname")):
            clones.remember(known, "hostname", past.full_hostname)
        if not reported:
            return
        returned = {
            name
            for name, value in reported.items()
            if clones.comes_back(known, past, name, value)
        }
        clones.forget(known, past)
        if "hostname" in returned and clones.suspect(machine):
            hostnames = sorted([past.full_hostname or "", reported["hostname"]])
            events.add("suspected_clone", machine["machine_id"], hostnames=hostnames)
        if reported.keys() <= returned:
            return
        if not Budget(self._unit, machine["machine_id"], "identity_changed").spend():
            return
        # All changes, also those that come back: the event must show whose data it is.
        before = {name: known[name] for name in reported}
        events.add(
            "identity_changed", machine["machine_id"], before=before, after=reported
        )
