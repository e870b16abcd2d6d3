"""``flask fleet mute`` and ``unmute``: no alerts about one machine for a while."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click
from flask.cli import with_appcontext

from ..app.bulk import Action
from ..app.repository import AgentRepository
from ..core import clock
from ..core.text import printable
from ..storage.attempts import attempts
from .bulk import act_on_selected, bulk_options, selected
from .command import FleetCommand
from .consent import changed, dry_run_option, open_for_change, tried
from .options import (
    Duration,
    DurationType,
    json_option,
    machine_argument,
    optional_machine_argument,
    selected_yes_option,
)
from .output import answer
from .terminal import at


def _until(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> str | None:
    if value is None:
        return None
    try:
        until = clock.parse_time(value)
    except ValueError:
        raise click.BadParameter(
            "must be a date or time such as 2026-12-24 or 2026-12-24T08:00+01:00."
        ) from None
    if until <= clock.iso(clock.now()):
        raise click.BadParameter("must be in the future.")
    return until


@click.command("mute", cls=FleetCommand)
@optional_machine_argument
@click.option(
    "--until",
    metavar="TIME",
    callback=_until,
    help="Until then: 2026-12-24 (as it begins, in UTC), 2026-12-24T08:00+01:00.",
)
@click.option(
    "--for",
    "duration",
    metavar="DURATION",
    type=DurationType(),
    help="For so long from now: 12h, 14d.",
)
@bulk_options
@selected_yes_option
@dry_run_option
@json_option
@with_appcontext
def mute_command(
    machine: str | None,
    until: str | None,
    duration: Duration | None,
    yes: bool,
    dry_run: bool,
    as_json: bool,
    **chosen: Any,
) -> None:
    """Let nobody be alerted about MACHINE for a while.

    For a laptop on holiday, or a PC that is being repaired. It ends by itself;
    everything else about the machine stays as it is. With the options of flask fleet
    list, of all machines that they select.

    \b
    Example: flask fleet mute PC-COMPTA-01 --for 14d
    """
    if (until is None) == (duration is None):
        raise click.UsageError("Give either --until or --for.")

    end = until or clock.after(clock.now(), duration or 0)

    def act(repository: AgentRepository, machine_id: str) -> str:
        return repository.states.mute(machine_id, end)

    others = selected(chosen, machine)
    if others is not None:
        act_on_selected(others, Action(act), yes=yes, dry_run=dry_run, as_json=as_json)
        return
    assert machine is not None  # selected() has seen to it
    _change(machine, act, dry_run, as_json)


@click.command("unmute", cls=FleetCommand)
@machine_argument
@dry_run_option
@json_option
@with_appcontext
def unmute_command(machine: str, dry_run: bool, as_json: bool) -> None:
    """Let alerts about MACHINE be told again, before its mute ends by itself.

    \b
    Example: flask fleet unmute PC-COMPTA-01
    """

    def act(repository: AgentRepository, machine_id: str) -> None:
        repository.states.unmute(machine_id)

    _change(machine, act, dry_run, as_json)


def _change(
    machine: str,
    act: Callable[[AgentRepository, str], str | None],
    dry_run: bool,
    as_json: bool,
) -> None:
    with answer() as begin, open_for_change(dry_run) as repository:
        for attempt in attempts(repository.unit):
            with attempt, tried(dry_run, repository.transaction(about=machine)):
                until = act(repository, machine)
                machine_id = repository.require(machine)["machine_id"]
                told = {"machine_id": machine_id, "muted_until": until}
                done = "not muted" if until is None else f"muted until {at(until)}"
                said = f"{printable(machine_id)}: {done}"
                begin(changed(said, told, as_json, dry_run))
