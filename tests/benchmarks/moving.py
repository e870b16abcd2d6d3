"""Measure a move to PostgreSQL and one back to a file, beside nobody who writes.

The server is started for it, and stores what it acknowledges. A tenth of the fleet
shows what of the memory grows with it.
"""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from functools import partial

from tests.benchmarks.figures import Figure
from tests.benchmarks.fleet import make_fleet
from tests.support.api import OPERATOR_TOKEN
from tests.support.postgresql import Server
from tests.support.processes import in_processes

HEADING = ("Figure", "fleet", "a tenth of it", "value", "bar")

_LOCK = re.compile(r"under a lock of ([\d.]+) s")


def figures(folder, size, say):
    """Yield every figure. *say* is called with a description of the current work."""
    moves = {}
    with Server(durable=True, shared_buffers="128MB") as server:
        server.start()
        for name, machines in (("tenth", size.machines // 10), ("all", size.machines)):
            say(f"making a fleet of {machines:,}")
            # In another process: what this one has in memory would count for a child.
            in_processes(partial(_make, folder / f"{name}.db", machines))
            for way in ("to PostgreSQL", "to a file"):
                say(f"moving {machines:,} machines {way}")
                moves[name, way] = _move(folder, server.url(), name, way)
    for way in ("to PostgreSQL", "to a file"):
        tenth, all_ = moves["tenth", way], moves["all", way]
        name = f"Move of {size.machines:,} {way}"
        for what, index, unit, bar in (
            ("", 0, " s", "<= 30"),
            (", under a lock", 1, " s", "<= 3"),
        ):
            shown = f"{all_[index]:.1f}{unit}", f"{tenth[index]:.1f}{unit}"
            yield Figure(name + what, *shown, all_[index], unit, bar)
        shown = f"{all_[2]:.0f} MB", f"{tenth[2]:.0f} MB"
        more = all_[2] - tenth[2]
        yield Figure(f"{name}, memory", *shown, more, " MB more", "<= 32")


def _make(path, machines):
    """Make a fleet with two events of each machine."""
    make_fleet(path, machines)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(
            "INSERT INTO lea_fleet_events (machine_id, event, at, actor, detail)"
            " SELECT machine_id, 'changed', at, '{}', '{}' FROM lea_fleet_events"
        )
        connection.commit()


def _move(folder, url, name, way):
    """Return the seconds that a move takes, those under a lock, and its megabytes."""
    file, back = folder / f"{name}.db", folder / f"{name}-back.db"
    settings = {"LEA_FLEET_DATABASE_SCHEMA": f"fleet_{name}"}
    if way == "to PostgreSQL":
        settings["RPA_AGENTS_DB_PATH"], to = str(file), url
    else:
        settings["LEA_FLEET_DATABASE_URL"], to = url, str(back)
    command = [sys.executable, "-m", "flask", "--app", "lea_fleet", "fleet", "move"]
    began = time.monotonic()
    with (folder / "log").open("w+") as log:
        process = subprocess.Popen(
            [*command, "--to", to, "--look-after", "1s"],
            env={**os.environ, "RPA_API_TOKEN": OPERATOR_TOKEN, **settings},
            stdout=log,
            stderr=log,
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.monotonic() - began - 1
        log.seek(0)
        told = log.read()
    assert process.returncode == 0, told
    return seconds, float(_LOCK.search(told)[1]), usage.ru_maxrss / 1024
