"""``flask fleet openapi``."""

from __future__ import annotations

import json

import click
from flask import current_app
from flask.cli import with_appcontext

from ..openapi import description
from ..state import current_state
from ..terminal import say


@click.command("openapi")
@click.option(
    "--json",
    is_flag=True,
    expose_value=False,
    help="Changes nothing: the document is JSON.",
)
@with_appcontext
def openapi_command() -> None:
    """Print the API as an OpenAPI 3.1 document.

    \b
    Example: flask fleet openapi > openapi.json
    """
    root = current_app.config["APPLICATION_ROOT"].rstrip("/")
    say(json.dumps(description(root + current_state().url_prefix), indent=2))
