"""``python -m tests.benchmarks``: print the table, and fail where a bar is missed."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.benchmarks.measures import Size, figures

QUICK = Size(machines=2_000, few=500, many=2_000, beating=500, rounds=1, seconds=0.2)

_HEADING = ("Figure", "lea-fleet", "floor", "ratio", "bar")


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="only see whether it runs: small fleets, and no bar is held against them",
    )
    quick = parser.parse_args().quick
    began = time.monotonic()

    def say(what):
        print(f"{time.monotonic() - began:4.0f} s  {what}", file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory(prefix="lea-fleet-") as folder:
        measured = list(figures(Path(folder), QUICK if quick else Size(), say))
    print("\n".join(_table(measured)))
    missed = [figure.name for figure in measured if not figure.is_met]
    if missed and not quick:
        sys.exit(f"Missed: {', '.join(missed)}")


def _table(measured):
    """Yield the lines of a simple table, as reStructuredText has them."""
    rows = [_HEADING, *(_row(figure) for figure in measured)]
    widths = [max(map(len, column)) for column in zip(*rows)]
    rule = "  ".join("=" * width for width in widths)
    heading, *lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
        for row in rows
    )
    return [rule, heading, rule, *lines, rule]


def _row(figure):
    value = f"{figure.value:.0f}" if figure.unit else f"{figure.value:.2f}"
    floor, bar = figure.floor, figure.bar and f"{figure.bar}{figure.unit}"
    return figure.name, figure.ours, floor, value + figure.unit, bar


if __name__ == "__main__":
    main()
