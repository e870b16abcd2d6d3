"""The files of a database, told apart by what the system calls them."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from ...core.problems import DatabaseUnavailable

#: What os.stat() calls the same file: its device and its number there.
File = tuple[int, int]

#: A file that a fleet is being moved to is called so until it is complete, and what a
#: move was taken back from is called so afterwards.
UNFINISHED = "-lea-moving"
UNDONE = "-undone"


class Files(NamedTuple):
    """A database's files; None for one that is not there."""

    database: File | None
    wal: File | None
    shm: File | None


class Place(NamedTuple):
    """Where a database is: the *path* to it, and the *file* that it leads to.

    They differ by symbolic links. SQLite keeps the WAL and its index beside the file.
    """

    path: Path
    file: Path
    watched: tuple[str, str, str]
    entry: File | None  # what the path itself is: a link, or the file

    def __str__(self) -> str:
        if self.path == self.file:
            return str(self.path)
        return f"{self.path} (a link to {self.file})"

    @property
    def wal(self) -> str:
        return self.watched[1]

    @property
    def folder(self) -> str:
        return os.path.dirname(self.watched[1])

    def is_same_entry(self) -> bool:
        """Tell whether the path still is the same link, or the same file."""
        return identity(self.path, follow=False) == self.entry


def place_of(path: Path) -> Place:
    """Follow the links at *path*, also if they lead to a file that is not there."""
    file = os.path.realpath(path)
    # The database by its path, which tells for nothing if a link leads elsewhere now.
    watched = (str(path), f"{file}-wal", f"{file}-shm")
    return Place(path, Path(file), watched, identity(path, follow=False))


def files_at(place: Place) -> Files:
    """Return which files the database at *place* has now."""
    found: list[File | None] = []
    for file in place.watched:  # not by identity(): each request looks at all three
        try:
            stat = os.stat(file)
        except OSError:
            found.append(None)
        else:
            found.append((stat.st_dev, stat.st_ino))
    return Files(*found)


def identity(path: Path, *, follow: bool = True) -> File | None:
    """Return which file is at *path*, or None; unless *follow*, of a link itself."""
    try:
        stat = os.stat(path, follow_symlinks=follow)
    except OSError:
        return None
    return stat.st_dev, stat.st_ino


def has_database(path: Path) -> bool:
    """Return whether a database has been begun at *path*: not in an empty file.

    Raises DatabaseUnavailable if this user may not look.
    """
    try:
        if os.stat(path).st_size:
            return True
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise DatabaseUnavailable(
            f"{path} cannot be read: {error.strerror}."
        ) from error
    return os.path.exists(place_of(path).wal)  # all of it may be there


def size_of(path: str) -> int:
    """Return the bytes of the file at *path*; 0 where there is none."""
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def is_writable(path: Path) -> bool:
    """Tell whether this process may write the file, without opening it."""
    return may(path, os.W_OK)


def may(path: Path, how: int) -> bool:
    """Tell what :func:`os.access` does, for the effective user where it can."""
    return os.access(path, how, effective_ids=os.access in os.supports_effective_ids)


def is_part_of(file: Path, database: Path) -> bool:
    """Tell whether *file* is the database, or a file that belongs to it."""
    return any(_same(file, Path(name)) for name in place_of(database).watched)


def _same(file: Path, other: Path) -> bool:
    with suppress(OSError):
        return os.path.samefile(file, other)
    return os.path.realpath(file) == os.path.realpath(other)
