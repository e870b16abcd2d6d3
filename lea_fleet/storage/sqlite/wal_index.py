"""Read the index of a WAL (``-shm``), which SQLite shares between processes.

It is read through the descriptor that SQLite has open: if this process closed one of
its own, all its locks on the file would go (POSIX).
"""

from __future__ import annotations

import logging
import os
import struct
import sys
from contextlib import suppress
from typing import NamedTuple

from .files import File, Place

logger = logging.getLogger("lea_fleet")

#: Bytes from which on a WAL is large: a checkpoint should have come at an eighth.
LARGE = 64_000_000

#: Pages in the WAL from which on it is written into the database: 8 MB. Each checkpoint
#: waits for the disk, but a WAL that fills the disk can never be checkpointed.
WAL_PAGES = 2000

#: Pages after which it is tried again, if a reader or writer was in the way.
_PAGES_MORE = 100

#: Where the system lists the descriptors of this process.
_LISTS = {"linux": "/proc/self/fd", "darwin": "/dev/fd"}

#: Of the header (wal.c): szPage, mxFrame, aSalt, and nBackfill behind its second copy.
_INDEX = struct.Struct("=14xHI12x8s56xI")

#: The descriptors under which files were found.
_found: dict[File, int] = {}
_MOST_FOUND = 16


class Frames(NamedTuple):
    """How many frames, of one page each, are *written* to a WAL and how many *saved*.

    The saved ones have been copied into the database by a checkpoint. Once all
    are and nobody reads them, the WAL begins anew, with another *salt*.
    """

    page_size: int
    written: int
    salt: bytes
    saved: int

    @property
    def size(self) -> int:
        """The bytes that they take, which a WAL's file may exceed by old frames."""
        return self.written * ((self.page_size if self.page_size > 1 else 65536) + 24)

    def have_saved(self, earlier: Frames) -> bool:
        """Tell whether what had been written *earlier* is saved now."""
        return self.salt != earlier.salt or self.saved >= earlier.written


class WalUse:
    """What the connections of one pool know of the WAL. *acknowledged*: None at first.

    It has the frames after the last commit that was found to be in the right files.
    """

    acknowledged: Frames | None = None
    _is_large = False
    _tried: Frames | None = None

    def is_due(self, frames: Frames | None) -> bool:
        """Tell whether a WAL with these *frames* is to be written into the database."""
        if frames is None or frames.written < WAL_PAGES:
            return False
        if frames.saved >= frames.written:
            return False
        tried = self._tried
        if tried is not None and tried.salt == frames.salt:
            if frames.written < tried.written + _PAGES_MORE:
                return False
        self._tried = frames
        return True

    def watch(self, shm: File | None, place: Place) -> Frames | None:
        """Log a warning when the WAL has become large; return its frames."""
        frames = frames_of(shm) if shm else None
        is_large = frames is not None and frames.size > LARGE
        if frames is not None and is_large and not self._is_large:
            logger.warning(
                "%s has grown to %d MB: a reader of the database that does not end"
                " keeps it from being written anew. Find its process (lsof %s), and"
                " stop it.",
                place.wal,
                frames.size // 1_000_000,
                place.file,
            )
        self._is_large = is_large
        return frames


def can_tell() -> bool:
    """Tell whether this system lists the files that a process has open."""
    return sys.platform in _LISTS


def descriptor_of(file: File) -> int | None:
    """Return a descriptor under which this process has *file* open, or None."""
    known = _found.get(file)
    if known is not None and _is(known, file):
        return known
    if len(_found) >= _MOST_FOUND:
        _found.clear()
    if not can_tell():
        return None
    for name in os.listdir(_LISTS[sys.platform]):
        if _is(int(name), file):
            _found[file] = int(name)
            return int(name)
    return None


def frames_of(shm: File) -> Frames | None:
    """Return the frames by the index *shm*; None if this process has not opened it."""
    descriptor = descriptor_of(shm)
    if descriptor is None:
        return None
    with suppress(OSError, struct.error):  # closed, or not written yet
        return Frames(*_INDEX.unpack(os.pread(descriptor, _INDEX.size, 0)))
    return None


def _is(descriptor: int, file: File) -> bool:
    try:
        stat = os.fstat(descriptor)
    except OSError:
        return False
    return (stat.st_dev, stat.st_ino) == file
