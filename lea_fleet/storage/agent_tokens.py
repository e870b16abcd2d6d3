"""The agents' tokens: kept as hashes, each bound to one enrolment."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any

from ..core import clock
from ..core.machine import DETAILS
from .reading import AS_TEXT

#: A token as a mapping: what :meth:`TokenRepository.find` returns.
Token = dict[str, Any]

#: Has a row where an ``agent``, as a query calls it, has a live token.
LIVE_TOKEN = (
    "SELECT 1 FROM lea_fleet_tokens AS token"
    " WHERE token.machine_id = agent.machine_id AND token.revoked_at IS NULL"
    " AND token.enrolled_at = agent.enrolled_at"
)

# No more than a heartbeat needs: each column takes it 0.3 µs of its 115 (measured).
_NEEDED = ("id", "machine_id", *DETAILS, "enrolled_at", "last_seen_at")
_FOUND = (*_NEEDED, "state")
# The older server uninstalls without revoking; ours revokes at that instant.
_FIND = f"""SELECT {", ".join(AS_TEXT[name] for name in _NEEDED)}, CASE
    WHEN {AS_TEXT["status"]} = 'active' THEN CASE
      WHEN revoked_at IS NOT NULL OR token_enrolled_at IS NOT enrolled_at THEN 'revoked'
      WHEN first_used_at IS NOT NULL THEN 'used'
      WHEN pending THEN 'pending'
      ELSE 'unused'
    END
    WHEN (revoked_at IS NULL OR revoked_at = {AS_TEXT["uninstalled_at"]})
      AND token_enrolled_at = enrolled_at THEN 'departed'
    ELSE 'uninstalled'
  END
  FROM (
    SELECT machine_id AS holder, enrolled_at AS token_enrolled_at,
      pending, first_used_at, revoked_at
    FROM lea_fleet_tokens WHERE token_hash = ?
  ) JOIN enrolled_agents ON machine_id = holder"""


class TokenRepository:
    """The tokens of the agents, over one open *connection*.

    Tokens come and go as SHA-256 in hexadecimal. What writes is a part of the
    transaction that is open.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def find(self, token_hash: str) -> Token | None:
        """Return what is known of a token and of the machine it is for, or None.

        ``token_hash`` and ``state`` are the token's, the others are columns of the
        machine's row: one query is all that a heartbeat needs. The state is
        ``used``, ``unused`` or ``pending``, as a rotation leaves it, for a token that
        lives; ``revoked``, or of an earlier enrolment; ``departed`` for one that died
        with its machine's uninstall, and ``uninstalled`` for one that died before it.
        A token whose machine was deleted from the table is not found.
        """
        row = self.connection.execute(_FIND, (token_hash,)).fetchone()
        if row is None:
            return None
        return dict(zip(_FOUND, row), token_hash=token_hash)

    def add(
        self, agent: dict[str, Any], token_hash: str, *, pending: bool = False
    ) -> None:
        """Keep a token that belongs to the enrolment the *agent* is in."""
        self.connection.execute(
            "INSERT INTO lea_fleet_tokens"
            " (token_hash, machine_id, enrolled_at, issued_at, pending)"
            " VALUES (?, ?, ?, ?, ?)",
            (token_hash, agent["machine_id"], agent["enrolled_at"], _now(), pending),
        )

    def mark_used(self, token: Token) -> None:
        """Write down the first use of a token; it is pending no longer."""
        self.connection.execute(
            "UPDATE lea_fleet_tokens SET first_used_at = ?, pending = 0"
            " WHERE token_hash = ? AND first_used_at IS NULL",
            (_now(), token["token_hash"]),
        )

    def was_used(self, agent: dict[str, Any]) -> bool:
        """Tell whether a token of the *agent*'s enrolment has ever been used."""
        row = self.connection.execute(
            "SELECT 1 FROM lea_fleet_tokens WHERE machine_id = ? AND enrolled_at = ?"
            " AND first_used_at IS NOT NULL",
            (agent["machine_id"], agent["enrolled_at"]),
        ).fetchone()
        return row is not None

    def facts(self, agent: dict[str, Any]) -> dict[str, str | None] | None:
        """Return what is known of the tokens an *agent* may use, or None for none.

        ``issued_at`` and ``first_used_at`` are of its present one, both None
        where it has had none before; ``rotated_at`` is when the one that a
        rotation made, and nobody has used yet, was issued.
        """
        if agent["status"] != "active":
            return None
        rows = self.connection.execute(
            "SELECT issued_at, first_used_at, pending FROM lea_fleet_tokens"
            " WHERE machine_id = ? AND enrolled_at = ? AND revoked_at IS NULL"
            " ORDER BY issued_at",
            (agent["machine_id"], agent["enrolled_at"]),
        ).fetchall()
        facts = dict.fromkeys(("issued_at", "first_used_at", "rotated_at"))
        for row in rows:
            if row["pending"]:
                facts["rotated_at"] = row["issued_at"]
            else:
                facts.update(
                    issued_at=row["issued_at"], first_used_at=row["first_used_at"]
                )
        return facts if rows else None

    def revoke_all(self, machine_id: str, moment: str) -> None:
        """Revoke every token of a machine, of whichever enrolment, at *moment*."""
        self.connection.execute(
            "UPDATE lea_fleet_tokens SET revoked_at = ?"
            " WHERE machine_id = ? AND revoked_at IS NULL",
            (moment, machine_id),
        )

    def revoke_live(self, agent: dict[str, Any]) -> int:
        """Revoke the tokens of the *agent*'s enrolment; return how many were live."""
        return self._revoke(agent, "1")

    def revoke_others(self, token: Token) -> int:
        """Revoke the other tokens of a token's enrolment; return how many were."""
        return self._revoke(token, "token_hash <> ?", token["token_hash"])

    def revoke_pending(self, agent: dict[str, Any]) -> int:
        """Revoke what a rotation issued and nobody has used; return how many were."""
        return self._revoke(agent, "pending")

    def machines_without(self) -> list[str]:
        """Return the ids of the active machines that have no live token."""
        rows = self.connection.execute(
            "SELECT machine_id FROM enrolled_agents AS agent WHERE status = 'active'"
            " AND typeof(machine_id) = 'text'"  # what no request can name
            f" AND NOT EXISTS ({LIVE_TOKEN}) ORDER BY id"
        )
        return [machine_id for (machine_id,) in rows]

    def _revoke(self, enrolment: Mapping[str, Any], which: str, *values: Any) -> int:
        # Those of an earlier enrolment are dead already, revoked or not.
        return self.connection.execute(
            "UPDATE lea_fleet_tokens SET revoked_at = ? WHERE machine_id = ?"
            f" AND enrolled_at = ? AND revoked_at IS NULL AND {which}",
            (_now(), enrolment["machine_id"], enrolment["enrolled_at"], *values),
        ).rowcount


def _now() -> str:
    return clock.iso(clock.now())
