"""``flask fleet installer``: write the installer kit into a folder."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext
from pathlib import Path

import click
from flask.cli import with_appcontext

from ..app.installer_kit import TOKEN_FILE, kit_files
from ..core import tokens
from ..core.rows import EnrollmentToken
from ..core.text import printable
from ..storage.attempts import attempts
from . import installer_kit as kit
from .command import FleetCommand
from .consent import changed, dry_run_option, open_or_begin_for_change, tried
from .options import json_option
from .output import answer
from .server_url import api_url_of, url_option
from .token import token_options, token_summary, warn_of_endless

_NEXT = f"""
Whoever has {TOKEN_FILE} can enroll machines: distribute it with the
installer only.

On Linux and macOS: copy the .sh files and the token file to the machine, into
one folder, and run there, as root:  ./enroll.sh --version 1.4.0
With Inno Setup: see Example.iss; put the token file beside the finished setup.exe."""


@click.command("installer", cls=FleetCommand)
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@url_option
@token_options("--token-label")
@click.option("--force", is_flag=True, help="Overwrite existing files.")
@dry_run_option
@json_option
@with_appcontext
def installer_command(
    folder: Path,
    url: str | None,
    label: str | None,
    expires: float | None,
    max_uses: int,
    tags: tuple[str, ...],
    create: bool,
    force: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Write the installer kit into DIR, with a new enrollment token.

    The kit contains the server's URL with the prefix of the routes added. The
    token is in a file of its own and is valid for enrollment only.

    \b
    Example: flask fleet installer kit --url https://rpa.example.com
    """
    url = api_url_of(url)
    if url is None:
        raise click.UsageError(
            "Missing option '--url', for which LEA_FLEET_PUBLIC_URL is not set either."
        )
    warn_of_endless(expires)
    token = tokens.new_enrollment_token()
    files = kit_files(url, token)
    taken = kit.in_the_way(folder, files, force=force)
    if taken:
        raise click.ClickException(
            f"{printable(str(folder))} already has {', '.join(taken)}; --force"
            " overwrites files."
        )
    try:
        opened = open_or_begin_for_change(dry_run, create)
        place = nullcontext() if dry_run else kit.written(folder, files)
        with answer() as begin, place, opened as repository:
            for attempt in attempts(repository.unit):
                with attempt, tried(dry_run, repository.transaction()):
                    made = repository.enrollment_tokens.create(
                        token,
                        label=label or "",
                        lifetime=expires,
                        max_uses=max_uses,
                        tags=tags,
                    )
                    written = {"folder": str(folder), "url": url, "files": list(files)}
                    members = {**written, "enrollment_token": made}
                    said = _text(folder, url, files, made)
                    begin(changed(said, members, as_json, dry_run))
    except OSError as error:
        raise click.ClickException(
            f"{printable(str(folder))} cannot be written: {error.strerror}."
        ) from None


def _text(folder: Path, url: str, files: Iterable[str], made: EnrollmentToken) -> str:
    lines = (
        f"Written into {printable(str(folder))}, for the server at {url}:",
        *(f"  {name}" for name in files),
        token_summary(made),
        _NEXT,
    )
    return "\n".join(lines)
