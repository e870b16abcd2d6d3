"""The database, as it answers: whether it is whole, and whose it is."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path

from ...core import clock
from ...storage.sqlite.connections import connect
from ...storage.sqlite.files import is_writable
from ...core.problems import DatabaseBusy, Problem
from ...storage.health import Ahead, HealthRepository
from ...storage.sqlite.schema import foreign_tables, missing_columns, missing_tables
from .files import RUN_AS_SERVER
from .findings import BROKEN, CannotCheck, Checks, Verdict, fault, ok, some, warning
from .lockers import lockers
from .reading import Reading

#: Seconds by which an instant may be ahead: clocks are set by so much all the time.
_TOLERANCE = 60

_RESTORE = "Stop the server, keep a copy of the files, and restore the last backup."
_RENAME = (
    "Add the columns where it is an older server's table; else rename it, or give"
    " lea_fleet a database of its own (RPA_AGENTS_DB_PATH)."
)


def database_checks(reading: Reading, busy_timeout: float, quick: bool) -> Checks:
    """Return the checks that ask the database itself."""
    return {
        "opening": lambda: _opening(reading),
        "integrity": lambda: _integrity(reading.health, quick),
        "wal_mode": lambda: _wal_mode(reading),
        "tables": lambda: _tables(reading.health),
        "triggers": lambda: _triggers(reading.health),
        "clock": lambda: _clock(reading.health),
        "write_lock": lambda: _write_lock(reading, busy_timeout),
    }


def _opening(reading: Reading) -> Verdict:
    found = reading.found
    if isinstance(found, DatabaseBusy):
        writer = _writer(reading.database.path)
        return fault(found.detail, f"See what {writer} does, and end that.")
    if isinstance(found, Problem):
        refused = "unable to open" in found.detail
        return fault(found.detail, RUN_AS_SERVER if refused else _RESTORE)
    reading.health  # raises where it could not be tried
    return ok("it can be read")


def _integrity(health: HealthRepository, quick: bool) -> Verdict:
    try:
        faults = health.corruption(quick=quick)
    except BROKEN as error:
        faults = [str(error)]
    if faults:
        told = "; ".join(" ".join(text.split()) for text in faults)
        return fault(f"the file is broken: {told}", _RESTORE)
    return ok("sound, without a look at the indexes" if quick else "sound")


def _wal_mode(reading: Reading) -> Verdict:
    """Whether readers and writers stand in each other's way."""
    health = reading.health
    if reading.alone or health.is_in_wal_mode():
        return ok("in WAL mode")
    return ok("not in WAL mode yet: the server sets it with its first request")


def _tables(health: HealthRepository) -> Verdict:
    try:
        foreign = foreign_tables(health.connection)
    except BROKEN as error:  # a view of theirs on what is not there
        return fault(f"not lea_fleet's, under its names: {error}", _RENAME)
    if foreign:
        told = [f"{table} lacks {', '.join(lack)}" for table, lack in foreign.items()]
        return fault(
            f"not lea_fleet's, under its names: {'; '.join(told)}",
            _RENAME,
        )
    missing = missing_tables(health.connection)
    if missing:
        return ok(f"{len(missing)} tables to make, at the first request")
    columns = [".".join(column) for column in missing_columns(health.connection)]
    if columns:
        return ok(f"to add at the first request: the column {', '.join(columns)}")
    return ok("all there")


def _triggers(health: HealthRepository) -> Verdict:
    names = health.triggers()
    if not names:
        return ok("none on enrolled_agents")
    return warning(
        f"on enrolled_agents: {some(names)}",
        "See what they do: each one runs with every heartbeat that is written, and one"
        " that fails makes it fail.",
    )


def _clock(health: HealthRepository) -> Verdict:
    now = clock.now()
    ahead = health.ahead(clock.after(now, _TOLERANCE))
    if not ahead:
        return ok("no instant is in the future")
    return warning(
        "; ".join(_told(column, now) for column in ahead),
        "Set this computer's clock right (timedatectl); a machine's next heartbeat"
        " puts its own instant right.",
    )


def _told(column: Ahead, now: datetime) -> str:
    try:
        seconds = (datetime.fromisoformat(column.latest) - now).total_seconds()
    except (TypeError, ValueError):  # not as any server writes it
        return f"{column.rows} of {column.where} in the future ({column.latest[:40]})"
    return f"{column.rows} of {column.where} in the future, by {_length(seconds)}"


def _length(seconds: float) -> str:
    for unit, length in (("days", 86400), ("hours", 3600)):
        if seconds >= 2 * length:
            return f"{int(seconds // length)} {unit}"
    return f"{int(seconds // 60)} minutes"


def _write_lock(reading: Reading, busy_timeout: float) -> Verdict:
    reading.health  # keeps the log in place, when the writer leaves
    if reading.alone:
        return ok("free: nobody has the database open")
    if reading.database.required().st_size == 0:  # a writer would begin it
        return ok("not taken: the file is empty")
    path = reading.database.path
    if not is_writable(path):  # SQLite would read it, and take no lock
        raise CannotCheck("this user may not write the database")
    try:
        with closing(connect(path, "rw", busy_timeout)) as writer:
            HealthRepository(writer).take_write_lock()
    except sqlite3.OperationalError as error:
        if "locked" not in str(error):
            raise
        return fault(
            f"{_writer(path)} has been writing for longer than {busy_timeout:g} s",
            "See what it does and end that: requests that write are answered 503.",
        )
    return ok("free")


def _writer(path: Path) -> str:
    known = " and ".join(f"process {pid}" for pid in lockers(path))
    return known or "another process"
