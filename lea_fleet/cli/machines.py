"""``flask fleet events``, ``release`` and ``rotate``: about one machine."""

from __future__ import annotations

import json

import click
from flask.cli import with_appcontext

from .. import tokens
from ..repository import AgentRepository, Event
from ..terminal import printable, say, screen_width, table
from .opening import checked_text, open_fleet
from .options import json_option, say_json


@click.command("events")
@click.argument("machine", callback=checked_text, required=False)
@click.option(
    "--limit",
    type=click.IntRange(1, 10_000),
    default=50,
    show_default=True,
    help="How many events at the most.",
)
@json_option
@with_appcontext
def events_command(machine: str | None, limit: int, as_json: bool) -> None:
    """Show what happened to MACHINE, or to all, the newest first.

    \b
    Example: flask fleet events PC-COMPTA-01
    """
    with open_fleet() as repository:
        if machine is not None:
            machine = repository.require(machine)["machine_id"]
        events, _ = repository.events.page(machine, limit=limit)
    if as_json:
        say_json({"events": events})
        return
    heading = ("AT", "EVENT", "MACHINE", "BY", "DETAIL")
    lines = table([heading, *map(_row, events)], screen_width(), fixed={0, 1})
    for line in lines:
        say(line)


@click.command("release")
@click.argument("machine", callback=checked_text, required=False)
@click.option("--cancel", is_flag=True, help="Take the release back.")
@click.option(
    "--without-token",
    is_flag=True,
    help="Release every active machine that has no token, as an older server"
    " leaves them.",
)
@with_appcontext
def release_command(machine: str | None, cancel: bool, without_token: bool) -> None:
    """Let one enrolment of MACHINE through, within 24 hours.

    For a computer that is active here and has lost its token, such as one that
    was set up anew. Its old token dies with the enrolment.

    \b
    Example: flask fleet release PC-COMPTA-01
    """
    if without_token == (machine is not None):
        raise click.UsageError("Name a MACHINE, or say --without-token.")
    with open_fleet() as repository, repository.transaction():
        machines = _those(repository, machine)
        act = _cancel if cancel else _release
        lines = [act(repository, machine_id) for machine_id in machines]
    # Said once it is so, and with nobody waiting for a slow screen.
    for line in lines or ["Every active machine has a token."]:
        say(line)


def _those(repository: AgentRepository, machine: str | None) -> list[str]:
    return repository.tokens.machines_without() if machine is None else [machine]


def _release(repository: AgentRepository, machine_id: str) -> str:
    until = repository.release(machine_id)
    return f"{printable(machine_id)}: released until {until}"


def _cancel(repository: AgentRepository, machine_id: str) -> str:
    repository.cancel_release(machine_id)
    return f"{printable(machine_id)}: not released"


@click.command("rotate")
@click.argument("machine", callback=checked_text)
@click.option("--now", is_flag=True, help="End the present token at once.")
@with_appcontext
def rotate_command(machine: str, now: bool) -> None:
    """Give MACHINE another token, and print it, this once.

    Its present token stays good until the new one is first used.

    \b
    Example: flask fleet rotate PC-COMPTA-01
    """
    token = tokens.new_agent_token()
    token_hash = tokens.hash_token(token)
    with open_fleet() as repository:
        if now:
            repository.replace_token(machine, token_hash)
        else:
            repository.rotate_token(machine, token_hash)
    say(token)


def _row(event: Event) -> list[str]:
    return [
        event["at"][:19].replace("T", " "),
        event["event"],
        printable(event["machine_id"] or "-"),
        printable(_by(event["actor"])),
        printable(_detail(event["detail"])),
    ]


def _by(actor: dict[str, object]) -> str:
    """Return who acted: the role, then what tells one of that role from another."""
    names = ("user", "os_user", "enrollment_token", "address")
    about = [str(actor[name]) for name in names if name in actor]
    return " ".join([str(actor["role"]), *about])


def _detail(detail: dict[str, object]) -> str:
    given = {name: value for name, value in detail.items() if value is not None}
    return ", ".join(f"{name}={_shown(value)}" for name, value in given.items())


def _shown(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
