"""Releases: the operator lets one enrolment of an active machine through."""

from __future__ import annotations

import sqlite3
from typing import Any

from .. import clock

#: How long a release is good for, in seconds.
LIFETIME = 24 * 3600


class ReleaseRepository:
    """The releases, over one open *connection*.

    What writes is a part of the transaction that is open.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def add(self, agent: dict[str, Any]) -> str:
        """Release the enrolment an *agent* is in, from now on; return until when."""
        released_until = clock.after(clock.now(), LIFETIME)
        self.connection.execute(
            "INSERT OR REPLACE INTO lea_fleet_releases"
            " (machine_id, enrolled_at, released_until) VALUES (?, ?, ?)",
            (agent["machine_id"], agent["enrolled_at"], released_until),
        )
        return released_until

    def is_released(self, agent: dict[str, Any]) -> bool:
        """Tell whether the enrolment an *agent* is in is released at this moment."""
        return self.until(agent) is not None

    def until(self, agent: dict[str, Any]) -> str | None:
        """Return until when the enrolment an *agent* is in is released, or None."""
        row = self.connection.execute(
            "SELECT released_until FROM lea_fleet_releases"
            " WHERE machine_id = ? AND enrolled_at = ? AND released_until > ?",
            (agent["machine_id"], agent["enrolled_at"], clock.iso(clock.now())),
        ).fetchone()
        return None if row is None else str(row["released_until"])

    def clear(self, machine_id: str) -> None:
        """Take a release back, if there is one."""
        self.connection.execute(
            "DELETE FROM lea_fleet_releases WHERE machine_id = ?", (machine_id,)
        )
