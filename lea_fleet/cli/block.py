"""``flask fleet block``, ``unblock`` and ``blocked``: machines that are kept out."""

from __future__ import annotations

from functools import partial
from typing import Any

import click
from flask.cli import with_appcontext

from ..app.bulk import blocking
from ..app.machine_states import Blocked
from ..app.repository import AgentRepository
from ..core.limits import LONGEST_REASON, MOST_MACHINES_PRINTED
from ..core.rows import Block
from ..core.text import printable
from ..storage.attempts import attempts
from .bulk import act_on_selected, bulk_options, selected
from .command import FleetCommand
from .consent import (
    ask,
    changed,
    confirm,
    dry_run_option,
    open_for_change,
    tried,
    unasked_option,
)
from .database import did_you_mean, open_listing
from .options import (
    given_text,
    json_option,
    machine_argument,
    optional_machine_argument,
    say_json,
    yes_unasked_option,
)
from .output import answer
from .terminal import at, say_table


@click.command("block", cls=FleetCommand)
@optional_machine_argument
@click.option(
    "--reason",
    callback=partial(given_text, longest=LONGEST_REASON),
    help="The reason, for operators only.",
)
@bulk_options
@yes_unasked_option
@dry_run_option
@json_option
@with_appcontext
def block_command(
    machine: str | None,
    reason: str | None,
    yes: bool,
    dry_run: bool,
    as_json: bool,
    **chosen: Any,
) -> None:
    """Keep MACHINE out: uninstall it, and let nothing enroll it again.

    Neither an installer nor --force, an import or a release, until it is
    unblocked. It holds for ids in another case or in braces too, and for one that
    was never enrolled; whoever changes the id of a computer gets around it. With the
    options of flask fleet list, it blocks all machines that they select.

    \b
    Example: flask fleet block PC-COMPTA-01 --reason stolen
    """
    others = selected(chosen, machine)
    if others is not None:

        def act(repository: AgentRepository, machine_id: str) -> None:
            repository.states.block(machine_id, reason)

        act_on_selected(
            others, blocking(act), yes=yes, dry_run=dry_run, as_json=as_json
        )
        return
    assert machine is not None  # selected() has seen to it
    with answer() as begin, open_for_change(dry_run) as repository:
        _ask("Block {}? It is uninstalled.", repository, machine, yes or dry_run)
        for attempt in attempts(repository.unit):
            with attempt, tried(dry_run, repository.transaction()):
                done = repository.states.block(machine, reason)
                told = {**done.block, "uninstalled": done.uninstalled}
                lines = _lines(repository, done)
                begin(changed(lines, told, as_json, dry_run))


@click.command("unblock", cls=FleetCommand)
@machine_argument
@unasked_option
@dry_run_option
@json_option
@with_appcontext
def unblock_command(machine: str, yes: bool, dry_run: bool, as_json: bool) -> None:
    """Let MACHINE be enrolled again, as any machine that was uninstalled.

    \b
    Example: flask fleet unblock PC-COMPTA-01
    """
    with answer() as begin, open_for_change(dry_run) as repository:
        question = "Unblock {}? Any installer may enroll it."
        _ask(question, repository, machine, yes or dry_run)
        for attempt in attempts(repository.unit):
            with attempt, tried(dry_run, repository.transaction()):
                block = repository.states.unblock(machine)
                named = machine if block is None else block["machine_id"]
                done = "was not blocked" if block is None else "unblocked"
                told = {"machine_id": named, "blocked_at": None}
                said = f"{printable(named)}: {done}"
                begin(changed(said, told, as_json, dry_run))


@click.command("blocked", cls=FleetCommand)
@json_option
@with_appcontext
def blocked_command(as_json: bool) -> None:
    """List the blocked machines, newest first.

    \b
    Example: flask fleet blocked
    """
    with open_listing() as repository:
        blocks, _ = repository.states.blocks.page(limit=MOST_MACHINES_PRINTED)
    if as_json:
        say_json({"blocks": blocks})
        return
    say_table(
        ("MACHINE", "BLOCKED", "IN FLEET", "REASON"),
        [_row(block) for block in blocks],
        fixed={0, 1, 2},
        empty="No machine is blocked.",
    )


def _ask(question: str, repository: AgentRepository, machine: str, skip: bool) -> None:
    agent = repository.get(machine)
    if agent is not None:
        ask(question, agent, skip)
    else:
        confirm(question.format(printable(machine)), skip)


def _lines(repository: AgentRepository, done: Blocked) -> str:
    machine_id = done.block["machine_id"]
    first = f"{printable(machine_id)}: blocked"
    if not done.block["in_fleet"]:
        near = did_you_mean(repository, machine_id)
        first = f"{first}. No machine with this id has ever been enrolled.{near}"
    others = [f"{printable(each)}: uninstalled" for each in done.uninstalled]
    return "\n".join([first, *others])


def _row(block: Block) -> list[str]:
    return [
        printable(block["machine_id"]),
        at(block["blocked_at"]),
        "yes" if block["in_fleet"] else "no",
        printable(block["reason"] or "-"),
    ]
