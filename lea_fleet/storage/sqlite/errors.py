"""Convert SQLite's errors to problems for the caller, and try again."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

from ...core.problems import DatabaseBusy, DatabaseProblem, DatabaseUnavailable
from ...core.temporary import REMEDY
from .temporary import failed_to_sort


def is_locked(error: Exception) -> bool:
    """Return whether *error* means that another connection holds the lock.

    The message tells, since errors have no code in Python 3.10's sqlite3.
    """
    return isinstance(error, sqlite3.OperationalError) and "locked" in str(error)


def database_problem(error: Exception, path: Path) -> DatabaseProblem:
    """Return the problem to raise for an *error* of the database at *path*."""
    if is_locked(error):
        return DatabaseBusy(f"Another process is writing to {path}: {error}.")
    if isinstance(error, sqlite3.Error) and failed_to_sort(error):
        return DatabaseUnavailable(
            f"{path} cannot be used: {error}. There is no folder for temporary files."
            f" {REMEDY}"
        )
    return DatabaseUnavailable(f"{path} cannot be used: {error}.")


def tries(patience: float, pause: float) -> Iterator[None]:
    """Yield for each try: the first, then every *pause* seconds for *patience* seconds.

    For where SQLite does not apply its busy timeout.
    """
    deadline = time.monotonic() + patience
    yield
    while time.monotonic() <= deadline:
        time.sleep(pause)
        yield
