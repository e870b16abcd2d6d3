"""A fleet moves while a server is under load, and nothing acknowledged is lost."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from itertools import count

from tests.support.load import (
    DEADLINE,
    assert_nothing_was_lost,
    load,
    wait_for_more,
    wait_until_all_are_refused,
)
from tests.support.moves import fill_all_tables, moved, rows_of
from tests.support.older_server import OlderServer
from tests.support.processes import beside
from tests.support.server import running_server

GUNICORN = ["-w", "2", "--threads", "4"]


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


def move(server, there):
    """Run the command beside *server*, with its settings; return what it reports."""
    schema = {k: v for k, v in there.environment.items() if k.endswith("_SCHEMA")}
    command = [sys.executable, "-m", "flask", "--app", "lea_fleet", "fleet", "move"]
    done = subprocess.run(
        [*command, "--to", there.address, "--json", "--look-after", "1s"],
        env={**schema, **server.environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    (told,) = [line for line in done.stderr.splitlines() if "under a lock" in line]
    return {**json.loads(done.stdout), "told": told}


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
