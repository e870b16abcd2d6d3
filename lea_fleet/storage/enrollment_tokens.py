"""The installers' tokens: they enrol, so many times, until a day."""

from __future__ import annotations

import sqlite3
from typing import Any

from ..core import clock
from ..core.problems import EnrollmentTokenExhausted, UnknownEnrollmentToken

#: As a mapping: ``id, label, created_at, expires_at, max_uses, uses,
#: revoked_at, state``; state is active, used_up, expired or revoked.
EnrollmentToken = dict[str, Any]

STATES = ("active", "used_up", "expired", "revoked")

_SELECT = """SELECT id, label, created_at, expires_at, max_uses, uses, revoked_at,
  CASE
    WHEN revoked_at IS NOT NULL THEN 'revoked'
    WHEN expires_at <= :now THEN 'expired'
    WHEN uses >= max_uses THEN 'used_up'
    ELSE 'active'
  END AS state
  FROM lea_fleet_enrollment_tokens"""


class EnrollmentTokenRepository:
    """The enrolment tokens, over one open *connection*.

    Tokens come as SHA-256 in hexadecimal. What writes is a part of the
    transaction that is open.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def list(self) -> list[EnrollmentToken]:
        """Return all of them, the newest first."""
        rows = self._execute(f"{_SELECT} ORDER BY id DESC")
        return [dict(row) for row in rows]

    def count_by_state(self) -> dict[str, int]:
        """Return how many there are in each state."""
        rows = self._execute(f"SELECT state, count(*) FROM ({_SELECT}) GROUP BY state")
        return {**dict.fromkeys(STATES, 0), **dict(rows.fetchall())}

    def find(self, token_hash: str) -> EnrollmentToken | None:
        """Return the token of that hash, or None."""
        row = self._execute(
            f"{_SELECT} WHERE token_hash = :token_hash", token_hash=token_hash
        ).fetchone()
        return None if row is None else dict(row)

    def require(self, token_id: int) -> EnrollmentToken:
        """Return the token of that id. Raises UnknownEnrollmentToken."""
        row = self._execute(f"{_SELECT} WHERE id = :id", id=token_id).fetchone()
        if row is None:
            raise UnknownEnrollmentToken(token_id)
        return dict(row)

    def add(
        self, token_hash: str, *, label: str, lifetime: float | None, max_uses: int
    ) -> EnrollmentToken:
        """Keep a new token and return it.

        *lifetime* is in seconds from now, or None for ever.
        """
        moment = clock.now()
        expires_at = None if lifetime is None else clock.after(moment, lifetime)
        added = self._execute(
            "INSERT INTO lea_fleet_enrollment_tokens"
            " (token_hash, label, created_at, expires_at, max_uses)"
            " VALUES (:token_hash, :label, :created_at, :expires_at, :max_uses)",
            token_hash=token_hash,
            label=label,
            created_at=clock.iso(moment),
            expires_at=expires_at,
            max_uses=max_uses,
        )
        return self.require(int(added.lastrowid or 0))

    def use(self, token_id: int) -> None:
        """Count one use. Raises EnrollmentTokenExhausted where none is left."""
        counted = self._execute(
            "UPDATE lea_fleet_enrollment_tokens SET uses = uses + 1"
            " WHERE id = :id AND uses < max_uses",
            id=token_id,
        )
        if counted.rowcount == 0:
            raise EnrollmentTokenExhausted(
                "Every use of this enrolment token has been taken; ask for another."
            )

    def revoke(self, token_id: int) -> EnrollmentToken:
        """Revoke the token and return it. Raises UnknownEnrollmentToken."""
        self._execute(
            "UPDATE lea_fleet_enrollment_tokens SET revoked_at = :now WHERE id = :id",
            id=token_id,
        )
        return self.require(token_id)

    def _execute(self, query: str, **values: Any) -> sqlite3.Cursor:
        return self.connection.execute(
            query, {"now": clock.iso(clock.now()), **values}
        )
