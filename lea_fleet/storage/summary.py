"""Count machines by presence and version, and enrollments and uninstalls by day."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from ..core.events import ENROLLMENTS
from ..core.listing import PRESENCES
from .agents import in_utc
from .clones import Clones
from .listing import Listing
from .unit_of_work import Repository
from .versions import outdated_of, versions

_ENROLLED = ", ".join(f"'{event}'" for event in ENROLLMENTS)
_ENROLLED_AT = in_utc("agent.enrolled_at")
_UNINSTALLED_AT = in_utc("agent.uninstalled_at")

# An older server records no events; only the row has its last enrollment and uninstall.
# Our own have an event at the row's timestamp or just after. A machine that was only
# imported has not enrolled. There is no index on the events' timestamps: each
# enrollment would have to update it, and reading 180,000 events takes 0.05 s.
_BY_DAY = f"""
    SELECT date, CAST(sum(enrollments) AS INTEGER), CAST(sum(uninstalls) AS INTEGER)
    FROM (
      SELECT substr(at, 1, 10) AS date,
        CASE WHEN event IN ({_ENROLLED}) THEN 1 ELSE 0 END AS enrollments,
        CASE WHEN event = 'uninstalled' THEN 1 ELSE 0 END AS uninstalls
      FROM lea_fleet_events WHERE at >= :first
      UNION ALL
      SELECT date,
        CASE WHEN event IN ({_ENROLLED}) THEN events ELSE 0 END,
        CASE WHEN event = 'uninstalled' THEN events ELSE 0 END
      FROM lea_fleet_pruned WHERE date >= :first
      UNION ALL
      SELECT substr({_ENROLLED_AT}, 1, 10), 1, 0 FROM enrolled_agents AS agent
      WHERE enrolled_at >= :first AND NOT EXISTS (
        SELECT 1 FROM lea_fleet_events AS event
        WHERE event.machine_id = agent.machine_id AND event.at >= {_ENROLLED_AT}
        AND (event.event IN ({_ENROLLED})
          OR event.event = 'imported' AND event.detail NOT LIKE '%"because": "%')
      )
      UNION ALL
      SELECT substr({_UNINSTALLED_AT}, 1, 10), 0, 1 FROM enrolled_agents AS agent
      WHERE {{departed}} AND uninstalled_at >= :first AND NOT EXISTS (
        SELECT 1 FROM lea_fleet_events AS event
        WHERE event.machine_id = agent.machine_id AND event.event = 'uninstalled'
        AND event.at >= {_UNINSTALLED_AT}
      )
    ) AS change GROUP BY date
"""


class Summary(Repository):
    """Counts for ``GET /fleet/summary``."""

    def of_days(self, days: int) -> dict[str, Any]:
        """Return the totals, and the counts by presence, by version and by day.

        ``by_version`` counts active machines, the most frequent version first;
        ``outdated`` those that run another one than the newest.
        ``by_day`` has the last *days* in UTC including today, oldest first. All counts
        are from one snapshot.
        """
        with self._unit.snapshot():
            totals = Listing(self._unit).totals()
            by_version = versions(self._unit)
            return {
                "totals": totals,
                "by_presence": {name: totals[name] for name in PRESENCES},
                "suspected_clones": len(Clones(self._unit).suspects()),
                "outdated": outdated_of(by_version),
                "by_version": by_version,
                "by_day": self._by_day(self._unit.now.date(), days),
            }

    def _by_day(self, today: date, days: int) -> list[dict[str, Any]]:
        dates = [str(today - timedelta(days=n)) for n in range(days)][::-1]
        rows = self._unit.session.execute(
            _BY_DAY.format(departed=self._unit.dialect.departed), {"first": dates[0]}
        )
        counted = {day: counts for day, *counts in rows}
        return [
            {
                "date": day,
                "enrollments": enrollments,
                "enrolments": enrollments,  # the former spelling
                "uninstalls": uninstalls,
            }
            for day, (enrollments, uninstalls) in (
                (day, counted.get(day, (0, 0))) for day in dates
            )
        ]
