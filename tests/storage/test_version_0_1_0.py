"""Beside 0.1.0, on one file at the same time: the file is upgraded, and both work.

0.1.0 is installed from its wheel, and runs in processes of its own.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import sqlite3
import time
from collections import Counter
from contextlib import closing
from itertools import count
from pathlib import Path
from threading import Event, Thread

import pytest

from lea_fleet import create_app
from lea_fleet.storage.agent_tokens import _FIND
from lea_fleet.storage.blocks import HOLDER_BLOCKED
from lea_fleet.storage.retirements import TOLD_HOLDER
from lea_fleet.storage.sqlite import schema
from lea_fleet.storage.sqlite.dialect import add_functions
from tests.support.api import OPERATOR_TOKEN, Agent, Api, assert_problem
from tests.support.older_server import OlderServer
from tests.support.processes import in_processes
from tests.support.server import running_server

pytestmark = pytest.mark.sqlite

SERVER = ("-w", "2", "--threads", "4")
ALTERNATING = [("old", "new"), ("new", "old")]


@pytest.fixture
def old_file(made, database):
    """A copy of that database, at the path that this process uses."""
    database.parent.mkdir()
    shutil.copy(made[0], database)
    return database


@pytest.fixture(scope="module")
def sides(made, packages, tmp_path_factory):
    """An operator at a server of each version, on one file made by 0.1.0."""
    folder = tmp_path_factory.mktemp("sides")
    database = folder / "rpa_data.db"
    shutil.copy(made[0], database)
    old = running_server(folder / "old", *SERVER, database=database, packages=packages)
    new = running_server(folder / "new", *SERVER, database=database)
    with old as at_old, new as at_new:
        yield {"old": at_old.operator, "new": at_new.operator}


def read(database, query):
    with closing(sqlite3.connect(database)) as connection:
        add_functions(connection)
        return connection.execute(query).fetchall()


def is_completed(database):
    (sql,) = read(
        database, "SELECT sql FROM sqlite_master WHERE name = 'lea_fleet_tokens'"
    )
    return "replaced" in sql[0]


def shape(database):
    """Return every column and index, regardless of the order of their creation."""
    tables = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"
    indexes = "SELECT name, sql FROM sqlite_master WHERE type = 'index' ORDER BY name"
    columns = {
        name: read(database, f"PRAGMA table_xinfo({name})")
        for (name,) in read(database, tables)
    }
    return columns, read(database, indexes)


def first_request(database):
    settings = {"RPA_API_TOKEN": OPERATOR_TOKEN, "RPA_AGENTS_DB_PATH": database}
    app = create_app(settings)
    response = Api(app.test_client(), OPERATOR_TOKEN).get("/fleet")
    app.extensions["lea_fleet"].store.close_idle()
    return response.status_code


# Upgrading a file


def test_a_file_of_0_1_0_and_a_new_one_have_the_same_columns_and_indexes(
    old_file, tmp_path
):
    assert not is_completed(old_file)

    assert first_request(old_file) == first_request(tmp_path / "new.db") == 200

    assert shape(old_file) == shape(tmp_path / "new.db")


def test_every_addition_is_declared_as_in_the_schema():
    with closing(schema.new_database()) as connection:
        for (table, column), declared in schema.ADDITIONS.items():
            query = "SELECT sql FROM sqlite_master WHERE name = ?"
            (sql,) = connection.execute(query, (table,)).fetchone()
            assert f"  {column} {declared}\n" in sql.replace(",\n", "\n")
            assert table != "enrolled_agents"


def test_completing_touches_nothing_of_the_hosts(old_file):
    query = (
        "SELECT type, name, sql FROM sqlite_master"
        " WHERE name NOT IN ('lea_fleet_tokens', 'lea_fleet_releases',"
        " 'lea_fleet_enrollment_tokens')"
    )
    queries = ["PRAGMA user_version", "SELECT * FROM enrolled_agents"]
    known = set(read(old_file, query))
    before = [read(old_file, query) for query in queries]

    first_request(old_file)

    assert [read(old_file, query) for query in queries] == before
    now = set(read(old_file, query))
    assert known <= now
    added = {name.removeprefix("sqlite_autoindex_") for _, name, _ in now - known}
    assert all(name.startswith("lea_fleet_") for name in added)


def test_what_0_1_0_left_is_judged_as_before(made, old_file, client):
    used, unused, rotated, departed, _ = (Api(client, t) for t in made[1].values())

    for agent in (used, unused, rotated):
        assert agent.post("/heartbeat").status_code == 200
    assert_problem(departed.post("/heartbeat"), 401, "agent_uninstalled", "reenroll")
    assert departed.uninstall("departed").status_code == 200
    operator = Api(client, OPERATOR_TOKEN)
    assert operator.enroll("released").answer["status"] == "reenrolled"
    assert operator.get("/machines/released/events").json["events"]


def test_eight_processes_complete_a_file_at_once(old_file):
    assert in_processes(*[lambda: first_request(old_file)] * 8) == [200] * 8
    assert is_completed(old_file)


def test_another_process_may_complete_the_file_first(old_file, monkeypatch):
    begin = schema.transaction

    def late(connection):
        monkeypatch.setattr(schema, "transaction", begin)
        assert first_request(old_file) == 200
        return begin(connection)

    monkeypatch.setattr(schema, "transaction", late)

    assert first_request(old_file) == 200
    assert is_completed(old_file)


def test_a_process_that_is_killed_while_it_completes_a_file_leaves_it_whole(old_file):
    def killed():
        schema._expected_names(), schema._expected_columns()
        schema._statements = lambda: os.kill(os.getpid(), signal.SIGKILL)
        first_request(old_file)

    process = multiprocessing.get_context("fork").Process(target=killed)
    process.start()
    process.join(30)

    assert process.exitcode == -signal.SIGKILL
    assert not is_completed(old_file)
    assert read(old_file, "PRAGMA integrity_check") == [("ok",)]
    assert first_request(old_file) == 200
    assert is_completed(old_file)


def test_a_completed_file_keeps_its_query_plans(old_file, make_app):
    def plans(*queries):
        queries = [query.replace(":token_hash", "'x'") for query in queries]
        asked = [read(old_file, f"EXPLAIN QUERY PLAN {query}") for query in queries]
        return [[row[3] for row in plan] for plan in asked]

    listings = [
        f"SELECT * FROM enrolled_agents WHERE {status}"
        " ORDER BY enrolled_agents.enrolled_at DESC, id DESC LIMIT 5"
        for status in ("status = 'active'", "status IS NOT 'active'")
    ]
    ours = {f"OR EXISTS ({HOLDER_BLOCKED})", f", ({TOLD_HOLDER})"}
    without = _FIND
    for each in ours:
        assert each in without
        without = without.replace(each, "")
    of_0_1_0 = without.replace("AND NOT token.replaced", "")
    of_0_1_0 = of_0_1_0.replace(", replaced", "").replace(", said", "")
    assert "replaced" not in of_0_1_0 and "said" not in of_0_1_0
    before = plans(*listings, of_0_1_0)
    shutil.copy(old_file, f"{old_file}.old")

    operator = Api(make_app().test_client(), OPERATOR_TOKEN)
    asked = listing_queries(operator)

    assert plans(*listings, without) == before
    assert "lea_fleet_blocks_machine" in str(plans(_FIND))
    assert "lea_fleet_listing" in before[0][0]
    assert "lea_fleet_departed" in before[1][0]
    assert_same_plans(asked, old_file, Path(f"{old_file}.old"))


def listing_queries(operator):
    """Return the queries of the default listing and of the uninstalled machines'."""
    assert operator.get("/fleet").status_code == 200
    store = operator.client.application.extensions["lea_fleet"].store
    (connection,) = store._idle
    asked = []
    connection.set_trace_callback(asked.append)
    for status in ("active", "uninstalled"):
        parameters = {"status": status, "limit": 5}
        assert operator.get("/fleet", query_string=parameters).status_code == 200
    connection.set_trace_callback(None)
    return [query for query in asked if "json_object" in query]


def assert_same_plans(queries, *databases):
    assert queries
    for query in queries:
        plans = [read(path, f"EXPLAIN QUERY PLAN {query}") for path in databases]
        assert [row[3] for row in plans[0]] == [row[3] for row in plans[1]]


# Both at once


@pytest.mark.parametrize(("first", "second"), ALTERNATING)
def test_a_rotation_at_one_version_is_known_to_the_other(sides, first, second):
    one, other = sides[first], sides[second]
    replaced = one.enroll(f"rotated-{first}")
    assert replaced.heartbeat().status_code == 200
    path = f"/machines/{replaced.machine_id}/token"
    answer = {**replaced.answer, **other.post(path, {}).json}

    assert Agent(one.client, answer).heartbeat().status_code == 200

    for side in (one, other):
        assert Agent(side.client, answer).heartbeat().status_code == 200
        dead = Agent(side.client, replaced.answer)
        assert_problem(dead.heartbeat(), 401, "token_revoked", "ask_operator")


@pytest.mark.parametrize(("first", "second"), ALTERNATING)
def test_an_uninstall_at_one_version_is_known_to_the_other(sides, first, second):
    one, other = sides[first], sides[second]
    agent = other.enroll(f"departed-{first}")
    assert one.uninstall(agent.machine_id).status_code == 200

    for side in (one, other):
        departed = Agent(side.client, agent.answer)
        assert_problem(departed.heartbeat(), 401, "agent_uninstalled", "reenroll")
        assert departed.uninstall(agent.machine_id).status_code == 200

    again = other.enroll(agent.machine_id)
    for side in (one, other):
        dead = Agent(side.client, agent.answer)
        assert_problem(dead.heartbeat(), 401, "token_revoked", "ask_operator")
        assert Agent(side.client, again.answer).heartbeat().status_code == 200


def test_a_file_is_completed_while_0_1_0_and_the_older_server_write(
    made, packages, tmp_path
):
    """Nothing fails, and no machine that was acknowledged is lost."""
    database = tmp_path / "rpa_data.db"
    shutil.copy(made[0], database)
    over, numbers, statuses, agents, faults = Event(), count(), Counter(), [], []

    def live(one, other):
        """Let machines use one server; an operator administers them at the other."""
        while not over.is_set():
            agent = one.enroll(f"PC-{next(numbers)}")
            statuses[agent.heartbeat().status_code] += 1
            path = f"/machines/{agent.machine_id}/token"
            rotated = other.post(path, {})
            statuses[rotated.status_code] += 1
            agent = Agent(one.client, {**agent.answer, **rotated.json})
            statuses[agent.heartbeat().status_code] += 1
            if int(agent.machine_id[3:]) % 3 == 0:
                statuses[other.uninstall(agent.machine_id).status_code] += 1
            agents.append(agent)

    def older():
        server = OlderServer(database)
        while not over.is_set():
            machine_id = f"OLDER-{next(numbers)}"
            server.enroll(machine_id)
            server.touch_last_seen(machine_id)
            server.uninstall(machine_id)

    def guarded(work, *arguments):
        try:
            work(*arguments)
        except BaseException as fault:
            faults.append(fault)
            raise

    def begin(*work):
        thread = Thread(target=guarded, args=work)
        thread.start()
        threads.append(thread)

    threads = []
    old = running_server(
        tmp_path / "old", *SERVER, database=database, packages=packages
    )
    new = running_server(tmp_path / "new", *SERVER, database=database)
    with old as at_old, new as at_new:
        try:
            for work in [(live, at_old.operator, at_old.operator)] * 2 + [(older,)]:
                begin(*work)
            time.sleep(0.5)
            assert not is_completed(database)
            begin(live, at_new.operator, at_old.operator)
            begin(live, at_old.operator, at_new.operator)
            time.sleep(2.5)
        finally:
            over.set()
            for thread in threads:
                thread.join(30)
        assert faults == []
        assert statuses.keys() == {200, 201}
        assert is_completed(database)
        for number, agent in enumerate(agents):
            side = (at_old, at_new)[number % 2]
            expected = 401 if int(agent.machine_id[3:]) % 3 == 0 else 200
            told = Agent(side.client, agent.answer).heartbeat()
            assert (agent.machine_id, told.status_code) == (agent.machine_id, expected)
    assert read(database, "PRAGMA integrity_check") == [("ok",)]
