"""``flask fleet release``: allow active machines to enroll once more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click
from flask.cli import with_appcontext

from ..app.bulk import Action
from ..app.repository import AgentRepository
from ..core.refused import RefusedFilter
from ..core.text import printable
from ..storage.attempts import attempts
from ..storage.releases import NEVER
from .bulk import act_on_selected, bulk_options, selected
from .command import FleetCommand
from .consent import ask, changed, dry_run_option, open_for_change, tried
from .options import (
    json_option,
    optional_machine_argument,
    refuse_many,
    yes_unasked_option,
)
from .output import answer
from .refused import filter_options as refused_options
from .release_refused import release_refused

#: What is done with one machine: returns until when it is released then.
_Act = Callable[[str], "str | None"]


@click.command("release", cls=FleetCommand)
@optional_machine_argument
@click.option("--cancel", is_flag=True, help="Cancel the release.")
@click.option(
    "--without-token",
    is_flag=True,
    help="Release every active machine that has no token, such as those that an older"
    " server enrolled.",
)
@click.option(
    "--refused",
    is_flag=True,
    help="Release every machine that was refused, for the token it was refused with"
    " alone; not one that is still alive. With --code, --token and --since as flask"
    " fleet refused has them.",
)
@refused_options
@bulk_options
@yes_unasked_option
@dry_run_option
@json_option
@with_appcontext
def release_command(
    machine: str | None,
    cancel: bool,
    without_token: bool,
    refused: bool,
    code: str | None,
    token: int | None,
    since: str | None,
    yes: bool,
    dry_run: bool,
    as_json: bool,
    **chosen: Any,
) -> None:
    """Allow one enrollment of MACHINE within 24 hours.

    For a computer that is active here and has lost its token, such as one that
    was set up again. Its old token is revoked by the enrollment. With the options of
    flask fleet list, of all machines that they select.

    \b
    Example: flask fleet release PC-COMPTA-01
    """
    if [machine is not None, without_token, refused].count(True) > 1:
        raise click.UsageError("Give one of MACHINE, --without-token and --refused.")
    others = selected(
        chosen,
        machine or without_token or refused,
        also="one of MACHINE, --without-token and --refused",
    )
    wanted = RefusedFilter(code, token, since)
    if refused:
        if cancel:
            raise click.UsageError("--cancel cannot go with --refused.")
        release_refused(wanted, yes=yes, dry_run=dry_run, as_json=as_json)
        return
    if wanted != RefusedFilter():
        raise click.UsageError("--code, --token and --since need --refused.")
    if others is not None:
        action = Action(_cancel_one if cancel else _release_one)
        act_on_selected(others, action, yes=yes, dry_run=dry_run, as_json=as_json)
        return
    with answer() as begin, open_for_change(dry_run) as repository:
        if machine:
            question = "Cancel the release of {}?" if cancel else "Release {}?"
            ask(question, repository.require(machine), yes or dry_run)
        named = [machine] if machine else repository.tokens.machines_without()
        for attempt in attempts(repository.unit):
            with attempt, tried(dry_run, repository.transaction(about=named)):
                machines = _chosen(repository, machine, named)
                refuse_many(len(machines), yes or dry_run)
                act: _Act = repository.cancel_release if cancel else repository.release
                released = {machine_id: act(machine_id) for machine_id in machines}
                begin(changed(_lines(released), _members(released), as_json, dry_run))


def _release_one(repository: AgentRepository, machine_id: str) -> None:
    repository.release(machine_id)


def _cancel_one(repository: AgentRepository, machine_id: str) -> None:
    repository.cancel_release(machine_id)


def _members(released: dict[str, str | None]) -> dict[str, object]:
    said = [{"machine_id": m, "released_until": u} for m, u in released.items()]
    return {"agents": said, "machines": said}  # which was its only name once


def _lines(released: dict[str, str | None]) -> str:
    lines = [f"{printable(each)}: {_state(until)}" for each, until in released.items()]
    return "\n".join(lines) or "Every active machine has a token."


def _chosen(
    repository: AgentRepository, machine: str | None, named: list[str]
) -> list[str]:
    """Return the ids to act on, of those that were *named* before the lock was held."""
    if machine is not None:
        return [repository.require(machine)["machine_id"]]
    known = set(named) - set(repository.states.blocks.active())
    return [each for each in repository.tokens.machines_without() if each in known]


def _state(until: str | None) -> str:
    if until is None:
        return "not released"
    return f"released until {'it enrolls' if until == NEVER else until}"
