"""A way into the database that leaves everything in its folder as it is."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass

from ...storage.sqlite.connections import connect
from ...core.problems import DatabaseUnavailable, Problem
from ...storage.sqlite.errors import database_problem
from ...storage.health import HealthRepository
from ...storage.sqlite.schema import foreign_tables, missing_tables
from .files import Database, look
from .findings import BROKEN, CannotCheck, NothingYet

#: SQLite then takes no lock, and makes neither a log nor a -shm.
_IMMUTABLE = "ro&immutable=1"

#: Of a database's first bytes, the one that says how it is read; 2 is with a log.
_READ_VERSION = 19


@dataclass(frozen=True)
class Reading:
    """One moment of *database*: what to ask, or the trouble there is with that.

    *alone*: nobody had it open, and it was read without a lock.
    """

    database: Database
    alone: bool
    found: HealthRepository | CannotCheck | Problem | OSError

    @property
    def health(self) -> HealthRepository:
        """What to ask. Raises CannotCheck or OSError where nothing can be."""
        if isinstance(self.found, HealthRepository):
            return self.found
        if isinstance(self.found, Problem):
            raise CannotCheck("the database cannot be read; see opening")
        raise self.found

    @property
    def fleet(self) -> HealthRepository:
        """What to ask about the fleet: the same, where all of its tables are there.

        Raises NothingYet, before the server has made them, beside the others.
        """
        connection = self.health.connection
        if foreign_tables(connection):
            raise CannotCheck("a table is not lea_fleet's; see tables")
        if missing_tables(connection):
            raise NothingYet("nothing yet: the tables are made at the first request")
        return self.health

    def was_disturbed(self) -> bool:
        """Tell whether the file may have been written while it was read."""
        now = look(self.database.path)
        return self.alone and _traits(now) != _traits(self.database)


@contextmanager
def reading(database: Database, busy_timeout: float) -> Iterator[Reading]:
    """Open *database* for reading until the context ends, where it can be.

    *busy_timeout* is how long, in seconds, another one's lock is waited for.
    """
    mode = ""
    with ExitStack() as stack:
        found: HealthRepository | CannotCheck | Problem | OSError
        try:
            mode = _mode(database)
            connection = connect(database.path, mode, busy_timeout)
            stack.enter_context(closing(connection))
            found = HealthRepository(connection)
            found.begin()
        except BROKEN as error:
            found = _trouble(error, database)
        except (CannotCheck, OSError) as trouble:
            found = trouble
        yield Reading(database, mode == _IMMUTABLE, found)


def _mode(database: Database) -> str:
    """Return how to open it, so that SQLite makes and deletes no file."""
    file = database.required()
    if database.wal is None:
        return _IMMUTABLE if _has_log_when_open(database) else "ro"
    if file.st_size == 0:
        raise CannotCheck(f"the database is empty, and {database.log} would be lost")
    if database.shm is None:
        raise CannotCheck(f"reading {database.log} would make the -shm that it lacks")
    return "ro"


def _has_log_when_open(database: Database) -> bool:
    # Nobody has it open in this mode now: no lock is lost by closing it.
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
