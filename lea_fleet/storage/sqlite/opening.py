"""Open a connection to the database, and refuse what SQLite would spoil.

SQLite would make a file anew that has disappeared, delete a WAL without its database,
and read the WAL of one file into another.
"""

from __future__ import annotations

import os
import sqlite3

from ...core.problems import DatabaseUnavailable
from .checkpoint import locked
from .connection import Connection, connect
from .errors import database_problem, is_locked, tries
from .files import (
    UNDONE,
    UNFINISHED,
    File,
    Files,
    Place,
    files_at,
    identity,
    is_writable,
)
from .permissions import make_database_file
from .schema import ensure_schema
from .temporary import sort_where_possible
from .transactions import WriteQueue, join_queue
from .wal import refuse_second_wal
from .wal_index import WAL_PAGES, descriptor_of, frames_of

#: Bytes that the WAL's file keeps when it begins anew after a reader that let it grow:
#: twice of what it has at a checkpoint, since to grow again costs each commit time.
_WAL_KEPT = 16 * 2**20

#: Seconds between two attempts where SQLite does not apply its busy timeout.
_PAUSE = 0.01

#: Seconds to wait for the folder's lock where there is a WAL, so that none is made.
_SHORT_WAIT = 0.1


def open_connection(
    place: Place, file: File | None, busy_timeout: float, queue: WriteQueue
) -> Connection:
    """Open a connection to *file*, which was just seen at *place*; None creates it.

    The schema is created if needed. Raises DatabaseBusy or DatabaseUnavailable, which
    name the path.
    """
    _prepare(place, file)
    if file is None:
        make_database_file(place.file)
        file = identity(place.file)
    if file is None or file != identity(place.file):
        # SQLite would apply the WAL of one file to the other.
        raise DatabaseUnavailable(f"{place} was replaced while it was opened.")
    # Not while another process saves a WAL that was removed: this makes another one.
    # Where a WAL is, nobody does, and whoever may read the folder can hold that lock.
    patience = _SHORT_WAIT if os.path.exists(place.wal) else busy_timeout
    with locked(place.folder, patience):
        return _opened(place, file, busy_timeout, queue)


def _opened(
    place: Place, file: File, busy_timeout: float, queue: WriteQueue
) -> Connection:
    try:
        # A file that disappears before it is opened must not be created again.
        connection = connect(place.file, "rw", busy_timeout)
    except sqlite3.Error as error:
        raise database_problem(error, place.file) from error
    try:
        refuse_second_wal(place, file)  # before SQLite makes one
        connection.place = place
        connection.pid = os.getpid()
        sort_where_possible(connection)
        # Overwrite deleted data with zeros: personal data must not remain.
        connection.execute("PRAGMA secure_delete = ON")
        _use_wal(connection, busy_timeout)
        connection.execute(f"PRAGMA journal_size_limit = {_WAL_KEPT}")
        connection.execute("SELECT 1 FROM sqlite_master")  # opens the WAL
        connection.files = _opened_files(place, file)
        # Ours replace SQLite's automatic checkpoints, where the index can be read.
        pages = 0 if _has_index(connection.files.shm) else WAL_PAGES
        connection.execute(f"PRAGMA wal_autocheckpoint = {pages}")
        join_queue(connection, queue)
        ensure_schema(connection)
    except sqlite3.Error as error:
        connection.close()
        raise database_problem(error, place.file) from error
    except UnicodeDecodeError as error:  # SQLite quotes the damaged schema
        connection.close()
        raise DatabaseUnavailable(f"{place} is damaged.") from error
    except BaseException:
        connection.close()
        raise
    return connection


def _has_index(shm: File | None) -> bool:
    return shm is not None and frames_of(shm) is not None


def _prepare(place: Place, file: File | None) -> None:
    """Detect faults that SQLite would report without naming the path.

    Raises DatabaseUnavailable.
    """
    if file is not None:
        # Opening the file to find out is no option: closing it would drop the
        # locks that SQLite holds on it in this process (POSIX).
        if not is_writable(place.file):
            raise DatabaseUnavailable(f"{place} is read-only for this process.")
        return
    _refuse_moving(place)
    # In this order, since another process may be creating both, the database first.
    if os.path.exists(place.wal) and not os.path.exists(place.file):
        # SQLite would delete the WAL, and with it data of the database.
        raise DatabaseUnavailable(
            f"{place.wal} is there, but the database that it belongs to is not. Put"
            f" {place.file} back, or remove that WAL to begin with an empty one."
        )


def _refuse_moving(place: Place) -> None:
    """Refuse to begin a file that a fleet is on its way to, or was taken back from.

    An empty one would refuse every agent's token.
    """
    for ending, what in (
        (UNFINISHED, "A fleet is being moved to"),
        (UNDONE, "The fleet was taken back from"),
    ):
        left = f"{place.file}{ending}"
        if os.path.exists(left) and not os.path.exists(place.file):
            raise DatabaseUnavailable(
                f"{what} {place}, which is not there. If it is to begin empty, remove"
                f" {left}."
            )


def _opened_files(place: Place, before: File) -> Files:
    after = files_at(place)
    file = identity(place.file)  # another one, if a link was turned meanwhile
    if file is None or not before == file == after.database:
        # It is not known which file was opened; the next attempt will find out.
        raise DatabaseUnavailable(f"{place} was replaced while it was opened.")
    if after.shm is None or not _uses(after.shm, file):
        raise DatabaseUnavailable(
            f"{place.wal} or its -shm was removed while the server was running, and"
            " another part of this process still has it open. Restart the server."
        )
    return after


def _uses(shm: File, database: File) -> bool:
    """Tell whether this process uses *shm* as the index of the *database*'s WAL.

    SQLite goes on with the one that the process has open already, also if that was
    removed. True where the system does not tell.
    """
    return descriptor_of(shm) is not None or descriptor_of(database) is None


def _use_wal(connection: Connection, busy_timeout: float) -> None:
    """Switch the file to WAL mode if it is not in it.

    While another process does the same, SQLite reports "locked" at once, without
    waiting for the busy timeout: seen once in 2,400 first requests.
    """
    for _ in tries(busy_timeout, _PAUSE):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if not is_locked(error):
                raise
            locked = error
    raise locked
