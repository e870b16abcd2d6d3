"""``lea_fleet_conditions``: what else was told and has not ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .alerts import Alerts
from .unit_of_work import Repository


class Conditions(Repository):
    """Conditions of the fleet and its enrollment tokens; they need a transaction."""

    def begin(self, alert: str, detail: Mapping[str, Any], subject: str = "") -> None:
        """Tell that a condition begins, unless that was told."""
        begun = self._unit.session.execute(
            "INSERT INTO lea_fleet_conditions (alert, subject, since)"
            " VALUES (:alert, :subject, :now) ON CONFLICT (alert, subject) DO NOTHING",
            {"alert": alert, "subject": subject, "now": self._unit.timestamp},
        )
        if begun.rowcount == 1:
            Alerts(self._unit).add(alert, None, **detail)

    def end(self, alert: str, subject: str = "") -> bool:
        """Forget a condition that has ended; return whether it was told."""
        ended = self._unit.session.execute(
            "DELETE FROM lea_fleet_conditions"
            " WHERE alert = :alert AND subject = :subject",
            {"alert": alert, "subject": subject},
        )
        return ended.rowcount == 1

    def told(self, alert: str) -> set[str]:
        """Return the subjects of which that was told."""
        rows = self._unit.session.execute(
            "SELECT subject FROM lea_fleet_conditions WHERE alert = :alert",
            {"alert": alert},
        )
        return {subject for (subject,) in rows}
