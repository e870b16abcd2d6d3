"""The agents' tokens: kept as hashes, each bound to one enrollment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from ..core.machine import DETAILS
from ..core.rows import Agent, AgentToken, TokenDates
from ..core.tokens import hash_token
from .agents import AS_TEXT
from .unit_of_work import Repository, enrollment_of

#: True of the row of a token that has not been revoked.
LIVE = "revoked_at IS NULL"

#: Has a row where an ``agent``, as a query calls it, has a live token.
LIVE_TOKEN = (
    "SELECT 1 FROM lea_fleet_tokens AS token"
    f" WHERE token.machine_id = agent.machine_id AND token.{LIVE}"
    " AND token.enrolled_at = agent.enrolled_at"
)

# No more than a heartbeat needs: each column takes it 0.3 µs of its 115 (measured).
_NEEDED = ("id", "machine_id", *DETAILS, "enrolled_at", "last_seen_at")
_FOUND = (*_NEEDED, "state")
# The older server uninstalls without revoking; ours revokes at that time. 0.1.0 leaves
# replaced as 0, and its rows are told by the timestamps alone.
_FIND = f"""SELECT {", ".join(AS_TEXT[name] for name in _NEEDED)}, CASE
    WHEN {AS_TEXT["status"]} = 'active' THEN CASE
      WHEN revoked_at IS NOT NULL OR token_enrolled_at <> enrolled_at THEN 'revoked'
      WHEN first_used_at IS NOT NULL THEN 'used'
      WHEN pending THEN 'pending'
      ELSE 'unused'
    END
    WHEN ({LIVE} OR revoked_at = {AS_TEXT["uninstalled_at"]})
      AND token_enrolled_at = enrolled_at AND NOT token.replaced THEN 'departed'
    ELSE 'uninstalled'
  END
  FROM (
    SELECT machine_id AS holder, enrolled_at AS token_enrolled_at,
      pending, first_used_at, revoked_at, replaced
    FROM lea_fleet_tokens WHERE token_hash = :token_hash
  ) AS token JOIN enrolled_agents ON machine_id = holder"""

_ADD = """INSERT INTO lea_fleet_tokens
  (token_hash, machine_id, enrolled_at, issued_at, pending)
  VALUES (:token_hash, :machine_id, :enrolled_at, :now, :pending)"""


class AgentTokens(Repository):
    """The tokens of the agents. What writes is a part of the open transaction."""

    def find(self, token_hash: str) -> AgentToken | None:
        """Return what is known of a token and of the machine it is for, or None.

        One query is all that a heartbeat needs. A token whose machine was deleted from
        the table is not found.
        """
        row = self._unit.session.execute(_FIND, {"token_hash": token_hash}).fetchone()
        if row is None:
            return None
        return cast(AgentToken, dict(zip(_FOUND, row), token_hash=token_hash))

    def add(self, agent: Agent, token: str, *, pending: bool = False) -> None:
        """Keep the hash of a *token* for the enrollment the *agent* is in."""
        self._unit.session.execute(
            _ADD,
            {
                **self._values(agent),
                "token_hash": hash_token(token.encode()),
                "pending": pending,
            },
        )

    def mark_used(self, token: AgentToken) -> None:
        """Write down the first use of a token; it is pending no longer."""
        self._unit.session.execute(
            "UPDATE lea_fleet_tokens SET first_used_at = :now, pending = false"
            " WHERE token_hash = :token_hash AND first_used_at IS NULL",
            {"token_hash": token["token_hash"], "now": self._unit.timestamp},
        )

    def was_used(self, agent: Agent) -> bool:
        """Tell whether a token of the *agent*'s enrollment has ever been used."""
        row = self._unit.session.execute(
            "SELECT 1 FROM lea_fleet_tokens WHERE machine_id = :machine_id"
            " AND enrolled_at = :enrolled_at AND first_used_at IS NOT NULL",
            self._values(agent),
        ).fetchone()
        return row is not None

    def dates(self, agent: Agent) -> TokenDates | None:
        """Return the dates of the tokens that an *agent* may use; None for no token."""
        if agent["status"] != "active":
            return None
        rows = self._unit.session.execute(
            "SELECT issued_at, first_used_at, pending FROM lea_fleet_tokens"
            " WHERE machine_id = :machine_id AND enrolled_at = :enrolled_at"
            f" AND {LIVE} ORDER BY issued_at",
            self._values(agent),
        ).fetchall()
        dates = TokenDates(issued_at=None, first_used_at=None, rotated_at=None)
        for issued_at, first_used_at, pending in rows:
            if pending:
                dates["rotated_at"] = issued_at
            else:
                dates["issued_at"], dates["first_used_at"] = issued_at, first_used_at
        return dates if rows else None

    def revoke_all(self, machine_id: str) -> None:
        """Revoke every token of a machine, of whichever enrollment."""
        self._unit.session.execute(
            "UPDATE lea_fleet_tokens SET revoked_at = :now"
            f" WHERE machine_id = :machine_id AND {LIVE}",
            {"machine_id": machine_id, "now": self._unit.timestamp},
        )

    def replace_all(self, machine_id: str) -> None:
        """Revoke every token of a machine that is enrolled anew.

        One that an uninstall has revoked keeps its date, and is replaced as well.
        """
        self._unit.session.execute(
            "UPDATE lea_fleet_tokens SET revoked_at = coalesce(revoked_at, :now),"
            " replaced = true WHERE machine_id = :machine_id AND NOT replaced",
            {"machine_id": machine_id, "now": self._unit.timestamp},
        )

    def revoke_live(self, agent: Mapping[str, Any]) -> int:
        """Revoke the tokens of the *agent*'s enrollment; return how many were live."""
        return self._revoke(agent, "true")

    def revoke_others(self, token: AgentToken) -> int:
        """Revoke the other tokens of its enrollment; return how many were live."""
        return self._revoke(token, "token_hash <> :token_hash")

    def revoke_pending(self, agent: Mapping[str, Any]) -> int:
        """Revoke what a rotation made and nobody has used; return how many."""
        return self._revoke(agent, "pending = true")

    def machines_without(self) -> list[str]:
        """Return the ids of the active machines that have no live token."""
        rows = self._unit.session.execute(
            "SELECT machine_id FROM enrolled_agents AS agent WHERE status = 'active'"
            f" AND NOT EXISTS ({LIVE_TOKEN}) ORDER BY id"
        )
        # What an older server has stored as something else than text, nobody can name.
        return [machine_id for (machine_id,) in rows if isinstance(machine_id, str)]

    def _revoke(self, enrollment: Mapping[str, Any], which: str) -> int:
        # Those of an earlier enrollment are dead already, revoked or not.
        return self._unit.session.execute(
            "UPDATE lea_fleet_tokens SET revoked_at = :now, replaced = true"
            " WHERE machine_id = :machine_id AND enrolled_at = :enrolled_at"
            f" AND {LIVE} AND {which}",
            self._values(enrollment),
        ).rowcount

    def _values(self, enrollment: Mapping[str, Any]) -> dict[str, Any]:
        return {
            **enrollment_of(enrollment),
            "token_hash": enrollment.get("token_hash"),
            "now": self._unit.timestamp,
        }
