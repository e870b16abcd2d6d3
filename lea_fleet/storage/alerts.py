"""``lea_fleet_alerts``: what is told besides the events, until it is delivered."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from ..core import clock
from ..core.alerts import require_alert
from ..core.limits import ALERTS_KEPT, DESTINATION_KEPT, LARGEST_ID, MOST_ALERTS
from ..core.rows import Alert
from .events import Events
from .mutes import Mutes
from .unit_of_work import Repository

_SELECT = "SELECT id, machine_id, alert, at, detail FROM lea_fleet_alerts"
_INSERT = (
    "INSERT INTO lea_fleet_alerts (machine_id, alert, at, detail)"
    " VALUES (:machine_id, :alert, :at, :detail) RETURNING id"
)

# Those of an hour at once, or a tenth of all, so that a fleet whose alerts nobody
# delivers does not get an event with each of them.
_IS_OVERDUE = "SELECT 1 FROM lea_fleet_alerts WHERE id = :first AND at < :overdue"
_DROP = "DELETE FROM lea_fleet_alerts WHERE at < :since OR id <= :least"

#: What a destination that is still in use has not got.
_UNDELIVERED = (
    "SELECT count(*) FROM lea_fleet_alerts WHERE (at < :since OR id <= :least)"
    " AND id > (SELECT min(alert_id) FROM lea_fleet_destinations"
    " WHERE looked_at > :in_use)"
)

_HOUR = 3600


class Alerts(Repository):
    """The alerts of the last day. Methods that write need an open transaction."""

    def add(self, alert: str, machine_id: str | None, **detail: Any) -> None:
        """Append an alert to the open transaction, and drop those that are too old.

        None is added about a machine that is muted. Call it after what locks a
        machine. Raises ValueError for an alert or detail that core/alerts.py does not
        declare.
        """
        require_alert(alert, detail)
        if machine_id is not None and Mutes(self._unit).until(machine_id):
            return
        # Until the commit, so that ids are in the order of commits.
        self._unit.dialect.take_turn(self._unit.session, "alerts")
        ((newest,),) = self._unit.session.execute(
            _INSERT,
            {
                "machine_id": machine_id,
                "alert": alert,
                "at": self._unit.timestamp,
                "detail": json.dumps(detail),
            },
        ).fetchall()
        self._drop(newest)

    def after(self, alert_id: int, *, limit: int) -> list[Alert]:
        """Return up to *limit* alerts after that id, oldest first."""
        rows = self._unit.session.execute(
            f"{_SELECT} WHERE id > :after ORDER BY id LIMIT :limit",
            {"after": alert_id, "limit": limit},
        )
        return [_alert(row) for row in rows.fetchall()]

    def page(
        self, *, limit: int, before: int | None = None
    ) -> tuple[list[Alert], int | None]:
        """Return up to *limit* alerts of the last day, newest first, and what is next.

        The second value is what to pass as *before* for the next page; it is None on
        the last page. Older alerts may still be stored, where none was added since.
        """
        rows = self._unit.session.execute(
            f"{_SELECT} WHERE id < :before AND at >= :since"
            " ORDER BY id DESC LIMIT :limit",
            {
                "before": LARGEST_ID if before is None else before,
                "since": clock.before(self._unit.now, ALERTS_KEPT),
                "limit": limit + 1,
            },
        ).fetchall()
        alerts = [_alert(row) for row in rows[:limit]]
        return alerts, alerts[-1]["id"] if len(rows) > limit else None

    def end(self) -> int:
        """Return the id of the newest alert, or 0."""
        ((newest,),) = self._unit.session.execute(
            "SELECT coalesce(max(id), 0) FROM lea_fleet_alerts"
        ).fetchall()
        return int(newest)

    def _drop(self, newest: int) -> None:
        """Drop what is too old or too much; record how much nobody was told."""
        now, session = self._unit.now, self._unit.session
        ((first,),) = session.execute("SELECT min(id) FROM lea_fleet_alerts").fetchall()
        overdue = clock.before(now, ALERTS_KEPT + _HOUR)
        found = session.execute(_IS_OVERDUE, {"first": first, "overdue": overdue})
        is_full = newest - first >= MOST_ALERTS
        if found.fetchone() is None and not is_full:
            return
        dropped = {
            "since": clock.before(now, ALERTS_KEPT),
            "least": newest - MOST_ALERTS * 9 // 10 if is_full else 0,
        }
        in_use = clock.before(now, DESTINATION_KEPT)
        ((undelivered,),) = session.execute(
            _UNDELIVERED, {**dropped, "in_use": in_use}
        ).fetchall()
        session.execute(_DROP, dropped)
        if undelivered:
            Events(self._unit).add("alerts_dropped", None, alerts=undelivered)


def _alert(row: Sequence[Any]) -> Alert:
    alert_id, machine_id, alert, at, detail = row
    return {
        "id": alert_id,
        "machine_id": machine_id,
        "alert": alert,
        "at": at,
        "detail": json.loads(detail),
    }
