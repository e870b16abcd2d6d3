"""``lea_fleet_presence``: in which hours of the last days each machine was seen.

It is what a machine's current user did, as far as it tells of anybody: it ends with
the enrollment, and begins anew when the machine reports another user.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from ..core import clock
from ..core.machine import USER
from ..core.rows import DayOfPresence
from ..core.text import folded
from .interface import Dialect
from .unit_of_work import Repository

#: Days of any machine that are deleted when one is seen: enough for a setting that has
#: become shorter, and few for one heartbeat.
_EXPIRED = 10

_SEE = """INSERT INTO lea_fleet_presence (day, machine_id, hours)
  VALUES (:day, :machine_id, :hour) ON CONFLICT (day, machine_id) DO UPDATE
  SET hours = lea_fleet_presence.hours | excluded.hours"""

# The key begins with the day: what is written at one time is in one place (2 µs, not
# 20), and what has expired is found without an index. So one machine is looked for on
# each day that there is.
_OF_MACHINE = """FROM lea_fleet_presence
  WHERE machine_id = :machine_id AND day IN (
    WITH RECURSIVE known (day) AS (
      SELECT min(day) FROM lea_fleet_presence
      UNION ALL
      SELECT (SELECT min(day) FROM lea_fleet_presence WHERE day > known.day)
      FROM known WHERE known.day IS NOT NULL
    ) SELECT day FROM known WHERE day IS NOT NULL
  )"""


@cache
def _expire(dialect: Dialect) -> str:
    return (
        "DELETE FROM lea_fleet_presence WHERE (day, machine_id) IN ("
        "SELECT day, machine_id FROM lea_fleet_presence WHERE day < :first"
        f" ORDER BY day, machine_id LIMIT {_EXPIRED}{dialect.skip_locked})"
    )


class Presence(Repository):
    """When machines were seen. Methods that write need an open transaction."""

    def note(self, machine_id: str) -> None:
        """Record that a machine is seen in this hour, and delete some expired days.

        If no days are kept, only the latter.
        """
        unit = self._unit
        now = unit.now
        unit.session.execute(_expire(unit.dialect), {"first": unit.rule.first_day(now)})
        if unit.rule.presence_days:
            values = {"day": unit.timestamp[:10], "hour": 1 << now.hour}
            unit.session.execute(_SEE, {**values, "machine_id": machine_id})

    def days(self, agent: Mapping[str, Any]) -> list[DayOfPresence]:
        """Return the days on which an *agent* was seen, oldest first.

        Only those that are kept, and only what is of its current enrollment: an older
        server enrolls machines without knowing this table.
        """
        rows = self._unit.session.execute(
            f"SELECT day, hours {_OF_MACHINE} AND day >= :first ORDER BY day",
            {
                "machine_id": agent["machine_id"],
                "first": self._unit.rule.first_day(self._unit.now),
            },
        )
        enrolled = clock.in_utc(agent["enrolled_at"])[:13].replace(" ", "T")
        days = [
            DayOfPresence(day=day, hours=_hours(day, mask, enrolled))
            for day, mask in rows
        ]
        return [each for each in days if each["hours"]]

    def count(self, machine_id: str | None) -> int:
        """Return the number of rows about a machine, expired or not."""
        ((rows,),) = self._unit.session.execute(
            f"SELECT count(*) {_OF_MACHINE}", {"machine_id": machine_id}
        ).fetchall()
        return int(rows)

    def forget(self, machine_id: str) -> None:
        """Delete all that is known about a machine."""
        self._unit.session.execute(f"DELETE {_OF_MACHINE}", {"machine_id": machine_id})

    def forget_before(
        self, machine: Mapping[str, Any], changed: Mapping[str, str | None]
    ) -> bool:
        """Delete it if *changed* details of a machine name another user.

        Return whether they do. A name in upper or lower case is the same one.
        """
        is_another = any(
            changed.get(name) is not None
            and folded(changed[name]) != folded(machine[name])
            for name in USER
        )
        if is_another:
            self.forget(machine["machine_id"])
        return is_another

    def carry(self, machine_id: str, new_id: str) -> None:
        """Keep what is known about a machine under another id.

        A machine that had that id and was deleted may have left some.
        """
        self.forget(new_id)
        rows = self._unit.session.execute(
            f"SELECT day, hours {_OF_MACHINE}", {"machine_id": machine_id}
        ).fetchall()
        self.forget(machine_id)
        self._unit.session.executemany(
            _SEE,
            [{"day": day, "machine_id": new_id, "hour": hours} for day, hours in rows],
        )


def _hours(day: str, mask: int, enrolled: str) -> list[int]:
    return [
        hour
        for hour in range(24)
        if mask >> hour & 1 and f"{day}T{hour:02}" >= enrolled
    ]
