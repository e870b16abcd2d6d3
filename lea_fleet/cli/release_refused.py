"""``flask fleet release --refused``: release the machines that were refused."""

from __future__ import annotations

import click

from ..app.repository import AgentRepository
from ..core.machine import look
from ..core.refused import OPERATOR, RELEASABLE, RefusedFilter
from ..core.rows import RefusedMachine
from ..core.text import printable
from ..storage.attempts import attempts
from ..storage.refused import Refused
from .consent import changed, confirm, is_somebody_there, open_for_change, tried
from .options import refuse_many
from .output import answer
from .terminal import at

#: Machines by their id, each with its last refusal.
_Machines = dict[str, RefusedMachine]


def release_refused(
    wanted: RefusedFilter, *, yes: bool, dry_run: bool, as_json: bool
) -> None:
    """Release each machine that was refused, for the token it was refused with.

    But for those that were heard since: whoever has a token could have named them.
    """
    if wanted.code not in (None, RELEASABLE):
        raise click.UsageError(
            f"Only machines that were refused with {RELEASABLE} can be released."
        )
    wanted = wanted._replace(code=RELEASABLE)
    with answer() as begin, open_for_change(dry_run) as repository:
        named, _ = _chosen(repository, wanted)
        if len(named) and not dry_run:
            plural = "" if len(named) == 1 else "s"
            confirm(f"Release {len(named)} machine{plural}?", yes)
        refuse_many(len(named), yes or dry_run or is_somebody_there())
        for attempt in attempts(repository.unit):
            with attempt, tried(dry_run, repository.transaction(about=named)):
                refused, alive = _chosen(repository, wanted)
                released = {
                    machine_id: repository.release(
                        machine_id, enrollment_token=_token(each)
                    )
                    for machine_id, each in refused.items()
                    if machine_id in named
                }
                text = "\n".join(_lines(released, refused, alive))
                members = _members(released, refused, alive)
                begin(changed(text, members, as_json, dry_run))


def _chosen(
    repository: AgentRepository, wanted: RefusedFilter
) -> tuple[_Machines, _Machines]:
    """Return the machines to release, and those that are still alive."""
    to_release: _Machines = {}
    alive: _Machines = {}
    seen: set[str] = set()
    blocked = repository.states.blocks.looks()
    for each in Refused(repository.unit).page(wanted)[0]:
        machine_id = each["machine_id"]
        if machine_id is None or each["agent_status"] != "active":
            continue
        if machine_id in seen:  # with another token, before
            continue
        seen.add(machine_id)
        if look(machine_id) in blocked:  # and active again by an older server
            continue
        if each["still_alive"]:
            alive[machine_id] = each
        elif each["released_until"] is None:
            to_release[machine_id] = each
    return to_release, alive


def _token(refused: RefusedMachine) -> int:
    token = refused["enrollment_token"]
    return OPERATOR if token is None else token


def _lines(released: dict[str, str], refused: _Machines, alive: _Machines) -> list[str]:
    lines = [
        f"{printable(machine_id)}: released until {until} {for_token(_token(each))}"
        for machine_id, until in released.items()
        for each in [refused[machine_id]]
    ]
    lines += [
        f"{printable(machine_id)}: still alive, heard {at(each['last_seen_at'])}; not"
        " released"
        for machine_id, each in alive.items()
    ]
    return lines or ["No machine is waiting for a release."]


def _members(
    released: dict[str, str], refused: _Machines, alive: _Machines
) -> dict[str, object]:
    said = [
        {
            "machine_id": machine_id,
            "released_until": until,
            "enrollment_token": refused[machine_id]["enrollment_token"],
        }
        for machine_id, until in released.items()
    ]
    heard = [
        {"machine_id": machine_id, "last_seen_at": each["last_seen_at"]}
        for machine_id, each in alive.items()
    ]
    return {"agents": said, "machines": said, "still_alive": heard}


def for_token(token: int) -> str:
    """Return the end of a sentence that says what a release holds for."""
    if token == OPERATOR:
        return "for the operator's token"
    return f"for enrollment token {token}"
