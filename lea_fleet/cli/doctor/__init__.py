"""The doctor: find what is wrong or soon will be, and what to do about it.

It changes nothing: no file, no table, not even the WAL.
"""

from __future__ import annotations

from ...app.engine import open_administration
from ...app.state import FleetState
from ...core.findings import LEVELS, Finding, Level, run, worst
from ...storage.unit_of_work import UnitOfWork
from .alerts import alert_checks
from .clocks import clock_checks
from .fleet import fleet_checks
from .settings import settings_checks

__all__ = ["GROUPS", "LEVELS", "Finding", "Level", "examine", "worst"]

GROUPS = ("database", "settings", "fleet")


def examine(state: FleetState, *, quick: bool = False) -> list[Finding]:
    """Run every check and return the findings, in the order of the groups.

    *quick* leaves out the engine's checks that read all data.
    """
    findings, disturbed = _examine(state, quick)
    # A server that started meanwhile may have written what was read without a lock.
    return _examine(state, quick)[0] if disturbed else findings


def _examine(state: FleetState, quick: bool) -> tuple[list[Finding], bool]:
    settings = state.settings
    administration = open_administration(settings)
    with administration.reading(settings.busy_timeout) as found:

        def fleet() -> UnitOfWork:
            return UnitOfWork(found.fleet, found.dialect, state.rule)

        findings = [
            *run("database", administration.checks(found, quick)),
            *run("database", clock_checks(found, state.rule)),
            *run("settings", settings_checks(settings, fleet)),
            *run("fleet", fleet_checks(fleet, settings.issue)),
            *run("fleet", alert_checks(settings, fleet)),
        ]
        return findings, found.was_disturbed()
