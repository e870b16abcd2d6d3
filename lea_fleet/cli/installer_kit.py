"""The files of the installer kit, for one server and with one enrollment token."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.resources import files
from pathlib import Path

from ..core.files import make_folder, whole_files

#: Where the scripts and setup.exe look for the enrollment token.
TOKEN_FILE = "lea-enroll-token.txt"

#: Replaced in the files by the URL of the API.
_PLACEHOLDER = b"https://rpa.example.com/api/v1/agents"

#: Without characters that a shell or Inno Setup would interpret.
_URL = re.compile(
    r"https?://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(/[A-Za-z0-9._~-]+)*"
)
_LAST_PORT = 65535
_LOOPBACK = re.compile(r"http://(localhost|127\.[0-9.]+|\[::1\])(?![^:/])")


def api_url(server: str, prefix: str) -> str:
    """Return the URL of the API on *server*, with the *prefix* of its routes.

    *server* may already end with the prefix. Raises ValueError for a URL that is not
    valid, or that could not be written into every file unchanged.
    """
    url = server.rstrip("/")
    if not url.endswith(prefix):
        url += prefix
    match = _URL.fullmatch(url)
    if not match:
        raise ValueError(
            "must be http or https, a host, an optional port, and a path of letters,"
            " digits and the characters . _ ~ -"
        )
    if match[2] and not 1 <= int(match[2][1:]) <= _LAST_PORT:
        raise ValueError(f"{match[2][1:]} is not a port: those are 1 to {_LAST_PORT}")
    return url


def is_open_to_listeners(url: str) -> bool:
    """Tell whether others on the network can read what is sent to *url*."""
    return url.startswith("http://") and not _LOOPBACK.match(url)


def kit_files(url: str, token: str) -> dict[str, bytes]:
    """Return the files of the kit by name, for the server at *url*."""
    kit = {
        file.name: file.read_bytes().replace(_PLACEHOLDER, url.encode("ascii"))
        for file in files("lea_fleet").joinpath("installer").iterdir()
        if file.is_file()
    }
    return {**dict(sorted(kit.items())), TOKEN_FILE: f"{token}\n".encode("ascii")}


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
    mode = 0o770 if content.startswith(b"#!") else 0o660
    path.touch(mode=0o600 if path.name == TOKEN_FILE else mode)
    path.write_bytes(content)
