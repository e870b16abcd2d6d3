"""Copy the database to memory for dry runs, which must not change the file."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from .connection import connect
from .files import place_of
from .schema import ensure_schema, is_complete, new_database


def copy_for_dry_run(path: Path, busy_timeout: float) -> sqlite3.Connection | None:
    """Return a copy in memory of the database at *path*, with our complete schema.

    Return None if no copy is needed, since the file has our complete schema already.
    Raises DatabaseUnavailable if a table with one of our names is not ours.
    """
    if not os.path.exists(path):
        # A WAL without a database is an error that opening the database reports.
        return None if os.path.exists(place_of(path).wal) else new_database()
    # Not read-only, or SQLite would leave its -wal and -shm files behind.
    with closing(connect(path, "rw", busy_timeout)) as original:
        original.execute("PRAGMA query_only = ON")
        if is_complete(original):
            return None
        copy = sqlite3.connect(":memory:", isolation_level=None)
        copy.text_factory = original.text_factory
        original.backup(copy)  # with its page size and its encoding
    ensure_schema(copy)
    return copy
