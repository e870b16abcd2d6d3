"""Connections to one database file: opened here only, and kept idle for reuse.

Measured per enrolment: 2.1 ms of processor time when each request opens and
closes its own connection (the last close checkpoints and deletes the WAL),
0.45 ms when connections are reused.
"""

from __future__ import annotations

import os
import sqlite3
import time
import weakref
from collections import deque
from pathlib import Path

from .problems import DatabaseUnavailable, database_problem
from .repository.functions import add_functions
from .schema import ensure_schema

#: Idle connections that a process keeps; more than that many threads at once
#: open and close theirs.
_MOST_IDLE = 8

#: Seconds between two tries where SQLite does not wait by itself.
_PAUSE = 0.01

#: Connections that came along through a fork. SQLite forbids to use them and
#: to close them; the reference keeps the garbage collector from closing them.
_inherited: list[Connection] = []

#: What os.stat() calls the same file: its device and its number there.
_File = tuple[int, int]


class Connection(sqlite3.Connection):
    """An open connection that knows which files and which process it is for."""

    file: _File
    wal: _File | None
    pid: int


class Connections:
    """The connections of one application to the database at *path*.

    *busy_timeout* is how long, in seconds, a writer waits for another one.
    Without *reuse* each connection is closed when it is released. Nothing is
    opened or made before the first :meth:`acquire`.
    """

    def __init__(self, path: Path, *, busy_timeout: float, reuse: bool) -> None:
        self.path = path
        self._wal_path = path.with_name(f"{path.name}-wal")
        self._busy_timeout = busy_timeout
        self._most_idle = _MOST_IDLE if reuse else 0
        self._idle: deque[Connection] = deque()
        self._seen = False
        weakref.finalize(self, _close_all, self._idle)

    def acquire(self) -> Connection:
        """Return a connection that nobody else uses, with the schema in place.

        Raises DatabaseBusy or DatabaseUnavailable, which name the path.
        """
        file = _identity(self.path)
        if file is None and self._seen:
            # A new, empty database would refuse every agent's token.
            raise DatabaseUnavailable(
                f"{self.path} has disappeared while the server was running. Put it"
                " back, or restart the server to begin with an empty one."
            )
        while self._idle:
            try:
                connection = self._idle.pop()
            except IndexError:  # another thread took the last one
                break
            if connection.pid != os.getpid():
                discard(connection)
            elif connection.file == file:
                return connection
            else:
                self._refuse_stale_wal(connection)
                discard(connection)
        return self._open()

    def release(self, connection: Connection) -> None:
        """Take *connection* back, without what was not committed."""
        if connection.pid != os.getpid() or len(self._idle) >= self._most_idle:
            discard(connection)
            return
        try:
            connection.rollback()
        except sqlite3.Error:  # closed or broken while it was lent
            discard(connection)
            return
        self._idle.append(connection)

    def close_idle(self) -> None:
        """Close the idle connections; the next :meth:`acquire` opens anew."""
        _close_all(self._idle)

    def _open(self) -> Connection:
        self._prepare()
        file = _identity(self.path)
        try:
            connection = sqlite3.connect(
                self.path,
                timeout=self._busy_timeout,
                isolation_level=None,  # transactions begin where the code says so
                check_same_thread=False,  # one thread at a time: see acquire()
                factory=Connection,
            )
        except sqlite3.Error as error:
            raise database_problem(error, self.path) from error
        try:
            connection.pid = os.getpid()
            connection.file = self._opened_file(file)
            connection.row_factory = sqlite3.Row
            connection.text_factory = _decode
            add_functions(connection)
            self._use_wal(connection)
            ensure_schema(connection)
            connection.wal = _identity(self._wal_path)
        except sqlite3.Error as error:
            connection.close()
            raise database_problem(error, self.path) from error
        except BaseException:
            connection.close()
            raise
        self._seen = True
        return connection

    def _prepare(self) -> None:
        """Refuse what SQLite would answer with an error that names no path."""
        if os.path.exists(self.path):  # Path.exists() raises where it may not look
            # Never opened to find out: closing a file drops the locks that
            # SQLite holds on it in this process (POSIX).
            if not _is_writable(self.path):
                raise DatabaseUnavailable(f"{self.path} is read-only for this process.")
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DatabaseUnavailable(
                f"The folder {self.path.parent} cannot be made: {error.strerror}."
            ) from error

    def _opened_file(self, before: _File | None) -> _File:
        after = _identity(self.path)
        if after is None or before not in (None, after):
            # Which of the two was opened is not known: the next try will tell.
            raise DatabaseUnavailable(f"{self.path} was replaced while it was opened.")
        return after

    def _use_wal(self, connection: Connection) -> None:
        """Put the file in WAL mode, where it is not.

        While another process does the same, SQLite says "locked" at once,
        without the busy timeout: seen once in 2,400 first requests.
        """
        deadline = time.monotonic() + self._busy_timeout
        while True:
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise
            time.sleep(_PAUSE)

    def _refuse_stale_wal(self, connection: Connection) -> None:
        """Refuse a database that took another's place but not its log's.

        SQLite would read the old file's write-ahead log into the new file.
        *connection* stays open, so that no other file gets the log's number.
        """
        try:
            wal = os.stat(self._wal_path)
        except OSError:
            return
        if (wal.st_dev, wal.st_ino) != connection.wal or wal.st_size == 0:
            return
        self._idle.append(connection)
        raise DatabaseUnavailable(
            f"{self.path} was replaced while the server was running, and"
            f" {self._wal_path} still belongs to the file before. Stop the server,"
            " remove that log and its -shm, and start again."
        )


def discard(connection: Connection) -> None:
    """Close *connection* for good; one that came through a fork is kept aside."""
    if connection.pid == os.getpid():
        connection.close()
    else:
        _inherited.append(connection)


def _identity(path: Path) -> _File | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _close_all(idle: deque[Connection]) -> None:
    while idle:
        discard(idle.pop())


def _decode(text: bytes) -> str:
    """Read what another program may have written in another encoding."""
    return text.decode("utf-8", "replace")


def _is_writable(path: Path) -> bool:
    effective = os.access in os.supports_effective_ids
    return os.access(path, os.W_OK, effective_ids=effective)
