"""``flask fleet rotate``: give a machine a new token."""

from __future__ import annotations

import click
from flask.cli import with_appcontext

from ..core import tokens
from ..core.text import printable
from ..storage.attempts import attempts
from .command import FleetCommand
from .consent import (
    ask,
    changed,
    dry_run_option,
    open_for_change,
    shown_once,
    tried,
    unasked_option,
)
from .options import json_option, machine_argument
from .output import answer, note


@click.command("rotate", cls=FleetCommand)
@machine_argument
@click.option("--now", is_flag=True, help="Revoke the current token immediately.")
@unasked_option
@dry_run_option
@json_option
@with_appcontext
def rotate_command(
    machine: str, now: bool, yes: bool, dry_run: bool, as_json: bool
) -> None:
    """Give MACHINE a new token and print it; it is shown once.

    The current token stays valid until the new one is first used. Only the token
    goes to standard output, so that a script can take it.

    \b
    Example: flask fleet rotate PC-COMPTA-01
    """
    token = tokens.new_agent_token()
    with answer() as begin, open_for_change(dry_run) as repository:
        agent = repository.agents.require_active(machine)
        ask("Give {} a new token?", agent, yes or dry_run)
        for attempt in attempts(repository.unit):
            with attempt, tried(dry_run, repository.transaction(about=machine)):
                give = repository.replace_token if now else repository.rotate_token
                machine_id = give(machine, token)["machine_id"]
                about = f"{printable(machine_id)}: rotated"
                said, secret = shown_once(about, "api_token", token, dry_run)
                told = {"machine_id": machine_id, **secret}
                begin(changed(said, told, as_json, dry_run))
    if not as_json and not dry_run:
        note(f"{about}. Its token is shown once.")
