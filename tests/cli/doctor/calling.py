"""A call on the doctor, and the database in the states that it may find it in."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing, contextmanager

from lea_fleet.cli.doctor import LEVELS

#: A token that the doctor finds no fault with.
STRONG_TOKEN = "kYxwv9wW3b0cQ2T7uJ4mZ8rL1sD6fG5h"


def call(app, *words):
    """Return what ``flask fleet doctor --json`` finds, by the names of the checks."""
    result = app.test_cli_runner().invoke(args=["fleet", "doctor", "--json", *words])
    if not isinstance(result.exception, (SystemExit, type(None))):
        raise result.exception
    assert result.stderr == "" and result.output.isascii()
    answer = json.loads(result.output)
    found = {check["check"]: check for check in answer["checks"]}
    levels = [check["level"] for check in answer["checks"]]
    assert len(found) == len(answer["checks"])
    assert answer["status"] == max(levels, key=LEVELS.index)
    assert result.exit_code == LEVELS.index(answer["status"])
    assert all(bool(c["action"]) is (c["level"] != "ok") for c in found.values())
    return found


def troubles(found):
    """Return the level of each check that is not ok."""
    return {name: c["level"] for name, c in found.items() if c["level"] != "ok"}


def only(found, check, level):
    """Assert that *check* alone is not ok, at *level*; return what it says."""
    assert troubles(found) == {check: level}
    return found[check]


def unchecked(found):
    """Return the names of the checks that could not be made."""
    return {n for n, c in found.items() if c["detail"].startswith("not checked: ")}


@contextmanager
def connected(database):
    """The host, or anybody, on the file; what it does is committed at once."""
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        yield connection


def crash(database):
    """Leave a copy of the database with the log of a server that was killed."""
    with connected(database) as connection:
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute("UPDATE enrolled_agents SET version = '9'")
        for ending in ("", "-wal", "-shm"):
            shutil.copy(f"{database}{ending}", f"{database}.copy{ending}")
    for ending in ("", "-wal", "-shm"):
        shutil.move(f"{database}.copy{ending}", f"{database}{ending}")
