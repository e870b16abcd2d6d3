"""A copy of the database in memory, for what must not change the file."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from .connections import connect
from .schema import ensure_schema, missing_tables, new_database


def copy_for_dry_run(path: Path, busy_timeout: float) -> sqlite3.Connection | None:
    """Return a copy in memory of the database at *path*, with all of our tables.

    None where no copy is needed, since the file has all of our tables already.
    """
    if not os.path.exists(path):
        # A WAL without a database is a fault, which opening the fleet reports.
        return None if os.path.exists(f"{path}-wal") else new_database()
    # Not read-only, or what SQLite makes beside a file with a WAL would stay there.
    with closing(connect(path, "rw", busy_timeout)) as original:
        original.execute("PRAGMA query_only = ON")
        if not missing_tables(original):
            return None
        copy = sqlite3.connect(":memory:", isolation_level=None)
        copy.text_factory = original.text_factory
        original.backup(copy)  # with its page size and its encoding
    ensure_schema(copy)
    return copy
