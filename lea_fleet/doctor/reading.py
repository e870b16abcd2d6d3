"""A way into the database that leaves everything in its folder as it is."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager

from ..connections import connect
from ..problems import Problem, database_problem
from ..repository.health import HealthRepository
from .files import Database, look
from .findings import CannotCheck

#: SQLite then takes no lock, and makes neither a log nor a -shm.
_IMMUTABLE = "ro&immutable=1"

#: Of a database's first bytes, the one that says how it is read; 2 is with a log.
_READ_VERSION = 19


class Reading:
    """One moment of *database*, read by *mode*; or the *trouble* there is with that."""

    def __init__(
        self, database: Database, mode: str = "", trouble: Exception | None = None
    ) -> None:
        self.database = database
        self.mode = mode
        self._trouble = trouble
        self._health: HealthRepository | None = None

    @property
    def health(self) -> HealthRepository:
        """What to ask. Raises CannotCheck, Problem or OSError where nothing can be."""
        if self._health is None:
            raise self._trouble or CannotCheck("the database is closed.")
        return self._health

    @property
    def alone(self) -> bool:
        """Whether nobody had the database open: its log goes with the last one."""
        return self.mode == _IMMUTABLE

    @property
    def disturbed(self) -> bool:
        """Whether somebody wrote, perhaps, what was read without a lock."""
        return self.alone and _traits(look(self.database.path)) != _traits(
            self.database
        )

    @contextmanager
    def begun(self, busy_timeout: float) -> Iterator[None]:
        """Open the database until the context ends, and fix the moment."""
        path = self.database.path
        try:
            connection = connect(path, self.mode, busy_timeout)
        except sqlite3.Error as error:
            self._trouble = database_problem(error, path)
            yield
            return
        with closing(connection):
            health = HealthRepository(connection)
            try:
                health.begin()
                self._health = health
            except sqlite3.Error as error:
                self._trouble = _trouble(error, self.database)
            yield
            self._health = None


@contextmanager
def reading(database: Database, busy_timeout: float) -> Iterator[Reading]:
    """Yield the *database* opened for reading; where it cannot be, what is wrong.

    *busy_timeout* is how long, in seconds, another one's lock is waited for.
    """
    try:
        mode = _mode(database)
    except (CannotCheck, OSError) as trouble:
        yield Reading(database, trouble=trouble)
        return
    found = Reading(database, mode)
    with found.begun(busy_timeout):
        yield found


def _mode(database: Database) -> str:
    """Return how to open it, so that SQLite makes and deletes no file."""
    if database.file is None:
        raise CannotCheck("there is no database.")
    if not database.is_file:
        raise CannotCheck("it is no file.")
    if database.wal is None:
        return _IMMUTABLE if _has_log_when_open(database) else "ro"
    if database.file.st_size == 0:
        raise CannotCheck("the database is empty and its log is not; see there.")
    if database.shm is None:
        raise CannotCheck("its log has no -shm; the server's next start makes one.")
    return "ro"


def _has_log_when_open(database: Database) -> bool:
    # Nobody has it open in this mode now: no lock is lost by closing it.
    with database.path.open("rb") as file:
        return file.read(_READ_VERSION + 1)[_READ_VERSION:] == b"\2"


def _trouble(error: sqlite3.Error, database: Database) -> Problem | CannotCheck:
    if "readonly" in str(error):
        return CannotCheck(
            f"a writer was interrupted; the server's next start rolls {database.path}"
            "-journal back."
        )
    return database_problem(error, database.path)


def _traits(database: Database) -> tuple[object, ...]:
    if database.file is None:
        return ()
    return database.file.st_mtime_ns, database.file.st_size, database.wal is None
