"""Put the same load on several servers alternately, round by round.

The median of the rounds is reported, since machines are noisy.
"""

from __future__ import annotations

import itertools
import time
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from tests.benchmarks import load, usage
from tests.benchmarks.fleet import hostname_of, machine_of, token_of
from tests.support.api import OPERATOR_TOKEN
from tests.support.server import running_server

_ROOT = Path(__file__).parent.parent.parent
_runs = itertools.count(1)

#: The settings of each kind of server.
SERVERS = {
    "bare": {"app": "tests.benchmarks.bare:create_app()"},
    "fresh": {
        "LEA_FLEET_HEARTBEAT_INTERVAL": "10h",
        "LEA_FLEET_HEARTBEAT_RESOLUTION": "10h",
    },
    "written": {"LEA_FLEET_HEARTBEAT_RESOLUTION": "0s"},
}


def server_on(folder, *options, app="tests.benchmarks.quiet:create_app()", **settings):
    options = ("-w", "2", "--pythonpath", str(_ROOT), *options)
    return running_server(folder, *options, app=app, **settings)


def heartbeat_requests(machines, token=None):
    """Return a function that makes heartbeats of one machine after another."""
    start = next(_runs) * 1_000_003  # different machines in each round

    def make(number):
        machine = (start + number * 7919) % machines
        said = {"machine_id": machine_of(machine), "hostname": hostname_of(machine)}
        return load.post("/heartbeat", token or token_of(machine), said)

    return make


def newcomers():
    run = next(_runs)

    def make(number):
        said = {
            "machine_id": f"NEW-{run}-{number}",
            "user_name": "Zoé Lefèvre",
            "hostname": "PARIS-1",
            "version": "1.4.0",
        }
        return load.post("/enroll", OPERATOR_TOKEN, said)

    return make


def work(server, make_request, seconds, clients=load.CLIENTS):
    """Return the requests per second, and the processor time per request."""
    before = usage.processor_seconds(server)
    began = time.perf_counter()
    rate = load.throughput(server.port, make_request, seconds, clients)
    passed = min(time.perf_counter() - began, seconds)
    return rate, (usage.processor_seconds(server) - before) / (rate * passed)


def work_anew(server, requests, seconds, clients=load.CLIENTS):
    """Return what :func:`work` does, of newly started processes.

    A server can be up to 5 % faster than another one of the same code for as long as it
    runs. *requests* returns the function that makes the requests of one load.
    """
    server.stop()
    server.start_again()
    load.throughput(server.port, requests(), seconds / 4, clients)
    return work(server, requests(), seconds, clients)


def in_rounds(size, say, what, *measures):
    """Return the results of each of *measures*, after a round to warm up.

    One round alone only shows that it runs, and needs none.
    """
    if size.rounds > 1:
        for measure in measures:
            measure(size.seconds / 2)
    results = []
    for number in range(size.rounds):
        say(f"{what}: round {number + 1} of {size.rounds}")
        results.append([measure(size.seconds) for measure in measures])
    return list(zip(*results))


def ratio_of(ones, others):
    return median(one / other for one, other in zip(ones, others))


def per_second(rates):
    return f"{median(rates):,.0f}/s"


def micro(seconds):
    return f"{median(seconds) * 1e6:,.0f} µs"


def seconds_of(server, _):
    """Return how long a whole listing takes."""
    began = time.perf_counter()
    load.send(server.port, load.get("/fleet", OPERATOR_TOKEN))
    return time.perf_counter() - began


@contextmanager
def grown(*servers):
    """Yield a list that has each server's additional peak memory in MB at the end."""
    before = list(map(usage.peak_bytes, servers))
    megabytes = []
    yield megabytes
    after = map(usage.peak_bytes, servers)
    megabytes += [(most - least) / 2**20 for most, least in zip(after, before)]
