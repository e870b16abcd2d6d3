"""Releases: an operator allows one enrollment of an active machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..core import clock
from ..core.limits import RELEASE_LIFETIME
from .unit_of_work import Repository, enrollment_of

#: Until when a machine that was imported is released: until its installer comes.
NEVER = "9999-12-31T23:59:59+00:00"

#: Has a row where the next enrollment of an ``agent``, as a query calls it, is allowed.
RELEASE = (
    "SELECT 1 FROM lea_fleet_releases AS release"
    " WHERE release.machine_id = agent.machine_id AND released_until > :now"
    " AND release.enrolled_at = agent.enrolled_at"
)

# What lasts longer already is not cut short.
_ADD = """INSERT INTO lea_fleet_releases (machine_id, enrolled_at, released_until)
  VALUES (:machine_id, :enrolled_at, :until)
  ON CONFLICT (machine_id) DO UPDATE SET
    released_until = CASE
      WHEN lea_fleet_releases.enrolled_at = excluded.enrolled_at
        AND lea_fleet_releases.released_until > excluded.released_until
      THEN lea_fleet_releases.released_until
      ELSE excluded.released_until END,
    enrolled_at = excluded.enrolled_at
  RETURNING released_until"""


class Releases(Repository):
    """The releases. What writes is a part of the transaction that is open."""

    def add(self, agent: Mapping[str, Any]) -> str:
        """Release the enrollment an *agent* is in, from now on; return until when."""
        return self._add(agent, clock.after(self._unit.now, RELEASE_LIFETIME))

    def add_endless(self, agent: Mapping[str, Any]) -> None:
        """Release the enrollment an *agent* is in, until it comes to an end."""
        self._add(agent, NEVER)

    def is_endless(self, agent: Mapping[str, Any]) -> bool:
        """Tell whether the enrollment an *agent* is in is released without end."""
        return self.until(agent) == NEVER

    def until(self, agent: Mapping[str, Any]) -> str | None:
        """Return until when the enrollment an *agent* is in is released, or None."""
        row = self._unit.session.execute(
            "SELECT released_until FROM lea_fleet_releases"
            " WHERE machine_id = :machine_id AND enrolled_at = :enrolled_at"
            " AND released_until > :now",
            {**enrollment_of(agent), "now": self._unit.timestamp},
        ).fetchone()
        return None if row is None else str(row[0])

    def clear(self, machine_id: str) -> None:
        """Take a release back, if there is one."""
        self._unit.session.execute(
            "DELETE FROM lea_fleet_releases WHERE machine_id = :machine_id",
            {"machine_id": machine_id},
        )

    def _add(self, agent: Mapping[str, Any], until: str) -> str:
        # Read to its end, or the statement would outlive its transaction.
        ((released_until,),) = self._unit.session.execute(
            _ADD, {**enrollment_of(agent), "until": until}
        ).fetchall()
        return str(released_until)
