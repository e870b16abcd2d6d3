"""The installer's files: for one server, with one enrolment token."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.resources import files
from pathlib import Path

#: Where the scripts and setup.exe look for the enrolment token.
TOKEN_FILE = "lea-enroll-token.txt"

#: What stands in the files for the address of the server.
_PLACEHOLDER = b"https://rpa.example.com/api/v1/agents"

#: Nothing that means something to a shell or to Inno Setup.
_URL = re.compile(
    r"https?://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(/[A-Za-z0-9._~-]+)*"
)
_LOOPBACK = re.compile(r"http://(localhost|127\.[0-9.]+|\[::1\])(?![^:/])")


def api_url(server: str, prefix: str) -> str:
    """Return the address of the API of *server*, to the end of its *prefix*.

    *server* may end with the prefix already. Raises ValueError for an address
    that cannot be, or could not stand in every file as it is.
    """
    url = server.rstrip("/")
    if not url.endswith(prefix):
        url += prefix
    if not _URL.fullmatch(url):
        raise ValueError(
            f"{url} must be http or https, a host, a port if need be, and a path of"
            " letters, digits and the characters . _ ~ -"
        )
    return url


def is_open_to_listeners(url: str) -> bool:
    """Tell whether others on the network may read what is sent to *url*."""
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
    """Leave *kit* in *folder* if the context ends well, and otherwise nothing.

    It is on the disk before the context begins. Raises OSError.
    """
    was_there = folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        work = Path(tempfile.mkdtemp(prefix=".lea-fleet-", dir=folder))
        try:
            for name, content in kit.items():
                _write(work / name, content)
            yield
            for name in kit:
                os.replace(work / name, folder / name)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    finally:
        if not was_there:
            with suppress(OSError):  # not empty, as it should be
                folder.rmdir()


def _write(path: Path, content: bytes) -> None:
    """Write a file that is executable if it is a script, and secret if it must be."""
    path.touch(mode=0o600)
    path.write_bytes(content)
    if path.name != TOKEN_FILE:
        path.chmod(0o755 if content.startswith(b"#!") else 0o644)
