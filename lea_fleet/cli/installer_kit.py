"""Write the installer kit into a folder, all of it or nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from ..app.installer_kit import TOKEN_FILE, is_script
from ..core.files import make_folder, whole_files


def in_the_way(folder: Path, names: Mapping[str, bytes], *, force: bool) -> list[str]:
    """Return which of *names* may not be written into *folder*.

    With *force*, a file may be overwritten; a folder of that name never.
    """
    if force:
        return [name for name in names if (folder / name).is_dir()]
    return [name for name in names if os.path.lexists(folder / name)]


@contextmanager
def written(folder: Path, kit: Mapping[str, bytes]) -> Iterator[None]:
    """Write *kit* into *folder*, if the context succeeds; otherwise leave nothing.

    The disk has room for it when the context begins. Raises OSError.
    """
    was_there = folder.exists()
    make_folder(folder)
    try:
        with whole_files(folder) as work:
            for name, content in kit.items():
                _write(work / name, content)
            yield
    finally:
        if not was_there:
            with suppress(OSError):  # not empty, as it should be
                folder.rmdir()


def _write(path: Path, content: bytes) -> None:
    """Write a file, executable if it is a script, private if it holds the token.

    Other users get nothing, and the group what the umask says.
    """
    mode = 0o770 if is_script(content) else 0o660
    path.touch(mode=0o600 if path.name == TOKEN_FILE else mode)
    path.write_bytes(content)
