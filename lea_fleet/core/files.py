"""Write files that are whole on the disk before they get their names."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def whole_files(folder: Path) -> Iterator[Path]:
    """Yield a private folder whose files are moved into *folder* at the end.

    They are on the disk by then, and replace files of the same names. Where the
    context fails, none is moved, and nothing is left behind. Raises OSError.
    """
    work = Path(tempfile.mkdtemp(prefix=".lea-fleet-", dir=folder))
    try:
        yield work
        made = list(work.iterdir())
        for file in made:
            with file.open("rb+") as written:  # Windows flushes no file that is read
                os.fsync(written.fileno())
        for file in made:
            os.replace(file, folder / file.name)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    with suppress(OSError):  # Windows opens no folders
        _flush_names(folder)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield an empty file, readable by its owner alone, that becomes *path*.

    As :func:`whole_files` does it; a file that is deleted meanwhile replaces nothing.
    """
    with whole_files(path.parent) as work:
        new = work / path.name
        new.touch(mode=0o600)
        yield new


def _flush_names(folder: Path) -> None:
    """Let the names in *folder* survive a loss of power."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
