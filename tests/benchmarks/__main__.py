"""``python -m tests.benchmarks``: print the table; fail if a bar is missed."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.benchmarks import against, figures, measures, moving, postgresql

QUICK = figures.Size(
    machines=2_000, few=500, many=2_000, reporting=500, rounds=1, seconds=0.2
)


def main():
    options = _parser().parse_args()
    began = time.monotonic()

    def say(what):
        print(f"{time.monotonic() - began:4.0f} s  {what}", file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory(prefix="lea-fleet-") as folder:
        if options.against:
            size = against.Size(options.pairs)
            if options.quick:
                size = against.Size(pairs=1, machines=500, share=0.1)
            heading = against.HEADING
            measured = against.lines(Path(folder), options.against, size, say)
        else:
            size = QUICK if options.quick else figures.Size()
            measured_by = postgresql if options.postgresql else measures
            measured_by = moving if options.move else measured_by
            heading = measured_by.HEADING
            measured = list(measured_by.figures(Path(folder), size, say))
    print("\n".join(_table(heading, [each.cells for each in measured])))
    missed = [each.name for each in measured if not each.is_met]
    if missed and not options.quick:
        sys.exit(f"Missed: {', '.join(missed)}")


def _parser():
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="only see whether it runs: small fleets, and no bar is held against them",
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--postgresql",
        action="store_true",
        help="compare PostgreSQL, of which a server is started, with SQLite",
    )
    what.add_argument(
        "--move",
        action="store_true",
        help="measure a move to PostgreSQL, of which a server is started, and back",
    )
    what.add_argument(
        "--against",
        metavar="COMMIT",
        help="compare with another commit, or with the checkout in a folder",
    )
    parser.add_argument(
        "--pairs",
        type=int,
        default=against.Size.pairs,
        help="how often the two are compared (default: %(default)s)",
    )
    return parser


def _table(heading, rows):
    """Yield the lines of a simple table in reStructuredText."""
    rows = [heading, *rows]
    widths = [max(map(len, column)) for column in zip(*rows)]
    rule = "  ".join("=" * width for width in widths)
    heading, *lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
        for row in rows
    )
    return [rule, heading, rule, *lines, rule]


if __name__ == "__main__":
    main()
