"""``flask fleet events``: list events, newest first, or follow them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import click
from click.core import ParameterSource
from flask.cli import with_appcontext

from ..api.documents import events_as_csv
from ..core.csv.forms import Form
from ..core.event_filter import EventFilter
from ..core.events import EVENTS
from ..core.limits import DEFAULT_EVENTS, MOST_EVENTS_PRINTED
from ..core.rows import Event, without_none
from ..core.text import printable
from ..storage.events import is_position
from .command import FleetCommand
from .database import open_fleet, open_listing
from .follow import BEGINNING, INTERVAL, NOW, Follower, PositionFile
from .options import (
    DurationType,
    checked_text,
    given_since,
    json_option,
    optional_machine_argument,
    say_json,
)
from .output import note
from .terminal import at, pour, say, say_table

#: The width of the longest name: lines that follow each other are aligned.
_LONGEST_NAME = max(map(len, EVENTS))


def _begin(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> str | None:
    if value in (None, BEGINNING, NOW) or (value and is_position(value)):
        return value
    raise click.BadParameter(f"must be {BEGINNING}, {NOW} or a position.")


@click.command("events", cls=FleetCommand)
@optional_machine_argument
@click.option(
    "--event",
    "names",
    metavar="EVENT",
    type=click.Choice([*EVENTS]),
    multiple=True,
    help="Only events of this name; may be repeated.",
)
@click.option(
    "--actor",
    metavar="TEXT",
    callback=checked_text,
    help="Only by this role, user, account or address: cli, zoe, 10.0.0.7.",
)
@click.option(
    "--since",
    metavar="TIME",
    callback=given_since,
    help="Only events since then: 7d, 2026-03-02, 2026-03-02T08:00+01:00.",
)
@click.option(
    "--until", metavar="TIME", callback=given_since, help="Only events before then."
)
@click.option(
    "--limit",
    metavar="N",
    type=click.IntRange(1, MOST_EVENTS_PRINTED),
    default=DEFAULT_EVENTS,
    show_default=f"{DEFAULT_EVENTS}; CSV: all",
    help="Maximum number of events.",
)
@json_option
@click.option("--jsonl", is_flag=True, help="Print each event as JSON on one line.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, for Excel and others.")
@click.option(
    "--semicolon", is_flag=True, help="Print CSV with semicolons, for Excel in French."
)
@click.option(
    "--follow", "-f", is_flag=True, help="Print new events, oldest first, until Ctrl-C."
)
@click.option(
    "--interval",
    metavar="DURATION",
    type=DurationType(most="1d"),
    help=f"How often to look for new events.  [default: {INTERVAL:.0f}s]",
)
@click.option(
    "--from",
    "begin",
    metavar="POSITION",
    callback=_begin,
    help=f"Print all events after it, oldest first; {BEGINNING} and {NOW} are such.",
)
@click.option(
    "--state",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Print all events after the position in FILE, and keep the next one there.",
)
@with_appcontext
def events_command(
    machine: str | None,
    names: tuple[str, ...],
    actor: str | None,
    since: str | None,
    until: str | None,
    limit: int,
    as_json: bool,
    jsonl: bool,
    as_csv: bool,
    semicolon: bool,
    follow: bool,
    interval: float | None,
    begin: str | None,
    state: Path | None,
) -> None:
    """List the events of MACHINE, or of the whole fleet, newest first.

    With --follow, --from or --state they are printed oldest first, each once, and with
    --json or --jsonl as one line of JSON each. Without a position, --follow begins
    with new events, or with those --since then. A position that is kept in FILE
    survives any stop: of the last events some may be printed again, but none is missed.

    \b
    Example: flask fleet events PC-COMPTA-01
    """
    as_csv = as_csv or semicolon
    source = click.get_current_context().get_parameter_source("limit")
    is_limited = source is not ParameterSource.DEFAULT
    if [as_json, jsonl, as_csv].count(True) > 1:
        raise click.UsageError("Give only one of --json, --jsonl and CSV.")
    if interval is not None and not follow:
        raise click.UsageError("--interval needs --follow.")
    if machine is not None:
        with open_fleet() as repository:
            machine = repository.require(machine)["machine_id"]
    wanted = EventFilter(machine, names, actor, since, until)
    if follow or begin or state:
        if as_csv or is_limited or (follow and until):
            raise click.UsageError("CSV, --limit and --until are for a list.")
        begin = begin or (BEGINNING if since else NOW)
        line = _json_line if as_json or jsonl else _line
        kept = None if state is None else PositionFile(state)
        wait = (interval or INTERVAL) if follow else None
        Follower(wanted, line, kept).run(begin, wait)
    elif as_csv:
        most = limit if is_limited else None
        _print_csv(wanted, most, Form("semicolon" if semicolon else "comma"))
    else:
        _list(wanted, limit, as_json, jsonl)


def _list(wanted: EventFilter, limit: int, as_json: bool, jsonl: bool) -> None:
    with open_listing() as repository:
        events, older = repository.events.find(wanted, limit=limit)
    if wanted.since is not None and older is not None:
        note(f"Only the newest {limit} events since then; --limit shows more.")
    if as_json:
        say_json({"events": events})
    elif jsonl:
        for event in events:
            say(json.dumps(event))
    else:
        say_events(events)


def _print_csv(wanted: EventFilter, limit: int | None, form: Form) -> None:
    with open_listing() as repository:
        document = events_as_csv(
            repository.unit, wanted, limit=limit, before=None, form=form
        )
    with document.file as file:
        pour(file)


def _json_line(event: Event, position: str) -> str:
    return json.dumps({**event, "position": position})


def _line(event: Event, position: str) -> str:
    when, name, *others = _row(event)
    return "  ".join([when, name.ljust(_LONGEST_NAME), *others]).rstrip()


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
