"""What breaks under a running server: nothing that it acknowledged is lost.

Its processes are killed, its disk is full, its database is taken away, its clock
is set back, it runs for long. What single connections do about a lost file, or
after a fork, is in test_connections.py.
"""

from __future__ import annotations

import itertools
import os
import resource
import sqlite3
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from functools import partial
from http.client import HTTPException
from pathlib import Path

import pytest

from lea_fleet.tokens import hash_token
from tests.api import Agent, assert_problem
from tests.fleets import make_fleet
from tests.processes import at_once
from tests.server import running_server

THREADS = 16
KILLS = 20
DEADLINE = 60  # seconds

_MACHINES = "SELECT machine_id FROM enrolled_agents WHERE machine_id"


def read(database, query):
    with closing(sqlite3.connect(database)) as connection:
        return [row[0] for row in connection.execute(query)]


def wait_until(happens):
    deadline = time.monotonic() + DEADLINE
    while not happens():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.001)


class Storm:
    """Installers that enrol one machine after another, as fast as they can.

    Each sends its request, under its key, until it is answered 201.
    """

    def __init__(self, server):
        self.installer = server.operator.installer(max_uses=1_000_000)
        self.answers = {}  # by machine_id: each 201 that arrived
        self.lost = 0  # requests that were cut off
        self.refused = 0  # that were answered 503
        self._numbers = itertools.count()
        self._over = threading.Event()

    @contextmanager
    def raging(self):
        """Let the installers work; at the end of the block each gets to its own."""
        with ThreadPoolExecutor(THREADS) as pool:
            installers = [pool.submit(self._install) for _ in range(THREADS)]
            try:
                yield
            finally:
                self._over.set()
            for installer in installers:
                installer.result()

    def go_on(self, count=20):
        """Wait until so many more are enrolled."""
        enough = len(self.answers) + count
        wait_until(lambda: len(self.answers) >= enough)

    def be_refused(self, count=20):
        """Wait until so many more are refused, since the server can write nothing."""
        enough = self.refused + count
        wait_until(lambda: self.refused >= enough)

    def assert_kept_in(self, database):
        """Assert that each 201 is in the database, and nothing else."""
        hashes = {hash_token(answer["api_token"]) for answer in self.answers.values()}
        assert hashes <= set(read(database, "SELECT token_hash FROM lea_fleet_tokens"))
        enrolled = read(database, f"{_MACHINES} LIKE 'storm-%'")
        assert sorted(enrolled) == sorted(self.answers)
        (uses,) = read(database, "SELECT uses FROM lea_fleet_enrollment_tokens")
        assert uses == len(enrolled)
        assert read(database, "PRAGMA integrity_check") == ["ok"]

    def assert_all_beat(self, client):
        agents = [Agent(client, answer) for answer in self.answers.values()]
        beats = at_once(lambda agent: agent.heartbeat().status_code, agents, THREADS)
        assert set(beats) == {200}

    def _install(self):
        while not self._over.is_set():
            machine_id = f"storm-{next(self._numbers)}"
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
        storm.assert_all_beat(server.client)
        storm.assert_kept_in(server.database)


# No space left


@contextmanager
def full_disk(server):
    """Fill the disk that the server runs on."""
    ballast = server.database.with_name("ballast")
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    yield
    ballast.unlink()


@contextmanager
def limited_files(server):
    """Let no file of the server's become longer than 64 KiB (EFBIG)."""
    limit_files(server, 64 * 1024)
    yield
    limit_files(server, resource.RLIM_INFINITY)


def limit_files(server, size):
    for pid in server.workers():
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m", "none", folder]
    if subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("only root may mount a disk")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture(params=["full_disk", "limited_files"])
def shortage(request):
    """A folder to run a server in, and a way to let it be without space in a block."""
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
        storm.assert_all_beat(server.client)
        storm.assert_kept_in(server.database)


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
    """Also where what does not fit is no more than its last byte."""
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


# A database that is taken away


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
        storm.assert_all_beat(server.client)
        storm.assert_kept_in(server.database)


def test_a_database_that_is_deleted_is_not_begun_anew(tmp_path):
    """Neither by a worker that has used it nor by one that has not."""
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
        storm = Storm(server)
        with storm.raging():
            storm.go_on()
            wait_until(lambda: all(map(partial(uses, server), server.workers())))
            for end in ("-wal", "-shm"):
                os.unlink(f"{server.database}{end}")
            storm.be_refused(40)
            server.kill_and_restart()
        storm.assert_all_beat(server.client)
        storm.assert_kept_in(server.database)


def uses(server, pid):
    """Tell whether a worker has the database open."""
    return f"{server.database}-shm" in Path(f"/proc/{pid}/maps").read_text()
