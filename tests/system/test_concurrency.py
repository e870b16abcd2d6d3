"""What holds for one client also holds for many at the same time.

The server has several processes and threads, and so have its clients.
"""

from __future__ import annotations

import json
import multiprocessing
import socket
import time
from collections import Counter

import pytest

from tests.support import processes
from tests.support.api import PREFIX, Agent
from tests.support.engines import ENGINES
from tests.support.older_server import OlderServer
from tests.support.processes import in_processes
from tests.support.server import server_on_engine

THREADS = 16  # in each client process
RACES = 40
DEADLINE = 30  # seconds

BEATS = (200, "ok")
ROTATED = (201, None)
ENROLLED = (201, "enrolled")
ALREADY_ENROLLED = (409, "already_enrolled")
EXHAUSTED = (403, "enrollment_token_exhausted")
UNKNOWN = (401, "invalid_token")
REVOKED = (401, "token_revoked")
UNINSTALLED = (401, "agent_uninstalled")


@pytest.fixture(scope="module", params=ENGINES)
def server(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("concurrency")
    with server_on_engine(request, folder, "-w", "2", "--threads", "8") as server:
        yield server


@pytest.fixture
def fleet(server):
    """The operator at the server; the fixture ``operator`` is in this process."""
    return server.operator


def at_once(call, arguments):
    return processes.at_once(call, arguments, THREADS)


def in_two_processes(call, arguments):
    """Call with each of *arguments*, in all the threads of two processes."""

    def first():
        return at_once(call, arguments[::2])

    def second():
        return at_once(call, arguments[1::2])

    return sum(in_processes(first, second), [])


def answered(response):
    body = response.json
    return response.status_code, body.get("code", body.get("status"))


def enroll(caller, machine_id, key=None, **members):
    headers = {} if key is None else {"Idempotency-Key": key}
    members["machine_id"] = machine_id
    return caller.post("/enroll", members, headers=headers)


def rotate(caller, machine_id):
    return caller.post(f"/machines/{machine_id}/token", {})


def holders(caller, answers):
    """Return the agents with the tokens in *answers*; some have none."""
    return [Agent(caller.client, a.json) for a in answers if a.status_code == 201]


def uses(fleet, label):
    listed = fleet.get("/enrollment-tokens").json["enrollment_tokens"]
    (token,) = [token for token in listed if token["label"] == label]
    return token["uses"], token["state"]


def count(server, query, *values):
    (counted,) = server.read(f"SELECT count(*) {query}", values)
    return counted


def machines(server, pattern):
    return count(server, "FROM enrolled_agents WHERE machine_id LIKE ?", pattern)


def unrevoked(server, pattern):
    return count(
        server,
        "FROM lea_fleet_tokens WHERE revoked_at IS NULL AND machine_id LIKE ?",
        pattern,
    )


# Enrolling


def test_of_32_that_enroll_one_machine_one_does(server, fleet):
    def call(_):
        return answered(enroll(fleet, "PC-one"))

    answers = in_two_processes(call, range(32))

    assert Counter(answers) == {ENROLLED: 1, ALREADY_ENROLLED: 31}
    assert machines(server, "PC-one") == unrevoked(server, "PC-one") == 1


def test_50_uses_are_50(server, fleet):
    installer = fleet.installer(label="fifty", max_uses=50)

    def call(number):
        return answered(enroll(installer, f"PC-fifty-{number}"))

    answers = in_two_processes(call, range(200))

    assert Counter(answers) == {ENROLLED: 50, EXHAUSTED: 150}
    assert uses(fleet, "fifty") == (50, "used_up")
    assert machines(server, "PC-fifty-%") == unrevoked(server, "PC-fifty-%") == 50


# Lost responses


@pytest.mark.parametrize("max_uses", [1, 5])
def test_an_answer_that_the_connection_lost_is_given_again(server, fleet, max_uses):
    machine_id = label = f"PC-lost-{max_uses}"
    installer = fleet.installer(label=label, max_uses=max_uses)
    send_and_hang_up(server, installer, machine_id, key="lost")

    response = enroll(installer, machine_id, key="lost")

    assert answered(response) == ENROLLED
    assert machines(server, machine_id) == unrevoked(server, machine_id) == 1
    assert uses(fleet, label)[0] == 1
    (agent,) = holders(fleet, [response])
    assert answered(agent.heartbeat()) == BEATS
    assert answered(enroll(installer, machine_id, key="lost")) == ALREADY_ENROLLED


def send_and_hang_up(server, installer, machine_id, key):
    """Cut the connection after the commit, without reading the response."""
    body = json.dumps({"machine_id": machine_id}).encode()
    head = (
        f"POST {PREFIX}/enroll HTTP/1.1\r\nHost: localhost\r\n"
        f"Authorization: Bearer {installer.token}\r\nIdempotency-Key: {key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    deadline = time.monotonic() + DEADLINE
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(head.encode() + body)
        while not machines(server, machine_id):
            assert time.monotonic() < deadline, "nothing was enrolled"
            time.sleep(0.001)


def test_of_all_the_answers_to_one_key_one_token_is_good(server, fleet):
    installer = fleet.installer(label="retries", max_uses=1)

    def call(_):
        return enroll(installer, "PC-retries", key="retries")

    answers = at_once(call, range(THREADS))

    assert {answered(answer) for answer in answers} == {ENROLLED}
    assert machines(server, "PC-retries") == unrevoked(server, "PC-retries") == 1
    assert uses(fleet, "retries") == (1, "used_up")
    beats = [answered(agent.heartbeat()) for agent in holders(fleet, answers)]
    # Of the tokens that were replaced, only the newest four are still known.
    assert Counter(beats) == {BEATS: 1, REVOKED: 4, UNKNOWN: THREADS - 5}


# Rotation


def test_who_rotates_and_then_keeps_to_the_new_token_is_never_refused(fleet):
    """Many requests at once are its first use, one of them the next rotation."""
    agent = fleet.enroll("PC-switch")

    for _ in range(RACES // 2):
        agent = rotated_among_heartbeats(agent, by=agent)


def test_nor_is_one_that_an_operator_gives_another_token(fleet):
    agent = fleet.enroll("PC-given")

    for _ in range(RACES // 2):
        assert answered(agent.heartbeat()) == BEATS
        agent = rotated_among_heartbeats(agent, by=fleet)


@pytest.mark.parametrize("role", ["agent", "operator"])
def test_of_16_rotations_at_once_one_new_token_remains(server, fleet, role):
    """All of them are answered, and the token that was in use goes on until then."""
    agent = fleet.enroll(f"PC-16-{role}")
    assert answered(agent.heartbeat()) == BEATS
    by = {"agent": agent, "operator": fleet}[role]

    answers = at_once(lambda _: rotate(by, agent.machine_id), range(16))

    assert Counter(map(answered, answers)) == {ROTATED: 16}
    pending = "FROM lea_fleet_tokens WHERE pending AND revoked_at IS NULL"
    assert count(server, f"{pending} AND machine_id = ?", agent.machine_id) == 1
    assert unrevoked(server, agent.machine_id) == 2
    assert answered(agent.heartbeat()) == BEATS
    beats = [answered(agent.heartbeat()) for agent in holders(fleet, answers)]
    # Of the tokens that were replaced, only the newest are still known.
    assert beats.count(BEATS) == 1
    assert {*beats} == {BEATS, REVOKED, UNKNOWN}
    assert answered(agent.heartbeat()) == REVOKED
    assert unrevoked(server, agent.machine_id) == 1


def rotated_among_heartbeats(agent, by):
    """Rotate a token while it is in use; return the agent with the new one."""

    def act(number):
        if number == THREADS // 2:
            return rotate(by, agent.machine_id)
        return agent.heartbeat(version=str(number))

    answers = at_once(act, range(THREADS))

    expected = {BEATS: THREADS - 1, ROTATED: 1}
    assert Counter(map(answered, answers)) == expected
    (rotated,) = holders(agent, answers)
    return rotated


# A concurrent uninstall


@pytest.mark.parametrize("role", ["agent", "operator"])
def test_an_uninstall_among_rotations_leaves_no_live_token(server, fleet, role):
    agents = at_once(fleet.enroll, [f"PC-{role}-{n}" for n in range(RACES)])

    def race(agent):
        by = {"agent": agent, "operator": fleet}[role]
        return rotate(by, agent.machine_id)

    answers = among_uninstalls(fleet, race, agents)

    gone = {"agent": UNINSTALLED, "operator": (409, "machine_uninstalled")}[role]
    assert set(map(answered, answers)) <= {ROTATED, gone}
    assert unrevoked(server, f"PC-{role}-%") == 0
    assert_dead(agents + holders(fleet, answers), UNINSTALLED)


def test_an_uninstall_among_retries_leaves_no_live_token(server, fleet):
    installer = fleet.installer()

    def race(agent):
        return enroll(installer, agent.machine_id, "key", allow_reactivate=False)

    lost = [enroll(installer, f"PC-retry-{n}", "key") for n in range(RACES)]
    agents = holders(fleet, lost)
    answers = among_uninstalls(fleet, race, agents)

    refused = (409, "reactivation_refused")
    assert set(map(answered, answers)) <= {ENROLLED, refused}
    assert unrevoked(server, "PC-retry-%") == 0
    assert_dead(agents + holders(fleet, answers), UNINSTALLED)


def among_uninstalls(fleet, race, agents):
    """Let each agent *race* with its uninstall; return what the race answered."""

    def act(number):
        agent = agents[number // 2]
        # Sent first in turn: the uninstall, or the other request.
        if number % 4 in (1, 2):
            return race(agent)
        response = fleet.uninstall(agent.machine_id)
        assert response.status_code == 200
        return None

    answers = at_once(act, range(2 * len(agents)))
    return [answer for answer in answers if answer is not None]


def assert_dead(agents, answer):
    assert set(at_once(beat_of, agents)) == {answer}


def beat_of(agent):
    return answered(agent.heartbeat())


# Beside the older server


@pytest.mark.parametrize("server", ["sqlite"], indirect=True)
def test_the_older_server_brings_no_token_back_to_life(server, fleet):
    names = [f"PC-older-{number}" for number in range(4)]
    agents = at_once(fleet.enroll, names)
    older = OlderServer(server.database)
    over = multiprocessing.get_context("fork").Event()

    def reinstall(times):
        for _ in range(times):
            for name in names:
                older.uninstall(name, "theirs")
                older.enroll(name)

    def theirs():
        try:
            reinstall(25)
        finally:
            over.set()

    def ours():
        return at_once(lambda agent: live_until(over, fleet, agent), agents)

    _, lives = in_processes(theirs, ours)

    answers = {answer for _, answers in lives for answer in answers}
    uninstalled = {UNINSTALLED, (409, "machine_uninstalled")}
    assert answers <= {BEATS, ROTATED, REVOKED, *uninstalled}
    reinstall(1)
    everyone = [agent for agents, _ in lives for agent in agents]
    forgotten = (401, "invalid_token")  # of many that ended, the newest are kept
    assert set(at_once(beat_of, everyone)) <= {REVOKED, forgotten}


def live_until(over, fleet, agent):
    """Send heartbeats and rotate all the time; return all agents and responses.

    An agent for each token is returned. The last two that were refused keep on trying.
    """
    live, dead, answers = [agent], [], set()
    while not over.is_set():
        rotated = rotate(fleet, agent.machine_id)
        answers.add(answered(rotated))
        for ghost in dead[-2:]:
            assert ghost.heartbeat(version="0").status_code == 401
        trying, live = live + holders(fleet, [rotated]), []
        for holder in trying:
            answer = answered(holder.heartbeat(version="1"))
            answers.add(answer)
            (live if answer == BEATS else dead).append(holder)
    return live + dead, answers


# The first use of a token, and what happens right before it is written


@pytest.fixture
def old(operator):
    agent = operator.enroll("PC-1")
    assert answered(agent.heartbeat()) == BEATS
    return agent


@pytest.fixture
def pending(operator, old):
    """The agent with a token from a rotation, which it has not used yet."""
    (agent,) = holders(operator, [rotate(operator, "PC-1")])
    return agent


@pytest.mark.parametrize(
    ("meanwhile", "expected"),
    [
        (lambda caller: rotate(caller, "PC-1"), [REVOKED, BEATS, BEATS]),
        (lambda caller: enroll(caller, "PC-1", force=True), [REVOKED, REVOKED, BEATS]),
    ],
    ids=["rotation", "enrollment"],
)
def test_what_overtakes_a_first_use_stands(
    operator, elsewhere, old, pending, before_writing, meanwhile, expected
):
    answers = []
    before_writing(lambda: answers.append(meanwhile(elsewhere)))

    first = pending.heartbeat()

    (new,) = holders(operator, answers)
    beats = [first, old.heartbeat(), new.heartbeat()]
    assert [answered(beat) for beat in beats] == expected


def test_a_rotation_by_the_token_itself_may_overtake_its_first_use(
    operator, elsewhere, pending, before_writing
):
    answers = []
    itself = Agent(elsewhere.client, pending.answer)
    before_writing(lambda: answers.append(rotate(itself, "PC-1")))

    assert answered(pending.heartbeat()) == BEATS
    (new,) = holders(operator, answers)
    assert answered(new.heartbeat()) == BEATS
    assert answered(pending.heartbeat()) == REVOKED


def test_a_retry_that_overtakes_a_first_use_may_be_lost_too(
    operator, elsewhere, before_writing
):
    (agent,) = holders(operator, [enroll(operator, "PC-1", "key")])
    before_writing(lambda: enroll(elsewhere, "PC-1", "key"))

    assert answered(agent.heartbeat()) == REVOKED
    assert answered(enroll(operator, "PC-1", "key")) == ENROLLED
