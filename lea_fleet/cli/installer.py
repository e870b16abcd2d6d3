"""``flask fleet installer``: write the installer kit into a folder."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click
from flask.cli import with_appcontext

from ..app.state import current_state
from ..core import tokens
from ..core.rows import EnrollmentToken
from ..core.text import printable
from . import installer_kit as kit
from .command import FleetCommand
from .options import json_option, json_text
from .output import answer, note
from .token import kept_token, token_options, token_summary

_NEXT = f"""
Whoever has {kit.TOKEN_FILE} can enroll machines: distribute it with the
installer only.

On Linux and macOS: copy the .sh files and the token file to the machine, into
one folder, and run there, as root:  ./enroll.sh --version 1.4.0
With Inno Setup: see Example.iss; put the token file beside the finished setup.exe."""


@click.command("installer", cls=FleetCommand)
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
        with answer() as begin, kit.written(folder, files), kept_token(
            token, label=label, lifetime=expires, max_uses=max_uses, create=create
        ) as made:
            begin((_json if as_json else _text)(folder, url, files, made))
    except OSError as error:
        raise click.ClickException(
            f"{printable(str(folder))} cannot be written: {error.strerror}."
        ) from None


def _json(folder: Path, url: str, files: Iterable[str], made: EnrollmentToken) -> str:
    written = {"folder": str(folder), "url": url, "files": list(files)}
    return json_text({**written, "enrollment_token": made})


def _text(folder: Path, url: str, files: Iterable[str], made: EnrollmentToken) -> str:
    lines = (
        f"Written into {printable(str(folder))}, for the server at {url}:",
        *(f"  {name}" for name in files),
        token_summary(made),
        _NEXT,
    )
    return "\n".join(lines)


def _api_url(server: str) -> str:
    try:
        url = kit.api_url(server, current_state().url_prefix)
    except ValueError as error:
        raise click.BadParameter(f"{error}.", param_hint="'--url'") from None
    if kit.is_open_to_listeners(url):
        note("Warning: with http, others can read the tokens in transit. Use https.")
    return url
