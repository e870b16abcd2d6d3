"""Faults under a running server: nothing that it acknowledged is lost.

Processes are killed, the disk is full, the database is removed, the clock is set back,
and the server runs for a long time. What a single connection does about a lost file or
after a fork is in test_connections.py.
"""

from __future__ import annotations

import itertools
import os
import resource
import socket
import struct
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from functools import partial
from http.client import HTTPException
from pathlib import Path

import pytest

from lea_fleet.core.tokens import hash_token
from tests.support.api import OPERATOR_TOKEN, PREFIX, Agent, Api, assert_problem
from tests.support.fleets import make_fleet
from tests.support.processes import at_once, open_descriptors
from tests.support.server import KeptClient, running_server

THREADS = 16
KILLS = 20
DEADLINE = 60  # seconds

_MACHINES = "SELECT machine_id FROM enrolled_agents WHERE machine_id"


def wait_until(happens):
    deadline = time.monotonic() + DEADLINE
    while not happens():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.001)


class Storm:
    """Installers that enroll one machine after another, as fast as they can.

    Each repeats its request with the same key until the response is a 201.
    """

    def __init__(self, server, name="1"):
        self._server = server
        self._name = name
        self.installer = server.operator.installer(max_uses=1_000_000)
        self.answers = {}  # by machine_id: each 201 that was received
        self.lost = 0  # requests whose connection was cut
        self.refused = 0  # requests answered with 503
        self._numbers = itertools.count()
        self._over = threading.Event()

    @contextmanager
    def raging(self):
        """Let the installers work during the block; each completes its last request."""
        with ThreadPoolExecutor(THREADS) as pool:
            installers = [pool.submit(self._install) for _ in range(THREADS)]
            try:
                yield
            finally:
                self._over.set()
                for installer in installers:  # its error says more than a timeout
                    installer.result()

    def go_on(self, count=20):
        """Wait until that many more machines are enrolled."""
        enough = len(self.answers) + count
        wait_until(lambda: len(self.answers) >= enough)

    def be_refused(self, count=20):
        """Wait until that many more are refused, since the server can write nothing."""
        enough = self.refused + count
        wait_until(lambda: self.refused >= enough)

    def assert_kept(self):
        """Assert that the database has each 201, and nothing else."""
        hashes = {
            hash_token(answer["api_token"].encode()) for answer in self.answers.values()
        }
        read = self._server.read
        assert hashes <= set(read("SELECT token_hash FROM lea_fleet_tokens"))
        enrolled = read(f"{_MACHINES} LIKE 'storm-{self._name}-%'")
        assert sorted(enrolled) == sorted(self.answers)
        uses = sum(read("SELECT uses FROM lea_fleet_enrollment_tokens"))
        assert uses == len(read(f"{_MACHINES} LIKE 'storm-%'"))
        assert read("PRAGMA integrity_check") == ["ok"]

    def assert_all_beat(self):
        client = self._server.client
        agents = [Agent(client, answer) for answer in self.answers.values()]
        beats = at_once(lambda agent: agent.heartbeat().status_code, agents, threads=2)
        assert set(beats) == {200}

    def _install(self):
        while not self._over.is_set():
            machine_id = f"storm-{self._name}-{next(self._numbers)}"
            self.answers[machine_id] = self._enrolled(machine_id)

    def _enrolled(self, machine_id):
        deadline = time.monotonic() + DEADLINE
        while time.monotonic() < deadline:
            try:
                response = self.installer.post(
                    "/enroll",
                    {"machine_id": machine_id},
                    headers={"Idempotency-Key": f"setup of {machine_id}"},
                )
            except (OSError, HTTPException):
                self.lost += 1
            else:
                if response.status_code == 201:
                    return response.json
                assert response.status_code == 503, response.text
                self.refused += 1
            time.sleep(0.01)
        raise AssertionError(f"{machine_id} could not be enrolled")


def test_killed_processes_lose_nothing_that_was_acknowledged(tmp_path):
    with running_server(tmp_path, "-w", "2", "--threads", "4", "--preload") as server:
        storm = Storm(server)
        with storm.raging():
            for kill in range(KILLS):
                storm.go_on()
                if kill % 4 == 3:
                    server.kill_and_restart()
                else:
                    server.kill_workers()

        assert storm.lost >= KILLS
        storm.assert_all_beat()
        storm.assert_kept()


# No space left


@contextmanager
def full_disk(server):
    """Fill the disk of the server."""
    ballast = server.database.with_name("ballast")
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    yield
    ballast.unlink()


@contextmanager
def limited_files(server):
    """Limit the server's files to 64 KiB each (EFBIG)."""
    limit_files(server, 64 * 1024)
    yield
    limit_files(server, resource.RLIM_INFINITY)


def limit_files(server, size):
    for pid in server.workers():
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


@pytest.fixture(params=["full_disk", "limited_files"])
def shortage(request):
    """A folder for a server, and a context in which it has no space left."""
    if request.param == "full_disk":
        return request.getfixturevalue("small_disk"), full_disk
    return request.getfixturevalue("tmp_path"), limited_files


def test_a_server_without_space_loses_nothing_and_recovers(shortage):
    folder, without_space = shortage
    with running_server(folder, "-w", "2", "--threads", "4") as server:
        workers = server.workers()
        fresh = server.operator.enroll("PC-fresh")
        assert fresh.heartbeat().status_code == 200
        storm = Storm(server)
        with storm.raging():
            for _ in range(5):
                storm.go_on()
                with without_space(server):
                    storm.be_refused()
                    assert fresh.heartbeat().status_code in (200, 503)
                    assert server.operator.get("/fleet").status_code in (200, 503)
        assert server.workers() == workers
        storm.assert_all_beat()
        storm.assert_kept()


def test_a_listing_that_finds_no_space_is_refused(shortage, monkeypatch):
    folder, without_space = shortage
    monkeypatch.setenv("TMPDIR", str(folder))
    make_fleet(folder / "rpa_data.db", 1200, os_info="x" * 1000)
    with running_server(folder, "-w", "2", "--threads", "4") as server:
        workers = server.workers()
        with without_space(server):
            for _ in range(8):
                assert_problem(list_fleet(server), 503, "database_unavailable", "retry")
        for _ in range(8):
            assert len(list_fleet(server).json["active"]) == 1200
        assert server.workers() == workers


def test_a_listing_is_sent_whole_or_not_at_all(tmp_path):
    """Also if only the last byte does not fit."""
    make_fleet(tmp_path / "rpa_data.db", 1200, os_info="x" * 1000)
    with running_server(tmp_path) as server:
        whole = list_fleet(server).data
        for size in (1_100_000, len(whole) - 1):
            limit_files(server, size)
            assert_problem(list_fleet(server), 503, "database_unavailable", "retry")
        limit_files(server, len(whole))
        assert list_fleet(server).data == whole


def list_fleet(server):
    return server.operator.get("/fleet")


# A database that is removed


def test_a_database_that_is_moved_away_and_back_loses_nothing(tmp_path):
    with running_server(tmp_path, "-w", "2", "--threads", "4") as server:
        storm = Storm(server)
        with storm.raging():
            for _ in range(10):
                storm.go_on()
                os.rename(server.database, tmp_path / "away.db")
                storm.be_refused()
                assert not server.database.exists()
                os.rename(tmp_path / "away.db", server.database)
        storm.assert_all_beat()
        storm.assert_kept()


def test_a_database_that_is_deleted_is_not_begun_anew(tmp_path):
    """Not by a worker that has used it, nor by one that has not."""
    with running_server(tmp_path, "-w", "2") as server:
        server.operator.enroll("PC-1")
        server.database.unlink()
        server.workers()
        for number in range(20):
            response = server.operator.post("/enroll", {"machine_id": f"PC-{number}"})
            assert_problem(response, 503, "database_unavailable", "retry")
        assert not server.database.exists()


def test_a_log_that_is_deleted_takes_nothing_with_it(tmp_path):
    with running_server(tmp_path, "-w", "2", "--threads", "4") as server:
        workers = server.workers()
        storm = Storm(server)
        with storm.raging():
            for _ in range(5):
                storm.go_on(100)
                wait_until(lambda: all(map(partial(uses, server), workers)))
                for end in ("-wal", "-shm"):
                    os.unlink(f"{server.database}{end}")
                storm.go_on(100)
        assert server.workers() == workers
        storm.assert_all_beat()
        storm.assert_kept()


@pytest.mark.parametrize(
    ("before", "after", "ends"),
    [
        ("A", "ABAB", ("-wal",)),
        ("A", "ABAB", ("-shm",)),
        ("A", "BABA", ("-shm",)),
        ("A", "BABA", ("-wal", "-shm")),
        ("AB", "BB", ("-wal", "-shm")),  # the other one is idle
    ],
)
def test_no_process_begins_a_wal_while_another_uses_a_removed_one(
    tmp_path, before, after, ends
):
    database, kept = tmp_path / "fleet.db", set()

    def enroll(servers):
        for name in servers:
            machine = f"PC-{name}-{len(kept)}"
            answer = servers_of[name].operator.post("/enroll", {"machine_id": machine})
            if answer.status_code == 201:
                kept.add(machine)
            else:
                assert_problem(answer, 503, "database_unavailable")

    with running_server(tmp_path / "a", database=database) as a:
        with running_server(tmp_path / "b", database=database) as b:
            servers_of = {"A": a, "B": b}
            enroll(before * 10)
            assert len(kept) == 10 * len(before)
            for end in ends:
                os.unlink(f"{database}{end}")
            enroll(after)
    assert set(a.read("SELECT machine_id FROM enrolled_agents")) == kept
    assert a.read("PRAGMA integrity_check") == ["ok"]


HOST = """
import hashlib, os
from pathlib import Path

from lea_fleet import create_app

app = create_app()


@app.get("/checksum")
def checksum():
    database = Path(os.environ["RPA_AGENTS_DB_PATH"])
    return [os.getpid(), hashlib.sha256(database.read_bytes()).hexdigest()]
"""


def test_a_host_that_opens_the_file_takes_nothing_with_it(tmp_path):
    """It drops the locks, so that a command takes the WAL away under the workers."""
    (tmp_path / "host.py").write_text(HOST)
    options = ("-w", "2", "--threads", "4")
    with running_server(tmp_path, *options, app="host:app") as server:
        workers, storms = server.workers(), []
        for _ in range(5):
            storms.append(Storm(server, len(storms)))
            with storms[-1].raging():
                storms[-1].go_on(50)
                wait_until(lambda: all(map(partial(uses, server), workers)))
            read = set()
            while read != set(workers):
                read.add(server.client.open("/checksum").json[0])
            server.read("SELECT count(*) FROM enrolled_agents")
            assert not Path(f"{server.database}-wal").exists()
        assert server.workers() == workers
        for storm in storms:
            storm.assert_all_beat()
            storm.assert_kept()


def uses(server, pid):
    """Return whether a worker has the database open."""
    return f"{server.database}-shm" in Path(f"/proc/{pid}/maps").read_text()


# A clock that is set back

CLOCKED = """
from datetime import timedelta
from pathlib import Path

from lea_fleet import create_app
from lea_fleet.core import clock

now = clock.now
clock.now = lambda: now() + timedelta(hours=float(Path("ahead").read_text()))
app = create_app()
"""


@pytest.fixture
def clocked(tmp_path):
    """A server whose clock is ahead by the hours in a file: 48 at first."""
    (tmp_path / "clocked.py").write_text(CLOCKED)
    (tmp_path / "ahead").write_text("48")
    with running_server(tmp_path, "-w", "2", app="clocked:app") as server:
        yield server


def set_clock(server, ahead):
    server.database.with_name("ahead").write_text(str(ahead))


def test_a_clock_that_is_set_back_strands_nobody(clocked):
    operator = clocked.operator
    installer = operator.installer(expires="1h")
    agent = operator.enroll("PC-1")
    assert agent.heartbeat().status_code == 200
    gone = operator.enroll("PC-2")
    assert operator.uninstall("PC-2").status_code == 200
    unused = operator.enroll("PC-3")
    assert operator.post("/machines/PC-1/release").status_code == 200

    set_clock(clocked, ahead=0)

    for _ in range(2):
        assert agent.heartbeat().status_code == 200
    assert unused.heartbeat().status_code == 200
    assert_problem(gone.heartbeat(), 401, "agent_uninstalled", "reenroll")
    assert installer.enroll("PC-2").heartbeat().status_code == 200
    assert_problem(gone.heartbeat(), 401, "token_revoked")
    again = installer.enroll("PC-1")
    assert again.answer["status"] == "reenrolled"
    assert again.heartbeat().status_code == 200
    assert_problem(agent.heartbeat(), 401, "token_revoked")
    assert installer.enroll("PC-4").heartbeat().status_code == 200


def test_a_clock_that_is_set_back_keeps_no_machine_online(clocked):
    agent = clocked.operator.enroll("PC-1")
    assert agent.heartbeat().status_code == 200

    set_clock(clocked, ahead=0)
    server_time = agent.heartbeat().json["server_time"]

    shown = clocked.operator.machine("PC-1")
    assert max(shown["last_seen_at"], server_time) < shown["enrolled_at"]
    assert shown["presence"] == "online"
    set_clock(clocked, ahead=1)
    assert clocked.operator.machine("PC-1")["presence"] == "offline"


def test_a_clock_that_is_set_back_mixes_up_no_history(clocked):
    operator = clocked.operator
    operator.enroll("PC-1")
    set_clock(clocked, ahead=24)
    operator.uninstall("PC-1")
    set_clock(clocked, ahead=0)
    operator.enroll("PC-1")

    shown, query = [], "limit=1"
    while query is not None:
        page = operator.get(f"/machines/PC-1/events?{query}").json
        shown += page["events"]
        cursor = page["next_cursor"]
        query = cursor and f"limit=1&cursor={cursor}"

    happened = [event["event"] for event in shown]
    assert happened == ["reactivated", "uninstalled", "enrolled"]
    assert [event["at"] for event in shown] == sorted(event["at"] for event in shown)


# For a long time, and after a fork

SERVED = """
import os

from lea_fleet import create_app

app = create_app()
answer = app.test_client().post(
    "/api/v1/agents/enroll",
    json={"machine_id": "PC-before"},
    headers={"Authorization": f"Bearer {os.environ['RPA_API_TOKEN']}"},
)
assert answer.status_code == 201, answer.text
"""


def test_workers_may_be_forked_after_the_first_request(tmp_path):
    (tmp_path / "served.py").write_text(SERVED)
    options = ("-w", "2", "--threads", "4", "--preload")
    with running_server(tmp_path, *options, app="served:app") as server:
        storm = Storm(server)
        with storm.raging():
            for _ in range(5):
                storm.go_on()
                server.kill_workers()
        storm.assert_all_beat()
        server.kill()
    storm.assert_kept()
    assert server.read(f"{_MACHINES} = 'PC-before'") == ["PC-before"]


def test_descriptors_do_not_pile_up_over_10000_requests(tmp_path):
    make_fleet(tmp_path / "rpa_data.db", 1200, os_info="x" * 1000)
    # One connection per worker, so that the number of open files is the same each time.
    options = ("-k", "gthread", "-w", "2", "--threads", "1")
    with running_server(tmp_path, *options) as server:
        life = partial(live, server, server.operator.enroll("PC-mine"))
        numbers = itertools.count()
        while not all(map(partial(uses, server), server.workers())):
            at_once(life, itertools.islice(numbers, 4), threads=4)
        before = {pid: open_descriptors(pid) for pid in server.workers()}

        requests = at_once(life, itertools.islice(numbers, 100), threads=4)
        assert sum(requests) == 10_000

        for pid, count in before.items():
            wait_until(lambda: open_descriptors(pid) <= count)
        assert server.workers() == [*before]


def live(server, agent, number):
    """Send a hundred requests of all kinds; return how many they were."""
    with closing(KeptClient(server.port)) as client:
        operator = Api(client, OPERATOR_TOKEN)
        agent = Agent(client, agent.answer)
        unknown = Agent(client, {**agent.answer, "api_token": "lea_agent_unknown"})
        answers = [
            *[agent.heartbeat() for _ in range(80)],
            *[unknown.heartbeat() for _ in range(5)],
            *[agent.get("/fleet") for _ in range(5)],
            *[operator.post("/enroll", {"machine_id": " "}) for _ in range(4)],
            *[operator.get("/nowhere") for _ in range(3)],
            operator.post("/enroll", {"machine_id": f"PC-new-{number}"}),
            operator.get("/fleet"),
        ]
        hang_up_during_the_listing(server)
    statuses = Counter(answer.status_code for answer in answers)
    assert statuses == {200: 81, 401: 5, 403: 5, 400: 4, 404: 3, 201: 1}
    return len(answers) + 1


def hang_up_during_the_listing(server):
    """Reset the connection once the response, of more than a megabyte, has begun."""
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        reset = struct.pack("ii", 1, 0)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
        connection.sendall(
            f"GET {PREFIX}/fleet HTTP/1.1\r\nHost: localhost\r\n"
            f"Authorization: Bearer {OPERATOR_TOKEN}\r\n\r\n".encode()
        )
        assert connection.recv(12) == b"HTTP/1.1 200"
