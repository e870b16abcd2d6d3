"""Check the database's files from outside: nothing is opened here."""

from __future__ import annotations

import os
import shlex
import shutil
import stat
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ....core.findings import CannotCheck, Checks, Verdict, fault, ok, warning
from ....core.temporary import REMEDY, no_temporary_folder
from ..files import may
from ..permissions import user_name
from ..temporary import can_sort_in_files
from ..wal_index import LARGE, frames_of
from .lockers import users_of_removed
from .mounts import file_system

RUN_AS_SERVER = (
    "Run the doctor as the server's user; if you did, allow that user to read and write"
    " all of the database's files and their folder."
)

_PLACE = (
    "Set RPA_AGENTS_DB_PATH to a folder in which the server's user may make files, and"
    " run the doctor as that user."
)

_MB = 1_000_000
_TOO_LITTLE = 100 * _MB
_LITTLE = 500 * _MB


@dataclass(frozen=True)
class Database:
    """The files of the database at *path*, links followed; None for a missing one.

    *trouble* is why it is not known whether they exist.
    """

    path: Path
    file: os.stat_result | None
    wal: os.stat_result | None
    shm: os.stat_result | None
    trouble: str = ""

    def required(self) -> os.stat_result:
        """Return the status of the database's file. Raises CannotCheck without one."""
        if self.file is None:
            raise CannotCheck(self.trouble or "there is no database")
        if not self.is_file:
            raise CannotCheck("it is not a file")
        return self.file

    @property
    def is_file(self) -> bool:
        return self.file is not None and stat.S_ISREG(self.file.st_mode)

    @property
    def wal_path(self) -> Path:
        return Path(f"{self.path}-wal")

    @property
    def shm_path(self) -> Path:
        return Path(f"{self.path}-shm")


def look(path: Path) -> Database:
    """Return the files of the database at *path*."""
    real = str(path)
    try:
        real = os.path.realpath(path)  # SQLite puts the WAL beside the file itself
        file, wal, shm = _stat(real), _stat(f"{real}-wal"), _stat(f"{real}-shm")
    except OSError as error:  # this user may not look, or the name is not valid
        trouble = f"{error.filename}: {error.strerror}"
        return Database(Path(real), None, None, None, trouble)
    return Database(Path(real), file, wal, shm)


def file_checks(database: Database) -> Checks:
    """Return the checks that only look at the files."""
    return {
        "file": lambda: _file(database),
        "permissions": lambda: _permissions(database),
        "log_owner": lambda: _owners(database),
        "log_removed": lambda: _removed_wal(database),
        "log_size": lambda: _wal_size(database),
        "free_space": lambda: _space(database),
        "file_system": lambda: file_system(database.path),
        "temporary_folder": _temporary_folder,
    }


def nearest_folder(path: Path) -> Path:
    """Return the nearest folder above *path* that exists."""
    return next(folder for folder in path.parents if os.path.isdir(folder))


def size(count: int) -> str:
    """Return *count* bytes for people, in decimal units."""
    for unit, length in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= length:
            return f"{count / length:.1f} {unit}"
    return f"{count} bytes"


def _stat(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _file(database: Database) -> Verdict:
    path = database.path
    if database.file is None:
        return _no_file(database)
    if not database.is_file:
        return fault(
            f"{path} is not a file", "Set RPA_AGENTS_DB_PATH to the path of a file."
        )
    rights = [
        ("read it", path, os.R_OK),
        ("write it", path, os.W_OK),
        ("make files beside it", path.parent, os.W_OK | os.X_OK),
    ]
    if database.wal is not None:
        rights.append(("write its -wal", database.wal_path, os.R_OK | os.W_OK))
    if database.shm is not None:
        rights.append(("write its -shm", database.shm_path, os.R_OK | os.W_OK))
    lacking = [what for what, where, how in rights if not may(where, how)]
    if lacking:
        return fault(
            f"{path}: this user may not {', nor '.join(lacking)}", RUN_AS_SERVER
        )
    return ok(f"{path}, {size(database.file.st_size)}, readable and writable")


def _no_file(database: Database) -> Verdict:
    path = database.path
    if database.trouble:
        return fault(database.trouble, RUN_AS_SERVER)
    if database.wal is not None:
        return fault(
            f"{path} does not exist, but {database.wal_path} does",
            "Put back the database that this WAL belongs to, or remove the WAL.",
        )
    folder = nearest_folder(path)
    made = path if folder == path.parent else folder / path.relative_to(folder).parts[0]
    if os.path.lexists(made) or not may(folder, os.W_OK | os.X_OK):
        return fault(f"{path} does not exist, and cannot be made in {folder}", _PLACE)
    if folder == path.parent:
        return fault(
            f"{path} does not exist",
            "Put it back if it was moved; else the first request makes it.",
        )
    return warning(
        f"{path} does not exist, nor does its folder",
        "The first request makes them; if there was one, check that its disk is"
        " mounted.",
    )


def _permissions(database: Database) -> Verdict:
    there = [database.required(), *([database.wal] if database.wal else [])]
    if sys.platform == "win32":
        return ok("not checked on Windows")
    modes = [stat.S_IMODE(found.st_mode) for found in there]
    folders = [os.stat(folder).st_mode for folder in database.path.parents]
    return exposure(database.path, modes, folders)


def exposure(path: Path, modes: list[int], folders: list[int]) -> Verdict:
    """Judge the *modes* of the files at *path*, in *folders* of those modes."""
    reached = all(mode & stat.S_IXOTH for mode in folders)
    others = {mode & (stat.S_IROTH | stat.S_IWOTH) for mode in modes if reached}
    shown = f"mode {modes[0]:04o}"
    files = f"chmod o-rw {shlex.quote(str(path))}*"
    if any(mode & stat.S_IWOTH for mode in others):
        return fault(f"{shown}: every user of this computer may write it", files)
    if any(others):
        return warning(
            f"{shown}: every user of this computer may read it, and it names people",
            files,
        )
    return ok(f"{shown}, closed to other users")


def _owners(database: Database) -> Verdict:
    owner = database.required().st_uid
    strangers = [
        f"{database.path.name}{ending} belongs to {user_name(found.st_uid)}"
        for ending, found in (("-wal", database.wal), ("-shm", database.shm))
        if found is not None and found.st_uid != owner
    ]
    if strangers:
        return fault(
            f"{', '.join(strangers)}, the database to {user_name(owner)}",
            f"chown --reference={shlex.quote(str(database.path))}"
            f" {shlex.quote(str(database.path))}-*  and run commands as that user.",
        )
    return ok(f"all files belong to {user_name(owner)}")


def _removed_wal(database: Database) -> Verdict:
    database.required()
    users = users_of_removed(database.path)
    if not users:
        return ok("no process is known to use a WAL that was removed")
    told = " and ".join(f"process {pid}" for pid in users)
    return fault(
        f"{told} still uses a WAL that was removed while it was running",
        "It saves what is in that WAL and opens the database anew with its next"
        " request; if it answers 503 instead, restart it when it says that all is"
        " saved. Let nothing in the server's process open the database's files.",
    )


def _wal_size(database: Database) -> Verdict:
    length = database.required().st_size
    if database.wal is None:
        return ok("there is no WAL at present")
    wal = database.wal.st_size
    frames = frames_of((shm.st_dev, shm.st_ino)) if (shm := database.shm) else None
    if frames and frames.size <= LARGE < wal:
        return ok(f"{size(wal)}, of which {size(frames.size)} are in use")
    if frames and frames.saved == frames.written:
        return ok(f"{size(wal)}, written back: the next commit begins it anew")
    if wal > max(LARGE, length):
        return warning(
            f"{size(wal)}, more than the database: a reader keeps it from being"
            " written back, or did until the last commit",
            "Stop the process that has it open"
            f" (lsof {shlex.quote(str(database.path))}); if none has, the server's next"
            " commits write it back.",
        )
    return ok(size(wal))


def _space(database: Database) -> Verdict:
    if database.trouble:
        raise CannotCheck(database.trouble)
    folder = nearest_folder(database.path)
    free = shutil.disk_usage(folder).free
    there = [found for found in (database.file, database.wal) if found is not None]
    return space(folder, free, sum(found.st_size for found in there))


def space(folder: Path, free: int, used: int) -> Verdict:
    """Judge *free* bytes on the disk of *folder*, for files of *used* bytes."""
    action = f"Free space on the disk of {folder}."
    if free < _TOO_LITTLE:
        return fault(f"{size(free)} free: writing will soon fail", action)
    if free < max(_LITTLE, used):
        return warning(f"{size(free)} free, {size(used)} used: no room to copy", action)
    return ok(f"{size(free)} free")


def _temporary_folder() -> Verdict:
    why = no_temporary_folder()
    if why is None and not can_sort_in_files():
        why = "SQLite finds no folder for temporary files"
    if why is None:
        return ok(f"{tempfile.gettempdir()} can be written")
    return warning(
        f"{why}: listings of over 32 MB fail, the others take memory", REMEDY
    )
