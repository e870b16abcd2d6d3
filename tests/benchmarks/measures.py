"""Measure each figure of the fleet next to its floor, in one run.

What is compared is measured alternately, round by round. The median of the rounds is
reported, since machines are noisy.
"""

from __future__ import annotations

import itertools
import shutil
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median, quantiles

from tests.benchmarks import calls, latency, load, quiet, raw, usage
from tests.benchmarks.fleet import hostname_of, machine_of, make_fleet, token_of
from tests.support.api import OPERATOR_TOKEN
from tests.support.server import running_server

HEADING = ("Figure", "lea-fleet", "floor", "ratio", "bar")

_ROOT = Path(__file__).parent.parent.parent
_SERVERS = {
    "bare": {"app": "tests.benchmarks.bare:create_app()"},
    "fresh": {
        "LEA_FLEET_HEARTBEAT_INTERVAL": "10h",
        "LEA_FLEET_HEARTBEAT_RESOLUTION": "10h",
    },
    "written": {"LEA_FLEET_HEARTBEAT_RESOLUTION": "0s"},
}
_runs = itertools.count(1)


@dataclass(frozen=True)
class Size:
    """The sizes of the fleets, and how long to measure, in seconds."""

    machines: int = 100_000
    few: int = 1_000
    many: int = 1_000_000
    reporting: int = 10_000
    rounds: int = 5
    seconds: float = 2.0


@dataclass(frozen=True)
class Figure:
    """A line of the table; *bar* is ``>=`` or ``<=`` and a number, or empty."""

    name: str
    ours: str
    floor: str
    value: float
    unit: str = ""
    bar: str = ""

    @property
    def is_met(self):
        sign, _, limit = self.bar.partition(" ")
        if not limit:
            return True
        at_least = sign == ">="
        return self.value >= float(limit) if at_least else self.value <= float(limit)

    @property
    def cells(self):
        value = f"{self.value:.0f}" if self.unit else f"{self.value:.2f}"
        bar = self.bar and f"{self.bar}{self.unit}"
        return self.name, self.ours, self.floor, value + self.unit, bar


def figures(folder, size, say):
    """Yield every figure. *say* is called with a description of the current work."""
    yield from _calls(folder)
    with ExitStack() as servers:
        say(f"making a fleet of {size.machines:,}")
        (folder / "fresh").mkdir()
        make_fleet(folder / "fresh" / "rpa_data.db", size.machines)
        for name in ("bare", "written"):
            (folder / name).mkdir()
            shutil.copy(folder / "fresh" / "rpa_data.db", folder / name)
        bare, fresh, written = (
            servers.enter_context(_server(folder / name, **settings))
            for name, settings in _SERVERS.items()
        )
        yield from _heartbeats(bare, fresh, written, size, say)
        yield from _listing(bare, fresh, size, say)
        yield from _pages(fresh, size, say)
        yield from _enrollments(bare, written, size, say)
    yield from _growth(folder, size, say)
    yield from _latency(folder, size, say)
    yield from _queues(folder, size, say)


def _calls(folder):
    """Yield the number of calls in the package and of files that they are in."""
    settings = {
        "RPA_API_TOKEN": OPERATOR_TOKEN,
        "RPA_AGENTS_DB_PATH": str(folder / "counted.db"),
    }
    counted = calls.counts(quiet.create_app(settings))
    for name, (made, files) in counted.items():
        most, widest = calls.BARS[name]
        ours, floor = f"{made} calls", f"in {files} files"
        yield Figure(f"{name}, calls", ours, floor, made, " calls", f"<= {most}")
        ours, floor = f"{files} files", f"with {made} calls"
        yield Figure(f"{name}, files", ours, floor, files, " files", f"<= {widest}")


def _server(folder, app="tests.benchmarks.quiet:create_app()", **settings):
    options = ("-w", "2", "--pythonpath", str(_ROOT))
    return running_server(folder, *options, app=app, **settings)


def _heartbeat_requests(machines, token=None):
    """Return a function that makes heartbeats of one machine after another."""
    start = next(_runs) * 1_000_003  # different machines in each round

    def make(number):
        machine = (start + number * 7919) % machines
        said = {"machine_id": machine_of(machine), "hostname": hostname_of(machine)}
        return load.post("/heartbeat", token or token_of(machine), said)

    return make


def _newcomers():
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


def _work(server, make_request, seconds):
    """Return the requests per second, and the processor time per request."""
    before = usage.processor_seconds(server)
    began = time.perf_counter()
    rate = load.throughput(server.port, make_request, seconds)
    passed = min(time.perf_counter() - began, seconds)
    return rate, (usage.processor_seconds(server) - before) / (rate * passed)


def _work_anew(server, requests, seconds):
    """Return what :func:`_work` does, of newly started processes.

    A server can be up to 5 % faster than another one of the same code for as long as it
    runs. *requests* returns the function that makes the requests of one load.
    """
    server.stop()
    server.start_again()
    load.throughput(server.port, requests(), seconds / 4)
    return _work(server, requests(), seconds)


def _rounds(size, say, what, *measures):
    """Return the results of each of *measures*, after a round to warm up."""
    for measure in measures:
        measure(size.seconds / 2)
    rounds = []
    for number in range(size.rounds):
        say(f"{what}: round {number + 1} of {size.rounds}")
        rounds.append([measure(size.seconds) for measure in measures])
    return list(zip(*rounds))


def _ratio(ones, others):
    return median(one / other for one, other in zip(ones, others))


def _heartbeats(bare, fresh, written, size, say):
    own = partial(_heartbeat_requests, size.machines)
    shared = partial(own, OPERATOR_TOKEN)
    floor, kept, wrote = _rounds(
        size,
        say,
        "heartbeats",
        lambda seconds: _work_anew(bare, shared, seconds),
        lambda seconds: _work_anew(fresh, own, seconds),
        lambda seconds: _work_anew(written, own, seconds),
    )
    least, cheapest = zip(*floor)
    for kind, works, bar in (("Fresh", kept, ">= 0.75"), ("Written", wrote, ">= 0.60")):
        rates, costs = zip(*works)
        beside = f"bare Flask {_rate(least)}"
        name = f"{kind} heartbeats"
        yield Figure(name, _rate(rates), beside, _ratio(rates, least), "", bar)
        beside = f"bare Flask {_micro(cheapest)}"
        name, ratio = f"{kind} heartbeat, processor time", _ratio(costs, cheapest)
        yield Figure(name, _micro(costs), beside, ratio)


def _enrollments(bare, ours, size, say):
    path = ours.database
    floor, enrolled, straight = _rounds(
        size,
        say,
        "enrollments",
        lambda seconds: _work_anew(bare, _newcomers, seconds)[1],
        lambda seconds: _work_anew(ours, _newcomers, seconds)[1],
        lambda seconds: raw.enrollment_seconds(path, int(500 * seconds)),
    )
    cost, beside = _micro(enrolled), f"bare Flask {_micro(floor)}"
    ratio = _ratio(enrolled, floor)
    yield Figure("Enrollment, processor time", cost, beside, ratio, "", "<= 3")
    beside = f"raw SQLite {_micro(straight)}"
    yield Figure("Enrollment, durable", cost, beside, _ratio(enrolled, straight))


def enrollments_beside_bare(folder, size, say):
    """Alternate between bare Flask's POST and an enrollment; return processor times."""
    with ExitStack() as servers:
        bare, ours = (
            servers.enter_context(_server(folder / name, **_SERVERS[kind]))
            for name, kind in (("bare", "bare"), ("ours", "written"))
        )
        return _rounds(
            size,
            say,
            "enrollments beside bare Flask",
            lambda seconds: _work_anew(bare, _newcomers, seconds)[1],
            lambda seconds: _work_anew(ours, _newcomers, seconds)[1],
        )


def _growth(folder, size, say):
    with ExitStack() as servers:
        few, many = (
            servers.enter_context(_fleet_of(folder / str(machines), machines, say))
            for machines in (size.few, size.many)
        )
        small, large = _rounds(
            size,
            say,
            "enrollments as the fleet grows",
            lambda seconds: _work(few, _newcomers(), seconds / 4)[1],
            lambda seconds: _work(many, _newcomers(), seconds / 4)[1],
        )
    yield Figure(
        f"Enrollment into {size.many:,} machines",
        _micro(large),
        f"into {size.few:,} {_micro(small)}",
        _ratio(large, small),
        "",
        "<= 1.3",
    )


@contextmanager
def _fleet_of(folder, machines, say, **settings):
    say(f"making a fleet of {machines:,}")
    folder.mkdir()
    make_fleet(folder / "rpa_data.db", machines)
    with _server(folder, **settings) as server:
        yield server


def _listing(bare, ours, size, say):
    request = load.get("/fleet", OPERATOR_TOKEN)

    def takes(server):
        def measure(_):
            began = time.perf_counter()
            load.send(server.port, request)
            return time.perf_counter() - began

        return measure

    before = [usage.peak_bytes(server) for server in (ours, bare)]
    listed, floor = _rounds(size, say, "GET fleet", takes(ours), takes(bare))
    after = [usage.peak_bytes(server) for server in (ours, bare)]
    grown = [(most - least) / 2**20 for most, least in zip(after, before)]
    name = f"GET fleet of {size.machines:,}"
    yield Figure(
        f"{name}, times faster",
        f"{median(listed):.2f} s",
        f"rows, dicts, jsonify {median(floor):.2f} s",
        _ratio(floor, listed),
        "",
        ">= 2",
    )
    yield Figure(
        f"{name}, memory",
        f"{grown[0]:.0f} MB",
        f"rows, dicts, jsonify {grown[1]:.0f} MB",
        grown[0],
        " MB",
        "<= 32",
    )


def _pages(server, size, say):
    pages = {
        "Page of 50 without totals": ("/fleet?limit=50&totals=0", "<= 3"),
        "Page of 50 with totals": ("/fleet?limit=50", ""),
        "Page of 50, q finds one machine": (
            f"/fleet?limit=50&totals=0&q={hostname_of(size.machines - 1)}",
            "",
        ),
    }

    def cost(path):
        request = load.get(path, OPERATOR_TOKEN)
        return lambda seconds: _work(server, lambda _: request, seconds / 2)[1]

    requests = partial(_heartbeat_requests, size.machines)
    heartbeat, *costs = _rounds(
        size,
        say,
        "pages",
        lambda seconds: _work(server, requests(), seconds / 2)[1],
        *(cost(path) for path, _ in pages.values()),
    )
    for (name, (_, bar)), each in zip(pages.items(), costs):
        floor = f"heartbeat {_micro(heartbeat)}"
        yield Figure(name, _micro(each), floor, _ratio(each, heartbeat), "", bar)


def _latency(folder, size, say):
    settings = {"LEA_FLEET_HEARTBEAT_RESOLUTION": "0s"}
    with _fleet_of(folder / "reporting", size.reporting, say, **settings) as server:
        say("latency at half load")
        requests = _heartbeat_requests(size.reporting)
        most = load.throughput(server.port, requests, size.seconds)
        requests = _heartbeat_requests(size.reporting)
        with latency.another_writer(server.database):
            seconds = 5 * size.seconds
            took = load.latencies(server.port, requests, most / 2, seconds)
    percentiles = quantiles(took, n=100, method="inclusive")
    yield Figure(
        f"Heartbeats of {size.reporting:,} at half load, p99",
        f"{most / 2:.0f}/s beside another writer",
        f"median {percentiles[49] * 1000:.1f} ms",
        percentiles[98] * 1000,
        " ms",
        "<= 50",
    )


def _queues(folder, size, say):
    """Yield how long eight enrolling clients wait, by the shape of the server."""
    rates = {}
    for shape, options in latency.SHAPES.items():
        say(f"enrollments of {latency.CLIENTS} clients, {shape}")
        took = latency.enrollments(folder / shape, options, _newcomers(), size.seconds)
        rates[shape] = len(took) / size.seconds
        percentiles = quantiles(took, n=100, method="inclusive")
        ours, beside = f"{rates[shape]:.0f}/s", f"median {percentiles[49] * 1e3:.1f} ms"
        name, slowest = f"{latency.CLIENTS} clients enroll, {shape}", max(took) * 1e3
        yield Figure(
            f"{name}, p99", ours, beside, percentiles[98] * 1e3, " ms", "<= 60"
        )
        yield Figure(f"{name}, slowest", ours, beside, slowest, " ms", "<= 200")
    fastest = max(rates, key=rates.__getitem__)
    slowest = min(rates, key=rates.__getitem__)
    ours, beside = (
        f"{slowest} {rates[slowest]:.0f}/s",
        f"{fastest} {rates[fastest]:.0f}/s",
    )
    ratio = rates[slowest] / rates[fastest]
    yield Figure("Rate of the slowest of these shapes", ours, beside, ratio)


def _rate(rates):
    return f"{median(rates):,.0f}/s"


def _micro(seconds):
    return f"{median(seconds) * 1e6:,.0f} µs"
