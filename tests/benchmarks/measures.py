"""Measure each figure of the fleet next to its floor, in one run.

What is compared is measured alternately, round by round. The median of the rounds is
reported, since machines are noisy.
"""

from __future__ import annotations

import shutil
from contextlib import ExitStack, contextmanager
from functools import partial
from statistics import median, quantiles

from tests.benchmarks import calls, latency, load, quiet, raw
from tests.benchmarks.figures import Figure
from tests.benchmarks.fleet import hostname_of, make_fleet, make_search_index
from tests.benchmarks.rounds import (
    SERVERS,
    grown,
    heartbeat_requests,
    in_rounds,
    micro,
    newcomers,
    per_second,
    ratio_of,
    seconds_of,
    server_on,
    work,
    work_anew,
)
from tests.support.api import OPERATOR_TOKEN

HEADING = ("Figure", "lea-fleet", "floor", "ratio", "bar")


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
            servers.enter_context(server_on(folder / name, **settings))
            for name, settings in SERVERS.items()
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


def _heartbeats(bare, fresh, written, size, say):
    own = partial(heartbeat_requests, size.machines)
    shared = partial(own, OPERATOR_TOKEN)
    floor, kept, wrote = in_rounds(
        size,
        say,
        "heartbeats",
        lambda seconds: work_anew(bare, shared, seconds),
        lambda seconds: work_anew(fresh, own, seconds),
        lambda seconds: work_anew(written, own, seconds),
    )
    least, cheapest = zip(*floor)
    for kind, works, bar in (("Fresh", kept, ">= 0.75"), ("Written", wrote, ">= 0.60")):
        rates, costs = zip(*works)
        beside = f"bare Flask {per_second(least)}"
        name = f"{kind} heartbeats"
        yield Figure(name, per_second(rates), beside, ratio_of(rates, least), "", bar)
        beside = f"bare Flask {micro(cheapest)}"
        name, ratio = f"{kind} heartbeat, processor time", ratio_of(costs, cheapest)
        yield Figure(name, micro(costs), beside, ratio)


def _enrollments(bare, ours, size, say):
    path = ours.database
    floor, enrolled, straight = in_rounds(
        size,
        say,
        "enrollments",
        lambda seconds: work_anew(bare, newcomers, seconds)[1],
        lambda seconds: work_anew(ours, newcomers, seconds)[1],
        lambda seconds: raw.enrollment_seconds(path, int(500 * seconds)),
    )
    cost, beside = micro(enrolled), f"bare Flask {micro(floor)}"
    ratio = ratio_of(enrolled, floor)
    yield Figure("Enrollment, processor time", cost, beside, ratio, "", "<= 3")
    beside = f"raw SQLite {micro(straight)}"
    yield Figure("Enrollment, durable", cost, beside, ratio_of(enrolled, straight))


def enrollments_beside_bare(folder, size, say):
    """Alternate between bare Flask's POST and an enrollment; return processor times."""
    with ExitStack() as servers:
        bare, ours = (
            servers.enter_context(server_on(folder / name, **SERVERS[kind]))
            for name, kind in (("bare", "bare"), ("ours", "written"))
        )
        return in_rounds(
            size,
            say,
            "enrollments beside bare Flask",
            lambda seconds: work_anew(bare, newcomers, seconds)[1],
            lambda seconds: work_anew(ours, newcomers, seconds)[1],
        )


def _growth(folder, size, say):
    with ExitStack() as servers:
        few, many = (
            servers.enter_context(_fleet_of(folder / str(machines), machines, say))
            for machines in (size.few, size.many)
        )
        small, large = in_rounds(
            size,
            say,
            "enrollments as the fleet grows",
            lambda seconds: work(few, newcomers(), seconds / 4)[1],
            lambda seconds: work(many, newcomers(), seconds / 4)[1],
        )
    yield Figure(
        f"Enrollment into {size.many:,} machines",
        micro(large),
        f"into {size.few:,} {micro(small)}",
        ratio_of(large, small),
        "",
        "<= 1.3",
    )


@contextmanager
def _fleet_of(folder, machines, say, **settings):
    say(f"making a fleet of {machines:,}")
    folder.mkdir()
    make_fleet(folder / "rpa_data.db", machines)
    with server_on(folder, **settings) as server:
        yield server


def _listing(bare, ours, size, say):
    with grown(ours, bare) as megabytes:
        listed, floor = in_rounds(
            size, say, "GET fleet", partial(seconds_of, ours), partial(seconds_of, bare)
        )
    name = f"GET fleet of {size.machines:,}"
    yield Figure(
        f"{name}, times faster",
        f"{median(listed):.2f} s",
        f"rows, dicts, jsonify {median(floor):.2f} s",
        ratio_of(floor, listed),
        "",
        ">= 2",
    )
    yield Figure(
        f"{name}, memory",
        f"{megabytes[0]:.0f} MB",
        f"rows, dicts, jsonify {megabytes[1]:.0f} MB",
        megabytes[0],
        " MB",
        "<= 32",
    )


def _pages(server, size, say):
    make_search_index(server.database)
    pages = {
        "Page of 50 without totals": ("/fleet?limit=50&totals=0", "<= 3"),
        "Page of 50 with totals": ("/fleet?limit=50", ""),
        "Page of 50, q finds one machine": (
            f"/fleet?limit=50&totals=0&q={hostname_of(size.machines - 1)}",
            "<= 15",
        ),
        "The same with totals": (
            f"/fleet?limit=50&q={hostname_of(size.machines - 1)}",
            "<= 15",
        ),
    }

    def cost(path):
        request = load.get(path, OPERATOR_TOKEN)
        return lambda seconds: work(server, lambda _: request, seconds / 2)[1]

    requests = partial(heartbeat_requests, size.machines)
    heartbeat, *costs = in_rounds(
        size,
        say,
        "pages",
        lambda seconds: work(server, requests(), seconds / 2)[1],
        *(cost(path) for path, _ in pages.values()),
    )
    for (name, (_, bar)), each in zip(pages.items(), costs):
        floor = f"heartbeat {micro(heartbeat)}"
        yield Figure(name, micro(each), floor, ratio_of(each, heartbeat), "", bar)


def _latency(folder, size, say):
    settings = {"LEA_FLEET_HEARTBEAT_RESOLUTION": "0s"}
    with _fleet_of(folder / "reporting", size.reporting, say, **settings) as server:
        say("latency at half load")
        requests = heartbeat_requests(size.reporting)
        most = load.throughput(server.port, requests, size.seconds)
        requests = heartbeat_requests(size.reporting)
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
        took = latency.enrollments(folder / shape, options, newcomers(), size.seconds)
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
