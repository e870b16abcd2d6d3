"""The connection pool: open connections to the database file and reuse them.

Measured for an enrollment: 2.1 ms of processor time when each request opens and
closes its own connection (the last close checkpoints and deletes the WAL),
0.45 ms when connections are reused.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import weakref
from collections import deque
from pathlib import Path

from ...core.problems import DatabaseProblem, DatabaseUnavailable
from ..interface import Dialect
from .connection import Connection, connect
from .dialect import DIALECT, add_functions
from .errors import database_problem, is_locked
from .files import File, Files, Place, files_at, identity, is_writable, place_of
from .schema import ensure_schema
from .transactions import WriteQueue, end_turn, join_queue
from .wal import refuse_wrong_wal, tries

#: Idle connections that a process keeps. If more threads are active at once, the others
#: open and close a connection for each request.
_MOST_IDLE = 8

#: Pages in the WAL at which SQLite checkpoints it: 8 MB. Each checkpoint waits for the
#: disk, but a WAL that fills the disk can never be checkpointed.
_WAL_PAGES = 2000

#: Seconds between two attempts where SQLite does not apply its busy timeout.
_PAUSE = 0.01

#: Connections inherited through a fork. SQLite forbids using or closing them; the
#: reference here keeps the garbage collector from closing them.
_inherited: list[Connection] = []


class Connections:
    """The connections of one application to the database at *path*.

    *busy_timeout* is how long a writer waits for another one, in seconds. If not
    *reuse*, each connection is closed when it is released. Nothing is opened or created
    before the first :meth:`acquire`.
    """

    dialect: Dialect = DIALECT
    errors: tuple[type[Exception], ...] = (sqlite3.Error,)

    def __init__(self, path: Path, *, busy_timeout: float, reuse: bool) -> None:
        self.path = path
        self._busy_timeout = busy_timeout
        self._most_idle = _MOST_IDLE if reuse else 0
        self._idle: deque[Connection] = deque()
        self._open: set[Connection] = set()  # the idle ones and those in use
        self._seen = False
        self.queue = WriteQueue()
        #: Where the path led when it was last followed, and the file there.
        self._followed: tuple[Place, File | None] = place_of(path), None
        weakref.finalize(self, _close_all, self._idle, self._open)
        _all.add(self)

    def acquire(self) -> Connection:
        """Return a connection for exclusive use, and create the schema if needed.

        Raises DatabaseBusy or DatabaseUnavailable, which name the path.
        """
        known = list(self._open)  # before files_at(): their files existed by then
        place, files = self._look()
        if files.database is None and self._seen:
            # A new, empty database would refuse every agent's token.
            raise DatabaseUnavailable(
                f"{place} has disappeared while the server was running. Put it"
                " back, or restart the server to begin with an empty one."
            )
        for connection in known:
            if connection.files != files and connection.pid == os.getpid():
                is_ours = connection in self._idle  # otherwise another thread's
                patience = self._busy_timeout if is_ours else None
                refuse_wrong_wal(connection, place, connection.files, files, patience)
        while self._idle:
            try:
                connection = self._idle.pop()
            except IndexError:  # another thread took the last one
                break
            usable = connection.pid == os.getpid() and not connection.suspect
            if usable and connection.files == files:
                return connection
            self.discard(connection)
        return self._opened(place, files.database)

    def release(self, connection: Connection) -> None:
        """Return *connection* to the pool, and roll back an open transaction."""
        if connection.pid != os.getpid() or len(self._idle) >= self._most_idle:
            self.discard(connection)
            return
        try:
            if connection.in_transaction or connection.has_turn:
                connection.rollback()
        except sqlite3.Error:  # closed or broken while it was in use
            self.discard(connection)
            return
        if connection.handed_out:
            connection.handed_out, connection.synchronous = False, None
        self._idle.append(connection)

    def is_usable(self, connection: Connection) -> bool:
        """Return whether this process opened *connection*: not if it forked since."""
        return connection.pid == os.getpid()

    def problem_of(self, error: Exception) -> DatabaseProblem:
        return database_problem(error, self.path)

    def distrust_idle(self) -> None:
        """Stop reusing the idle connections after an error.

        The next :meth:`acquire` closes them. They stay open until then so that it can
        detect a replaced file.
        """
        for connection in list(self._idle):
            connection.suspect = True

    def close_idle(self) -> None:
        """Close the idle connections; the next :meth:`acquire` opens a new one."""
        _close_all(self._idle, self._open)

    def discard(self, connection: Connection) -> None:
        """Close *connection*; one inherited through a fork is only set aside."""
        _close(connection, self._open)

    def _look(self) -> tuple[Place, Files]:
        """Return where the database is, and its files, by three stat calls.

        The path is followed anew if it leads to another file, and before a connection
        is opened: a file that was moved, and linked to, keeps its WAL at the old place.
        """
        place, file = self._followed
        files = files_at(place)
        if files.database is None or files.database != file or not self._idle:
            place = place_of(self.path)
            files = files_at(place)
            self._followed = place, files.database
        return place, files

    def _opened(self, place: Place, file: File | None) -> Connection:
        """Open a connection to *file*, as acquire() found it; None creates the file."""
        self._prepare(place, file)
        if file not in (None, identity(place.file)):
            # SQLite would apply the WAL of one file to the other.
            raise DatabaseUnavailable(f"{place} was replaced while it was opened.")
        # A file that disappears before it is opened must not be created again.
        mode = "rwc" if file is None else "rw"
        try:
            connection = connect(place.file, mode, self._busy_timeout)
        except sqlite3.Error as error:
            raise database_problem(error, self.path) from error
        try:
            connection.place = place
            connection.pid = os.getpid()
            add_functions(connection)
            # Overwrite deleted data with zeros: personal data must not remain.
            connection.execute("PRAGMA secure_delete = ON")
            self._use_wal(connection)
            connection.execute(f"PRAGMA wal_autocheckpoint = {_WAL_PAGES}")
            connection.execute("SELECT 1 FROM sqlite_master")  # opens the WAL
            connection.files = self._opened_files(place, file)
            join_queue(connection, self.queue)
            ensure_schema(connection)
        except sqlite3.Error as error:
            connection.close()
            raise database_problem(error, self.path) from error
        except UnicodeDecodeError as error:  # SQLite quotes the damaged schema
            connection.close()
            raise DatabaseUnavailable(f"{place} is damaged.") from error
        except BaseException:
            connection.close()
            raise
        self._seen = True
        self._open.add(connection)
        return connection

    def _prepare(self, place: Place, file: File | None) -> None:
        """Detect faults that SQLite would report without naming the path.

        Raises DatabaseUnavailable.
        """
        if file is not None:
            # Opening the file to find out is no option: closing it would drop the
            # locks that SQLite holds on it in this process (POSIX).
            if not is_writable(place.file):
                raise DatabaseUnavailable(f"{place} is read-only for this process.")
            return
        # In this order, since another process may be creating both, the database first.
        if os.path.exists(place.wal) and not os.path.exists(place.file):
            # SQLite would delete the WAL, and with it data of the database.
            raise DatabaseUnavailable(
                f"{place.wal} is there, but the database that it belongs to is not."
                f" Put {place.file} back, or remove that WAL to begin with an empty"
                " one."
            )
        try:
            place.file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DatabaseUnavailable(
                f"The folder {place.file.parent} cannot be created: {error.strerror}."
            ) from error

    def _opened_files(self, place: Place, before: File | None) -> Files:
        after = files_at(place)
        file = identity(place.file)  # another one, if a link was turned meanwhile
        if file is None or file != after.database or before not in (None, file):
            # It is not known which file was opened; the next attempt will find out.
            raise DatabaseUnavailable(f"{place} was replaced while it was opened.")
        return after

    def _use_wal(self, connection: Connection) -> None:
        """Switch the file to WAL mode if it is not in it.

        While another process does the same, SQLite reports "locked" at once, without
        waiting for the busy timeout: seen once in 2,400 first requests.
        """
        for _ in tries(self._busy_timeout, _PAUSE):
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                if not is_locked(error):
                    raise
                locked = error
        raise locked


def _close_all(idle: deque[Connection], open_ones: set[Connection]) -> None:
    while idle:
        _close(idle.pop(), open_ones)


def _close(connection: Connection, open_ones: set[Connection]) -> None:
    open_ones.discard(connection)
    end_turn(connection)
    if connection.pid == os.getpid():
        connection.close()
    else:
        _inherited.append(connection)


#: The pools whose idle connections are closed before this process forks.
_all: weakref.WeakSet[Connections] = weakref.WeakSet()


def _before_fork() -> None:
    """Close all idle connections, so that the child inherits none.

    SQLite in the child would take the parent's locks for its own, take none for the
    child's connections, and lose their WAL when the parent closes its connections.
    """
    for connections in list(_all):
        connections.close_idle()


def _in_child() -> None:
    """Make new queues: the threads that others wait for here are the parent's."""
    for connections in list(_all):
        connections.queue = WriteQueue()


if sys.platform != "win32":
    os.register_at_fork(before=_before_fork, after_in_child=_in_child)
