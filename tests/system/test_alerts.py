"""Alerts with real processes: a thousand machines, and a command that is killed.

The clock runs as fast as it does: machines are told an interval of five seconds, and
are silent after two intervals of being offline. Two hours pass by changing what is
stored.
"""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import contextmanager
from datetime import datetime, timedelta

import pytest

from tests.support.engines import ENGINES
from tests.support.receiver import hang_up, receiving, silence, status
from tests.support.server import KeptClient, server_on_engine

MACHINES = 1000
SILENT = 30
BACK = 5

#: Seconds after which a machine is told to be silent, for intervals of five seconds.
SILENCE = 36

SETTINGS = {
    "LEA_FLEET_HEARTBEAT_INTERVAL": "5s",
    "LEA_FLEET_HEARTBEAT_RATE": "1000",
    "LEA_FLEET_HEARTBEAT_RESOLUTION": "1s",
    "LEA_FLEET_ALERT_AFTER": "10s",
}


@pytest.fixture
def receiver():
    with receiving() as receiver:
        yield receiver


@pytest.fixture(params=ENGINES)
def server(request, tmp_path, receiver):
    settings = {**SETTINGS, **receiver.settings}
    options = ["-w", "2", "--threads", "4"]
    with server_on_engine(request, tmp_path / "server", *options, **settings) as server:
        yield server


class Machines:
    """Machines that send heartbeats: all but those that are *off*."""

    def __init__(self, server):
        self.off = set()
        self._tokens = _enrolled(server)
        self._port = server.port

    @property
    def names(self):
        return sorted(self._tokens)

    @contextmanager
    def beating(self):
        over = threading.Event()
        parts = [self.names[number::4] for number in range(4)]
        threads = [
            threading.Thread(target=self._beat, args=(part, over)) for part in parts
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            over.set()
            for thread in threads:
                thread.join()

    def _beat(self, names, over):
        client = KeptClient(self._port)
        while not over.is_set():
            begun = time.monotonic()
            for name in names:
                if name not in self.off and not over.is_set():
                    _beat(client, self._tokens[name])
            over.wait(max(0, 5 - (time.monotonic() - begun)))
        client.close()


def _beat(client, token):
    answer = client.open(
        "/api/v1/agents/heartbeat",
        method="POST",
        headers={"Authorization": f"Bearer {token}"},
    )
    assert answer.status_code in (200, 503), answer.text


def _enrolled(server):
    """Enroll machines; return their tokens by their ids."""
    client, tokens = KeptClient(server.port), {}
    for number in range(MACHINES):
        answer = client.open(
            "/api/v1/agents/enroll",
            method="POST",
            headers={"Authorization": f"Bearer {server.operator.token}"},
            data=json.dumps({"machine_id": f"PC-{number}"}),
            content_type="application/json",
        )
        assert answer.status_code == 201, answer.text
        tokens[f"PC-{number}"] = answer.json["api_token"]
    client.close()
    return tokens


def started(server, *words):
    command = [sys.executable, "-m", "flask", "--app", "lea_fleet", "fleet", "notify"]
    return subprocess.Popen(
        [*command, *words],
        env=server.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def notified(server):
    """Notify; return whether nothing failed and nobody else delivers."""
    run = started(server, "--json")
    out, err = run.communicate(timeout=120)
    assert "Traceback" not in err, err
    return run.returncode == 0 and json.loads(out)["destinations"][0]["fault"] is None


def notify_until(server, is_done):
    end = time.monotonic() + 240
    while not is_done():
        assert time.monotonic() < end
        make_attempts_due(server)
        notified(server)
        time.sleep(0.5)


def make_attempts_due(server):
    """Let the minutes pass after which a delivery is tried again."""
    server.engine.execute("UPDATE lea_fleet_destinations SET next_attempt_at = NULL")


def pass_time(server, **duration):
    """Let that time pass, by changing what is stored."""
    earlier = timedelta(**duration)

    def moved(at):
        return (datetime.fromisoformat(at) - earlier).isoformat()

    with server.engine.connected() as connection:
        query = "SELECT last_seen_at, machine_id FROM enrolled_agents"
        seen = [(moved(at), name) for at, name in connection.execute(query).fetchall()]
        query = "SELECT since, until, alive_since FROM lea_fleet_heard"
        heard = [tuple(map(moved, row)) for row in connection.execute(query).fetchall()]
        connection.execute("BEGIN")
        for each in seen:
            connection.execute(
                "UPDATE enrolled_agents SET last_seen_at = ? WHERE machine_id = ?", each
            )
        connection.execute("DELETE FROM lea_fleet_heard")
        for each in heard:
            connection.execute("INSERT INTO lea_fleet_heard VALUES (?, ?, ?)", each)
        connection.execute("COMMIT")


def test_each_flip_is_told_once_whatever_happens_and_a_stop_of_the_server_is_none(
    server, receiver
):
    machines = Machines(server)
    notify_until(server, lambda: notified(server))
    chosen = machines.names[:SILENT]
    with machines.beating():
        machines.off = set(chosen)
        time.sleep(SILENCE + 10)
        rng = random.Random(7)
        receiver.answers = [status(500), hang_up, silence(12), status(503)]
        for number in range(10):  # killed in the middle, one of two at once
            receiver.answers += [status(204)] * 2
            make_attempts_due(server)
            runs = [started(server) for _ in range(2)]
            time.sleep(rng.uniform(0.3, 2.5))
            for run in runs[: 1 + number % 2]:
                run.send_signal(signal.SIGKILL)
            for run in runs:
                run.communicate(timeout=120)
        notify_until(server, lambda: told(receiver, "machine.silent") >= set(chosen))
        machines.off = set(chosen[BACK:])
        notify_until(
            server, lambda: told(receiver, "machine.returned") >= set(chosen[:BACK])
        )

    assert flips(receiver) == Counter(
        {
            **{("machine.silent", name): 1 for name in chosen},
            **{("machine.returned", name): 1 for name in chosen[:BACK]},
        }
    )

    server.stop()
    pass_time(server, hours=2)
    assert notified(server)
    server.start_again()
    with machines.beating():
        for _ in range(10):
            notified(server)
            time.sleep(2)
    assert sum(flips(receiver).values()) == SILENT + BACK


def told(receiver, kind):
    return {machine for _, machine in receiver.types(kind)}


def flips(receiver):
    """Return how often each flip was told, by different messages."""
    each = {
        message_id: (message["type"], message["data"]["machine_id"])
        for message_id, message in zip(receiver.ids, receiver.messages)
        if message["type"] in ("machine.silent", "machine.returned")
    }
    return Counter(each.values())
