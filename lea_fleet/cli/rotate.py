"""``flask fleet rotate``: give a machine a new token."""

from __future__ import annotations

import click
from flask.cli import with_appcontext

from ..core import tokens
from ..core.text import printable
from .command import FleetCommand
from .database import open_fleet
from .options import json_option, json_text, machine_argument
from .output import answer, note


@click.command("rotate", cls=FleetCommand)
@machine_argument
@click.option("--now", is_flag=True, help="Revoke the current token immediately.")
@json_option
@with_appcontext
def rotate_command(machine: str, now: bool, as_json: bool) -> None:
    """Give MACHINE a new token and print it; it is shown once.

    The current token stays valid until the new one is first used. Only the token
    goes to standard output, so that a script can take it.

    \b
    Example: flask fleet rotate PC-COMPTA-01
    """
    token = tokens.new_agent_token()
    with answer() as begin, open_fleet() as repository:
        with repository.transaction(about=machine):
            give = repository.replace_token if now else repository.rotate_token
            machine_id = give(machine, token)["machine_id"]
            told = {"machine_id": machine_id, "api_token": token}
            begin(json_text(told) if as_json else token)
    if not as_json:
        note(f"{printable(machine_id)}: rotated. Its token is shown once.")
