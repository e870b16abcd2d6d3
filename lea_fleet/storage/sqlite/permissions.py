"""Who may use the files that we make: nobody else, and always the database's owner.

SQLite gives a -wal and a -shm the mode of their database, and their owner where root
makes them; any other user's belong to that user.
"""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

from ...core.files import make_folder
from ...core.problems import DatabaseUnavailable

#: The mode of a new database, of which the umask takes what it takes. The group keeps
#: the rest, since an older server may have another user.
_MODE = 0o660


def make_database_file(path: Path) -> None:
    """Make an empty file at *path*, and its folders, all closed to other users.

    SQLite itself would let every user of the computer read it under the usual umask.
    A file that is there is left alone. Raises DatabaseUnavailable.
    """
    try:
        make_folder(path.parent)
    except OSError as error:
        raise DatabaseUnavailable(
            f"The folder {path.parent} cannot be created: {error.strerror}."
        ) from error
    try:
        _make_file(path)
    except FileExistsError:  # another process was faster
        return
    except OSError as error:
        raise DatabaseUnavailable(
            f"{path} cannot be created: {error.strerror}."
        ) from error


def _make_file(path: Path) -> None:
    try:
        # This opens nothing: closing a file would drop the locks that SQLite may hold
        # on it in another thread by then (POSIX).
        os.mknod(path, stat.S_IFREG | _MODE)
    except (AttributeError, PermissionError):  # Windows; macOS, unless for root
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, _MODE))


def refuse_to_shut_out_owner(path: Path) -> None:
    """Refuse to open the database as a user whose files its owner could not write.

    With another user's -wal or -shm beside it, each write of the server fails, until
    somebody removes them. Of a database that is not there yet, the owner is who owns
    the folder. Raises DatabaseUnavailable.
    """
    if not path.exists():
        _refuse_to_make_for_another(path)
    elif shuts_out_owner(path):
        owner = user_name(os.stat(path).st_uid)
        raise DatabaseUnavailable(
            f"{path} belongs to {owner}, who could not write the -wal and -shm that"
            f" SQLite would make for this user. Run the command as {owner}."
        )


def _refuse_to_make_for_another(path: Path) -> None:
    if sys.platform == "win32":
        return
    folder = next(each for each in path.resolve().parents if each.exists())
    around = os.stat(folder)
    if around.st_uid in (0, os.geteuid()):  # root's may be anybody's
        return
    group = _group_of_new(around, os.getegid())
    if _MODE & ~_umask() & stat.S_IWGRP and group in _groups_of_owner(around):
        return
    owner = user_name(around.st_uid)
    raise DatabaseUnavailable(
        f"The folder {folder} belongs to {owner}, who could not write a database that"
        f" this user makes there. Run the command as {owner}."
    )


def shuts_out_owner(path: Path) -> bool:
    """Tell whether the owner could not write what SQLite would make beside *path*."""
    try:
        path = path.resolve(strict=True)  # SQLite makes them beside the file itself
        file, folder = os.stat(path), os.stat(path.parent)
    except OSError:  # opening it reports that
        return False
    if all(os.path.exists(f"{path}{ending}") for ending in ("-wal", "-shm")):
        return False  # nothing is made: another process has it open
    if sys.platform == "win32":
        return False
    return not owner_may_write(file, folder, os.geteuid(), os.getegid())


def owner_may_write(
    file: os.stat_result, folder: os.stat_result, user: int, group: int
) -> bool:
    """Tell whether the owner of *file* may write a -wal that *user* makes in *folder*.

    *group* is the one that the user acts for.
    """
    if user in (0, file.st_uid) or file.st_mode & stat.S_IWOTH:
        return True
    group = _group_of_new(folder, group)
    return bool(file.st_mode & stat.S_IWGRP) and group in _groups_of_owner(file)


def _group_of_new(folder: os.stat_result, group: int) -> int:
    """Return the group of a file that is made in *folder* by who acts for *group*."""
    if folder.st_mode & stat.S_ISGID or sys.platform == "darwin":
        return folder.st_gid
    return group


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def user_name(number: int) -> str:
    """Return the name of the user with that *number*."""
    try:
        import pwd

        return pwd.getpwuid(number).pw_name
    except (ImportError, KeyError):  # Windows, or no such user
        return f"user {number}"


def _groups_of_owner(file: os.stat_result) -> list[int]:
    import pwd  # not on Windows

    try:
        owner = pwd.getpwuid(file.st_uid)
    except KeyError:  # as in some containers
        return [file.st_gid]
    return os.getgrouplist(owner.pw_name, owner.pw_gid)
