"""What an agent does: it is seen, and says something about its machine."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from ..core import clock
from ..core.machine import IDENTITY
from .sqlite.transactions import write_lightly
from .reading import Agent
from .writing import AgentWriter


#: Checks the credential where it acts, as credentials.py judges it.
_TOUCH = """UPDATE enrolled_agents SET last_seen_at = :now
  WHERE id = :id AND status = 'active' AND enrolled_at = :enrolled_at
  AND EXISTS (
    SELECT 1 FROM lea_fleet_tokens
    WHERE token_hash = :token_hash AND revoked_at IS NULL
  )"""


def news(agent: Agent, details: Mapping[str, str | None]) -> dict[str, str]:
    """Return those *details* that are given and differ from what is known."""
    return {
        name: value
        for name, value in details.items()
        if value is not None and agent[name] != value
    }


class AgentSightings(AgentWriter):
    """The machines that are seen, over one open *connection*."""

    def touch(self, agent: Agent, moment: datetime) -> bool:
        """Write down when an agent was seen, if the token it was found by is good.

        Tell whether it was. One statement, and a transaction of its own, since
        the other writers wait for it: most beats say nothing else.
        """
        told = {name: agent.get(name) for name in ("id", "enrolled_at", "token_hash")}
        values = {**told, "now": clock.iso(moment)}
        return write_lightly(self.connection, _TOUCH, values) == 1

    def see(self, agent: Agent, details: Mapping[str, str | None]) -> None:
        """Write down that an active *agent* was seen, with what it says.

        *agent* is its row as the transaction that is open has read it.
        """
        changes = news(agent, details)
        self._note_identity(agent, changes)
        assignments = "".join(f", {name} = :{name}" for name in changes)
        self.connection.execute(
            f"UPDATE enrolled_agents SET last_seen_at = :moment{assignments}"
            " WHERE id = :id",
            {**changes, "id": agent["id"], "moment": clock.iso(clock.now())},
        )

    def touch_last_seen(self, machine_id: str) -> None:
        """Write down that a machine was seen, be it uninstalled or unknown.

        As the older server did: silent about a machine that is not there.
        """
        agent = self.get(machine_id)
        if agent is None or self.rule.is_fresh(agent["last_seen_at"], clock.now()):
            return
        with self.transaction("NORMAL"):
            self.connection.execute(
                "UPDATE enrolled_agents SET last_seen_at = ? WHERE machine_id = ?",
                (clock.iso(clock.now()), agent["machine_id"]),
            )

    def _note_identity(self, agent: Agent, changes: dict[str, str]) -> None:
        """Leave an event where the machine or its user is another one now.

        What two machines, or two users, say in turn is no news: it never ends.
        """
        now_said = {
            name: value
            for name, value in changes.items()
            if name in IDENTITY and not _same(agent[name], value)
        }
        back = {
            name
            for name, value in now_said.items()
            if self.clones.comes_back(agent, name, value)
        }
        if "hostname" in back and self.clones.suspect(agent):
            hostnames = sorted([agent["hostname"], now_said["hostname"]])
            self.events.add("suspected_clone", agent["machine_id"], hostnames=hostnames)
        if now_said.keys() <= back:
            return
        # With what is news, whatever else changes: an event says whose the news is.
        before = {name: agent[name] for name in now_said}
        self.events.add(
            "identity_changed", agent["machine_id"], before=before, after=now_said
        )


def _same(known: str | None, said: str) -> bool:
    """Tell whether two names differ in their case at most, as Windows' do."""
    return known is not None and known.casefold() == said.casefold()
