"""Commands that change many machines run beside requests about the same machines.

Every command ends well, every request is answered as if it were alone, and nothing that
was acknowledged is lost.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager

import pytest

from tests.support import docs
from tests.support.api import OPERATOR_TOKEN, Agent, Api
from tests.support.engines import ENGINES
from tests.support.processes import at_once
from tests.support.server import KeptClient, server_on_engine

THREADS = 8
DEADLINE = 120  # seconds

BEATS = (200, "ok")
GONE = (401, "agent_uninstalled")


#: However slow this machine is, nobody is sent away for that.
PATIENT = {"LEA_FLEET_BUSY_TIMEOUT": f"{DEADLINE}s"}


@pytest.fixture(params=ENGINES)
def server(request, tmp_path):
    options = ["-w", "2", "--threads", "4"]
    with server_on_engine(request, tmp_path, *options, **PATIENT) as server:
        yield server


@pytest.fixture
def fleet(server):
    return server.operator


@pytest.fixture
def flask_fleet(server):
    """Run ``flask fleet`` with these words; return what it prints as JSON."""

    def run(*words):
        command = [sys.executable, "-m", "flask", "--app", "lea_fleet", "fleet"]
        ran = subprocess.run(
            [*command, *map(str, words), "--yes", "--json"],
            env=docs.environment(
                RPA_API_TOKEN=OPERATOR_TOKEN, **server.engine.environment, **PATIENT
            ),
            capture_output=True,
            text=True,
            timeout=DEADLINE,
        )
        assert (ran.returncode, ran.stderr) == (0, "")
        return json.loads(ran.stdout)

    return run


@contextmanager
def at_work(server, *works):
    """Run each of *works* again and again, in a thread, during the block.

    A work gets a client. The block begins once each has been run.
    """
    over, begun = threading.Event(), [threading.Event() for _ in works]

    def repeat(work, first):
        with closing(KeptClient(server.port)) as client:
            while not over.is_set():
                work(client)
                first.set()

    with ThreadPoolExecutor(len(works)) as pool:
        running = [pool.submit(repeat, *each) for each in zip(works, begun)]
        try:
            for first, each in zip(begun, running):
                while not first.wait(0.01) and not each.done():
                    pass
            yield
        finally:
            over.set()
        for each in running:
            each.result(DEADLINE)


def answered(response):
    body = response.json
    return response.status_code, body.get("code", body.get("status"))


def one(server, query):
    (found,) = server.read(query)
    return found


# Imports


def test_imports_beside_the_installers_of_their_machines(
    server, fleet, flask_fleet, tmp_path
):
    names = [f"PC-{number}" for number in range(3000)]
    files = [tmp_path / "forwards.csv", tmp_path / "backwards.csv"]
    for file, lines in zip(files, (names, names[::-1])):
        file.write_text("\n".join(["machine_id", *lines]))
    installer = fleet.installer(max_uses=len(names))
    left, answers = random.sample(names, len(names)), {}

    def install(client):
        if left:
            name = left.pop()
            caller = Api(client, installer.token)
            answers[name] = caller.post("/enroll", {"machine_id": name})

    with at_work(server, *[install] * THREADS):
        counts = at_once(lambda file: flask_fleet("import", file), files, 2)

    assert [count["lines"] for count in counts] == [len(names)] * 2
    # An imported machine is enrolled once more by its installer.
    statuses = Counter(map(answered, answers.values()))
    assert statuses.keys() <= {(201, "enrolled"), (201, "reenrolled")}
    new = sum(count["imported"] for count in counts)
    assert new + statuses[201, "enrolled"] == len(names)
    assert events(server, "imported") == new
    assert one(server, "SELECT count(*) FROM enrolled_agents") == len(names)
    live = "SELECT count(*) FROM lea_fleet_tokens WHERE revoked_at IS NULL"
    assert one(server, live) == len(answers)
    for answer in answers.values():
        assert answered(Agent(fleet.client, answer.json).heartbeat()) == BEATS
    totals = fleet.get("/fleet").json["totals"]
    assert totals["pending"] == len(names) - len(answers)


# Silent machines


LONG_AGO = "2025-01-02T03:04:05.000000+00:00"


def test_prunes_leave_alone_what_is_heard_meanwhile(server, fleet, flask_fleet):
    """Whoever gets an answer to a heartbeat is not pruned after it."""
    names = [f"PC-{number}" for number in range(400)]
    agents = at_once(fleet.enroll, names, THREADS)
    with server.engine.connected() as connection:
        connection.execute("UPDATE enrolled_agents SET last_seen_at = ?", [LONG_AGO])
    left, answers = random.sample(agents, len(agents)), {}

    def wake(client):
        if left:
            agent = left.pop()
            agent.client = client
            answers[agent] = [answered(agent.heartbeat()) for _ in range(3)]

    with at_work(server, *[wake] * 2):
        silent = at_once(lambda _: flask_fleet(*SILENT)["agents"], range(2), 2)

    pruned = [agent["machine_id"] for agents in silent for agent in agents]
    assert len(pruned) == len({*pruned}) == events(server, "uninstalled")
    assert {*names} == {*pruned} ^ {agent.machine_id for agent in heard(answers)}
    for agent, beats in answers.items():
        gone = agent.machine_id in pruned
        assert beats == [GONE if gone else BEATS] * 3


SILENT = ["prune", "--silent-for", "180d"]


def heard(answers):
    return [agent for agent, beats in answers.items() if BEATS in beats]


def events(server, name):
    return one(server, f"SELECT count(*) FROM lea_fleet_events WHERE event = '{name}'")


# All of them beside machines that come and go


def test_commands_about_machines_that_come_and_go(server, fleet, flask_fleet, tmp_path):
    """Nothing that was acknowledged is lost, and at the end nobody is named."""
    names = [f"PC-{number}" for number in range(40)]
    lives = [Lives(fleet, names[n::THREADS]) for n in range(THREADS)]
    file = tmp_path / "machines.csv"
    file.write_text("\n".join(["machine_id", *names[::-1]]))
    commands = [
        ["erase", "--user", "zoe@example.com"],
        ["erase", "--user", "paul@example.com"],
        ["prune", "--uninstalled-for", "1s"],
        ["prune", "--silent-for", "1h"],
        ["import", file],
    ]

    with at_work(server, *[each.live for each in lives]):
        at_once(lambda words: flask_fleet(*words), commands, len(commands))

    for each in lives:
        for answer in each.answers.values():
            assert answered(Agent(fleet.client, answer).heartbeat()) == BEATS
    done = sum((each.done for each in lives), Counter())
    assert {name: events(server, name) for name in done} == done
    for name in ("zoe", "paul"):
        flask_fleet("erase", "--user", f"{name}@example.com")
        assert named(server, name) == []


class Lives:
    """Some machines, each of which lives a life after the other."""

    def __init__(self, fleet, names):
        self.done = Counter(enrolled=len(names))
        #: The last response with a token.
        self.answers = {name: fleet.enroll(name, **ZOE).answer for name in names}

    def live(self, client):
        """Rotate the token of a machine, report a user, leave and come back."""
        fleet = Api(client, OPERATOR_TOKEN)
        name = random.choice([*self.answers])
        rotated = fleet.post(f"/machines/{name}/token", {})
        assert rotated.status_code == 201, rotated.text
        agent = Agent(client, rotated.json)
        assert answered(agent.heartbeat(**PAUL)) == BEATS
        left = agent.post("/uninstall", {"reason": "paul@example.com has left"})
        assert answered(left) == (200, "uninstalled")
        assert answered(agent.heartbeat()) == GONE
        self.answers[name] = fleet.enroll(name, **ZOE).answer
        self.done.update(["token_rotated", "uninstalled", "reactivated"])


ZOE = {"user_name": "Zoé", "user_email": "zoe@example.com", "hostname": "PC-ZOE"}
PAUL = {"user_name": "Paul", "user_email": "paul@example.com", "hostname": "PC-PAUL"}


def named(server, name):
    """Return what is stored with the address of a person."""
    tables = {
        "enrolled_agents": "user_email || coalesce(uninstall_reason, '')",
        "lea_fleet_events": "actor || detail",
        "lea_fleet_identities": "value",
    }
    return [
        row
        for table, text in tables.items()
        for row in server.read(
            f"SELECT {text} FROM {table} WHERE {text} LIKE '%{name}@example.com%'"
        )
    ]


# Old events


def test_prunes_of_events_beside_erasures_count_each_event_once(
    server, fleet, flask_fleet
):
    fleet.get("/fleet")
    with server.engine.connected() as connection:
        connection.execute(OLD_EVENTS)
    lives = Lives(fleet, [f"PC-{number}" for number in range(8)])
    commands = [
        ["prune", "--events-older-than", "90d"],
        ["prune", "--events-older-than", "90d"],
        ["erase", "--user", "zoe@example.com"],
    ]

    with at_work(server, lives.live):
        told = at_once(lambda words: flask_fleet(*words), commands, 3)

    assert told[0]["events"] + told[1]["events"] == 10_000
    assert one(server, "SELECT sum(events) FROM lea_fleet_pruned") == 10_000
    assert {name: events(server, name) for name in lives.done} == lives.done


#: Of fifty machines of former times, on three days.
OLD_EVENTS = """INSERT INTO lea_fleet_events (machine_id, event, at, actor, detail)
  WITH RECURSIVE counted(n) AS (
    SELECT 0 UNION ALL SELECT n + 1 FROM counted WHERE n < 9999
  )
  SELECT 'PC-' || (100 + n % 50), 'uninstalled',
    '2025-01-0' || (1 + n % 3) || 'T04:05:06.000000+00:00',
    '{"role": "agent"}', '{"reason": "zoe@example.com has left"}'
  FROM counted"""
