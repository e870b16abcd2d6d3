"""The doctor: what is wrong, or soon will be, and what to do about it.

It changes nothing: no file, no table, not even the log of a database.
"""

from __future__ import annotations

from ...app.state import FleetState
from .database import database_checks
from .files import file_checks, look
from .findings import LEVELS, Finding, Level, run, worst
from .fleet import fleet_checks
from .reading import reading
from .settings import settings_checks

__all__ = ["GROUPS", "LEVELS", "Finding", "Level", "examine", "worst"]

GROUPS = ("database", "settings", "fleet")


def examine(state: FleetState, *, quick: bool = False) -> list[Finding]:
    """Return what every check finds, in the order of the groups.

    *quick* does not compare the indexes with their tables.
    """
    findings, disturbed = _examine(state, quick)
    # A server that started meanwhile may have written what was read without a lock.
    return _examine(state, quick)[0] if disturbed else findings


def _examine(state: FleetState, quick: bool) -> tuple[list[Finding], bool]:
    settings = state.settings
    database = look(settings.database)
    with reading(database, settings.busy_timeout) as found:
        findings = [
            *run("database", file_checks(database)),
            *run("database", database_checks(found, settings.busy_timeout, quick)),
            *run("settings", settings_checks(settings, found)),
            *run("fleet", fleet_checks(found, state.rule, settings.issue)),
        ]
        return findings, found.was_disturbed()
