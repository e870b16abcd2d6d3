"""``flask fleet export``: print all data about one person."""

from __future__ import annotations

import click
from flask.cli import with_appcontext

from ..storage.personal_data import PersonalData
from .command import FleetCommand
from .database import open_listing
from .options import checked_text, json_option, say_json


@click.command("export", cls=FleetCommand)
@click.option(
    "--user",
    "email",
    metavar="E-MAIL",
    required=True,
    callback=checked_text,
    help="E-mail address of the person.",
)
@json_option
@with_appcontext
def export_command(email: str, as_json: bool) -> None:
    """Print all data about one person, as JSON, with or without --json.

    Data about others is left out, as is any period in which a machine may have
    belonged to someone else. The exit code is 1 if nothing is known.

    \b
    Example: flask fleet export --user zoe@example.com > zoe.json
    """
    with open_listing() as repository:
        known = PersonalData(repository.unit).known(email)
    if not any(isinstance(found, list) and found for found in known.values()):
        raise click.ClickException(
            "Nothing is known about a person with this e-mail address."
        )
    say_json(known)
