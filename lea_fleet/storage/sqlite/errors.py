"""What SQLite's errors mean to whoever asked the database."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from ...core.problems import DatabaseBusy, DatabaseProblem, DatabaseUnavailable


def is_locked(error: Exception) -> bool:
    """Tell whether another connection holds the lock that was wanted.

    By the message: Python 3.10's sqlite3 carries no error code.
    """
    return isinstance(error, sqlite3.OperationalError) and "locked" in str(error)


def database_problem(error: Exception, path: Path) -> DatabaseProblem:
    """Return what *error*, raised on the database at *path*, means to a caller."""
    if is_locked(error):
        return DatabaseBusy(f"Another process is writing to {path}: {error}.")
    return DatabaseUnavailable(f"{path} cannot be used: {error}.")
