"""``flask fleet cut-off``: end all tokens of a machine, and let it enroll once."""

from __future__ import annotations

import click
from flask.cli import with_appcontext

from ..app.cutting_off import cut_off
from ..core.text import printable
from ..storage.attempts import attempts
from .command import FleetCommand
from .consent import (
    ask,
    changed,
    dry_run_option,
    open_for_change,
    tried,
    unasked_option,
)
from .options import json_option, machine_argument
from .output import answer


@click.command("cut-off", cls=FleetCommand)
@machine_argument
@unasked_option
@dry_run_option
@json_option
@with_appcontext
def cut_off_command(machine: str, yes: bool, dry_run: bool, as_json: bool) -> None:
    """End all tokens of MACHINE, and let it be enrolled once.

    For a token that somebody else may have. Nobody is handed another one: run the
    machine's setup again within 24 hours. Until then its agent cannot report.

    \b
    Example: flask fleet cut-off PC-COMPTA-01
    """
    with answer() as begin, open_for_change(dry_run) as repository:
        agent = repository.agents.require_active(machine)
        ask("End all tokens of {}?", agent, yes or dry_run)
        for attempt in attempts(repository.unit):
            with attempt, tried(dry_run, repository.transaction(about=machine)):
                done = cut_off(repository, machine)
                machine_id = done.agent["machine_id"]
                said = (
                    f"{printable(machine_id)}: cut off; its setup may run until"
                    f" {done.released_until}"
                )
                told = {
                    "machine_id": machine_id,
                    "tokens_revoked": done.revoked,
                    "released_until": done.released_until,
                }
                begin(changed(said, told, as_json, dry_run))
