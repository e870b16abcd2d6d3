"""Where SQLite sorts what does not fit its cache: in a folder, or else in memory."""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Iterator

#: The folders that SQLite tries after those of the environment.
_FOLDERS = ("/var/tmp", "/usr/tmp", "/tmp", ".")


def can_sort_in_files() -> bool:
    """Tell whether SQLite finds a folder for its temporary files."""
    if sys.platform == "win32":
        return True
    return any(os.access(folder, os.W_OK | os.X_OK) for folder in _candidates())


def sort_where_possible(connection: sqlite3.Connection) -> None:
    """Let *connection* sort in memory if there is no folder for temporary files.

    Otherwise a listing in an order without an index fails with "disk I/O error" or
    "unable to open database file", which tells nobody why.
    """
    if not can_sort_in_files():
        connection.execute("PRAGMA temp_store = MEMORY")


def failed_to_sort(error: sqlite3.Error) -> bool:
    """Tell whether *error* may come from a temporary file that cannot be made."""
    text = str(error)
    failed = "disk I/O error" in text or "unable to open database file" in text
    return failed and not can_sort_in_files()


def _candidates() -> Iterator[str]:
    for name in ("SQLITE_TMPDIR", "TMPDIR"):
        if os.environ.get(name):
            yield os.environ[name]
    yield from _FOLDERS
