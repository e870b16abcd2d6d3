"""The option --url: where machines reach the server."""

from __future__ import annotations

import click

from ..app.state import current_state
from ..core.server_url import api_url, is_open_to_listeners
from .output import note

url_option = click.option(
    "--url",
    metavar="URL",
    help="URL at which machines reach the server: https://rpa.example.com."
    "  [default: LEA_FLEET_PUBLIC_URL]",
)


def api_url_of(typed: str | None) -> str | None:
    """Return the URL of the API for machines: as *typed*, or else as it is set.

    None if it is neither. Warns of one where others can read what is sent. Raises
    BadParameter for one that is not valid.
    """
    state = current_state()
    server = state.settings.public_url if typed is None else typed
    if server is None:
        return None
    try:
        url = api_url(server, state.url_prefix)
    except ValueError as error:
        raise click.BadParameter(f"{error}.", param_hint="'--url'") from None
    if is_open_to_listeners(url):
        note("Warning: with http, others can read the tokens in transit. Use https.")
    return url
