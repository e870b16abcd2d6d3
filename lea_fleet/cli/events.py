"""``flask fleet events``: list events, newest first."""

from __future__ import annotations

import json
from collections.abc import Sequence

import click
from flask.cli import with_appcontext

from ..core.limits import DEFAULT_EVENTS, MOST_EVENTS_PRINTED
from ..core.rows import Event, without_none
from ..core.text import printable
from .command import FleetCommand
from .database import open_listing
from .options import (
    given_since,
    json_option,
    optional_machine_argument,
    say_json,
)
from .output import note
from .terminal import at, say_table


@click.command("events", cls=FleetCommand)
@optional_machine_argument
@click.option(
    "--limit",
    metavar="N",
    type=click.IntRange(1, MOST_EVENTS_PRINTED),
    default=DEFAULT_EVENTS,
    show_default=True,
    help="Maximum number of events.",
)
@click.option(
    "--since",
    metavar="TIME",
    callback=given_since,
    help="Only events since then: 7d, 2026-03-02, 2026-03-02T08:00+01:00.",
)
@json_option
@with_appcontext
def events_command(
    machine: str | None, limit: int, since: str | None, as_json: bool
) -> None:
    """List the events of MACHINE, or of all machines, newest first.

    \b
    Example: flask fleet events PC-COMPTA-01
    """
    with open_listing() as repository:
        if machine is not None:
            machine = repository.require(machine)["machine_id"]
        events, older = repository.events.page(machine, limit=limit, since=since)
    if since is not None and older is not None:
        note(f"Only the newest {limit} events since then; --limit shows more.")
    if as_json:
        say_json({"events": events})
        return
    say_events(events)


def say_events(events: Sequence[Event]) -> None:
    """Print *events* as a table."""
    say_table(
        ("AT", "EVENT", "MACHINE", "BY", "DETAIL"),
        [_row(event) for event in events],
        fixed={0, 1, 2},
        empty="No events.",
    )


def _row(event: Event) -> list[str]:
    return [
        at(event["at"]),
        event["event"],
        printable(event["machine_id"] or "-"),
        printable(_by(event["actor"])),
        printable(_detail(event["detail"])),
    ]


def _by(actor: dict[str, object]) -> str:
    """Return who acted: the role, then what identifies the actor within it."""
    names = ("user", "os_user", "enrollment_token", "address")
    about = [str(actor[name]) for name in names if name in actor]
    return " ".join([str(actor["role"]), *about])


def _detail(detail: dict[str, object]) -> str:
    return ", ".join(
        f"{name}={_shown(value)}" for name, value in without_none(detail).items()
    )


def _shown(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
