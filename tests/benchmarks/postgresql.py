"""Measure the fleet on PostgreSQL next to SQLite and bare Flask, in one run.

The server is started for it, and stores what it acknowledges, as SQLite's files do.
"""

from __future__ import annotations

import shutil
import time
from contextlib import ExitStack
from functools import partial
from statistics import median

from lea_fleet.core.listing import WHOLE_FLEET
from lea_fleet.core.pages import Position, write_cursor
from tests.benchmarks import load
from tests.benchmarks.figures import Figure
from tests.benchmarks.fleet import hostname_of, make_fleet
from tests.benchmarks.latency import CLIENTS
from tests.benchmarks.postgresql_fleet import add_search_index, copy_fleet
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
    work_anew,
)
from tests.support.api import OPERATOR_TOKEN
from tests.support.postgresql import Server

HEADING = ("Figure", "PostgreSQL", "floor", "ratio", "bar")

#: gunicorn's options for each shape of a server in which clients enroll.
_SHAPES = {"2 sync workers": (), "2 workers of 4 threads": ("--threads", "4")}

_PAGE = "limit=50&totals=0"


def figures(folder, size, say):
    """Yield every figure. *say* is called with a description of the current work."""
    # As much memory as a server has that nobody has configured.
    with Server(durable=True, shared_buffers="128MB") as server:
        server.start()
        yield from _of_a_fleet(folder, server, size, say)
        yield from _of_a_large_fleet(folder / "many", server, size, say)


def _of_a_fleet(folder, server, size, say):
    say(f"making two fleets of {size.machines:,}")
    source = folder / "source.db"
    make_fleet(source, size.machines)
    urls = {"fresh": _database(server, "fresh", source)}
    with server.connect() as connection:
        connection.execute("CREATE DATABASE written TEMPLATE fresh")
    urls["written"] = server.url("written")

    def both(place, kind, *options):
        """Return a server on SQLite and one on PostgreSQL."""
        here = _sqlite(folder / place, source, *options, **SERVERS[kind])
        there = {"LEA_FLEET_DATABASE_URL": urls[kind], **SERVERS[kind]}
        return here, server_on(folder / place / "postgresql", *options, **there)

    with ExitStack() as servers:
        bare, *four = map(
            servers.enter_context,
            (
                _sqlite(folder / "bare", source, **SERVERS["bare"]),
                *both("fresh", "fresh"),
                *both("written", "written"),
            ),
        )
        fresh, written = four[:2], four[2:]
        yield from _heartbeats(bare, fresh, written, size, say)
        yield from _listing(fresh, size, say)
    for shape, options in _SHAPES.items():
        with ExitStack() as servers:
            enrolling = map(servers.enter_context, both(shape, "written", *options))
            yield from _enrollments(shape, *enrolling, size, say)


def _sqlite(folder, source, *options, **settings):
    folder.mkdir()
    shutil.copy(source, folder / "rpa_data.db")
    return server_on(folder, *options, **settings)


def _database(server, name, source):
    """Copy a fleet to a new database; return its URL."""
    with server.connect() as connection:
        connection.execute(f"CREATE DATABASE {name}")
    with server.connect(name) as connection:
        copy_fleet(source, connection)
    return server.url(name)


def _heartbeats(bare, fresh, written, size, say):
    own = partial(heartbeat_requests, size.machines)
    shared = partial(own, OPERATOR_TOKEN)
    floor, *works = in_rounds(
        size,
        say,
        "heartbeats",
        lambda seconds: work_anew(bare, shared, seconds),
        *(partial(work_anew, server, own) for server in (*fresh, *written)),
    )
    _, cheapest = zip(*floor)
    for kind, here, there, bar in (
        ("Fresh", *works[:2], "<= 1.4"),
        ("Written", *works[2:], ""),
    ):
        rates, costs = zip(*here)
        others, theirs = zip(*there)
        name, cost = f"{kind} heartbeats", micro(theirs)
        beside = f"SQLite {per_second(rates)}"
        yield Figure(name, per_second(others), beside, ratio_of(others, rates))
        name, beside = f"{kind} heartbeat, processor time", f"SQLite {micro(costs)}"
        yield Figure(name, cost, beside, ratio_of(theirs, costs), "", bar)
        beside, ratio = f"bare Flask {micro(cheapest)}", ratio_of(theirs, cheapest)
        yield Figure(f"{name}, to bare Flask", cost, beside, ratio)


def _enrollments(shape, here, there, size, say):
    sqlite, postgresql = in_rounds(
        size,
        say,
        f"enrollments, {shape}",
        lambda seconds: work_anew(here, newcomers, seconds, CLIENTS),
        lambda seconds: work_anew(there, newcomers, seconds, CLIENTS),
    )
    (rates, costs), (others, theirs) = zip(*sqlite), zip(*postgresql)
    yield Figure(
        f"{CLIENTS} clients enroll, {shape}",
        per_second(others),
        f"SQLite {per_second(rates)}",
        ratio_of(others, rates),
        "",
        ">= 0.75",
    )
    yield Figure(
        f"Enrollment, {shape}, processor time",
        micro(theirs),
        f"SQLite {micro(costs)}",
        ratio_of(theirs, costs),
    )


def _listing(both, size, say):
    with grown(*both) as megabytes:
        floor, listed = in_rounds(
            size, say, "GET fleet", *(partial(seconds_of, each) for each in both)
        )
    name = f"GET fleet of {size.machines:,}"
    yield Figure(
        name,
        f"{median(listed):.2f} s",
        f"SQLite {median(floor):.2f} s",
        ratio_of(listed, floor),
        "",
        "<= 2",
    )
    here, there = megabytes
    yield Figure(
        f"{name}, memory",
        f"{there:.0f} MB",
        f"SQLite {here:.0f} MB",
        there - here,
        " MB more",
        "<= 16",
    )


def _of_a_large_fleet(folder, server, size, say):
    say(f"making two fleets of {size.many:,}")
    folder.mkdir()
    source = folder / "rpa_data.db"
    make_fleet(source, size.many)
    url = _database(server, "many", source)
    with ExitStack() as servers:
        here, there = map(
            servers.enter_context,
            (
                server_on(folder),
                server_on(folder / "postgresql", LEA_FLEET_DATABASE_URL=url),
            ),
        )
        yield from _pages(here, there, size, say)
        yield from _searches(server, here, there, size, say)


def _pages(here, there, size, say):
    """Yield the times of pages, which include that of the database server."""
    name = f"Page of 50 in {size.many:,} machines"
    cursor = _middle(here, size.many)
    for kind, query in (
        (name, _PAGE),
        (f"{name}, from the middle", f"{_PAGE}&cursor={cursor}"),
    ):
        floor, took = _times(kind, query, (here, there), size, say)
        yield Figure(kind, micro(took), f"SQLite {micro(floor)}", ratio_of(took, floor))


def _searches(server, here, there, size, say):
    """Yield the times of searches, without and with the index of pg_trgm."""
    name = f"Page of 50 in {size.many:,} machines, q finds one"
    query = f"{_PAGE}&q={hostname_of(size.many - 1)}"
    floor, took = _times(name, query, (here, there), size, say)
    yield Figure(name, micro(took), f"SQLite {micro(floor)}", ratio_of(took, floor))
    say("making the index of pg_trgm")
    with server.connect("many") as connection:
        add_search_index(connection)
    name += ", pg_trgm"
    (found,) = _times(name, query, (there,), size, say)
    yield Figure(name, micro(found), f"without {micro(took)}", ratio_of(found, took))


def _times(name, query, servers, size, say):
    """Return the seconds that a page takes, by server and round."""
    measures = (partial(_seconds_of_page, each, query) for each in servers)
    return in_rounds(size, say, name.lower(), *measures)


def _middle(server, machines):
    """Return the cursor of the page that begins with the older half of the fleet."""
    number = machines // 2
    (key,) = server.read(f"SELECT enrolled_at FROM enrolled_agents WHERE id = {number}")
    return write_cursor(Position("active", "text", key.encode(), number), WHOLE_FLEET)


def _seconds_of_page(server, query, seconds):
    """Return how long a page takes, on average."""
    request = load.get(f"/fleet?{query}", OPERATOR_TOKEN)
    number, began = 0, time.perf_counter()
    while (passed := time.perf_counter() - began) < seconds / 8 or not number:
        load.send(server.port, request)
        number += 1
    return passed / number
