"""``flask fleet uninstall``: mark machines as uninstalled."""

from __future__ import annotations

from functools import partial
from typing import Any

import click
from flask.cli import with_appcontext

from ..app.bulk import Action, blocking
from ..app.repository import AgentRepository
from ..core.limits import LONGEST_REASON
from ..core.rows import Agent
from ..core.text import printable
from ..storage.attempts import attempts
from .bulk import act_on_selected, bulk_options, selected
from .command import FleetCommand
from .completion import machine_ids
from .consent import ask, changed, dry_run_option, open_for_change, tried
from .database import did_you_mean
from .faults import never_enrolled
from .options import (
    checked_text,
    given_text,
    json_option,
    refuse_many,
    yes_unasked_option,
)
from .output import answer
from .terminal import at


def _each(
    context: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> list[str]:
    return [str(checked_text(context, parameter, value)) for value in values]


@click.command("uninstall", cls=FleetCommand)
@click.argument(
    "machines",
    metavar="[MACHINE]...",
    nargs=-1,
    callback=_each,
    shell_complete=machine_ids,
)
@click.option(
    "--reason",
    callback=partial(given_text, longest=LONGEST_REASON),
    help="The reason, kept with the machine and in its history.",
)
@click.option(
    "--block",
    "is_blocking",
    is_flag=True,
    help="Also block each machine, so that nothing enrolls it again.",
)
@bulk_options
@yes_unasked_option
@dry_run_option
@json_option
@with_appcontext
def uninstall_command(
    machines: list[str],
    reason: str | None,
    is_blocking: bool,
    yes: bool,
    dry_run: bool,
    as_json: bool,
    **chosen: Any,
) -> None:
    """Mark each MACHINE as uninstalled: its tokens stop working.

    If one of the machines is unknown, none is changed. A machine that is already
    uninstalled keeps its first date and reason. Nothing is erased. With the options
    of flask fleet list, it acts on all machines that they select.

    \b
    Example: flask fleet uninstall PC-COMPTA-01 --reason "given away"
    """
    others = selected(chosen, machines)
    if others is not None:

        def act(repository: AgentRepository, machine_id: str) -> None:
            if is_blocking:
                repository.states.block(machine_id, reason)
            repository.uninstall(machine_id, reason)

        action = blocking(act) if is_blocking else Action(act)
        act_on_selected(others, action, yes=yes, dry_run=dry_run, as_json=as_json)
        return
    with answer() as begin, open_for_change(dry_run) as repository:
        if len(machines) == 1:
            agent = repository.require(machines[0])
            ask("Uninstall {}? Its tokens stop working.", agent, yes or dry_run)
        for attempt in attempts(repository.unit):
            with attempt, tried(dry_run, repository.transaction(about=machines)):
                before = _known(repository, machines)
                refuse_many(len(before), yes or dry_run)
                after, lines = [], []
                for machine_id, known in before.items():
                    alike = []
                    if is_blocking:
                        done = repository.states.block(machine_id, reason)
                        alike = [o for o in done.uninstalled if o not in before]
                    agent = repository.uninstall(machine_id, reason)
                    after.append(agent)
                    lines.append(_line(agent, known) + ", blocked" * is_blocking)
                    lines += [f"{printable(other)}: uninstalled" for other in alike]
                begin(changed("\n".join(lines), {"agents": after}, as_json, dry_run))


def _known(repository: AgentRepository, machines: list[str]) -> dict[str, Agent]:
    """Return the agents of *machines* by their ids, without duplicates.

    Raises UnknownAgent for one unknown machine, ClickException that names them for
    several.
    """
    if len(machines) == 1:
        agent = repository.require(machines[0])
        return {agent["machine_id"]: agent}
    found = {machine: repository.get(machine) for machine in machines}
    unknown = [name for name, agent in found.items() if agent is None]
    if unknown:
        near = "".join(did_you_mean(repository, name) for name in unknown)
        raise click.ClickException(
            f"No machine was uninstalled: {never_enrolled(unknown, near)}"
        )
    return {agent["machine_id"]: agent for agent in found.values() if agent}


def _line(agent: Agent, before: Agent) -> str:
    name = printable(agent["machine_id"])
    if before["status"] == "active":
        return f"{name}: uninstalled"
    return f"{name}: uninstalled since {at(agent['uninstalled_at'])}"
