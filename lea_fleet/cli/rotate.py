"""``flask fleet rotate``: give a machine a new token."""

from __future__ import annotations

import click
from flask.cli import with_appcontext

from ..core import tokens
from ..core.text import printable
from .database import open_fleet
from .options import json_option, machine_argument, say_json
from .terminal import say


@click.command("rotate")
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
    with open_fleet() as repository:
        give = repository.replace_token if now else repository.rotate_token
        agent = give(machine, token)
    if as_json:
        say_json({"machine_id": agent["machine_id"], "api_token": token})
        return
    click.echo(f"{printable(agent['machine_id'])}: rotated. Its token:", err=True)
    say(token)
