"""``flask fleet erase``, and the report and clean-up that every erasure ends with."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import click
from flask.cli import with_appcontext

from ..app.repository import AgentRepository
from ..core.privacy.addresses import person
from ..core.privacy.erasure import Summary, total
from ..core.text import printable
from ..storage.erasure import Erasure
from ..storage.naming import machines_naming
from ..storage.administration import Cleaning
from .command import FleetCommand
from .consent import shown_option
from .database import administration, open_listing
from .options import checked_text, json_option, optional_machine_argument, say_json
from .output import note
from .terminal import say, say_table

_HEADING = ("MACHINE", "ROW", "EVENTS", "IDENTITIES", "REFUSALS", "WHAT")

#: For changes that cannot be undone.
erase_option = click.option(
    "--yes",
    is_flag=True,
    is_eager=True,  # --dry-run looks at it, whichever comes first
    help="Do it; without --yes it is only shown.",
)

vacuum_option = click.option(
    "--vacuum",
    "vacuuming",
    is_flag=True,
    help="Also rewrite the whole file, without the remains of older writers.",
)


@click.command("erase", cls=FleetCommand)
@optional_machine_argument
@click.option(
    "--user",
    "email",
    metavar="E-MAIL",
    callback=checked_text,
    help="Erase the data about one person on every machine instead.",
)
@erase_option
@shown_option
@vacuum_option
@json_option
@with_appcontext
def erase_command(
    machine: str | None, email: str | None, yes: bool, vacuuming: bool, as_json: bool
) -> None:
    """Erase the personal data of MACHINE, or of one person, for good.

    Names, e-mail addresses, user ids, hostnames and IP addresses are erased, from
    the history too; what happened and when is kept. Without --yes it only shows
    what would be erased. Repeat the command if it could not be completed.

    \b
    Example: flask fleet erase --user zoe@example.com
    """
    if (machine is None) == (email is None):
        raise click.UsageError("Give either a MACHINE or a person with --user.")
    with open_listing() as repository:
        erasure = Erasure(repository.unit)
        who = person(email or "")
        if machine is not None:
            named: list[str | None] = [erasure.known(machine)]
            plans = erasure.of_machines
        else:
            with repository.snapshot():
                named = machines_naming(repository.unit, who)
            plans = partial(erasure.of_person, who)
        if not yes:
            with repository.snapshot():
                found = [plan.summary() for plan in plans(named) if plan.fields]
            show(found, as_json)
            return
        erasure.erase(named, plans)
        if email is not None:
            erasure.forget(who)
        finish(repository, erasure.done, vacuuming, as_json)


def show(summaries: list[Summary], as_json: bool) -> None:
    """Print what would be erased, and that nothing was."""
    if as_json:
        say_json(_report(summaries, done=False))
        return
    _say_table(summaries)
    if summaries:
        say(f"Would erase from {_rows(summaries)}. Repeat with --yes to erase it.")
    else:
        say("There is nothing to erase.")


def finish(
    repository: AgentRepository,
    summaries: list[Summary],
    vacuuming: bool,
    as_json: bool,
) -> None:
    """Remove copies of what was erased too, and report it.

    Raises ClickException where it may still be there: exit code 1.
    """
    cleaning = cleaned(repository, vacuuming)
    if as_json:
        say_json(_report(summaries, done=True) | cleaning.report)
    else:
        _say_table(summaries)
        what = f"Erased from {_rows(summaries)}" if summaries else "Nothing to erase"
        say_cleaned(what, cleaning, any(summaries))
    complain(cleaning)


def cleaned(repository: AgentRepository, vacuuming: bool) -> Cleaning:
    """Remove copies of deleted data from the database; return what became of them."""
    return administration().clean(repository.connection, vacuuming)


def say_cleaned(what: str, cleaning: Cleaning, is_any: bool) -> None:
    """Print *what* was done, and what may be left; *is_any* is whether it was any."""
    say(f"{what}. {cleaning.said}".rstrip())
    if is_any and cleaning.left:
        say(cleaning.left)


def complain(cleaning: Cleaning) -> None:
    """Raise ClickException if copies were to be removed and are left: exit code 1."""
    if cleaning.fault is not None:
        raise click.ClickException(cleaning.fault)


def _report(summaries: list[Summary], done: bool) -> dict[str, Any]:
    # "machines" was the only name of "agents" once.
    named = {"agents": summaries, "machines": summaries}
    return {"done": done, **named, "rows": total(summaries)}


def _say_table(summaries: list[Summary]) -> None:
    if not summaries:
        return
    say_table(_HEADING, [_row(summary) for summary in summaries], fixed={0, 1, 2, 3, 4})
    say("")
    for line in _warnings(summaries):
        note(line)


def _row(summary: Summary) -> tuple[str, ...]:
    tables = (
        "enrolled_agents",
        "lea_fleet_events",
        "lea_fleet_identities",
        "lea_fleet_refused",
    )
    return (
        printable(summary["machine_id"] or "-"),
        *(str(summary["rows"].get(name, 0)) for name in tables),
        ", ".join(summary["fields"]),
    )


def _rows(summaries: list[Summary]) -> str:
    rows = total(summaries)
    return ", ".join(f"{count} of {name}" for name, count in rows.items()) or "no row"


def _warnings(summaries: list[Summary]) -> Iterator[str]:
    rows = [s for s in summaries if "enrolled_agents" in s["rows"]]
    active = [s["machine_id"] for s in rows if s["active"]]
    if active:
        yield (
            f"Active: {', '.join(map(printable, active[:5]))}"
            f"{' and others' if len(active) > 5 else ''}. An agent reports"
            " erased data again with its next heartbeat; uninstall its machine first."
        )
