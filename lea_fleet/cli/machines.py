"""``flask fleet release`` and ``rotate``: another way in for an active machine."""

from __future__ import annotations

from typing import Any

import click
from flask.cli import with_appcontext

from ..core import tokens
from ..app.repository import AgentRepository
from ..storage.releases import NEVER
from .terminal import printable, say
from .completion import machine_ids
from .opening import checked_text, open_fleet
from .options import json_option, machine_argument, refuse_many, say_json, yes_option


@click.command("release")
@click.argument(
    "machine", callback=checked_text, required=False, shell_complete=machine_ids
)
@click.option("--cancel", is_flag=True, help="Take the release back.")
@click.option(
    "--without-token",
    is_flag=True,
    help="Release every active machine that has no token, as an older server"
    " leaves them.",
)
@yes_option
@json_option
@with_appcontext
def release_command(
    machine: str | None, cancel: bool, without_token: bool, yes: bool, as_json: bool
) -> None:
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
        refuse_many(len(machines), yes)
        act = _cancel if cancel else _release
        released = [act(repository, machine_id) for machine_id in machines]
    # Said once it is so, and with nobody waiting for a slow screen.
    if as_json:
        say_json({"machines": released})
        return
    if not released:
        say("Every active machine has a token.")
    for one in released:
        say(_line(one))


def _those(repository: AgentRepository, machine: str | None) -> list[str]:
    if machine is None:
        return repository.tokens.machines_without()
    return [repository.require(machine)["machine_id"]]


def _release(repository: AgentRepository, machine_id: str) -> dict[str, Any]:
    until = repository.release(machine_id)
    return {"machine_id": machine_id, "released_until": until}


def _cancel(repository: AgentRepository, machine_id: str) -> dict[str, Any]:
    repository.cancel_release(machine_id)
    return {"machine_id": machine_id, "released_until": None}


def _line(released: dict[str, Any]) -> str:
    return f"{printable(released['machine_id'])}: {_state(released['released_until'])}"


def _state(until: str | None) -> str:
    if until is None:
        return "not released"
    return f"released until {'it enrols' if until == NEVER else until}"


@click.command("rotate")
@machine_argument
@click.option("--now", is_flag=True, help="End the present token at once.")
@json_option
@with_appcontext
def rotate_command(machine: str, now: bool, as_json: bool) -> None:
    """Give MACHINE another token, and print it, this once.

    Its present token stays good until the new one is first used. Only the token
    goes to standard output, so that a script can take it.

    \b
    Example: flask fleet rotate PC-COMPTA-01
    """
    token = tokens.new_agent_token()
    with open_fleet() as repository:
        give = repository.replace_token if now else repository.rotate_token
        agent = give(machine, token)
    if as_json:
        say_json({"machine_id": agent["machine_id"], "api_token": token})
        return
    click.echo(f"{printable(agent['machine_id'])}: rotated. Its token:", err=True)
    say(token)
