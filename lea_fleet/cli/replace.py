"""``flask fleet replace``: uninstall a machine that another one has replaced."""

from __future__ import annotations

import click
from flask.cli import with_appcontext

from ..app.replacements import replace
from ..core.rows import Agent
from ..core.text import printable
from ..storage.attempts import attempts
from .command import FleetCommand
from .completion import machine_ids
from .consent import (
    ask,
    changed,
    dry_run_option,
    open_for_change,
    tried,
    unasked_option,
)
from .options import checked_text, json_option
from .output import answer
from .terminal import at


@click.command("replace", cls=FleetCommand)
@click.argument("old", callback=checked_text, shell_complete=machine_ids)
@click.argument("new", callback=checked_text, shell_complete=machine_ids)
@click.option("--force", is_flag=True, help="Uninstall OLD even if it is online.")
@unasked_option
@dry_run_option
@json_option
@with_appcontext
def replace_command(
    old: str, new: str, force: bool, yes: bool, dry_run: bool, as_json: bool
) -> None:
    """Uninstall OLD, the former machine of a PC that is NEW now.

    The history of each names the other, and the reason of the uninstall is NEW. A
    machine OLD that is already uninstalled stays as it is. flask fleet list --duplicate
    lists the machines that others seem to have replaced.

    \b
    Example: flask fleet replace PC-COMPTA-01 PC-COMPTA-03
    """
    with answer() as begin, open_for_change(dry_run) as repository:
        agent = repository.require(old)
        heir = printable(repository.require(new)["machine_id"])
        named = heir.replace("{", "{{").replace("}", "}}")
        ask(f"Uninstall {{}}, which {named} has replaced?", agent, yes or dry_run)
        for attempt in attempts(repository.unit):
            with attempt, tried(dry_run, repository.transaction(about=(old, new))):
                before = repository.require(old)
                gone, by = replace(repository, old, new, force=force)
                members = {"agent": gone, "by": by["machine_id"]}
                begin(changed(_line(gone, before, heir), members, as_json, dry_run))


def _line(gone: Agent, before: Agent, heir: str) -> str:
    name = printable(gone["machine_id"])
    if before["status"] != "active":
        return f"{name}: uninstalled since {at(gone['uninstalled_at'])}"
    return f"{name}: uninstalled, replaced by {heir}"
