"""Begin and end write transactions, for which the threads of a process queue.

SQLite's own busy handler has no queue: a writer that finds the file locked sleeps for
up to 100 ms, while later ones overtake it. Measured with eight enrolling clients and
gunicorn's two workers of four threads: the slowest took 1.5 s, the median 20 ms.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from threading import Lock, get_ident
from time import monotonic, sleep
from typing import Any

from ...core.problems import DatabaseUnavailable
from .errors import is_locked

#: Seconds between two attempts of the first in the queue to get the file's lock, which
#: another process may hold. An attempt takes 4 µs.
_PAUSE = 0.0005

#: Turns in a row after which the next thread leaves the file alone for two pauses, so
#: that another process gets it: without this, one waited for up to 270 ms.
_TURNS = 16


#: Where the fleet was moved to, if it was: nothing is written here any more.
_MOVED = "SELECT other FROM lea_fleet_moves WHERE state IN ('closing', 'closed')"
_UNLESS_MOVED = f" AND NOT EXISTS ({_MOVED})"


class WriteQueue:
    """Give the threads of one process their turns to write, in order of arrival."""

    def __init__(self) -> None:
        self._mutex = Lock()
        self._owner: int | None = None  # the thread whose turn it is
        self._turns = 0
        self._waiting: deque[tuple[int, Lock]] = deque()

    def enter(self, patience: float) -> bool:
        """Wait for this thread's turn; return False if it has it already.

        Raises sqlite3.OperationalError, as SQLite does, after *patience* seconds.
        """
        thread = get_ident()
        with self._mutex:
            if self._owner == thread:
                return False
            if self._owner is None:
                self._owner = thread
                return True
            gate = Lock()
            gate.acquire()
            self._waiting.append((thread, gate))
        if gate.acquire(timeout=patience) or not self._gave_up(thread, gate):
            if self._turns % _TURNS == 0:
                sleep(2 * _PAUSE)
            return True
        raise sqlite3.OperationalError("database is locked by this process")

    def leave(self) -> None:
        """End this thread's turn; the next one's begins."""
        with self._mutex:
            self._owner = None
            if self._waiting:
                self._turns += 1
                self._owner, gate = self._waiting.popleft()
                gate.release()

    def _gave_up(self, thread: int, gate: Lock) -> bool:
        """Leave the queue; return False if the turn has come in the meantime."""
        with self._mutex:
            if (thread, gate) not in self._waiting:
                return False
            self._waiting.remove((thread, gate))
            return True


def begin_writing(
    session: sqlite3.Connection, about: str | Iterable[str] = (), durable: bool = True
) -> None:
    """Begin a transaction and take the file's write lock, whatever it is *about*.

    IMMEDIATE, since a deferred transaction that reads before it writes loses updates to
    other processes: 924 of 1,600 in a measurement with 8 of them. Raises
    sqlite3.OperationalError if other writers hold the lock for longer than the busy
    timeout.
    """
    set_synchronous(session, durable=durable)
    take_turn(session, "BEGIN IMMEDIATE")
    try:
        moved = session.execute(_MOVED).fetchone()
    except sqlite3.OperationalError as error:
        if "no such table" not in str(error):
            session.rollback()
            raise
        return  # a host's own connection, to a file that no server of ours has opened
    if moved:
        session.rollback()
        raise DatabaseUnavailable(f"The fleet was moved to {moved[0]}: see there.")


def write_once(
    session: sqlite3.Connection, statement: str, values: Mapping[str, Any]
) -> int:
    """Run one statement as its own transaction; return the number of rows.

    A power cut may undo it. Unlike Connection.commit(), this does not check that the
    file is still there. Raises what :func:`begin_writing` does.
    """
    set_synchronous(session, durable=False)
    if getattr(session, "queue", None) is not None:  # not one that the host opened
        statement += _UNLESS_MOVED
    changed = take_turn(session, statement, values).rowcount
    if getattr(session, "has_turn", False):  # not a connection that the host opened
        end_turn(session)
        session.look_at_wal()  # type: ignore[attr-defined]
    return changed


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Run the block in a durable transaction: commit, or roll back if it raises.

    Raises what :func:`begin_writing` does.
    """
    set_synchronous(connection, durable=True)
    take_turn(connection, "BEGIN IMMEDIATE")
    try:
        yield
        connection.commit()
    except BaseException:
        connection.rollback()
        raise


def set_synchronous(connection: sqlite3.Connection, *, durable: bool) -> None:
    """Set how durable the next commits are; call it outside of a transaction.

    With ``FULL``, a commit survives a power cut; with ``NORMAL``, it may be lost, as a
    heartbeat may.
    """
    level = "FULL" if durable else "NORMAL"
    # Skipped if it is set already: a PRAGMA takes 17 µs of an enrollment's 420. The
    # setting is not known if other code has used the connection, or opened it.
    is_known = not getattr(connection, "handed_out", True)
    if not (is_known and getattr(connection, "synchronous", None) == level):
        connection.execute(f"PRAGMA synchronous = {level}")
        with suppress(AttributeError):
            connection.synchronous = level  # type: ignore[attr-defined]


def join_queue(connection: Any, queue: WriteQueue) -> None:
    """Let *connection* wait in *queue* instead of in SQLite's busy handler.

    Set for good, not for each write, where it would cost a heartbeat 8 µs. Reads need
    no busy handler: in WAL mode a reader waits for no writer, and SQLite itself repeats
    what fails while another process writes the index of the WAL.
    """
    connection.queue = queue
    _let_sqlite_wait(connection, 0)


def leave_queue(connection: Any) -> None:
    """Let SQLite itself wait for the lock, as a host's own statements need it."""
    _let_sqlite_wait(connection, connection.busy_timeout)


def take_turn(connection: Any, statement: str, values: Any = ()) -> sqlite3.Cursor:
    """Run *statement*, which takes the file's write lock, when it is our turn.

    The turn lasts until :func:`end_turn`; if this raises, it has ended. One deadline
    covers the queue and the lock: the connection's busy timeout. Raises
    sqlite3.OperationalError then, and what the statement does. A connection that the
    host opened has no queue.
    """
    queue: WriteQueue | None = getattr(connection, "queue", None)
    if queue is None:
        return connection.execute(statement, values)  # type: ignore[no-any-return]
    deadline = monotonic() + connection.busy_timeout
    connection.has_turn = queue.enter(connection.busy_timeout)
    try:
        if connection.sqlite_waits:
            _let_sqlite_wait(connection, 0)
        while True:
            try:
                cursor: sqlite3.Cursor = connection.execute(statement, values)
                return cursor
            except sqlite3.OperationalError as error:
                if not is_locked(error) or monotonic() >= deadline:
                    raise
            sleep(_PAUSE)
    except BaseException:
        end_turn(connection)
        raise
    finally:
        if connection.handed_out:
            leave_queue(connection)


def end_turn(connection: Any) -> None:
    """End the turn of *connection*, if it has one."""
    if getattr(connection, "has_turn", False):
        connection.has_turn = False
        connection.queue.leave()


def _let_sqlite_wait(connection: Any, seconds: float) -> None:
    connection.execute(f"PRAGMA busy_timeout = {int(seconds * 1000)}")
    connection.sqlite_waits = seconds > 0
