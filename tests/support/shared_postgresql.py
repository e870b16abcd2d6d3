"""The one PostgreSQL server of a pytest run, which its workers share.

The run's main process holds a pipe open, and the first test that needs the server
starts it, in whichever worker. It ends with the main process, however that ends.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from tests.support.postgresql import Server, Unavailable, new_folder

#: The folder of the run, for its workers.
_FOLDER = "TESTS_POSTGRESQL_FOLDER"

#: A test run in which no server can be started fails if this is set.
REQUIRED = "LEA_REQUIRE_POSTGRESQL"

_held = []
_started = []


def begin_run():
    """Prepare for a server, in the run's main process."""
    if not hasattr(os, "mkfifo"):
        return
    folder = Path(tempfile.mkdtemp(prefix="lea-tests-"))
    os.mkfifo(folder / "lifeline")
    # For reading too, since it would wait for a reader.
    _held.append(os.open(folder / "lifeline", os.O_RDWR))
    os.environ[_FOLDER] = str(folder)


def end_run():
    """End the server, if there is one, and wait for its end."""
    while _held:
        os.close(_held.pop())
        while _started:
            _started.pop().wait()
        folder = Path(os.environ.pop(_FOLDER))
        with _locked(folder):
            server = _read(folder / "server")
        deadline = time.monotonic() + 10
        while server and Path(server).exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        shutil.rmtree(folder)


@cache
def shared_server():
    """Return the URL of the run's server, without a database, and why there is none."""
    folder = os.environ.get(_FOLDER)
    if folder is None:
        return None, f"{sys.platform} has no named pipes"
    folder = Path(folder)
    with _locked(folder):
        if not (folder / "url").exists():
            _start(folder)
        return _read(folder / "url"), _read(folder / "reason")


def _start(folder):
    lifeline = os.open(folder / "lifeline", os.O_RDONLY)
    url = reason = ""
    try:
        data = new_folder()
        (folder / "server").write_text(str(data))
        server = Server(
            folder=data,
            lifeline=lifeline,
            wal_level="minimal",
            max_wal_senders=0,
            autovacuum="off",
        )
        url = server.start().url("")
        _started.append(server)
    except (Unavailable, OSError) as error:
        reason = str(error)
    finally:
        os.close(lifeline)
    (folder / "reason").write_text(reason)
    (folder / "url").write_text(url)


def _read(path):
    with suppress(FileNotFoundError):
        return path.read_text()
    return ""


@contextmanager
def _locked(folder):
    with (folder / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
