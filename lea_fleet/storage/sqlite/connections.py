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
from contextlib import suppress
from pathlib import Path

from ...core.problems import DatabaseProblem, DatabaseUnavailable
from ..interface import Dialect
from .checkpoint import locked
from .connection import Connection
from .dialect import DIALECT
from .errors import database_problem, tries
from .files import File, Files, Place, files_at, place_of, size_of
from .opening import open_connection
from .transactions import WriteQueue, end_turn
from .wal import refuse_wrong_wal, save_removed_wal
from .wal_index import WalUse

#: Idle connections that a process keeps. If more threads are active at once, the others
#: open and close a connection for each request.
_MOST_IDLE = 8

#: Seconds for which a request waits until other threads have left a WAL that was
#: removed, and between two looks.
_LONGEST_WAIT = 1.0
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
        self.wal = WalUse()
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
            if _uses_another_wal(connection, files):
                self._leave_removed_wal()
                return self.acquire()
            if connection.files != files and connection.pid == os.getpid():
                refuse_wrong_wal(connection.files, place, files)
        while self._idle:
            try:
                connection = self._idle.pop()
            except IndexError:  # another thread took the last one
                break
            usable = connection.pid == os.getpid() and not connection.suspect
            if usable and connection.files == files:
                return connection
            self.discard(connection)
        opened = open_connection(place, files.database, self._busy_timeout, self.queue)
        opened.wal = self.wal
        self._seen = True
        self._open.add(opened)
        return opened

    def never_begin(self) -> None:
        """Let :meth:`acquire` refuse a missing database instead of making it."""
        self._seen = True

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

    def may_run_again(self, error: Exception) -> bool:
        return self.dialect.is_conflict(error)

    def wal_size(self) -> int | None:
        return size_of(self._followed[0].wal)

    def distrust_idle(self) -> None:
        """Stop reusing the idle connections after an error.

        The next :meth:`acquire` closes them. They stay open until then so that it can
        detect a replaced file.
        """
        self._followed = self._followed[0], None  # follow the path anew
        for connection in list(self._idle):
            connection.suspect = True

    def close_idle(self) -> None:
        """Close the idle connections; the next :meth:`acquire` opens a new one."""
        _close_all(self._idle, self._open)

    def discard(self, connection: Connection) -> None:
        """Close *connection*; one inherited through a fork is only set aside."""
        _close(connection, self._open)

    def _leave_removed_wal(self) -> None:
        """Save what is in a WAL that was removed, and close what has it open.

        All connections of a process share one index of the WAL: none can be opened
        before the last one is closed that other threads still use. Raises
        DatabaseUnavailable.
        """
        for _ in tries(min(self._busy_timeout, _LONGEST_WAIT), _PAUSE):
            known = list(self._open)
            place, files = self._look()
            left = [each for each in known if _uses_another_wal(each, files)]
            if not left:
                return
            idle = self._taken(left)
            try:
                # Alone, so that no process saves its old WAL over what is in a new one.
                with locked(place.folder, self._busy_timeout):
                    for connection in idle[:1]:
                        place, files = self._look()
                        acknowledged = self.wal.acknowledged
                        save_removed_wal(connection, place, files, acknowledged)
            except BaseException:
                self._idle.extend(idle)
                raise
            for connection in idle:
                self.discard(connection)
            for pool in list(_all):  # of another application in this process
                if pool.path == self.path:
                    pool.close_idle()
        raise DatabaseUnavailable(
            f"{place.wal} or its -shm was removed while the server was running. It is"
            " opened anew when the requests that still use it have ended."
        )

    def _taken(self, connections: list[Connection]) -> list[Connection]:
        """Take those of *connections* that are idle, and return them."""
        taken = []
        for connection in connections:
            with suppress(ValueError):  # another thread has it
                self._idle.remove(connection)
                taken.append(connection)
        return taken

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


def _close_all(idle: deque[Connection], open_ones: set[Connection]) -> None:
    while idle:
        _close(idle.pop(), open_ones)


def _close(connection: Connection, open_ones: set[Connection]) -> None:
    end_turn(connection)
    if connection.pid == os.getpid():
        connection.close()
    else:
        _inherited.append(connection)
    open_ones.discard(connection)  # last: who finds none open may open one


def _uses_another_wal(connection: Connection, files: Files) -> bool:
    """Tell whether *connection* uses another WAL than the database now has."""
    is_open = connection.pid == os.getpid() and connection.files != files
    return is_open and connection.files.database == files.database


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
