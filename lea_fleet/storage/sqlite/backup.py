"""Copy the database while it is in use."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from ...core.files import whole_file
from ..administration import BackupFailed, Progress

#: Pages copied between two reports of progress: 4 MB.
_PAGES = 1000


def back_up(source: sqlite3.Connection, file: Path, progress: Progress) -> int:
    """Copy the snapshot of *source* into *file*; return its size in bytes.

    With SQLite's own backup API, consistent however long it takes, while others read
    and write. The copy is checked, needs no WAL beside it, and is complete and on the
    disk before it is named *file*. Only its owner may read it. Raises BackupFailed.
    """
    with _faults_reported(file), whole_file(file) as unfinished:
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


def _check(copy: sqlite3.Connection) -> None:
    (answer,) = copy.execute("PRAGMA integrity_check(1)").fetchone()
    if answer != "ok":
        raise BackupFailed(f"The database is damaged: {answer}.")


@contextmanager
def _faults_reported(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BackupFailed(f"{file} cannot be written: {error.strerror}.") from error
    except sqlite3.Error as error:
        raise BackupFailed(f"The copy for {file} failed: {error}.") from error
