"""``flask fleet summary``: count machines by presence, version and day."""

from __future__ import annotations

from typing import Any

import click
from flask.cli import with_appcontext

from ..core.limits import DEFAULT_DAYS, MOST_DAYS
from ..core.listing import ACTIVE_PRESENCES
from ..core.text import printable
from ..storage.summary import Summary
from ..storage.tags import Tags
from .command import FleetCommand
from .database import open_listing
from .list_command import totals_line
from .options import json_option, say_json
from .terminal import say, say_table

_LONGEST_BAR = 30

#: Versions in the table; --json has them all.
_MOST_VERSIONS = 20

#: Tags, likewise.
_MOST_TAGS = 20


@click.command("summary", cls=FleetCommand)
@click.option(
    "--days",
    metavar="N",
    type=click.IntRange(1, MOST_DAYS),
    default=DEFAULT_DAYS,
    show_default=True,
    help="Number of days, up to and including today.",
)
@json_option
@with_appcontext
def summary_command(days: int, as_json: bool) -> None:
    """Count machines, and enrollments and uninstalls by day.

    By presence, by version, by tag and by day in UTC. The tables leave out days
    without changes and the rarest of many versions and tags; JSON has them all.

    \b
    Example: flask fleet summary --days 7
    """
    with open_listing() as repository:
        with repository.snapshot():
            summary = Summary(repository.unit).of_days(days)
            summary["by_tag"] = Tags(repository.unit).counts()
    if as_json:
        say_json(summary)
        return
    say(totals_line(summary["totals"]))
    _say_bars("PRESENCE", list(summary["by_presence"].items()))
    _say_versions(summary["by_version"])
    _say_tags(summary["by_tag"])
    _say_days(summary["by_day"])


def _say_versions(versions: list[dict[str, Any]]) -> None:
    counts = [(row["version"] or "-", row["machines"]) for row in versions]
    _say_bars("VERSION", counts[:_MOST_VERSIONS])
    rest = counts[_MOST_VERSIONS:]
    if rest:
        machines = sum(count for _, count in rest)
        say(f"… and {len(rest)} more versions on {machines} machines")


def _say_tags(tags: list[dict[str, Any]]) -> None:
    if not tags:
        return
    say("")
    say_table(
        ("TAG", *(name.upper() for name in ("active", *ACTIVE_PRESENCES))),
        [
            (
                printable(row["tag"]),
                *(str(row[name]) for name in ("active", *ACTIVE_PRESENCES)),
            )
            for row in tags[:_MOST_TAGS]
        ],
        fixed={1, 2, 3, 4, 5},
        empty="",
    )
    if len(tags) > _MOST_TAGS:
        say(f"… and {len(tags) - _MOST_TAGS} more tags")


def _say_bars(heading: str, counts: list[tuple[str, int]]) -> None:
    most = max((count for _, count in counts), default=0)
    say("")
    say_table(
        (heading, "MACHINES", ""),
        [(printable(name), str(count), _bar(count, most)) for name, count in counts],
        fixed={1, 2},
        empty="No active machines.",
    )


def _say_days(days: list[dict[str, Any]]) -> None:
    say("")
    say_table(
        ("DAY", "ENROLLMENTS", "UNINSTALLS"),
        [
            (day["date"], str(day["enrollments"]), str(day["uninstalls"]))
            for day in days
            if day["enrollments"] or day["uninstalls"]
        ],
        fixed={0, 1, 2},
        empty=f"No enrollments or uninstalls in {len(days)} days.",
    )


def _bar(count: int, most: int) -> str:
    """Return a bar in proportion to *count*; only zero has no bar."""
    return "#" * -(-count * _LONGEST_BAR // max(most, 1))
