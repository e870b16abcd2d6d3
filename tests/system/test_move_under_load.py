"""A fleet moves while a server is under load, and nothing acknowledged is lost."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from itertools import count

from lea_fleet.storage.tables import TABLES
from tests.support.fleets import fill
from tests.support.load import (
    DEADLINE,
    assert_nothing_was_lost,
    load,
    wait_for_more,
    wait_until_all_are_refused,
)
from tests.support.moves import fill_all_tables, moved, rows_of, takes_writes
from tests.support.older_server import OlderServer
from tests.support.processes import beside
from tests.support.server import running_server

GUNICORN = ["-w", "2", "--threads", "4"]

#: Machines of a fleet that no client uses.
OTHERS = 2000


def test_nothing_that_was_acknowledged_is_missing_after_a_move(sides, tmp_path):
    here, there = sides
    folder = tmp_path / "server"
    with running_server(folder, *GUNICORN, engine=here) as server:
        with load(server, lossy=True) as clients:
            wait_for_more(clients)
            report = move(server, there)
            closed = rows_of(here)
            wait_until_all_are_refused(clients)
            assert rows_of(here) == closed
            restart_on(server, there)
            wait_for_more(clients)

        assert report["written_since"] == {}
        answers = sum((client.answers for client in clients), Counter())
        print(answers, report["told"])
        assert answers.keys() <= {200, 201, 503, "cut off"}  # while it is restarted
        assert_nothing_was_lost(server, clients)
    assert here.notes() == there.notes() == []


def test_a_large_fleet_that_is_written_moves_whole(sides, tmp_path):
    """While it is copied, rows of every table change, come and go."""
    here, there = sides
    fill_all_tables(here, 2000)
    here.execute("DELETE FROM lea_fleet_intervals")  # no server has written such ones
    folder = tmp_path / "server"
    with running_server(folder, *GUNICORN, engine=here) as server:
        with load(server, lossy=True) as clients:
            wait_for_more(clients)
            move(server, there)
            assert rows_of(here) == rows_of(there)
            restart_on(server, there)
            wait_for_more(clients)


#: At which lines of its standard error a move is killed, and which such line it is.
POINTS = (
    ("Copied enrolled_agents", 1),
    ("Copied lea_fleet_tokens", 1),
    ("Copied lea_fleet_events", 1),
    (f"Copied {TABLES[-1].name}", 1),  # the changes follow
    ("Copied changed rows", 1),  # the lock follows
    ("Copied the last changes under a lock", 1),  # it is closed from here on
    ("Compared lea_fleet_tokens", 1),
    (f"Compared {TABLES[-1].name}", 1),
    ("Compared lea_fleet_events", 2),  # of the other side
    (f"Compared {TABLES[-1].name}", 2),  # the opening follows
)


def test_a_move_that_is_killed_again_and_again_loses_nothing(sides, tmp_path):
    """Each time it is run again, at last to its end; the clients never stop."""
    here, there = sides
    fill(here, ({"machine_id": f"OTHER-{number}"} for number in range(OTHERS)))
    folder = tmp_path / "server"
    closed = 0
    with running_server(folder, *GUNICORN, engine=here) as server:
        # They pause, or each run would have a far larger fleet than the one before.
        with load(server, lossy=True, pause=0.05) as clients:
            for point in POINTS:
                kill(point, server, there)
                if takes_writes(here):
                    assert not takes_writes(there)
                    wait_for_more(clients, 1)
                else:
                    closed += 1
                    wait_until_all_are_refused(clients)
            code, _, told = end(begun(server, there))
            assert code == 0 or "was moved to" in told  # the last kill came too late
            assert rows_of(here) == rows_of(there)
            restart_on(server, there)
            wait_for_more(clients)

        assert closed >= 5
        query = "SELECT DISTINCT version FROM enrolled_agents WHERE machine_id LIKE ?"
        assert there.execute(query, "PC-%") == [("2",)]  # of the last heartbeats
        assert_nothing_was_lost(server, clients, others=OTHERS)
    assert here.notes() == there.notes() == []


def begun(server, there):
    """Begin the command beside *server*, with its settings."""
    schema = {k: v for k, v in there.environment.items() if k.endswith("_SCHEMA")}
    command = [sys.executable, "-m", "flask", "--app", "lea_fleet", "fleet", "move"]
    return subprocess.Popen(
        [*command, "--to", there.address, "--json", "--look-after", "1s"],
        env={**schema, **server.environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def end(command):
    """Wait for the end of *command*; return its exit code and what it printed."""
    with command:
        reported, told = command.communicate()
    return command.returncode, reported, told


def move(server, there):
    """Run the command to its end; return what it reports."""
    code, reported, told = end(begun(server, there))
    assert code == 0, told
    (locked,) = [line for line in told.splitlines() if "under a lock" in line]
    return {**json.loads(reported), "told": locked}


def kill(point, server, there):
    """Run the command, and kill it as soon as it tells of *point*."""
    step, number = point
    command = begun(server, there)
    told, seen = [], 0
    for line in command.stderr:
        told.append(line)
        seen += line.startswith(step)
        if seen == number:
            break
    command.kill()
    code, _, rest = end(command)
    assert seen == number and code == -signal.SIGKILL, [*told, rest]


def restart_on(server, there):
    """Restart *server* with the settings of the database *there*."""
    begin = time.monotonic()
    server.stop()
    server.engine = there
    server.environment.pop("LEA_FLEET_DATABASE_URL", None)
    server.environment.update(there.environment)
    server.start_again()
    print(f"restarted in {time.monotonic() - begin:.2f} s")


def test_nothing_of_an_older_server_that_goes_on_is_missing_after_again(
    sqlite_file, postgresql_schema, tmp_path
):
    sqlite_file.path.parent.mkdir()
    OlderServer(sqlite_file.path)
    told = tmp_path / "acknowledged"

    def write(ready, over):
        older = OlderServer(sqlite_file.path)
        with told.open("w") as file:
            for number in count():
                older.enroll(f"OLD-{number}")
                if number % 3 == 0:
                    older.uninstall(f"OLD-{number}")
                older.touch_last_seen(f"OLD-{number // 2}")
                print(number, file=file, flush=True)
                if number == 20:
                    ready.set()
                if over.is_set():
                    return

    with beside(write):
        report = moved(sqlite_file, postgresql_schema)
        wait_for_lines(told, 50)
    again = moved(sqlite_file, postgresql_schema, "--again")["brought"]

    assert report["tables"]["enrolled_agents"]["rows"] >= 20
    assert {each["outcome"] for each in again} <= {"added", "updated"}
    here, there = (
        {row[1:] for row in rows_of(side)["enrolled_agents"]}
        for side in (sqlite_file, postgresql_schema)
    )
    assert here == there
    assert len(here) == len(told.read_text().split())


def wait_for_lines(file, more):
    """Wait until *file* has that many more lines."""
    goal = len(file.read_text().split()) + more
    deadline = time.monotonic() + DEADLINE
    while len(file.read_text().split()) < goal:
        assert time.monotonic() < deadline
        time.sleep(0.01)
