"""Two application servers on one PostgreSQL database, behind nginx.

The configuration is that of *Several application servers* in deployment.rst.
"""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import count

import pytest

from tests.support.api import Agent, Api, assert_problem
from tests.support.engines import PostgresqlSchema
from tests.support.load import DEADLINE, assert_nothing_was_lost, load, wait_for_more
from tests.support.nginx import balancer, needs_nginx
from tests.support.processes import at_once
from tests.support.server import running_server
from tests.system.test_pressure import change, rotate

pytestmark = needs_nginx


@pytest.fixture(scope="module")
def database(start_postgresql):
    """A server of the module's own: its connections are counted."""
    return start_postgresql()


@contextmanager
def two_servers(database, folder):
    """Yield two servers on one fleet."""
    name = f"fleet{next(numbers)}"
    with database.connect() as connection:
        connection.execute(f"CREATE DATABASE {name}")
    engine = PostgresqlSchema(database.url(name), "lea")
    options = ["-w", "2", "--threads", "4", "--keep-alive", "0"]
    options += ["--access-logfile", "-"]
    with ExitStack() as stack:
        yield [
            stack.enter_context(running_server(folder / name, *options, engine=engine))
            for name in ("a", "b")
        ]


@pytest.fixture
def servers(database, tmp_path):
    with two_servers(database, tmp_path) as servers:
        yield servers


@pytest.fixture
def front(servers, tmp_path):
    with balancer(tmp_path, *[server.port for server in servers]) as front:
        yield front


numbers = count()


# What one server did, the other one knows at the next request


@pytest.fixture(scope="module")
def pair(database, tmp_path_factory):
    with two_servers(database, tmp_path_factory.mktemp("pair")) as servers:
        yield servers


@pytest.fixture(params=["forwards", "backwards"])
def operators(request, pair):
    """The operator at the server that acts, and at the other one."""
    one, other = pair if request.param == "forwards" else pair[::-1]
    return one.operator, other.operator


@pytest.fixture
def name():
    """The id of a machine for this test alone."""
    return f"PC-{next(numbers)}"


def at(operator, agent):
    """Return the *agent* as it asks the server of *operator*."""
    return Agent(operator.client, agent.answer)


def test_a_token_is_valid_at_once(operators, name):
    one, other = operators

    agent = one.enroll(name)

    assert at(other, agent).heartbeat(version="2").status_code == 200
    machine = one.machine(name)
    assert (machine["version"], machine["presence"]) == ("2", "online")


def test_a_rotation_is_finished_by_the_other_one(operators, name):
    one, other = operators
    old = one.enroll(name)
    assert old.heartbeat().status_code == 200

    rotated = at(other, old).post(f"/machines/{name}/token", {})
    new = Agent(one.client, rotated.json)

    assert old.heartbeat().status_code == 200
    assert new.heartbeat().status_code == 200
    assert_problem(at(other, old).heartbeat(), 401, "token_revoked")
    assert at(other, new).heartbeat().status_code == 200


def test_an_answer_that_one_gave_is_given_again_by_the_other(operators, name):
    one, other = operators
    installer = one.installer(max_uses=1)
    body, headers = {"machine_id": name}, {"Idempotency-Key": name}

    lost = installer.post("/enroll", body, headers=headers)
    again = Api(other.client, installer.token).post("/enroll", body, headers=headers)

    assert (lost.status_code, again.status_code) == (201, 201)
    assert again.json["status"] == "enrolled"
    assert Agent(one.client, again.json).heartbeat().status_code == 200
    assert_problem(Agent(one.client, lost.json).heartbeat(), 401, "token_revoked")


def test_an_enrollment_token_is_revoked_for_both(operators, name):
    one, other = operators
    installer = one.installer(label=name)
    tokens = other.get("/enrollment-tokens").json["enrollment_tokens"]
    (number,) = [token["id"] for token in tokens if token["label"] == name]

    assert other.request("DELETE", f"/enrollment-tokens/{number}").status_code == 200

    refused = installer.post("/enroll", {"machine_id": name})
    assert_problem(refused, 401, "token_revoked")


def test_the_uses_of_an_enrollment_token_are_counted_together(operators, name):
    one, other = operators
    installer = one.installer(max_uses=10)
    callers = [installer, Api(other.client, installer.token)]

    def enroll(number):
        machine = {"machine_id": f"{name}-{number}"}
        return callers[number % 2].post("/enroll", machine).status_code

    assert Counter(at_once(enroll, range(40), 16)) == {201: 10, 403: 30}


def test_a_release_is_one_for_both(operators, name):
    one, other = operators
    agent = one.enroll(name)
    again = [Api(each.client, one.installer().token) for each in (other, one)]
    refused = again[0].post("/enroll", {"machine_id": name})
    assert_problem(refused, 409, "already_enrolled")

    assert one.post(f"/machines/{name}/release", {}).status_code == 200

    statuses = [each.post("/enroll", {"machine_id": name}) for each in again]
    assert [response.status_code for response in statuses] == [201, 409]
    assert_problem(agent.heartbeat(), 401, "token_revoked")


def test_an_uninstall_holds_at_both(operators, name):
    one, other = operators
    agent = one.enroll(name)

    assert other.uninstall(name).status_code == 200

    assert_problem(agent.heartbeat(), 401, "agent_uninstalled")
    assert one.machine(name)["status"] == "uninstalled"


# Behind nginx


def test_lives_through_both_servers(servers, front):
    with load(front) as clients:
        wait_for_more(clients, 50)
        used = servers[0].read(
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'lea_fleet'"
            " AND datname = current_database()"
        )

    assert statuses(clients).keys() == {200, 201}
    assert_nothing_was_lost(front, clients)
    shares = [server.log.count('"POST ') for server in servers]
    assert min(shares) > 0.4 * sum(shares)
    assert len(used) <= 20  # as the page computes


def statuses(clients):
    return sum((client.answers for client in clients), Counter())


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_the_other_one_goes_on_if_one_ends(servers, front, end):
    """A POST that it had got is not sent to the other one: its client repeats it."""
    with load(front, lossy=True) as clients:
        for server in servers:
            wait_for_more(clients)
            getattr(server, end)()
            wait_for_more(clients)
            server.start_again()
            wait_for_requests(server)

    answers = statuses(clients)
    slowest = max(client.longest for client in clients)
    print(f"{end}: {answers}, the slowest took {slowest:.2f} s")
    assert answers.keys() <= {200, 201, 502, "cut off"}
    assert_nothing_was_lost(front, clients)


def wait_for_requests(server):
    """Wait until nginx passes requests on to a *server* that was started again."""
    deadline = time.monotonic() + DEADLINE
    while '"POST ' not in server.log:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_servers_are_restarted_one_after_the_other_without_a_lost_response(
    servers, front
):
    """Each of them is taken out of nginx's configuration before, as the page says."""
    with load(front) as clients:
        for server in servers:
            wait_for_more(clients)
            front.take_out(server.port)
            server.stop()
            wait_for_more(clients)
            server.start_again()
            front.put_back(server.port)
        wait_for_more(clients)

    slowest = max(client.longest for client in clients)
    print(f"restarted: the slowest took {slowest:.2f} s")
    assert statuses(clients).keys() == {200, 201}
    assert_nothing_was_lost(front, clients)


def test_a_hostile_agent_has_one_budget_at_both_servers(servers, front):
    """Beside it, machines live on, of which none is refused anything."""
    hostile = front.operator.enroll("PC-0")
    with load(front) as clients, ThreadPoolExecutor(4) as pool:
        over = time.monotonic() + 10
        attacks = [partial(change, over), partial(rotate, over)] * 2
        work = [pool.submit(attack, front, hostile.token) for attack in attacks]
        answers = sum((each.result() for each in work), Counter())
        wait_for_more(clients)

    assert statuses(clients).keys() == {200, 201}
    assert answers.keys() == {200, 201, 429}
    assert answers[201] == 20
    events = front.operator.get("/machines/PC-0/events?limit=500").json["events"]
    told = Counter(event["event"] for event in events)
    assert (told["identity_changed"], told["token_rotated"]) == (20, 20)
    assert len(events) <= 120
    assert hostile.post("/uninstall").status_code == 200
