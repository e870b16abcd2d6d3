"""Tell that a token is used which its own agent has replaced: it was copied.

An agent that rotates its token goes on with the old one until it has used the new one:
the answer may be lost. From then on it has the new one, and whoever presents the old
one has it from elsewhere. Not so where somebody else has replaced it: an operator's new
token, or that of another enrollment, may never have reached the agent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..core.limits import TOKEN_REUSES
from .agent_tokens import LIVE
from .budgets import Budget
from .events import Events
from .unit_of_work import Repository, enrollment_of

_EVENT = "token_reused"

_MARK = (
    "UPDATE lea_fleet_tokens SET rotated_by_agent = :by_agent"
    f" WHERE machine_id = :machine_id AND enrolled_at = :enrolled_at AND {LIVE}"
)

# Of an unused one, the answer may have been lost.
_FIND = """SELECT token.machine_id FROM lea_fleet_tokens AS token
  JOIN enrolled_agents AS agent ON agent.machine_id = token.machine_id
    AND agent.enrolled_at = token.enrolled_at
  WHERE token_hash = :token_hash AND rotated_by_agent AND revoked_at IS NOT NULL
    AND first_used_at IS NOT NULL AND agent.status = 'active'"""


class TokenReuse(Repository):
    """Tokens that were replaced. mark() needs an open transaction, tell() opens one."""

    def mark(self, agent: Mapping[str, Any]) -> None:
        """Record who replaces the valid tokens of an *agent*: itself, or another."""
        by_agent = self._unit.actor.get("role") == "agent"
        values = {**enrollment_of(agent), "by_agent": by_agent}
        self._unit.session.execute(_MARK, values)

    def tell(self, token_hash: str) -> None:
        """Record an event if that token was replaced by its own agent's rotation.

        The actor is whoever presents it. A few times a day for each machine.
        """
        machine_id = self._machine(token_hash)
        if machine_id is None:
            return
        budget = Budget(self._unit, machine_id, _EVENT, most=TOKEN_REUSES)
        if budget.retry_after():  # not recorded, and an event has said so
            return
        with self._unit.transaction(about=machine_id, durable=False):
            if self._machine(token_hash) == machine_id and budget.spend():
                Events(self._unit).add(_EVENT, machine_id)

    def _machine(self, token_hash: str) -> str | None:
        """Return the machine of a token that was so replaced, or None."""
        values = {"token_hash": token_hash}
        row = self._unit.session.execute(_FIND, values).fetchone()
        return None if row is None else str(row[0])
