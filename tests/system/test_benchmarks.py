"""The benchmark still runs and has all its lines; its figures are not for a test."""

from __future__ import annotations

import subprocess
import sys

from tests.support.docs import ROOT, environment

LINES = {
    "Fresh heartbeats": ">= 0.75",
    "Fresh heartbeat, processor time": "",
    "Written heartbeats": ">= 0.60",
    "Written heartbeat, processor time": "",
    "GET fleet of 2,000, times faster": ">= 2",
    "GET fleet of 2,000, memory": "<= 32 MB",
    "Page of 50 without totals": "<= 3",
    "Page of 50 with totals": "",
    "Page of 50, q finds one machine": "",
    "Enrollment, processor time": "<= 3",
    "Enrollment, durable": "",
    "Enrollment into 2,000 machines": "<= 1.3",
    "Heartbeats of 500 at half load, p99": "<= 50 ms",
}


def test_the_quick_benchmark_prints_every_line():
    command = [sys.executable, "-m", "tests.benchmarks", "--quick"]
    run = subprocess.run(
        command, cwd=ROOT, env=environment(), capture_output=True, text=True
    )

    assert run.returncode == 0, run.stderr
    rule, heading, _, *lines, last = run.stdout.splitlines()
    assert rule == last
    # The columns are as wide as the rule says.
    starts = [0] + [end + 2 for end in range(len(rule)) if rule[end : end + 2] == "  "]
    cells = [
        [line[start:end].strip() for start, end in zip(starts, [*starts[1:], None])]
        for line in lines
    ]
    assert {name: bar for name, _, _, _, bar in cells} == LINES
    assert all(ours and floor and value for _, ours, floor, value, _ in cells)
