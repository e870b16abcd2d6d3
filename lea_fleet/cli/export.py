"""``flask fleet export``: what is known of one person."""

from __future__ import annotations

import click
from flask.cli import with_appcontext

from ..storage.personal_data import PersonalData
from .opening import checked_text, open_fleet
from .options import json_option, say_json


@click.command("export")
@click.option(
    "--user",
    "email",
    metavar="E-MAIL",
    required=True,
    callback=checked_text,
    help="Whose data.",
)
@json_option
@with_appcontext
def export_command(email: str, as_json: bool) -> None:
    """Print what is known of one person, as JSON, with or without --json.

    Of others there is nothing in it, nor of a time in which a machine may have been
    another's. Where nothing is known, that is said, with exit code 1.

    \b
    Example: flask fleet export --user zoe@example.com > zoe.json
    """
    with open_fleet() as repository:
        known = PersonalData(repository.unit).known(email)
    if not (known["machines"] or known["acts"] or known["mentions"]):
        raise click.ClickException("Nothing is known of a person with this e-mail.")
    say_json(known)
