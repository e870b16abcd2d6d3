"""Temporary files, and memory in their place where none can be made.

A container with a read-only file system may have no folder for them.
"""

from __future__ import annotations

import errno
import io
import os
import shutil
import tempfile
from typing import IO

#: The most bytes that are kept in memory where there is no temporary folder.
MOST_IN_MEMORY = 32 * 1024 * 1024

REMEDY = "Set TMPDIR to a folder that the server's user may write."


class TemporaryFile(tempfile.SpooledTemporaryFile):  # type: ignore[type-arg]
    """A file in memory that goes to a folder when it grows, if there is one.

    The folder is looked for only then, and once: most pages of a listing never need it,
    and each further write would look for it again, which takes 90 µs.
    """

    _why: str | None = None  # why it stays in memory

    def rollover(self) -> None:
        """Go to a file, or stay in memory. Raises OSError if there is no room."""
        self._why = self._why or no_temporary_folder()
        if self._why is None:
            super().rollover()
        elif self.tell() > MOST_IN_MEMORY:
            raise _no_room(self._why)


def no_temporary_folder() -> str | None:
    """Return why temporary files cannot be made, naming the folder; None if they can.

    Python looks for a folder once, and stays with what it has found.
    """
    try:
        folder = tempfile.gettempdir()
    except FileNotFoundError as error:
        return str(error.strerror)
    if os.access(folder, os.W_OK | os.X_OK):
        return None
    return f"the temporary folder {folder} cannot be written"


def copy_of(source: IO[bytes]) -> IO[bytes]:
    """Return a temporary file with what is in *source*. Raises OSError."""
    why = no_temporary_folder()
    if why is not None:
        content = source.read(MOST_IN_MEMORY + 1)
        if len(content) > MOST_IN_MEMORY:
            raise _no_room(why)
        return io.BytesIO(content)
    copy = tempfile.TemporaryFile()
    try:
        shutil.copyfileobj(source, copy)
    except BaseException:
        copy.close()
        raise
    return copy


def _no_room(why: str) -> OSError:
    return OSError(errno.ENOSPC, f"{why}, and it is too large for memory")
