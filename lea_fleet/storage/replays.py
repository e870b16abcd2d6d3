"""The answer that never arrived: which enrolment may be answered once more."""

from __future__ import annotations

import sqlite3
from typing import Any

from ..core import clock

#: How long a lost answer may be asked for again, in seconds.
LIFETIME = 24 * 3600


class ReplayRepository:
    """How each machine came into its enrolment, over one open *connection*.

    Idempotency keys come as SHA-256 in hexadecimal. What writes is a part of
    the transaction that is open.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def remember(
        self, agent: dict[str, Any], status: str, credential: str, key_hash: str
    ) -> None:
        """Write down how the *agent* was enrolled, in place of the last time."""
        self.connection.execute(
            "INSERT OR REPLACE INTO lea_fleet_enrollments"
            " (machine_id, enrolled_at, status, credential, key_hash)"
            " VALUES (?, ?, ?, ?, ?)",
            (agent["machine_id"], agent["enrolled_at"], status, credential, key_hash),
        )

    def find(
        self, agent: dict[str, Any], credential: str, key_hash: str
    ) -> str | None:
        """Return the status of the *agent*'s enrolment if it may be replayed.

        That is: made under this key, by this credential, within 24 hours.
        """
        row = self.connection.execute(
            "SELECT status FROM lea_fleet_enrollments WHERE machine_id = ?"
            " AND enrolled_at = ? AND enrolled_at > ? AND enrolled_at <= ?"
            " AND credential = ? AND key_hash = ?",
            (
                agent["machine_id"],
                agent["enrolled_at"],
                clock.before(clock.now(), LIFETIME),
                clock.iso(clock.now()),
                credential,
                key_hash,
            ),
        ).fetchone()
        return None if row is None else str(row[0])
