"""A load of clients whose machines each live a short life, and what remains of it."""

from __future__ import annotations

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPException
from itertools import count

from tests.support.api import OPERATOR_TOKEN, Agent, Api, assert_problem
from tests.support.server import KeptClient

CLIENTS = 8
DEADLINE = 60  # seconds


class Client:
    """Installs machines one after another, and lets each live a short life.

    If *lossy*, a response may be lost: of a server that went away, or is restarted. The
    client waits *pause* seconds after each request that has succeeded.
    """

    def __init__(self, client, name, lossy=False, pause=0.0):
        self._pause = pause
        self._lossy = lossy
        self.has_ended = False
        self.operator = Api(client, OPERATOR_TOKEN)
        self.name = name
        self.acknowledged = 0
        #: The last response of each machine that has a token.
        self.machines = {}
        self.uninstalled = []
        self.answers = Counter()
        #: The most seconds that a request took, with its repetitions.
        self.longest = 0.0

    def work(self, over):
        try:
            for number in count():
                if over.is_set():
                    return
                self._live(f"PC-{self.name}-{number}", leave=number % 3 == 0)
        finally:
            self.has_ended = True

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
        """Send a request until it succeeds, as agents and installers do.

        Only 503 may come in between, or a response that was lost.
        """
        begin = time.monotonic()
        while True:
            assert time.monotonic() < begin + 2 * DEADLINE, self.answers
            try:
                response = caller.post(path, body, **options)
            except (OSError, HTTPException):
                if not self._lossy:
                    raise
                self.answers["cut off"] += 1
                caller.client.close()
                time.sleep(0.05)
                continue
            self.answers[response.status_code] += 1
            if response.status_code < 300:
                self.acknowledged += 1
                self.longest = max(self.longest, time.monotonic() - begin)
                time.sleep(self._pause)
                return response
            if self._lossy and response.status_code == 502:
                continue
            assert response.json["code"].startswith("database_"), response.text
            assert_problem(response, 503, response.json["code"], "retry")
            time.sleep(0.05)


@contextmanager
def load(server, **options):
    """Yield clients that send requests to *server* all the time."""
    over = threading.Event()
    with ExitStack() as stack:
        clients = [
            Client(
                stack.enter_context(closing(KeptClient(server.port))), name, **options
            )
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
        assert not any(client.has_ended for client in clients)
        assert time.monotonic() < deadline, [c.answers for c in clients]
        time.sleep(0.01)


def wait_until_all_are_refused(clients):
    """Wait until each client has been answered 503 once more."""
    before = [client.answers[503] for client in clients]
    deadline = time.monotonic() + DEADLINE
    while any(c.answers[503] == refused for c, refused in zip(clients, before)):
        assert time.monotonic() < deadline, [c.answers for c in clients]
        time.sleep(0.01)


def assert_nothing_was_lost(server, clients, others=0):
    """Assert that the fleet is what *clients* made it, and so many active machines."""
    operator = server.operator
    for client in clients:
        for answer in client.machines.values():
            assert Agent(operator.client, answer).heartbeat().status_code == 200
        for answer in client.uninstalled:
            refused = Agent(operator.client, answer).heartbeat()
            assert_problem(refused, 401, "agent_uninstalled")
    totals = operator.get("/fleet").json["totals"]
    assert totals["active"] == others + sum(len(c.machines) for c in clients)
    assert totals["uninstalled"] == sum(len(client.uninstalled) for client in clients)
