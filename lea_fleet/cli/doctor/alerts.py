"""Check whether alerts are delivered."""

from __future__ import annotations

from collections.abc import Callable

from ...alerts.delivery import waiting
from ...alerts.run import destinations
from ...app.settings import Settings
from ...core import clock
from ...core.findings import Checks, Verdict, ok, warning
from ...core.limits import RUN_MISSED
from ...core.rows import Destination
from ...core.text import printable
from ...storage.unit_of_work import UnitOfWork

_RUN = "Let `flask fleet notify` run every minute: see alerts.rst."


def alert_checks(settings: Settings, fleet: Callable[[], UnitOfWork]) -> Checks:
    """Return the check of the alerts of the *fleet*, which may not be readable."""
    return {"alerts": lambda: _alerts(settings, fleet())}


def _alerts(settings: Settings, unit: UnitOfWork) -> Verdict:
    expected = destinations(unit, settings)
    if not expected:
        return ok("nobody is told: neither a webhook nor a mail address is set")
    missing = [each.place for each, row in expected if row is None]
    if missing:
        return warning(f"never run for {', '.join(missing)}", _RUN)
    found = [(each, row) for each, row in expected if row is not None]
    looked = min(row["looked_at"] for _, row in found)
    if looked < clock.before(unit.now, RUN_MISSED):
        return warning(f"`flask fleet notify` last ran at {_time(looked)}", _RUN)
    failing = [(each.place, row) for each, row in found if row["fault"]]
    told = [
        f"{each.place}: {_last(row)}, {waiting(unit, each, row)} wait"
        for each, row in found
    ]
    if failing:
        return warning(
            "; ".join([*told, *(_fault(place, row) for place, row in failing)]),
            "Mend the receiver, then try it: flask fleet notify --test",
        )
    if settings.alert_after is None:
        told.append("nobody is told who is silent: LEA_FLEET_ALERT_AFTER is not set")
    return ok("; ".join(told))


def _last(row: Destination) -> str:
    if row["delivered_at"] is None:
        return "nothing was delivered yet"
    return f"last delivered at {_time(row['delivered_at'])}"


def _fault(place: str, row: Destination) -> str:
    since = _time(row["failing_since"] or "")
    return f"{place} has failed since {since}: {printable(row['fault'] or '')}"


def _time(at: str) -> str:
    return f"{at[:16].replace('T', ' ')} UTC"
