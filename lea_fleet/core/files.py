"""Write files atomically: synced to disk in full, then moved into place."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def whole_files(folder: Path) -> Iterator[Path]:
    """Yield a private folder whose files are moved into *folder* at the end.

    The files are synced to disk first, and replace files of the same names. If the
    context raises, no file is moved, and the private folder is removed. Raises OSError.
    """
    work = Path(tempfile.mkdtemp(prefix=".lea-fleet-", dir=folder))
    try:
        yield work
        made = list(work.iterdir())
        for file in made:
            with file.open("rb+") as written:  # Windows syncs writable files only
                os.fsync(written.fileno())
        for file in made:
            os.replace(file, folder / file.name)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    with suppress(OSError):  # Windows cannot open folders
        _flush_names(folder)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield an empty file, readable by its owner only, that becomes *path*.

    It is moved as by :func:`whole_files`; if the caller deletes it, *path* stays.
    """
    with whole_files(path.parent) as work:
        new = work / path.name
        new.touch(mode=0o600)
        yield new


def name_new(file: Path, path: Path) -> None:
    """Give *file*, which is synced to disk, the name *path*, unless that is taken.

    Raises OSError: FileExistsError if there is something at *path*.
    """
    try:
        os.link(file, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, "File exists", str(path)) from None
        os.rename(file, path)
    else:
        os.unlink(file)
    with suppress(OSError):  # Windows cannot open folders
        _flush_names(path.parent)


def make_folder(path: Path) -> None:
    """Make a folder, and those above it that are missing, closed to other users.

    The umask says what the group may. Folders that are there are left alone. Raises
    OSError.
    """
    if os.path.isdir(path):
        return
    make_folder(path.parent)
    try:
        os.mkdir(path, 0o770)
    except FileExistsError:
        if not os.path.isdir(path):  # else another process was faster
            raise


def _flush_names(folder: Path) -> None:
    """Sync *folder* to disk, so that new names in it survive a loss of power."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
