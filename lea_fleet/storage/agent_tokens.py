"""Agent tokens: stored as hashes, each valid for one enrollment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from ..core.limits import MOST_DEAD_TOKENS
from ..core.machine import DETAILS
from ..core.rows import Agent, AgentToken, TokenDates
from ..core.tokens import hash_token
from .agents import AS_TEXT, by_id
from .blocks import HOLDER_BLOCKED
from .retirements import TOLD_HOLDER
from .unit_of_work import Repository, enrollment_of

#: The condition for a token that has not been revoked.
LIVE = "revoked_at IS NULL"

#: Selects a row if the outer query's ``agent`` has a live token.
LIVE_TOKEN = (
    "SELECT 1 FROM lea_fleet_tokens AS token"
    f" WHERE token.machine_id = agent.machine_id AND token.{LIVE}"
    " AND token.enrolled_at = agent.enrolled_at"
)

# Only what a heartbeat needs: each column costs it 0.3 of its 115 µs (measured).
_NEEDED = ("id", "machine_id", *DETAILS, "enrolled_at", "last_seen_at")
_FOUND = (*_NEEDED, "state", "said", "retire_told_at")
# 'departed' is a token that was live until the uninstall: the older server does not
# revoke it, ours revokes it with the uninstall's timestamp. 0.1.0 always leaves
# replaced at 0, so that its rows can be told apart by the timestamps only. A blocked
# machine is active only if 0.1.0 has enrolled it, which knows no blocks.
_FIND = f"""SELECT {", ".join(AS_TEXT[name] for name in _NEEDED)}, CASE
    WHEN {AS_TEXT["status"]} = 'active' THEN CASE
      WHEN revoked_at IS NOT NULL OR token_enrolled_at <> enrolled_at
        OR EXISTS ({HOLDER_BLOCKED}) THEN 'revoked'
      WHEN first_used_at IS NOT NULL THEN 'used'
      WHEN pending THEN 'pending'
      ELSE 'unused'
    END
    WHEN ({LIVE} OR revoked_at = {AS_TEXT["uninstalled_at"]})
      AND token_enrolled_at = enrolled_at AND NOT token.replaced THEN 'departed'
    ELSE 'uninstalled'
  END, said, ({TOLD_HOLDER})
  FROM (
    SELECT machine_id AS holder, enrolled_at AS token_enrolled_at,
      pending, first_used_at, revoked_at, replaced, said
    FROM lea_fleet_tokens WHERE token_hash = :token_hash
  ) AS token JOIN enrolled_agents ON machine_id = holder"""

_ADD = """INSERT INTO lea_fleet_tokens
  (token_hash, machine_id, enrolled_at, issued_at, pending, said, former_id)
  VALUES (:token_hash, :machine_id, :enrolled_at, :now, :pending, coalesce(:said, (
    SELECT max(said) FROM lea_fleet_tokens
    WHERE machine_id = :machine_id AND enrolled_at = :enrolled_at
  ), 0), (
    SELECT max(former_id) FROM lea_fleet_tokens
    WHERE machine_id = :machine_id AND enrolled_at = :enrolled_at
  ))"""

# At most 256 rows, since 0.1.0 kept every token. Which 256 does not matter: of each
# part its newest tokens and its last one used stay, so those of all tokens do, and what
# is left over is deleted the next times.
_BY_USE = """SELECT token_hash, revoked_at, coalesce(first_used_at, ''), issued_at
  FROM (
    SELECT token_hash, issued_at, first_used_at, revoked_at FROM lea_fleet_tokens
    WHERE machine_id = :machine_id AND enrolled_at = :enrolled_at
    ORDER BY token_hash LIMIT 256
  ) AS token
  ORDER BY coalesce(first_used_at, ''), issued_at, coalesce(revoked_at, :now)"""


class AgentTokens(Repository):
    """The agents' tokens. Methods that write need an open transaction."""

    def find(self, token_hash: str) -> AgentToken | None:
        """Return the token with that hash and its machine, or None if there is none.

        It is one query, and the only one that a heartbeat needs. A token whose machine
        was deleted from the table is not found.
        """
        row = self._unit.session.execute(_FIND, {"token_hash": token_hash}).fetchone()
        if row is None:
            return None
        return cast(AgentToken, dict(zip(_FOUND, row), token_hash=token_hash))

    def add(
        self,
        agent: Agent,
        token: str,
        said: int | None = None,
        *,
        pending: bool = False,
    ) -> None:
        """Store the hash of *token* for the *agent*'s current enrollment.

        *said* is what was said in this enrollment so far; if it is None, that of the
        enrollment's other tokens.
        """
        self._unit.session.execute(
            _ADD,
            {
                **self._values(agent),
                "token_hash": hash_token(token.encode()),
                "pending": pending,
                "said": said,
            },
        )

    def mark_used(self, token: AgentToken) -> None:
        """Record the first use of a token, which is then no longer pending."""
        self._unit.session.execute(
            "UPDATE lea_fleet_tokens SET first_used_at = :now, pending = false"
            " WHERE token_hash = :token_hash AND first_used_at IS NULL",
            {"token_hash": token["token_hash"], "now": self._unit.timestamp},
        )

    def note_said(self, machine: Mapping[str, Any], said: int, stored: int) -> None:
        """Record what a machine has *said* now, and what an operator has *stored*."""
        self._unit.session.execute(
            "UPDATE lea_fleet_tokens"
            " SET said = (said | :said) & ~CAST(:stored AS INTEGER)"
            " WHERE machine_id = :machine_id AND enrolled_at = :enrolled_at",
            {**enrollment_of(machine), "said": said, "stored": stored},
        )

    def note_former_id(self, machine_id: str) -> None:
        """Record the id by which the agents of a machine know it, if none is yet."""
        self._unit.session.execute(
            "UPDATE lea_fleet_tokens SET former_id = coalesce(former_id, machine_id)"
            " WHERE machine_id = :machine_id",
            {"machine_id": machine_id},
        )

    def is_former_id(self, token: AgentToken, sent: str) -> bool:
        """Return whether the machine had the id *sent* when it got its *token*."""
        row = self._unit.session.execute(
            "SELECT 1 FROM lea_fleet_tokens WHERE token_hash = :token_hash"
            " AND former_id IN (:sent, :trimmed)",
            {"token_hash": token["token_hash"], **by_id(sent)},
        ).fetchone()
        return row is not None

    def was_used(self, agent: Agent) -> bool:
        """Return whether any token of the *agent*'s enrollment has been used."""
        row = self._unit.session.execute(
            "SELECT 1 FROM lea_fleet_tokens WHERE machine_id = :machine_id"
            " AND enrolled_at = :enrolled_at AND first_used_at IS NOT NULL",
            self._values(agent),
        ).fetchone()
        return row is not None

    def dates(self, agent: Agent) -> TokenDates | None:
        """Return the dates of the *agent*'s valid tokens, or None if it has none."""
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
        """Revoke every token of a machine, of all its enrollments."""
        self._unit.session.execute(
            "UPDATE lea_fleet_tokens SET revoked_at = :now"
            f" WHERE machine_id = :machine_id AND {LIVE}",
            {"machine_id": machine_id, "now": self._unit.timestamp},
        )

    def replace_all(self, machine_id: str) -> None:
        """Revoke every token of a machine that re-enrolls, and mark it as replaced.

        A token that an uninstall revoked keeps the date of that.
        """
        self._unit.session.execute(
            "UPDATE lea_fleet_tokens SET revoked_at = coalesce(revoked_at, :now),"
            " replaced = true WHERE machine_id = :machine_id AND NOT replaced",
            {"machine_id": machine_id, "now": self._unit.timestamp},
        )

    def prune_ended(self, agent: Agent) -> None:
        """Delete the dead tokens of the *agent*'s enrollment, which has ended.

        Those that were valid until its end and the last one used stay: a machine that
        was off for a year is still told that it was uninstalled, or that another one
        has its identity.
        """
        dead, last = self._dead(agent)
        ended = dead[0][0] if dead else ""
        self._delete({token for revoked, token in dead if revoked < ended} - last)

    def revoke_live(self, agent: Mapping[str, Any]) -> int:
        """Revoke all live tokens of the *agent*'s enrollment; return their number."""
        return self._revoke(agent, "true")

    def revoke_others(self, token: AgentToken) -> int:
        """Revoke the other live tokens of the same enrollment; return their number."""
        return self._revoke(token, "token_hash <> :token_hash")

    def revoke_pending(self, agent: Mapping[str, Any]) -> int:
        """Revoke tokens from a rotation that were never used; return their number."""
        return self._revoke(agent, "pending = true")

    def machines_without(self) -> list[str]:
        """Return the ids of the active machines that have no live token."""
        rows = self._unit.session.execute(
            "SELECT machine_id FROM enrolled_agents AS agent WHERE status = 'active'"
            f" AND NOT EXISTS ({LIVE_TOKEN}) ORDER BY id"
        )
        # No command can name an id that an older server stored as another type.
        return [machine_id for (machine_id,) in rows if isinstance(machine_id, str)]

    def _revoke(self, enrollment: Mapping[str, Any], which: str) -> int:
        # Tokens of earlier enrollments are not valid any more, revoked or not.
        revoked = self._unit.session.execute(
            "UPDATE lea_fleet_tokens SET revoked_at = :now, replaced = true"
            " WHERE machine_id = :machine_id AND enrolled_at = :enrolled_at"
            f" AND {LIVE} AND {which}",
            self._values(enrollment),
        ).rowcount
        if revoked:
            dead, last = self._dead(enrollment)
            self._delete({token for _, token in dead[MOST_DEAD_TOKENS:]} - last)
        return revoked

    def _dead(
        self, enrollment: Mapping[str, Any]
    ) -> tuple[list[tuple[str, str]], set[str]]:
        """Return the revoked tokens, newest first, and the one that is never deleted.

        Each with the timestamp of its end; of those that ended at the same time, first
        what an agent had used. The other is the last one used or, if none was, the last
        one issued, dead or not.
        """
        values = self._values(enrollment)
        rows = self._unit.session.execute(_BY_USE, values).fetchall()
        dead = sorted(
            ((*dates, token) for token, *dates in rows if dates[0]), reverse=True
        )
        last = {token for token, *_ in rows[-1:]}
        return [(revoked, token) for revoked, _, _, token in dead], last

    def _delete(self, hashes: set[str]) -> None:
        self._unit.session.executemany(
            "DELETE FROM lea_fleet_tokens WHERE token_hash = :token_hash",
            [{"token_hash": token} for token in hashes],
        )

    def _values(self, enrollment: Mapping[str, Any]) -> dict[str, Any]:
        return {
            **enrollment_of(enrollment),
            "token_hash": enrollment.get("token_hash"),
            "now": self._unit.timestamp,
        }
