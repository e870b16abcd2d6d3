"""Who keeps the database locked, as Linux knows it."""

from __future__ import annotations

import os
import re
from pathlib import Path

_LOCKS = Path("/proc/locks")

#: A lock in /proc/locks: the process, the file, the first byte.
_WRITE_LOCK = re.compile(r"^\d+: POSIX +\w+ +WRITE (\d+) (\S+) (\d+) ", re.MULTILINE)

#: Where SQLite's writers lock the -shm (wal.c), and the file itself (os.h).
_OF_LOG = {"120"}
_OF_FILE = {str(0x40000000 + byte) for byte in range(3)}


def lockers(path: Path) -> list[int]:
    """Return the ids of the processes that lock the database at *path* for writing.

    None where they are not known: on other systems, or in another container.
    """
    try:
        locks = _LOCKS.read_text("utf-8")
        bytes_of = {_name(f"{path}-shm"): _OF_LOG, _name(f"{path}"): _OF_FILE}
    except OSError:
        return []
    found = _WRITE_LOCK.findall(locks)
    return sorted(
        {int(pid) for pid, file, byte in found if byte in bytes_of.get(file, ())}
    )


def _name(path: str) -> str:
    """Return what /proc/locks calls the file, which may not be there."""
    if not os.path.exists(path):
        return path
    found = os.stat(path)
    major, minor = os.major(found.st_dev), os.minor(found.st_dev)
    return f"{major:02x}:{minor:02x}:{found.st_ino}"
