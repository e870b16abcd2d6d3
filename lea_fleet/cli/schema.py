"""``flask fleet schema``: the SQL of our tables, and keys that are stored in them."""

from __future__ import annotations

import click
from flask.cli import with_appcontext

from .command import FleetCommand
from .database import administration, open_fleet
from .options import checked_text, json_option, say_json
from .terminal import say


@click.command("schema", cls=FleetCommand)
@click.option("--sql", "printing", is_flag=True, help="Print the SQL statements.")
@click.option(
    "--role",
    metavar="ROLE",
    callback=checked_text,
    help="With --sql: also let this role of PostgreSQL use the tables.",
)
@click.option(
    "--rewrite-keys",
    "rewriting",
    is_flag=True,
    help="Compute anew what machines are searched and sorted by.",
)
@click.option(
    "--dry-run",
    "trying",
    is_flag=True,
    help="With --rewrite-keys: only say how many machines have wrong ones.",
)
@json_option
@with_appcontext
def schema_command(
    printing: bool, role: str | None, rewriting: bool, trying: bool, as_json: bool
) -> None:
    """Print the SQL that makes the tables, or rewrite stored search keys.

    The server makes its tables itself where it may. Where its role may not, the
    database's administrator runs what --sql prints: it can be run again, and
    completes the tables of an older version.

    \b
    Example: flask fleet schema --sql
    """
    if printing == rewriting:
        raise click.UsageError("Give either --sql or --rewrite-keys.")
    if rewriting and role is not None:
        raise click.UsageError("--role goes with --sql.")
    if printing and trying:
        raise click.UsageError("--dry-run goes with --rewrite-keys.")
    if trying:
        _count_wrong_keys(as_json)
        return
    if rewriting:
        _rewrite_keys(as_json)
        return
    try:
        text = administration().schema(role)
    except ValueError as error:
        raise click.UsageError(f"{error}.") from None
    if as_json:
        say_json({"sql": text})
    else:
        say(text.rstrip("\n"))


def _count_wrong_keys(as_json: bool) -> None:
    with open_fleet() as repository:
        count = administration().wrong_keys(repository.unit.session)
    _say(count, "Would rewrite", {"would_rewrite": count}, as_json)


def _rewrite_keys(as_json: bool) -> None:
    with open_fleet() as repository:
        count = administration().rewrite_keys(repository.unit.session)
    _say(count, "Rewrote", {"rewritten": count}, as_json)


def _say(count: int, done: str, report: dict[str, int], as_json: bool) -> None:
    if as_json:
        say_json(report)
    else:
        machines = f"{count} machine{'' if count == 1 else 's'}"
        say(f"{done} the search keys of {machines}.")
