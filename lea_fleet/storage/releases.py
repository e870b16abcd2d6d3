"""Releases: the operator lets one enrolment of an active machine through."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any

from ..core import clock

#: How long a release is good for, in seconds.
LIFETIME = 24 * 3600

#: Until when a machine that was imported is released: its installer comes some day.
NEVER = "9999-12-31T23:59:59+00:00"

# What lasts longer already is not cut short.
_ADD = """INSERT INTO lea_fleet_releases (machine_id, enrolled_at, released_until)
  VALUES (:machine_id, :enrolled_at, :until)
  ON CONFLICT (machine_id) DO UPDATE SET
    released_until = CASE WHEN enrolled_at = excluded.enrolled_at
      THEN max(released_until, excluded.released_until)
      ELSE excluded.released_until END,
    enrolled_at = excluded.enrolled_at
  RETURNING released_until"""


class ReleaseRepository:
    """The releases, over one open *connection*.

    What writes is a part of the transaction that is open.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def add(self, agent: dict[str, Any]) -> str:
        """Release the enrolment an *agent* is in, from now on; return until when."""
        return self._add(agent, clock.after(clock.now(), LIFETIME))

    def add_endless(self, agent: Mapping[str, Any]) -> None:
        """Release the enrolment an *agent* is in, until it comes to an end."""
        self._add(agent, NEVER)

    def is_endless(self, agent: Mapping[str, Any]) -> bool:
        """Tell whether the enrolment an *agent* is in is released for ever."""
        row = self.connection.execute(
            "SELECT 1 FROM lea_fleet_releases"
            " WHERE machine_id = ? AND enrolled_at = ? AND released_until = ?",
            (agent["machine_id"], agent["enrolled_at"], NEVER),
        ).fetchone()
        return row is not None

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

    def _add(self, agent: Mapping[str, Any], until: str) -> str:
        about = {name: agent[name] for name in ("machine_id", "enrolled_at")}
        # Read to its end, or the statement would outlive its transaction.
        ((released_until,),) = self.connection.execute(
            _ADD, {**about, "until": until}
        ).fetchall()
        return str(released_until)
