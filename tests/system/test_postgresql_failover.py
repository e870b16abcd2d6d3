"""PostgreSQL servers that stop, crash or are replaced, under the load of a fleet.

What was acknowledged is kept, and requests are served again as soon as a server is
there; meanwhile they are answered 503, never 500.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from itertools import count

import psycopg
import pytest

from tests.support.api import OPERATOR_TOKEN, Agent, Api, assert_problem
from tests.support.fleets import get_db
from tests.support.server import KeptClient, running_server

CLIENTS = 8
DEADLINE = 60  # seconds
GUNICORN = ["-w", "2", "--threads", "4"]


# A primary and its synchronous standby


class Client:
    """Installs machines one after another, and lets each live a short life."""

    def __init__(self, client, name):
        self.operator = Api(client, OPERATOR_TOKEN)
        self.name = name
        self.acknowledged = 0
        #: The last response of each machine that has a token.
        self.machines = {}
        self.uninstalled = []
        self.answers = Counter()

    def work(self, over):
        for number in count():
            if over.is_set():
                return
            self._live(f"PC-{self.name}-{number}", leave=number % 3 == 0)

    def _live(self, machine_id, leave):
        body = {"machine_id": machine_id}
        key = {"Idempotency-Key": machine_id}
        self._keep(self._ask(self.operator, "/enroll", body, headers=key))
        self._ask(self._agent(machine_id), "/heartbeat", {"version": "1"})
        path = f"/machines/{machine_id}/token"
        self._keep(self._ask(self._agent(machine_id), path, {}))
        self._ask(self._agent(machine_id), "/heartbeat", {"version": "2"})
        if leave:
            self._ask(self._agent(machine_id), "/uninstall", {})
            self.uninstalled.append(self.machines.pop(machine_id))

    def _agent(self, machine_id):
        return Agent(self.operator.client, self.machines[machine_id])

    def _keep(self, response):
        self.machines[response.json["machine_id"]] = response.json

    def _ask(self, caller, path, body, **options):
        """Send a request until it is not answered 503, as agents and installers do."""
        while True:
            response = caller.post(path, body, **options)
            self.answers[response.status_code] += 1
            if response.status_code < 300:
                self.acknowledged += 1
                return response
            assert response.json["code"].startswith("database_"), response.text
            assert_problem(response, 503, response.json["code"], "retry")
            time.sleep(0.05)


@contextmanager
def load(server):
    """Yield clients that send requests to *server* all the time."""
    over = threading.Event()
    with ExitStack() as stack:
        clients = [
            Client(stack.enter_context(closing(KeptClient(server.port))), name)
            for name in range(CLIENTS)
        ]
        pool = stack.enter_context(ThreadPoolExecutor(CLIENTS))
        working = [pool.submit(client.work, over) for client in clients]
        try:
            yield clients
        finally:
            over.set()
        for each in working:
            each.result(DEADLINE)


def wait_for_more(clients, more=10):
    """Wait until each client has had that many more requests acknowledged."""
    goals = [client.acknowledged + more for client in clients]
    deadline = time.monotonic() + DEADLINE
    while any(c.acknowledged < goal for c, goal in zip(clients, goals)):
        assert time.monotonic() < deadline, [c.answers for c in clients]
        time.sleep(0.01)


def assert_nothing_was_lost(server, clients):
    operator = server.operator
    for client in clients:
        for answer in client.machines.values():
            assert Agent(operator.client, answer).heartbeat().status_code == 200
        for answer in client.uninstalled:
            refused = Agent(operator.client, answer).heartbeat()
            assert_problem(refused, 401, "agent_uninstalled")
    totals = operator.get("/fleet").json["totals"]
    assert totals["active"] == sum(len(client.machines) for client in clients)
    assert totals["uninstalled"] == sum(len(client.uninstalled) for client in clients)


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
    set_for_all(primary, "default_transaction_read_only", "on")

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


def set_for_all(server, name, value):
    """Change a setting of a running server; return once its connections have it."""
    with server.connect() as connection:
        connection.execute(f"ALTER SYSTEM SET {name} = {value}")
        connection.execute("SELECT pg_reload_conf()")
        while connection.execute(f"SHOW {name}").fetchone()[0] != value.strip("'"):
            time.sleep(0.01)


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

    assert terminate(alone) == 5
    answers = [agent.heartbeat(version=str(n)).status_code for n in range(5)]

    assert answers == [200] * 5


def test_connections_that_ended_are_not_handed_out(app, alone, operator):
    """As to a host, whose own code nothing runs again."""
    operator.get("/fleet")
    keep_open(app, 5)

    assert terminate(alone) == 5
    with app.app_context():
        assert get_db().execute("SELECT 1").fetchall() == [(1,)]


def terminate(server, condition="application_name = 'lea_fleet'"):
    """End the connections that meet the *condition*, and return how many."""
    with server.connect() as connection:
        pids = connection.execute(f"SELECT pid FROM pg_stat_activity WHERE {condition}")
        for pid in (found := pids.fetchall()):
            connection.execute("SELECT pg_terminate_backend(%s, 10000)", pid)
        return len(found)


def wait_for(server, condition):
    """Wait until a connection to *server* meets the *condition*."""
    deadline = time.monotonic() + DEADLINE
    query = f"SELECT 1 FROM pg_stat_activity WHERE {condition}"
    with server.connect() as connection:
        while not connection.execute(query).fetchall():
            assert time.monotonic() < deadline, f"no connection with {condition}"
            time.sleep(0.01)


WAITS_FOR_LOCK = "application_name = 'lea_fleet' AND wait_event_type = 'Lock'"
COMMITS = "application_name = 'lea_fleet' AND wait_event = 'SyncRep'"


def test_a_request_whose_connection_ends_before_its_commit_is_run_again(
    app, alone, operator
):
    operator.enroll("PC-1")
    url = app.config["LEA_FLEET_DATABASE_URL"]
    with psycopg.connect(url) as other, ThreadPoolExecutor() as pool:
        with other.transaction():
            other.execute("SELECT 1 FROM enrolled_agents FOR UPDATE")
            answer = pool.submit(operator.uninstall, "PC-1")
            wait_for(alone, WAITS_FOR_LOCK)
            assert terminate(alone, WAITS_FOR_LOCK) == 1
            wait_for(alone, WAITS_FOR_LOCK)
        response = answer.result(DEADLINE)

    assert response.status_code == 200, response.text
    assert events(operator, "PC-1") == ["uninstalled", "enrolled"]


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
            wait_for(alone, COMMITS)
            assert terminate(alone, COMMITS) == 1
            response = answer.result(DEADLINE)

    assert_problem(response, 503, "database_unavailable", "retry")
    assert events(operator, "PC-1") == ["enrolled"]
    again = operator.post("/enroll", body, headers=headers)
    assert (again.status_code, again.json["status"]) == (201, "enrolled")


@contextmanager
def waiting_for_a_standby(server):
    """Let no commit on *server* end."""
    set_for_all(server, "synchronous_standby_names", "nobody")
    try:
        yield
    finally:
        set_for_all(server, "synchronous_standby_names", "''")
