"""A copy of the database while it is in use. Connects to the copy alone."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

#: Pages that are copied between two reports of progress: 4 MB.
_PAGES = 1000

#: Called with the pages that are left, and with all there are.
Progress = Callable[[int, int], None]


class BackupFailed(Exception):
    """No backup was made, and what was there is as it was; says why."""


def back_up(source: sqlite3.Connection, file: Path, progress: Progress) -> int:
    """Copy what *source* sees, in its snapshot, into *file*; return its bytes.

    With SQLite's own backup API, of one moment however long it takes, while others
    read and write. The copy is checked, needs no log beside it, and is on the disk
    when *file* has its name: there is never half of one. It is its owner's alone to
    read. Raises BackupFailed.
    """
    with _faults_named(file), _taking_the_name_of(file) as unfinished:
        with closing(sqlite3.connect(unfinished, isolation_level=None)) as copy:
            source.backup(
                copy,
                pages=_PAGES,
                progress=lambda _, left, all_pages: progress(left, all_pages),
                sleep=0,  # no other writer can disturb it
            )
            copy.execute("PRAGMA journal_mode = DELETE")
            _check(copy)
        return unfinished.stat().st_size


@contextmanager
def _taking_the_name_of(file: Path) -> Iterator[Path]:
    """Yield a new file, which is *file* once it is written; else it is no more."""
    handle, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    unfinished = Path(name)
    try:
        try:
            yield unfinished
            os.fsync(handle)
        finally:
            os.close(handle)
        os.replace(unfinished, file)
    except BaseException:
        for end in ("", "-journal", "-wal", "-shm"):
            Path(f"{name}{end}").unlink(missing_ok=True)
        raise
    _keep_names(file.parent)


def _keep_names(folder: Path) -> None:
    """See that the names in *folder* survive a loss of power, where that can be."""
    with suppress(OSError):  # Windows opens no folders
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _check(copy: sqlite3.Connection) -> None:
    (answer,) = copy.execute("PRAGMA integrity_check(1)").fetchone()
    if answer != "ok":
        raise BackupFailed(f"The database is damaged: {answer}.")


@contextmanager
def _faults_named(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BackupFailed(f"{file} cannot be written: {error.strerror}.") from error
    except sqlite3.Error as error:
        raise BackupFailed(f"The copy for {file} failed: {error}.") from error
