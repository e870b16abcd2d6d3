"""``lea_fleet_hours``: how many machines are usually online at an hour of the week.

For each hour the lowest count of every week, averaged: in the hour in which people come
or leave, the number changes from minute to minute. An hour is compared with the lowest
of itself and its neighbors, since summer time moves the days by an hour.
"""

from __future__ import annotations

from ..core import clock
from .agents import SEEN
from .conditions import Conditions
from .heard import Heard
from .alerts import Alerts
from .intervals import Intervals
from .unit_of_work import Repository

_HOURS = 168

#: Weeks that weigh as much as all before them.
_MEMORY = 8

_ONLINE = f"""SELECT count(*),
    sum(CASE WHEN {SEEN} >= :online_since THEN 1 ELSE 0 END)
  FROM enrolled_agents WHERE status = 'active'"""

_HALVED = f"counts >= {_MEMORY}"
_NEXT_WEEK = f"""INSERT INTO lea_fleet_hours
  (hour, machines, counts, lowest, counted_at) VALUES (:hour, 0, 0, :online, :now)
  ON CONFLICT (hour) DO UPDATE SET
    machines = lea_fleet_hours.lowest + CASE WHEN lea_fleet_hours.{_HALVED}
      THEN lea_fleet_hours.machines / 2 ELSE lea_fleet_hours.machines END,
    counts = 1 + CASE WHEN lea_fleet_hours.{_HALVED}
      THEN lea_fleet_hours.counts / 2 ELSE lea_fleet_hours.counts END,
    lowest = excluded.lowest, counted_at = excluded.counted_at
  WHERE lea_fleet_hours.counted_at < :week_began"""
_SAME_WEEK = (
    "UPDATE lea_fleet_hours SET counted_at = :now, lowest ="
    " CASE WHEN lowest < :online THEN lowest ELSE :online END WHERE hour = :hour"
)
# The hour after this one has its last week in ``lowest`` still. Each hour is compared
# from its own second week on.
_USUAL = """SELECT min(CASE WHEN counted_at < :week_began
    THEN (machines + lowest) / (counts + 1) ELSE machines / counts END)
  FROM lea_fleet_hours WHERE hour IN (:before, :hour, :after)
  AND (counts > 0 OR counted_at < :week_began) AND EXISTS (
    SELECT 1 FROM lea_fleet_hours AS own WHERE own.hour = :hour AND own.counts > 0
  )"""


class Hours(Repository):
    """How many machines are online, compared with what is usual."""

    def judge(self, share: float) -> None:
        """Tell in one transaction if more than a *share* of the fleet fell silent.

        And if it is back, once half of that is. Nothing is told of an hour before its
        second week, nor while nobody is heard.
        """
        interval = Intervals(self._unit).longest_in_use()
        if not Heard(self._unit).is_settled(interval):
            return
        active, online = self._count(interval)
        with self._unit.transaction():
            self._note(online)
            usual = self._usual()
            if usual is None:
                return
            conditions = Conditions(self._unit)
            told = {"online": online, "usual": usual}
            if usual - online > share * active:
                conditions.begin("fleet.silent", told)
            elif usual - online <= share * active / 2 and conditions.end(
                "fleet.silent"
            ):
                Alerts(self._unit).add("fleet.returned", None, **told)

    def _count(self, interval: int) -> tuple[int, int]:
        limits = self._unit.limits(interval)
        values = {"online_since": limits["online_since"]}
        row = self._unit.session.execute(_ONLINE, values).fetchone()
        return row[0], row[1] or 0

    def _usual(self) -> int | None:
        hour = self._hour
        values = {
            "before": (hour - 1) % _HOURS,
            "hour": hour,
            "after": (hour + 1) % _HOURS,
            "week_began": self._week_began,
        }
        (usual,) = self._unit.session.execute(_USUAL, values).fetchone()
        return None if usual is None else int(usual)

    def _note(self, online: int) -> None:
        values = {
            "hour": self._hour,
            "online": online,
            "now": self._unit.timestamp,
            "week_began": self._week_began,
        }
        if self._unit.session.execute(_NEXT_WEEK, values).rowcount == 0:
            self._unit.session.execute(_SAME_WEEK, values)

    @property
    def _week_began(self) -> str:
        """Return a time between last week's counts of these hours and this week's."""
        # Longer than the hour, and much shorter than a week.
        return clock.before(self._unit.now, 2 * 3600)

    @property
    def _hour(self) -> int:
        now = self._unit.now
        return now.weekday() * 24 + now.hour
