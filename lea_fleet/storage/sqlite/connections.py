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
from operator import methodcaller
from pathlib import Path

from ...core.problems import DatabaseProblem, DatabaseUnavailable
from ..interface import Dialect
from .dialect import DIALECT, add_functions
from .errors import database_problem, is_locked
from .files import File, Files, files_at, identity, is_writable
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

#: Decodes text, even if another program stored it in another encoding.
_decode = methodcaller("decode", "utf-8", "replace")


class Connection(sqlite3.Connection):
    """A connection that remembers its files and the process that opened it."""

    path: Path
    files: Files
    pid: int
    suspect = False
    synchronous: str | None = None  # as it was last set
    handed_out = False  # whether other code may have changed synchronous
    queue: WriteQueue | None = None
    busy_timeout: float  # seconds
    has_turn = False
    sqlite_waits = True

    def commit(self) -> None:
        """Commit, and check that the files at the path are still the same.

        Raises DatabaseUnavailable if they were moved, deleted or replaced since the
        connection was opened: the commit may be lost and must not be acknowledged.
        """
        if self.in_transaction:
            super().commit()
        if self.has_turn:
            end_turn(self)
        if files_at(self.path) != self.files:
            raise DatabaseUnavailable(
                f"{self.path} or its WAL was moved, replaced or deleted during this"
                " request; what the request wrote may not be there."
            )

    def rollback(self) -> None:
        """Roll back, and end this connection's turn to write."""
        try:
            super().rollback()
        finally:
            end_turn(self)


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
        weakref.finalize(self, _close_all, self._idle, self._open)
        _all.add(self)

    def acquire(self) -> Connection:
        """Return a connection for exclusive use, and create the schema if needed.

        Raises DatabaseBusy or DatabaseUnavailable, which name the path.
        """
        known = list(self._open)  # before files_at(): their files existed by then
        files = files_at(self.path)
        if files.database is None and self._seen:
            # A new, empty database would refuse every agent's token.
            raise DatabaseUnavailable(
                f"{self.path} has disappeared while the server was running. Put it"
                " back, or restart the server to begin with an empty one."
            )
        for connection in known:
            if connection.files != files and connection.pid == os.getpid():
                is_ours = connection in self._idle  # otherwise another thread's
                patience = self._busy_timeout if is_ours else None
                refuse_wrong_wal(
                    connection, self.path, connection.files, files, patience
                )
        while self._idle:
            try:
                connection = self._idle.pop()
            except IndexError:  # another thread took the last one
                break
            usable = connection.pid == os.getpid() and not connection.suspect
            if usable and connection.files == files:
                return connection
            self.discard(connection)
        return self._opened(files.database)

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

    def _opened(self, file: File | None) -> Connection:
        """Open a connection to *file*, as acquire() found it; None creates the file."""
        self._prepare(file)
        if file not in (None, identity(self.path)):
            # SQLite would apply the WAL of one file to the other.
            raise DatabaseUnavailable(f"{self.path} was replaced while it was opened.")
        # A file that disappears before it is opened must not be created again.
        mode = "rwc" if file is None else "rw"
        try:
            connection = connect(self.path, mode, self._busy_timeout)
        except sqlite3.Error as error:
            raise database_problem(error, self.path) from error
        try:
            connection.path = self.path
            connection.pid = os.getpid()
            add_functions(connection)
            # Overwrite deleted data with zeros: personal data must not remain.
            connection.execute("PRAGMA secure_delete = ON")
            self._use_wal(connection)
            connection.execute(f"PRAGMA wal_autocheckpoint = {_WAL_PAGES}")
            connection.execute("SELECT 1 FROM sqlite_master")  # opens the WAL
            connection.files = self._opened_files(file)
            join_queue(connection, self.queue)
            ensure_schema(connection)
        except sqlite3.Error as error:
            connection.close()
            raise database_problem(error, self.path) from error
        except UnicodeDecodeError as error:  # SQLite quotes the damaged schema
            connection.close()
            raise DatabaseUnavailable(f"{self.path} is damaged.") from error
        except BaseException:
            connection.close()
            raise
        self._seen = True
        self._open.add(connection)
        return connection

    def _prepare(self, file: File | None) -> None:
        """Detect faults that SQLite would report without naming the path.

        Raises DatabaseUnavailable.
        """
        if file is not None:
            # Opening the file to find out is no option: closing it would drop the
            # locks that SQLite holds on it in this process (POSIX).
            if not is_writable(self.path):
                raise DatabaseUnavailable(f"{self.path} is read-only for this process.")
            return
        wal = f"{self.path}-wal"
        # In this order, since another process may be creating both, the database first.
        if os.path.exists(wal) and not os.path.exists(self.path):
            # SQLite would delete the WAL, and with it data of the database.
            raise DatabaseUnavailable(
                f"{wal} is there, but the database that it belongs to is not. Put"
                f" {self.path} back, or remove that WAL to begin with an empty one."
            )
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DatabaseUnavailable(
                f"The folder {self.path.parent} cannot be created: {error.strerror}."
            ) from error

    def _opened_files(self, before: File | None) -> Files:
        after = files_at(self.path)
        if after.database is None or before not in (None, after.database):
            # It is not known which file was opened; the next attempt will find out.
            raise DatabaseUnavailable(f"{self.path} was replaced while it was opened.")
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


def connect(path: Path, mode: str, busy_timeout: float) -> Connection:
    """Open the file without changing anything in it.

    *mode* is SQLite's: ``rwc`` creates a missing file, ``rw`` and ``ro`` do not.
    *busy_timeout* is in seconds. Raises sqlite3.Error, here or on first use.
    """
    connection = sqlite3.connect(
        f"{path.as_uri()}?mode={mode}",
        uri=True,
        timeout=busy_timeout,
        isolation_level=None,  # transactions begin only with an explicit BEGIN
        check_same_thread=False,  # one thread at a time: see acquire()
        factory=Connection,
    )
    connection.busy_timeout = busy_timeout
    connection.row_factory = sqlite3.Row
    connection.text_factory = _decode
    return connection


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
