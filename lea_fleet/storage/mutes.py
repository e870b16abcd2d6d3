"""``lea_fleet_mutes``: machines about which nobody is alerted for a while.

A mute ends by itself or by a block, and outlasts a new enrollment: the laptop of
somebody on holiday may be set up anew meanwhile.
"""

from __future__ import annotations

from .unit_of_work import Repository

#: The condition for a machine in ``enrolled_agents`` that is muted.
MUTED = """EXISTS (
    SELECT 1 FROM lea_fleet_mutes AS mute
    WHERE mute.machine_id = enrolled_agents.machine_id AND mute.muted_until > :now
  )"""

_SET = """INSERT INTO lea_fleet_mutes (machine_id, muted_until)
  VALUES (:machine_id, :until) ON CONFLICT (machine_id) DO UPDATE
  SET muted_until = excluded.muted_until"""


class Mutes(Repository):
    """Muted machines. Methods that write need an open transaction."""

    def until(self, machine_id: str) -> str | None:
        """Return until when a machine is muted, or None if it is not."""
        row = self._unit.session.execute(
            "SELECT muted_until FROM lea_fleet_mutes"
            " WHERE machine_id = :machine_id AND muted_until > :now",
            {"machine_id": machine_id, "now": self._unit.timestamp},
        ).fetchone()
        return None if row is None else str(row[0])

    def machines(self) -> list[str]:
        """Return the machines that are muted."""
        rows = self._unit.session.execute(
            "SELECT machine_id FROM lea_fleet_mutes WHERE muted_until > :now"
            " ORDER BY machine_id",
            {"now": self._unit.timestamp},
        )
        return [machine_id for (machine_id,) in rows]

    def set(self, machine_id: str, until: str) -> None:
        """Mute a machine until that timestamp, instead of until another one."""
        values = {"machine_id": machine_id, "until": until}
        self._unit.session.execute(_SET, values)

    def clear(self, machine_id: str) -> None:
        """Delete the mute of a machine, if there is one."""
        self._unit.session.execute(
            "DELETE FROM lea_fleet_mutes WHERE machine_id = :machine_id",
            {"machine_id": machine_id},
        )
