"""``flask fleet backup``: copy the database while the server runs."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click
from flask.cli import with_appcontext

from ..app.repository import AgentRepository
from ..core.text import printable
from ..storage.administration import BackupFailed
from .command import FleetCommand
from .database import administration, open_listing
from .options import json_option, say_json
from .terminal import say


@click.command("backup", cls=FleetCommand)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
@json_option
@with_appcontext
def backup_command(file: Path, force: bool, as_json: bool) -> None:
    """Copy the database into FILE while it is in use, and check the copy.

    FILE is either complete or not written, and needs no other file beside it. It
    contains personal data and token hashes: protect it as you protect the database.

    \b
    Example: flask fleet backup tonight.db
    """
    try:
        administration().refuse_backup(file)
    except BackupFailed as error:
        raise click.ClickException(printable(str(error))) from None
    _refuse(file, force)
    with open_listing() as repository, repository.snapshot():
        machines = sum(repository.count_by_status().values())
        try:
            size = _copy(repository, file)
        except BackupFailed as error:
            raise click.ClickException(printable(str(error))) from None
    if as_json:
        say_json({"file": str(file), "bytes": size, "machines": machines})
        return
    plural = "" if machines == 1 else "s"
    say(
        f"{printable(str(file))}: {machines:,} machine{plural},"
        f" {size / 2**20:.1f} MB, checked."
    )


def _refuse(file: Path, force: bool) -> None:
    name = printable(str(file))
    if administration().is_part_of(file):
        raise click.ClickException(f"{name} is the database itself.")
    # Not by Path's methods, which raise for a name that is too long.
    if os.path.exists(file) and not os.path.isfile(file):
        raise click.ClickException(f"{name} is not a regular file.")
    if os.path.exists(file) and not force:
        raise click.ClickException(f"{name} already exists; --force replaces it.")


def _copy(repository: AgentRepository, file: Path) -> int:
    """Copy the database into *file*, with a progress bar; return the bytes."""
    with click.progressbar(
        length=1, label="Copying", file=sys.stderr, hidden=not sys.stderr.isatty()
    ) as bar:

        def show(left: int, pages: int) -> None:
            bar.length = pages
            bar.update(pages - left - bar.pos)

        return administration().back_up(repository.connection, file, show)
