"""``flask fleet retire``: have a machine's own agent uninstall it."""

from __future__ import annotations

from typing import Any

import click
from flask.cli import with_appcontext

from ..app.bulk import Action
from ..app.repository import AgentRepository
from ..core.text import printable
from ..storage.attempts import attempts
from .bulk import act_on_selected, bulk_options, selected
from .command import FleetCommand
from .consent import (
    ask,
    changed,
    dry_run_option,
    open_for_change,
    tried,
)
from .options import (
    json_option,
    optional_machine_argument,
    yes_unasked_option,
)
from .output import answer
from .terminal import at


@click.command("retire", cls=FleetCommand)
@optional_machine_argument
@click.option("--cancel", is_flag=True, help="Cancel the retirement.")
@bulk_options
@yes_unasked_option
@dry_run_option
@json_option
@with_appcontext
def retire_command(
    machine: str | None,
    cancel: bool,
    yes: bool,
    dry_run: bool,
    as_json: bool,
    **chosen: Any,
) -> None:
    """Have the agent of MACHINE uninstall itself when it comes next.

    For a PC that is switched off now, or far away. Each heartbeat is answered
    with "retire" until the agent has uninstalled the machine; any enrollment
    ends it. "flask fleet list --ignores-retire" lists agents that go on. With the
    options of flask fleet list, it retires all machines that they select.

    \b
    Example: flask fleet retire PC-COMPTA-01
    """
    others = selected(chosen, machine)
    if others is not None:
        action = Action(_cancel_one if cancel else _retire_one)
        act_on_selected(others, action, yes=yes, dry_run=dry_run, as_json=as_json)
        return
    assert machine is not None  # selected() has seen to it
    with answer() as begin, open_for_change(dry_run) as repository:
        question = (
            "Cancel the retirement of {}?"
            if cancel
            else "Retire {}? Its agent uninstalls itself when it comes next."
        )
        ask(question, repository.require(machine), yes or dry_run)
        for attempt in attempts(repository.unit):
            with attempt, tried(dry_run, repository.transaction(about=machine)):
                states = repository.states
                if cancel:
                    states.cancel_retirement(machine)
                    retirement = None
                else:
                    retirement = states.retire(machine)
                machine_id = repository.require(machine)["machine_id"]
                if retirement is None:
                    dates: dict[str, object] = {"retired_at": None, "told_at": None}
                    said = "not to be retired"
                else:
                    dates = dict(retirement)
                    said = f"to be retired since {at(retirement['retired_at'])}"
                line = f"{printable(machine_id)}: {said}"
                told = {"machine_id": machine_id, **dates}
                begin(changed(line, told, as_json, dry_run))


def _retire_one(repository: AgentRepository, machine_id: str) -> None:
    repository.states.retire(machine_id)


def _cancel_one(repository: AgentRepository, machine_id: str) -> None:
    repository.states.cancel_retirement(machine_id)
