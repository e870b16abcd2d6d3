"""``flask fleet installer``: write the installer kit into a folder."""

from __future__ import annotations

from pathlib import Path

import click
from flask.cli import with_appcontext

from ..app.state import current_state
from ..core import tokens
from ..core.text import printable
from . import installer_kit as kit
from .options import json_option, say_json
from .terminal import say
from .token import keep_token, token_options, token_summary

_NEXT = f"""
Whoever has {kit.TOKEN_FILE} can enroll machines: distribute it with the
installer only.

On Linux and macOS: copy the .sh files and the token file to the machine, into
one folder, and run there, as root:  ./enroll.sh --version 1.4.0
With Inno Setup: see Example.iss; put the token file beside the finished setup.exe."""


@click.command("installer")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--url",
    metavar="URL",
    required=True,
    help="URL at which machines reach the server: https://rpa.example.com.",
)
@token_options("--token-label")
@click.option("--force", is_flag=True, help="Overwrite existing files.")
@json_option
@with_appcontext
def installer_command(
    folder: Path,
    url: str,
    label: str | None,
    expires: float | None,
    max_uses: int,
    create: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Write the installer kit into DIR, with a new enrollment token.

    The kit contains the server's URL with the prefix of the routes added. The
    token is in a file of its own and is valid for enrollment only.

    \b
    Example: flask fleet installer kit --url https://rpa.example.com
    """
    url = _api_url(url)
    token = tokens.new_enrollment_token()
    files = kit.kit_files(url, token)
    taken = kit.in_the_way(folder, files, force=force)
    if taken:
        raise click.ClickException(
            f"{printable(str(folder))} already has {', '.join(taken)}; --force"
            " overwrites files."
        )
    try:
        with kit.written(folder, files):
            made = keep_token(
                token, label=label, lifetime=expires, max_uses=max_uses, create=create
            )
    except OSError as error:
        raise click.ClickException(
            f"{printable(str(folder))} cannot be written: {error.strerror}."
        ) from None
    if as_json:
        written = {"folder": str(folder), "url": url, "files": list(files)}
        say_json({**written, "enrollment_token": made})
        return
    say(f"Written into {printable(str(folder))}, for the server at {url}:")
    for name in files:
        say(f"  {name}")
    say(token_summary(made))
    say(_NEXT)


def _api_url(server: str) -> str:
    try:
        url = kit.api_url(server, current_state().url_prefix)
    except ValueError as error:
        raise click.BadParameter(f"{error}.", param_hint="'--url'") from None
    if kit.is_open_to_listeners(url):
        click.echo(
            "Warning: with http, others can read the tokens in transit. Use https.",
            err=True,
        )
    return url
