"""Read a database without changing anything in its folder."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from ....core.findings import CannotCheck, NothingYet
from ....core.problems import DatabaseUnavailable, Problem
from ..connection import connect
from ..dialect import DIALECT
from ..errors import database_problem
from ..schema import foreign_tables, missing_tables
from .files import Database, look

#: What a query raises on a broken file: SQLite quotes its content in messages.
BROKEN = (sqlite3.Error, UnicodeDecodeError)

#: With this, SQLite takes no lock, and makes neither a WAL nor a -shm.
_IMMUTABLE = "ro&immutable=1"

#: The byte of the file's header that is 2 in WAL mode.
_READ_VERSION = 19


@dataclass(frozen=True)
class Reading:
    """A snapshot of *database*: *found* is the connection, or why there is none.

    *alone*: no other process had it open, and it was read without a lock.
    """

    database: Database
    alone: bool
    found: sqlite3.Connection | CannotCheck | Problem | OSError

    dialect = DIALECT

    @property
    def session(self) -> sqlite3.Connection:
        """The connection. Raises CannotCheck or OSError where there is none."""
        if isinstance(self.found, sqlite3.Connection):
            return self.found
        if isinstance(self.found, Problem):
            raise CannotCheck("the database cannot be read; see opening")
        raise self.found

    @property
    def fleet(self) -> sqlite3.Connection:
        """The connection, if all of the fleet's tables exist.

        Raises NothingYet before the server has made them, else as :attr:`session`.
        """
        if foreign_tables(self.session):
            raise CannotCheck("a table is not lea_fleet's; see tables")
        if missing_tables(self.session):
            raise NothingYet("nothing yet: the tables are made at the first request")
        return self.session

    def tables(self) -> set[str]:
        """Return the names of all tables, in lower case. Raises what session does."""
        rows = self.session.execute("SELECT lower(name) FROM sqlite_master")
        return {name for (name,) in rows}

    def was_disturbed(self) -> bool:
        """Tell whether the file may have been written while it was read."""
        now = look(self.database.path)
        return self.alone and _traits(now) != _traits(self.database)


@contextmanager
def reading(path: Path, busy_timeout: float) -> Iterator[Reading]:
    """Open the database at *path* for reading until the context ends, if possible.

    *busy_timeout* is how long, in seconds, to wait for another process's lock.
    """
    mode = ""
    database = look(path)
    with ExitStack() as stack:
        found: sqlite3.Connection | CannotCheck | Problem | OSError
        try:
            mode = _mode(database)
            found = stack.enter_context(
                closing(connect(database.path, mode, busy_timeout))
            )
            found.execute("BEGIN DEFERRED")
            found.execute("SELECT count(*) FROM sqlite_master")  # takes the snapshot
        except BROKEN as error:
            found = _trouble(error, database)
        except (CannotCheck, OSError) as trouble:
            found = trouble
        yield Reading(database, mode == _IMMUTABLE, found)


def _mode(database: Database) -> str:
    """Return the mode in which SQLite makes and deletes no file."""
    file = database.required()
    if database.wal is None:
        return _IMMUTABLE if _is_in_wal_mode(database) else "ro"
    if file.st_size == 0:
        raise CannotCheck(
            f"the database is empty, and {database.wal_path} would be lost"
        )
    if database.shm is None:
        raise CannotCheck(
            f"reading {database.wal_path} would make the -shm that it lacks"
        )
    return "ro"


def _is_in_wal_mode(database: Database) -> bool:
    # Without a WAL nobody has it open: closing the file drops no process's locks.
    with database.path.open("rb") as file:
        return file.read(_READ_VERSION + 1)[_READ_VERSION:] == b"\2"


def _trouble(error: Exception, database: Database) -> Problem | CannotCheck:
    if not isinstance(error, sqlite3.Error):
        return DatabaseUnavailable(f"{database.path} cannot be used: it is broken.")
    if "readonly" in str(error):
        return CannotCheck(
            f"the server's next start has to roll {database.path}-journal back"
        )
    return database_problem(error, database.path)


def _traits(database: Database) -> tuple[object, ...]:
    if database.file is None:
        return ()
    return database.file.st_mtime_ns, database.file.st_size, database.wal is None
