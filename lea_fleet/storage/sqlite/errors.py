"""Convert SQLite's errors to problems for the caller."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from ...core.problems import DatabaseBusy, DatabaseProblem, DatabaseUnavailable


def is_locked(error: Exception) -> bool:
    """Return whether *error* means that another connection holds the lock.

    The message tells, since errors have no code in Python 3.10's sqlite3.
    """
    return isinstance(error, sqlite3.OperationalError) and "locked" in str(error)


def database_problem(error: Exception, path: Path) -> DatabaseProblem:
    """Return the problem to raise for an *error* of the database at *path*."""
    if is_locked(error):
        return DatabaseBusy(f"Another process is writing to {path}: {error}.")
    return DatabaseUnavailable(f"{path} cannot be used: {error}.")
