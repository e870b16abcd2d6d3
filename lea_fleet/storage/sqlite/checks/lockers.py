"""Find the processes that lock the database, or lost a file of it, on Linux."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

_LOCKS = Path("/proc/locks")
_PROCESSES = Path("/proc")

#: A lock in /proc/locks: process, file, first byte.
_WRITE_LOCK = re.compile(r"^\d+: POSIX +\w+ +WRITE (\d+) (\S+) (\d+) ", re.MULTILINE)

#: The bytes that SQLite's writers lock in the -shm (wal.c) and in the file (os.h).
_OF_SHM = {"120"}
_OF_FILE = {str(0x40000000 + byte) for byte in range(3)}


def lockers(path: Path) -> list[int]:
    """Return the ids of the processes that lock the database at *path* for writing.

    The list is empty where they are not known: on other systems, in other containers.
    """
    try:
        locks = _LOCKS.read_text("utf-8")
        bytes_of = {_name(f"{path}-shm"): _OF_SHM, _name(f"{path}"): _OF_FILE}
    except OSError:
        return []
    found = _WRITE_LOCK.findall(locks)
    return sorted(
        {int(pid) for pid, file, byte in found if byte in bytes_of.get(file, ())}
    )


def users_of_removed(path: Path) -> list[int]:
    """Return the ids of the processes that have a removed WAL of *path* open.

    The list is empty where they are not known: on other systems, of other users.
    """
    removed = {f"{path}-wal (deleted)", f"{path}-shm (deleted)"}
    return sorted(
        int(process.name)
        for process in _PROCESSES.glob("[0-9]*")
        if removed & _open_files(process)
    )


def _open_files(process: Path) -> set[str]:
    found = set()
    with suppress(OSError):  # it ended, or is another user's
        for descriptor in os.listdir(process / "fd"):
            with suppress(OSError):
                found.add(os.readlink(process / "fd" / descriptor))
    return found


def _name(path: str) -> str:
    """Return the name of the file in /proc/locks; the file may not exist."""
    if not os.path.exists(path):
        return path
    found = os.stat(path)
    major, minor = os.major(found.st_dev), os.minor(found.st_dev)
    return f"{major:02x}:{minor:02x}:{found.st_ino}"
