"""The benchmark runs and prints all its lines; times are not compared with the bars."""

from __future__ import annotations

import logging
import subprocess
import sys

from tests.benchmarks import calls
from tests.support.docs import ROOT, environment

LINES = {
    "Fresh heartbeat, calls": "<= 42 calls",
    "Fresh heartbeat, files": "<= 20 files",
    "Enrollment by the operator, calls": "<= 122 calls",
    "Enrollment by the operator, files": "<= 28 files",
    "Enrollment by an installer with a key, calls": "<= 176 calls",
    "Enrollment by an installer with a key, files": "<= 31 files",
    "Page of 50, q finds one of eight, calls": "<= 114 calls",
    "Page of 50, q finds one of eight, files": "<= 26 files",
    "Fresh heartbeats": ">= 0.75",
    "Fresh heartbeat, processor time": "",
    "Written heartbeats": ">= 0.60",
    "Written heartbeat, processor time": "",
    "GET fleet of 2,000, times faster": ">= 2",
    "GET fleet of 2,000, memory": "<= 32 MB",
    "Page of 50 without totals": "<= 3",
    "Page of 50 with totals": "",
    "Page of 50, q finds one machine": "<= 15",
    "The same with totals": "<= 15",
    "Enrollment, processor time": "<= 3",
    "Enrollment, durable": "",
    "Enrollment into 2,000 machines": "<= 1.3",
    "Heartbeats of 500 at half load, p99": "<= 50 ms",
    "8 clients enroll, 2 sync workers, p99": "<= 60 ms",
    "8 clients enroll, 2 sync workers, slowest": "<= 200 ms",
    "8 clients enroll, 2 workers of 4 threads, p99": "<= 60 ms",
    "8 clients enroll, 2 workers of 4 threads, slowest": "<= 200 ms",
    "8 clients enroll, 8 threads, p99": "<= 60 ms",
    "8 clients enroll, 8 threads, slowest": "<= 200 ms",
    "Rate of the slowest of these shapes": "",
}


ON_POSTGRESQL = {
    "Fresh heartbeats": "",
    "Fresh heartbeat, processor time": "<= 1.4",
    "Fresh heartbeat, processor time, to bare Flask": "",
    "Written heartbeats": "",
    "Written heartbeat, processor time": "",
    "Written heartbeat, processor time, to bare Flask": "",
    "GET fleet of 2,000": "<= 2",
    "GET fleet of 2,000, memory": "<= 16 MB more",
    "8 clients enroll, 2 sync workers": ">= 0.75",
    "Enrollment, 2 sync workers, processor time": "",
    "8 clients enroll, 2 workers of 4 threads": ">= 0.75",
    "Enrollment, 2 workers of 4 threads, processor time": "",
    "Page of 50 in 2,000 machines": "",
    "Page of 50 in 2,000 machines, from the middle": "",
    "Page of 50 in 2,000 machines, q finds one": "",
    "Page of 50 in 2,000 machines, q finds one, pg_trgm": "",
}


OF_A_MOVE = {
    f"Move of 2,000 {way}{what}": bar
    for way in ("to PostgreSQL", "to a file")
    for what, bar in {
        "": "<= 30 s",
        ", under a lock": "<= 3 s",
        ", memory": "<= 32 MB more",
    }.items()
}


COMPARED = {
    "Fresh heartbeat": "<= 1.03",
    "Written heartbeat": "<= 1.03",
    "Page of 50": "<= 1.03",
    "Whole listing of 500": "<= 1.03",
    "Enrollment": "<= 1.03",
    "Fresh heartbeat above bare Flask": "<= 42 µs",
    "Enrollment to bare Flask, gunicorn": "<= 2.3",
}


def test_the_quick_benchmark_prints_every_line():
    rows = table("--quick")

    assert {name: bar for name, _, _, _, bar in rows} == LINES
    assert all(ours and floor and value for _, ours, floor, value, _ in rows)


def test_the_quick_benchmark_of_postgresql_prints_every_line(postgresql_server):
    rows = table("--quick", "--postgresql")

    assert {name: bar for name, _, _, _, bar in rows} == ON_POSTGRESQL
    assert all(all(cells) for *cells, _ in rows)


def test_the_quick_benchmark_of_a_move_prints_every_line(postgresql_server):
    rows = table("--quick", "--move")

    assert {name: bar for name, *_, bar in rows} == OF_A_MOVE
    assert all(all(cells) for cells in rows)


def test_the_quick_comparison_prints_every_line():
    rows = table("--quick", "--against", str(ROOT))

    assert {name: bar for name, *_, bar in rows} == COMPARED
    assert all(all(cells) for cells in rows)


def test_no_request_makes_more_calls_or_touches_more_files_than_its_bar(
    make_app, caplog
):
    caplog.set_level(logging.WARNING, "lea_fleet")  # no change log, as in the benchmark
    counted = calls.counts(make_app())

    assert counted.keys() == calls.BARS.keys()
    above = {
        name: (count, bar)
        for name, bar in calls.BARS.items()
        if (count := counted[name]).calls > bar.calls or count.files > bar.files
    }
    assert above == {}


def table(*options):
    """Return the rows that the benchmark prints with *options*, as lists of cells."""
    command = [sys.executable, "-m", "tests.benchmarks", *options]
    run = subprocess.run(
        command, cwd=ROOT, env=environment(), capture_output=True, text=True
    )

    assert run.returncode == 0, run.stderr
    rule, heading, _, *lines, last = run.stdout.splitlines()
    assert rule == last
    # The rule gives the widths of the columns.
    starts = [0] + [end + 2 for end in range(len(rule)) if rule[end : end + 2] == "  "]
    return [
        [line[start:end].strip() for start, end in zip(starts, [*starts[1:], None])]
        for line in lines
    ]
