"""``flask fleet note``: what operators write down about machines."""

from __future__ import annotations

from functools import partial
from typing import Any

import click
from flask.cli import with_appcontext

from ..app.bulk import Action
from ..app.repository import AgentRepository
from ..core.limits import LONGEST_NOTE
from ..core.text import printable
from ..storage.attempts import attempts
from .bulk import act_on_selected, bulk_options, selected
from .command import FleetCommand
from .consent import changed, dry_run_option, open_for_change, tried
from .options import (
    checked_text,
    json_option,
    optional_machine_argument,
    selected_yes_option,
)
from .output import answer


@click.command("note", cls=FleetCommand)
@optional_machine_argument
@click.option(
    "--text",
    callback=partial(checked_text, longest=LONGEST_NOTE),
    help="What to write down, instead of what was there before.",
)
@click.option("--remove", is_flag=True, help="Remove the note.")
@bulk_options
@selected_yes_option
@dry_run_option
@json_option
@with_appcontext
def note_command(
    machine: str | None,
    text: str | None,
    remove: bool,
    yes: bool,
    dry_run: bool,
    as_json: bool,
    **chosen: Any,
) -> None:
    """Write a note about MACHINE, which search finds.

    Machines and their users do not see it, and it is erased with the personal data of
    the machine's user. With the options of flask fleet list, about all machines that
    they select.

    \b
    Example: flask fleet note PC-COMPTA-01 --text "Screen is broken"
    """
    if (text is None) != remove:
        raise click.UsageError("Give either --text or --remove.")

    def act(repository: AgentRepository, machine_id: str) -> None:
        if text is None:
            repository.annotations.remove_note(machine_id)
        else:
            repository.annotations.note(machine_id, text)

    others = selected(chosen, machine)
    if others is not None:
        act_on_selected(others, Action(act), yes=yes, dry_run=dry_run, as_json=as_json)
        return
    assert machine is not None  # selected() has seen to it
    with answer() as begin, open_for_change(dry_run) as repository:
        for attempt in attempts(repository.unit):
            with attempt, tried(dry_run, repository.transaction(about=machine)):
                act(repository, machine)
                machine_id = repository.require(machine)["machine_id"]
                note = repository.annotations.notes.of(machine_id)
                done = "no note" if note is None else "noted"
                told = {"machine_id": machine_id, "note": note}
                said = f"{printable(machine_id)}: {done}"
                begin(changed(said, told, as_json, dry_run))
