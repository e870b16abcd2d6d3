"""PostgreSQL servers that stop, crash or are replaced, under the load of a fleet.

What was acknowledged is kept, and requests are served again as soon as a server is
there; meanwhile they are answered 503, never 500.
"""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count

import psycopg
import pytest
from werkzeug.exceptions import ServiceUnavailable

from lea_fleet import LeaFleet
from tests.support.api import OPERATOR_TOKEN, Api, assert_problem
from tests.support.fleets import get_db
from tests.support.load import DEADLINE, assert_nothing_was_lost, load, wait_for_more
from tests.support.postgresql import COMMITS, WAITS_FOR_LOCK
from tests.support.server import running_server

GUNICORN = ["-w", "2", "--threads", "4"]


# A primary and its synchronous standby


@pytest.fixture
def primary(start_postgresql):
    return start_postgresql(durable=True, wal_level="replica")


@pytest.fixture
def standby(primary):
    with primary.standby() as standby:
        yield standby


@pytest.fixture
def both(primary, standby):
    """The URL of both."""
    ports = f"{primary.port},{standby.port}"
    return f"postgresql://postgres@127.0.0.1,127.0.0.1/postgres?port={ports}"


def test_a_standby_takes_over_from_a_killed_primary_without_a_loss(
    tmp_path, primary, standby, both
):
    with running_server(tmp_path, *GUNICORN, LEA_FLEET_DATABASE_URL=both) as server:
        with load(server) as clients:
            wait_for_more(clients)
            begin = time.monotonic()
            primary.kill()
            standby.promote()
            promoted = time.monotonic()
            wait_for_more(clients, 1)
            served = time.monotonic()
            wait_for_more(clients)

        answers = sum((client.answers for client in clients), Counter())
        print(
            f"{answers}; promoted after {promoted - begin:.2f} s,"
            f" all clients served after {served - begin:.2f} s"
        )
        assert answers.keys() <= {200, 201, 503}
        assert_nothing_was_lost(server, clients)


def test_a_primary_that_has_become_read_only_counts_as_dead(
    make_app, primary, standby, both
):
    """Also to the connections to it that are still open."""
    app = make_app(LEA_FLEET_DATABASE_URL=both)
    operator = Api(app.test_client(), OPERATOR_TOKEN)
    agent = operator.enroll("PC-1")
    standby.promote()
    keep_open(app, 5)
    primary.change("default_transaction_read_only", "on")

    assert operator.uninstall("PC-1").status_code == 200
    assert_problem(agent.heartbeat(), 401, "agent_uninstalled")
    with standby.connect() as connection:
        status = "SELECT status FROM enrolled_agents"
        assert connection.execute(status).fetchall() == [("uninstalled",)]


def keep_open(app, number):
    """Let *app* keep that many connections that nobody uses."""
    store = app.extensions["lea_fleet"].store
    sessions = [store.acquire() for _ in range(number)]
    for session in sessions:
        store.release(session)


# One server


@pytest.fixture(scope="module")
def alone(start_postgresql):
    """A server that tests may stop."""
    return start_postgresql()


@pytest.fixture
def app(make_app, alone):
    name = f"fleet{next(numbers)}"
    with alone.connect() as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return make_app(LEA_FLEET_DATABASE_URL=alone.url(name))


numbers = count()


def test_a_server_that_was_restarted_serves_the_next_request(app, alone, operator):
    agent = operator.enroll("PC-1")
    keep_open(app, 5)

    alone.stop()
    for _ in range(3):
        assert_problem(agent.heartbeat(), 503, "database_unavailable", "retry")
    alone.start()

    assert agent.heartbeat(version="2").status_code == 200


def test_connections_that_ended_between_requests_lose_none(app, alone, operator):
    agent = operator.enroll("PC-1")
    keep_open(app, 5)

    assert alone.terminate() == 5
    answers = [agent.heartbeat(version=str(n)).status_code for n in range(5)]

    assert answers == [200] * 5


def test_connections_that_ended_are_not_handed_out(app, alone, operator):
    """As to a host, whose own code nothing runs again."""
    operator.get("/fleet")
    keep_open(app, 5)

    assert alone.terminate() == 5
    with app.app_context():
        assert get_db().execute("SELECT 1").fetchall() == [(1,)]


def test_a_request_whose_connection_ends_before_its_commit_is_run_again(
    app, alone, operator
):
    operator.enroll("PC-1")
    url = app.config["LEA_FLEET_DATABASE_URL"]
    with psycopg.connect(url) as other, ThreadPoolExecutor() as pool:
        with other.transaction():
            other.execute("SELECT 1 FROM enrolled_agents FOR UPDATE")
            answer = pool.submit(operator.uninstall, "PC-1")
            alone.wait_for(WAITS_FOR_LOCK)
            assert alone.terminate(WAITS_FOR_LOCK) == 1
            alone.wait_for(WAITS_FOR_LOCK)
        response = answer.result(DEADLINE)

    assert response.status_code == 200, response.text
    assert events(operator, "PC-1") == ["uninstalled", "enrolled"]


def test_a_guard_of_the_host_whose_connection_ends_is_run_again(app, alone, operator):
    """It waits for its machine, since it records the first use of the token."""
    token = operator.enroll("PC-1").token

    def guard():
        with app.app_context():
            return LeaFleet().authenticate(token)

    with interrupted(app, alone, guard) as answer:
        assert answer().machine_id == "PC-1"


def test_a_guard_does_not_take_a_session_away_that_the_host_uses(app, alone, operator):
    token = operator.enroll("PC-1").token

    def guard():
        with app.app_context():
            get_db().execute("SELECT 1")
            return LeaFleet().authenticate(token)

    with interrupted(app, alone, guard) as answer, pytest.raises(ServiceUnavailable):
        answer()


@contextmanager
def interrupted(app, server, work):
    """End the connection of *work* while it waits for a machine; yield its result."""
    url = app.config["LEA_FLEET_DATABASE_URL"]
    with psycopg.connect(url) as other, ThreadPoolExecutor() as pool:
        with other.transaction():
            other.execute("SELECT 1 FROM enrolled_agents FOR UPDATE")
            answer = pool.submit(work)
            server.wait_for(WAITS_FOR_LOCK)
            assert server.terminate(WAITS_FOR_LOCK) == 1
        yield lambda: answer.result(DEADLINE)


def events(operator, machine_id):
    listed = operator.get(f"/machines/{machine_id}/events").json["events"]
    return [event["event"] for event in listed]


def test_a_commit_whose_outcome_is_unknown_is_never_run_again(app, alone, operator):
    """PostgreSQL has written it, and waits for a standby."""
    operator.get("/fleet")
    body = {"machine_id": "PC-1", "force": True}
    headers = {"Idempotency-Key": "1"}
    with ThreadPoolExecutor() as pool:
        with waiting_for_a_standby(alone):
            answer = pool.submit(operator.post, "/enroll", body, headers=headers)
            alone.wait_for(COMMITS)
            assert alone.terminate(COMMITS) == 1
            response = answer.result(DEADLINE)

    assert_problem(response, 503, "database_unavailable", "retry")
    assert events(operator, "PC-1") == ["enrolled"]
    again = operator.post("/enroll", body, headers=headers)
    assert (again.status_code, again.json["status"]) == (201, "enrolled")


@contextmanager
def waiting_for_a_standby(server):
    """Let no commit on *server* end."""
    server.change("synchronous_standby_names", "nobody")
    try:
        yield
    finally:
        server.change("synchronous_standby_names", "''")
