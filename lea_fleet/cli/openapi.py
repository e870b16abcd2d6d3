"""``flask fleet openapi``: print the OpenAPI document."""

from __future__ import annotations

import json

import click
from flask import current_app
from flask.cli import with_appcontext

from ..api.openapi import description
from ..app.state import current_state
from .command import FleetCommand
from .terminal import say


@click.command("openapi", cls=FleetCommand)
@click.option(
    "--json",
    is_flag=True,
    expose_value=False,
    help="Has no effect: the document is JSON anyway.",
)
@with_appcontext
def openapi_command() -> None:
    """Print the API as an OpenAPI 3.1 document.

    \b
    Example: flask fleet openapi > openapi.json
    """
    root = current_app.config["APPLICATION_ROOT"].rstrip("/")
    state = current_state()
    document = description(root + state.url_prefix, with_metrics=state.settings.metrics)
    say(json.dumps(document, indent=2))
