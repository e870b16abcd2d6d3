"""Options to act on all machines that a filter selects, and what is said of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import click

from ..app.bulk import Action, Done, act_on, names_of
from ..app.repository import AgentRepository
from ..core.listing import FleetFilter
from ..core.text import printable
from ..storage.attempts import attempts
from ..storage.listing import Listing
from ..storage.lookalikes import Lookalikes
from ..storage.selections import steps_of
from .consent import open_for_change, tried
from .filter_options import filter_of, filter_options, is_any_given, is_narrowing
from .options import json_text
from .output import note
from .terminal import progress, say

_Command = TypeVar("_Command", bound=Callable[..., Any])

_all_option = click.option(
    "--all",
    "is_for_all",
    is_flag=True,
    help="Act on all active machines, or those of --status.",
)


def bulk_options(command: _Command) -> _Command:
    """Add the options of ``flask fleet list`` that select machines, and ``--all``.

    The command gets them as keywords, for :func:`selected`.
    """
    return filter_options(_all_option(command))


def is_selecting(options: Mapping[str, Any]) -> bool:
    """Tell whether any of the *options* of :func:`bulk_options` is given."""
    return is_any_given() or bool(options["is_for_all"])


def selected(
    options: Mapping[str, Any], named: object, also: str = "MACHINE"
) -> FleetFilter | None:
    """Return the filter of the machines to act on; None if they are *named*.

    Raises UsageError if neither is given, or both, or if the options select nearly
    all machines without ``--all``; *also* is how machines are named.
    """
    if not is_selecting(options):
        if named:
            return None
        raise click.UsageError(
            f"Give {also}, an option that selects machines as in flask fleet list, or"
            " --all."
        )
    if named:
        raise click.UsageError(f"Give {also}, or which machines, and not both.")
    filters = dict(options)
    is_for_all = filters.pop("is_for_all")
    if is_for_all and is_narrowing(filters):
        raise click.UsageError("Give --all, or which machines, and not both.")
    if not is_for_all and not is_narrowing(filters):
        raise click.UsageError(
            "--status and options with --not- leave nearly all machines: add --all, or"
            " an option that says which."
        )
    return filter_of(filters)


def act_on_selected(
    wanted: FleetFilter,
    action: Action,
    *,
    yes: bool,
    dry_run: bool,
    as_json: bool,
    words: Sequence[str] = (),
) -> None:
    """Act on each machine that matches *wanted*, and say what became of it.

    In short transactions, each judged anew. Exit code 1 if some were left as they are.
    Raises UsageError if one of the *words*, which are no machines, is one.
    """
    total = Done()
    with open_for_change(dry_run) as repository:
        _refuse_machines(repository, words)
        ids = [*Listing(repository.unit).names(wanted)]
        _refuse_unsure(len(ids), yes or dry_run)
        try:
            with progress(len(ids)) as show:
                for step in steps_of(ids):
                    total = total.plus(
                        _acted(repository, step, wanted, action, dry_run)
                    )
                    show(total.machines)
        except (click.ClickException, KeyboardInterrupt):
            done_so_far = len(total.done)
            note(f"Stopped after {done_so_far} machines. Run it again for the rest.")
            raise
    _say(total, as_json, dry_run)
    if total.failed:
        raise SystemExit(1)


def _refuse_machines(repository: AgentRepository, words: Sequence[str]) -> None:
    """Raise UsageError if one of the *words* is nearly the id of a machine."""
    alike = Lookalikes(repository.unit)
    for word in words:
        for machine_id in alike.all_of(word)[:1]:
            raise click.UsageError(
                f"There is a machine {printable(machine_id)}. Give MACHINE, or which"
                " machines, and not both."
            )


def _refuse_unsure(machines: int, is_sure: bool) -> None:
    """Refuse to act without ``--yes``: even one machine may not be the one meant."""
    if not is_sure:
        counted = "1 machine" if machines == 1 else f"{machines} machines"
        raise click.ClickException(
            f"This would change {counted}. See which with --dry-run, or repeat it with"
            " --yes."
        )


def _acted(
    repository: AgentRepository,
    step: Sequence[int],
    wanted: FleetFilter,
    action: Action,
    dry_run: bool,
) -> Done:
    done = Done()
    names = names_of(repository, step)
    for attempt in attempts(repository.unit):
        with attempt, tried(dry_run, repository.transaction(about=action.about(names))):
            done = act_on(repository, names, wanted, action)
    return done


def _say(total: Done, as_json: bool, dry_run: bool) -> None:
    failed = [failure._asdict() for failure in total.failed]
    if as_json:
        about = {"dry_run": dry_run, "done": total.done}
        say(json_text({**about, "failed": failed, "unmatched": total.unmatched}))
        return
    if dry_run:
        say("Dry run; nothing was changed. It would be:")
    for machine_id in total.done:
        say(f"{printable(machine_id)}: done")
    for failure in total.failed:
        say(f"{printable(failure.machine_id)}: not done. {failure.detail}")
    for machine_id in total.unmatched:
        say(f"{printable(machine_id)}: not done. It no longer matches.")
    left = len(total.failed) + len(total.unmatched)
    say(f"{len(total.done)} done, {left} not done.")
