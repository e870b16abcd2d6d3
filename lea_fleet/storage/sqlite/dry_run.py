"""Copy the database to memory for dry runs, which must not change the file."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from ...core.findings import CannotCheck
from ...core.problems import DatabaseBusy, DatabaseUnavailable
from .checks.reading import reading
from .connection import connect
from .files import is_writable, place_of
from .permissions import shuts_out_owner
from .schema import ensure_schema, is_complete, new_database

#: How often a copy is tried that a server disturbed which started meanwhile.
_TRIES = 3


def copy_for_dry_run(path: Path, busy_timeout: float) -> sqlite3.Connection | None:
    """Return a copy in memory of the database at *path*, with our complete schema.

    Return None if no copy is needed, since the file has our complete schema already.
    Raises DatabaseUnavailable if a table with one of our names is not ours.
    """
    if not os.path.exists(path):
        # A WAL without a database is an error that opening the database reports.
        return None if os.path.exists(place_of(path).wal) else new_database()
    if not is_writable(path) or shuts_out_owner(path):
        return _copy_without_a_trace(path, busy_timeout)
    # Not read-only, or SQLite would leave its -wal and -shm files behind.
    with closing(connect(path, "rw", busy_timeout)) as original:
        original.execute("PRAGMA query_only = ON")
        if is_complete(original):
            return None
        copy = _copied(original)
    ensure_schema(copy)
    return copy


def _copy_without_a_trace(path: Path, busy_timeout: float) -> sqlite3.Connection:
    """Copy as a user who may not write the database, or whose files would harm it."""
    for _ in range(_TRIES):
        with reading(path, busy_timeout) as found:
            try:
                copy = _copied(found.session)
            except (CannotCheck, OSError) as trouble:
                raise DatabaseUnavailable(
                    f"{path} cannot be read by this user: {trouble}."
                ) from trouble
            if not found.was_disturbed():
                ensure_schema(copy)
                return copy
        copy.close()
    raise DatabaseBusy(f"{path} was written while this user copied it.")


def _copied(original: sqlite3.Connection) -> sqlite3.Connection:
    copy = sqlite3.connect(":memory:", isolation_level=None)
    copy.text_factory = original.text_factory
    original.backup(copy)  # with its page size and its encoding
    return copy
