"""Detect a missing or mismatched WAL before it is used.

SQLite finds the WAL by its name alone, and would read an old file's into a new one.
"""

from __future__ import annotations

import os
import sqlite3
import struct
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from ...core.problems import DatabaseUnavailable
from .errors import tries
from .files import File, Files, Place, size_of
from .wal_index import Frames, descriptor_of, frames_of

if TYPE_CHECKING:
    from .connection import Connection

_SAVED = "Restart the server: what was in that WAL is saved."
_NOT_SAVED = "Do not stop the server yet: what was in that WAL is not saved."

#: Seconds between two tries, since SQLite does not wait by itself there.
_PAUSE = 0.01

#: Seconds for which another process may take to make or to remove its WAL.
_LONGEST_WAIT = 0.2

#: The bytes of the database that each open connection has a lock on (os.h).
_SHARED = 0x40000002, 510

#: In the file's header: 2 in WAL mode.
_READ_VERSION = 19

#: struct flock, and where its l_type is. Not known of other systems.
_FLOCKS = {"linux": ("hhqqi", 0), "darwin": ("qqihh", 3)}


def refuse_wrong_wal(opened: Files, place: Place, now: Files) -> None:
    """Refuse a database that was replaced, if its WAL is still that of the former file.

    A connection, which must stay open, *opened* other files than there are *now*:
    while it is open, no other file gets the inode of the old WAL. Raises
    DatabaseUnavailable.
    """
    if now.wal is not None and now.wal == opened.wal and size_of(place.wal):
        raise DatabaseUnavailable(
            f"{place} was replaced while the server was running, and {place.wal}"
            " still belongs to the file before. Stop the server, remove that WAL"
            " and its -shm, and start again."
        )


def refuse_second_wal(place: Place, file: File) -> None:
    """Refuse to make a -wal or -shm while other processes use those that were before.

    They were removed from under these processes. With two of a kind, the process that
    closes the database last would save frames of its own WAL by the other's index, or
    remove the other's WAL unsaved. This one has opened *file*, and read nothing yet.
    Raises DatabaseUnavailable.
    """
    for _ in tries(_LONGEST_WAIT, _PAUSE):
        if all(map(os.path.exists, place.watched[1:])):
            return
        if not _is_used_elsewhere(file):
            return
    raise DatabaseUnavailable(
        f"{place.wal} or its -shm was removed while another process was using it. It is"
        " made anew when no process uses what was removed: restart all servers."
    )


def save_removed_wal(
    connection: Connection, place: Place, now: Files, acknowledged: Frames | None
) -> None:
    """Save what is in a WAL that was removed, for *connection* to be closed.

    SQLite itself removes the WAL and its index, once saved, if a host dropped the locks
    of this process by opening and closing the database's file: then all is well again
    when no connection here uses them. If somebody removed one of the two, or moved the
    database, other processes may go on with the other one. *acknowledged* are the
    frames at this process's last commit. Raises DatabaseUnavailable.
    """
    opened = connection.files
    if connection.place.file != place.file:
        raise DatabaseUnavailable(
            f"{connection.place} was moved to {place.file} while the server was"
            f" running; its WAL is still {connection.place.wal}. Stop all servers,"
            " which saves what is in it, and start them again."
        )
    saved = _save(connection, opened, now, acknowledged)
    if saved and not {now.wal, now.shm} & {opened.wal, opened.shm} - {None}:
        return
    raise DatabaseUnavailable(
        f"{place.wal} or its -shm was removed while the server was running. "
        + (_SAVED if saved else _NOT_SAVED)
    )


def _save(
    connection: Connection, opened: Files, now: Files, acknowledged: Frames | None
) -> bool:
    """Write what is in a removed WAL into the database; tell whether all of it is.

    Where another process has made another WAL by *now*, what it writes must not be
    overwritten: then it is enough that nothing is lost that was acknowledged.
    """
    frames = opened.shm and frames_of(opened.shm)
    if frames and frames.saved == frames.written:
        return True
    if not {now.wal, now.shm} <= {None, *opened}:
        return bool(frames and acknowledged and frames.have_saved(acknowledged))
    for _ in tries(connection.busy_timeout, _PAUSE):
        with suppress(sqlite3.Error):  # another connection may be saving it
            answer = connection.execute("PRAGMA wal_checkpoint").fetchone()
            busy, pages, saved = answer
            if not busy and pages == saved:
                return True
    return False


def _is_used_elsewhere(file: File) -> bool:
    """Tell whether another process has *file* open in WAL mode, as this one has."""
    descriptor = descriptor_of(file)
    if descriptor is None or sys.platform not in _FLOCKS:
        return False
    try:
        return _is_locked_in_wal_mode(descriptor)
    except OSError:  # a file system without such locks
        return False


def _is_locked_in_wal_mode(descriptor: int) -> bool:
    import fcntl  # not on Windows

    if os.pread(descriptor, 1, _READ_VERSION) != b"\2":
        return False
    form, place_of_type = _FLOCKS[sys.platform]
    start, length = _SHARED
    values = {
        "linux": (fcntl.F_WRLCK, os.SEEK_SET, start, length, 0),
        "darwin": (start, length, 0, fcntl.F_WRLCK, os.SEEK_SET),
    }
    asked = struct.pack(form, *values[sys.platform])
    told = struct.unpack(form, fcntl.fcntl(descriptor, fcntl.F_GETLK, asked))
    # Who has it alone (F_WRLCK) makes others wait, as SQLite itself reports.
    return bool(told[place_of_type] == fcntl.F_RDLCK)
