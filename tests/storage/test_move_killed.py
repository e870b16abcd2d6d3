"""A move that is killed at any point loses nothing, and the next one ends it.

Another process writes all the time. At no time can servers write to both databases.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from unittest.mock import patch

import pytest

from lea_fleet.cli import move as command
from lea_fleet.storage.postgresql.move_source import PostgresqlSource
from lea_fleet.storage.postgresql.move_target import PostgresqlTarget
from lea_fleet.storage.sqlite.move_source import SqliteSource
from lea_fleet.storage.sqlite.move_target import SqliteTarget
from lea_fleet.storage.tables import TABLES
from tests.support.moves import (
    fill_all_tables,
    operator_of,
    rows_of,
    run_move,
    takes_writes,
)
from tests.support.processes import beside

SOURCES = SqliteSource, PostgresqlSource
TARGETS = SqliteTarget, PostgresqlTarget

#: How often a move tells of something before it compares: of each table that it copied,
#: of the changed rows, and of those that followed under the lock.
TOLD = len(TABLES) + 2

#: Where a move is killed: before or after the call of a method, and which call it is.
POINTS = {
    "after begin": (TARGETS, "begin", "after", 1),
    "after begin_noting": (SOURCES, "begin_noting", "after", 1),
    "in the copy": (TARGETS, "fill", "after", 5),
    "in the first pass": (SOURCES, "take_noted", "after", 1),
    "after the first pass": (SOURCES, "take_noted", "before", 2),
    "in the lock": (TARGETS, "set_numbers", "before", 1),
    "before close": (SOURCES, "close", "before", 1),
    "after close": (SOURCES, "close", "after", 1),
    "in the comparison": ((command,), "tell", "before", TOLD + len(TABLES) // 2),
    "in the second comparison": (TARGETS, "snapshot", "before", 1),
    "before keep": (SOURCES, "keep", "before", 1),
    "after keep": (SOURCES, "keep", "after", 1),
    "before open": (TARGETS, "open", "before", 1),
    "after open": (TARGETS, "open", "after", 1),
}


@pytest.mark.parametrize("point", POINTS)
def test_a_killed_move_loses_nothing_and_is_ended_by_the_next(sides, tmp_path, point):
    here, there = sides
    fill_all_tables(here)
    told = tmp_path / "acknowledged"

    with beside(lambda ready, over: write(here, told, ready, over)):
        killed(point, here, there)
        assert not (takes_writes(here) and takes_writes(there))
        again = run_move(here, there)

    if point == "after open":
        assert again.exit_code == 1 and "was moved to" in again.stderr
    else:
        assert again.exit_code == 0, again.output
    assert rows_of(here) == rows_of(there)
    known = {machine for (machine,) in there.execute(MACHINES)}
    assert {*told.read_text().split()} <= known
    assert here.notes() == there.notes() == []
    assert not takes_writes(here)
    assert takes_writes(there)


MACHINES = "SELECT machine_id FROM enrolled_agents"


def killed(point, here, there):
    """Run the command in a process that kills itself at *point*."""
    owners, name, when, number = POINTS[point]

    def run():
        for owner in owners:
            suicidal(owner, name, when, number)
        run_move(here, there)

    process = multiprocessing.get_context("fork").Process(target=run)
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL


def suicidal(owner, name, when, number):
    """Let the *number*-th call of a method kill this process, before or after it."""
    method, calls = getattr(owner, name), count(1)

    def called(*args, **options):
        is_last = next(calls) == number
        if is_last and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = method(*args, **options)
        if is_last:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    patch.object(owner, name, called).start()


def write(here, told, ready, over):
    """Enroll machines on *here* until *over*; write those acknowledged into *told*."""
    with operator_of(here) as operator, told.open("w") as file:
        for number in count():
            response = operator.post("/enroll", {"machine_id": f"PC-{number}"})
            if response.status_code == 201:
                print(f"PC-{number}", file=file, flush=True)
                ready.set()
            else:
                assert response.status_code == 503, response.text
            time.sleep(0.005)
            if over.is_set():
                return


def test_one_that_was_killed_while_it_waited_for_a_lock_is_not_running_any_more(
    postgresql_schema, sqlite_file
):
    """PostgreSQL goes on waiting for the lock before it sees that nobody is there."""
    here, there = postgresql_schema, sqlite_file
    there.path.parent.mkdir()
    fill_all_tables(here)
    process = multiprocessing.get_context("fork").Process(
        target=lambda: run_move(here, there)
    )
    with ThreadPoolExecutor(1) as pool:
        with here.being_written():
            process.start()
            wait_until(here, "relation = 'enrolled_agents'::regclass", process.is_alive)
            process.kill()
            process.join()
            again = pool.submit(run_move, here, there)
            wait_until(here, OF_MOVE, lambda: not again.done())
    assert again.result().exit_code == 0, again.result().output


#: The lock that a move of the current schema holds.
OF_MOVE = (
    "locktype = 'advisory' AND (classid::bigint << 32 | objid::bigint)"
    " = hashtextextended('lea_fleet move ' || current_schema(), 0)"
)


def wait_until(engine, lock, goes_on):
    """Wait until a session waits for *lock*, while what it works for *goes_on*."""
    query = f"SELECT 1 FROM pg_locks WHERE NOT granted AND {lock}"
    while not engine.execute(query) and goes_on():
        time.sleep(0.01)
