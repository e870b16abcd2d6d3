"""Measure this package against another commit of it, in one run.

Each figure is the processor time of a process that calls the application without a
network. A pair is two newly started processes that are measured alternately, block by
block; the cheapest block counts, since noise only adds. The result is the median of
the pairs' ratios, since one process can be a few percent faster than another one of
the same code for as long as it runs.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tests.benchmarks import figures, measures

ROOT = Path(__file__).parents[2]
LIMIT = 1.03  # smaller differences are noise
HEADING = ("Figure", "here", "there", "ratio", "min..max", "bar")

_BLOCKS = 20


@dataclass(frozen=True)
class Size:
    pairs: int = 10
    machines: int = 10_000
    share: float = 1.0  # of the requests in a block


#: Requests in a block: about 10 ms, so that other processes disturb few blocks.
_REQUESTS = {
    "heartbeat": ("Fresh heartbeat", 100),
    "written": ("Written heartbeat", 60),
    "page": ("Page of 50", 30),
    "listing": ("Whole listing", 1),
    "enrollment": ("Enrollment", 30),
}


@dataclass(frozen=True)
class Line:
    """A line of the table; *ratios* has one value for each pair."""

    name: str
    here: float
    there: float
    ratios: list[float]
    limit: float = LIMIT
    unit: str = ""

    @property
    def is_met(self):
        return median(self.ratios) <= self.limit

    @property
    def cells(self):
        low, middle, high = (
            f"{each:.1f}" if self.unit else f"{each:.3f}"
            for each in (min(self.ratios), median(self.ratios), max(self.ratios))
        )
        return (
            self.name,
            f"{self.here * 1e6:,.1f} µs",
            f"{self.there * 1e6:,.1f} µs",
            middle + self.unit,
            f"{low}..{high}",
            f"<= {self.limit:g}{self.unit}",
        )


def lines(folder, other, size, say):
    """Return the lines of the table. *other* is a commit, or the path of a checkout."""
    homes = {
        "here": _home(folder / "here", ROOT),
        "there": _home(folder / "there", _checkout(folder / "other", other)),
    }
    for name, home in homes.items():
        say(f"enrolling {size.machines:,} machines {name}")
        with _process(home) as ask:
            ask("fill", size.machines)
    pairs = []
    for number in range(size.pairs):
        say(f"pair {number + 1} of {size.pairs}")
        pairs.append(_pair(folder, homes, size, swapped=number % 2))
    return [*_compared(pairs, size), *_beside_bare(pairs, folder, size, say)]


def _checkout(folder, other):
    """Return a folder that contains the package of *other*."""
    if Path(other).is_dir():
        return Path(other).resolve()
    folder.mkdir()
    git = ["git", "-C", ROOT, "archive", other, "lea_fleet"]
    archive = subprocess.run(git, check=True, stdout=subprocess.PIPE).stdout
    subprocess.run(["tar", "-x", "-C", folder], check=True, input=archive)
    return folder


def _home(folder, checkout):
    """Make a working folder for a process, which imports the package of *checkout*."""
    folder.mkdir()
    (folder / "lea_fleet").symlink_to(checkout / "lea_fleet")
    return folder


@contextmanager
def _process(home, *words):
    """Run one side in *home*; yield a function that requests a figure from it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.side", *words],
        cwd=home,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(home), str(ROOT)])},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    def ask(name, number):
        process.stdin.write(f"{name} {number}\n")
        process.stdin.flush()
        return json.loads(process.stdout.readline())

    with process:  # which closes its input and waits for it to end
        yield ask


def _pair(folder, homes, size, swapped):
    """Return the figures of new processes, by side and by figure."""
    with ExitStack() as stack:
        sides = {}
        for name, home in homes.items():
            copy = folder / "pair" / name
            shutil.copytree(home, copy, symlinks=True)
            stack.callback(shutil.rmtree, copy)
            sides[name] = stack.enter_context(_process(copy))
        home = folder / "pair" / "here"
        bare = {"bare": stack.enter_context(_process(home, "bare"))}
        if swapped:
            sides = dict(reversed(sides.items()))
        figures = {name: {} for name in {**sides, **bare}}
        for figure, (_, requests) in _REQUESTS.items():
            asked = {**sides, **bare} if figure == "heartbeat" else sides
            number = max(1, int(requests * size.share))
            for name, seconds in _alternately(asked, figure, number).items():
                figures[name][figure] = seconds
    return figures


def _alternately(sides, figure, number):
    """Return the seconds per request in the cheapest block of each side."""
    for ask in sides.values():
        ask(figure, number)  # to warm up
    blocks = [
        {name: ask(figure, number) for name, ask in sides.items()}
        for _ in range(_BLOCKS)
    ]
    return {name: min(block[name] for block in blocks) for name in sides}


def _compared(pairs, size):
    for figure, (name, _) in _REQUESTS.items():
        here = [pair["here"][figure] for pair in pairs]
        there = [pair["there"][figure] for pair in pairs]
        if figure == "listing":
            name += f" of {size.machines:,}"
        ratios = [one / other for one, other in zip(here, there)]
        yield Line(name, median(here), median(there), ratios)


def _beside_bare(pairs, folder, size, say):
    """Yield the lines that are compared with bare Flask, which is *there* in them."""
    here = [pair["here"]["heartbeat"] for pair in pairs]
    bare = [pair["bare"]["heartbeat"] for pair in pairs]
    above = [(one - floor) * 1e6 for one, floor in zip(here, bare)]
    name = "Fresh heartbeat above bare Flask"
    yield Line(name, median(here), median(bare), above, 42, " µs")
    # Under gunicorn, as the table without --against has it.
    bare, here = measures.enrollments_beside_bare(
        folder, figures.Size(rounds=size.pairs, seconds=2 * size.share), say
    )
    ratios = [one / floor for one, floor in zip(here, bare)]
    name = "Enrollment to bare Flask, gunicorn"
    yield Line(name, median(here), median(bare), ratios, 2.3)
