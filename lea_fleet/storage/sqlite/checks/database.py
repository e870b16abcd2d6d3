"""Check the database through SQLite: its structure, its tables, its locks."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from ....core.findings import CannotCheck, Checks, Verdict, fault, ok, warning
from ....core.problems import DatabaseBusy, Problem
from ...administration import judge_move, judge_triggers
from ..connection import connect
from ..errors import is_locked
from ..files import is_writable
from ..move_source import is_noting
from ..moving import read_mark
from ..schema import foreign_tables, missing_columns, missing_tables
from ..search import search_check
from .files import RUN_AS_SERVER
from .lockers import lockers
from .reading import BROKEN, Reading

#: Faults of the structure that are shown; a broken file has thousands.
_MOST_FAULTS = 3

#: The versions without SQLite's WAL-reset bug: from the first on, and two more.
_MENDED = (3, 51, 3)
_ALSO_MENDED = {(3, 44, 6), (3, 50, 7)}

_RESTORE = "Stop the server, keep a copy of the files, and restore the last backup."
_RENAME = (
    "Add the columns if it is an older server's table; otherwise rename it, or give"
    " lea_fleet a database of its own (RPA_AGENTS_DB_PATH)."
)


def database_checks(reading: Reading, busy_timeout: float, quick: bool) -> Checks:
    """Return the checks that ask the database itself."""
    return {
        "opening": lambda: _opening(reading),
        "integrity": lambda: _integrity(reading.session, quick),
        "wal_mode": lambda: _wal_mode(reading),
        "sqlite": lambda: sqlite_version(sqlite3.sqlite_version_info),
        "tables": lambda: _tables(reading.session),
        "triggers": lambda: _triggers(reading.session),
        "search": lambda: search_check(reading.session),
        "move": lambda: _move(reading.session),
        "write_lock": lambda: _write_lock(reading, busy_timeout),
    }


def _opening(reading: Reading) -> Verdict:
    found = reading.found
    if isinstance(found, DatabaseBusy):
        writer = _writer(reading.database.path)
        return fault(found.detail, f"Find out what {writer} is doing, and stop it.")
    if isinstance(found, Problem):
        refused = "unable to open" in found.detail
        return fault(found.detail, RUN_AS_SERVER if refused else _RESTORE)
    reading.session  # raises where it could not be opened
    return ok("it can be read")


def _integrity(connection: sqlite3.Connection, quick: bool) -> Verdict:
    """Check the structure, which reads the whole file.

    It takes 0.3 s for 100,000 machines with a token and an event each; *quick*, which
    does not compare the indexes with their tables, a quarter of that.
    """
    check = "quick_check" if quick else "integrity_check"
    try:
        rows = connection.execute(f"PRAGMA {check}({_MOST_FAULTS})")
        faults = [text for (text,) in rows if text != "ok"]
    except BROKEN as error:
        faults = [str(error)]
    if faults:
        told = "; ".join(" ".join(text.split()) for text in faults)
        return fault(f"the file is broken: {told}", _RESTORE)
    return ok("sound; indexes not checked" if quick else "sound")


def _wal_mode(reading: Reading) -> Verdict:
    # Of a file that was opened as immutable, SQLite does not tell the mode.
    (mode,) = reading.session.execute("PRAGMA journal_mode").fetchone()
    if reading.alone or mode == "wal":
        return ok("in WAL mode")
    return ok("not in WAL mode yet: the server sets it with its first request")


def sqlite_version(version: tuple[int, ...]) -> Verdict:
    """Judge SQLite's *version* by the WAL-reset bug (sqlite.org/wal.html)."""
    shown = ".".join(map(str, version))
    is_mended = version >= _MENDED or version in _ALSO_MENDED
    if is_mended:
        return ok(shown)
    return warning(
        f"{shown} may lose committed data if two checkpoints and a commit coincide",
        "Install SQLite 3.51.3 or later for this Python; see The WAL-reset bug in"
        " operations.rst.",
    )


def _tables(connection: sqlite3.Connection) -> Verdict:
    try:
        foreign = foreign_tables(connection)
    except BROKEN as error:  # a view of the host's on a table that does not exist
        return fault(f"not lea_fleet's, under its names: {error}", _RENAME)
    if foreign:
        told = [f"{table} lacks {', '.join(lack)}" for table, lack in foreign.items()]
        return fault(f"not lea_fleet's, under its names: {'; '.join(told)}", _RENAME)
    missing = missing_tables(connection)
    if missing:
        return ok(f"{len(missing)} tables to make, at the first request")
    columns = [".".join(column) for column in missing_columns(connection)]
    if columns:
        return ok(f"to add at the first request: the column {', '.join(columns)}")
    return ok("all there")


def _triggers(connection: sqlite3.Connection) -> Verdict:
    """Look for triggers on the table that the host shares."""
    rows = connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'trigger'"
        " AND lower(tbl_name) = 'enrolled_agents' ORDER BY name"
    )
    return judge_triggers([name for (name,) in rows])


def _move(connection: sqlite3.Connection) -> Verdict:
    is_new = "lea_fleet_moves" in missing_tables(connection)
    mark = None if is_new else read_mark(connection)
    return judge_move(mark, is_noting(connection))


def _write_lock(reading: Reading, busy_timeout: float) -> Verdict:
    """Take the lock of a writer, and release it with nothing written."""
    reading.session  # keeps the WAL in place when this writer closes
    if reading.alone:
        return ok("free: no process has the database open")
    if reading.database.required().st_size == 0:  # a writer would initialize it
        return ok("not taken: the file is empty")
    path = reading.database.path
    if not is_writable(path):  # SQLite would open it read-only, and take no lock
        raise CannotCheck("this user may not write the database")
    try:
        with closing(connect(path, "rw", busy_timeout)) as writer:
            writer.execute("BEGIN IMMEDIATE")
            writer.execute("ROLLBACK")
    except sqlite3.OperationalError as error:
        if not is_locked(error):
            raise
        return fault(
            f"{_writer(path)} has been writing for longer than {busy_timeout:g} s",
            "Find out what it is doing, and stop it: requests that write are answered"
            " 503.",
        )
    return ok("free")


def _writer(path: Path) -> str:
    known = " and ".join(f"process {pid}" for pid in lockers(path))
    return known or "another process"
