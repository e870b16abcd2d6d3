"""``flask fleet edit``: mend the id or a detail of one machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click
from flask.cli import with_appcontext

from ..core.machine import new_machine_id
from ..core.problems import InvalidField
from ..core.rows import Agent, without_none
from ..core.text import printable
from ..storage.attempts import attempts
from ..storage.edits import Edits
from .command import FleetCommand
from .consent import (
    ask,
    changed,
    dry_run_option,
    open_for_change,
    tried,
    unasked_option,
)
from .options import checked_text, detail_options, json_option, machine_argument
from .output import answer


def _new_id(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> str | None:
    if value is None:
        return None
    checked_text(context, parameter, value)
    try:
        return new_machine_id(value)
    except InvalidField as problem:
        raise click.BadParameter(
            f"{problem.members['errors'][0]['message']}."
        ) from None


@click.command("edit", cls=FleetCommand)
@machine_argument
@click.option("--id", "new_id", metavar="TEXT", callback=_new_id, help="Its new id.")
@detail_options
@unasked_option
@dry_run_option
@json_option
@with_appcontext
def edit_command(
    machine: str,
    new_id: str | None,
    yes: bool,
    dry_run: bool,
    as_json: bool,
    **details: str | None,
) -> None:
    """Mend the id or details of MACHINE, which keeps its token and history.

    Details that are not given keep their values, and an agent that reports others
    changes them again. Its agent may go on sending the former id, but a setup that
    is run again with it enrolls another machine: change it there too.

    \b
    Example: flask fleet edit PC-COMPTA-01 --id PC-COMPTA-02
    """
    given = without_none({"machine_id": new_id, **details})
    if not given:
        raise click.UsageError("Give at least one of --id and the details.")
    with answer() as begin, open_for_change(dry_run) as repository:
        names = ", ".join(name.replace("_", " ") for name in given)
        ask(f"Change {names} of {{}}?", repository.require(machine), yes or dry_run)
        about = [machine, new_id or machine]
        for attempt in attempts(repository.unit):
            with attempt, tried(dry_run, repository.transaction(about=about)):
                before, edits = repository.require(machine), Edits(repository.unit)
                other = None if new_id == before["machine_id"] else new_id
                if other is not None and edits.is_taken(other):
                    raise click.ClickException(_taken(before, other))
                after = edits.edit(before, details, new_id)
                news = _news(before, after)
                told = {"machine_id": after["machine_id"], "agent": after, **news}
                begin(changed(_lines(before, news), told, as_json, dry_run))


def _news(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    names = [name for name, value in after.items() if before[name] != value]
    return {
        "before": {name: before[name] for name in names},
        "after": {name: after[name] for name in names},
    }


def _lines(agent: Agent, news: Mapping[str, Mapping[str, str | None]]) -> str:
    machine = printable(agent["machine_id"])
    lines = [
        f"{machine}: {name} is {_shown(value)}, was {_shown(news['before'][name])}"
        for name, value in news["after"].items()
    ]
    return "\n".join(lines) or f"{machine}: unchanged"


def _shown(value: str | None) -> str:
    return "-" if value is None else printable(value)


def _taken(agent: Agent, new_id: str) -> str:
    machine, other = printable(agent["machine_id"]), printable(new_id)
    return (
        f"{machine} was not changed: {other} is another machine, or events or tokens of"
        " one that was deleted are left."
    )
