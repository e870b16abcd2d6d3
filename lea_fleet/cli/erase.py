"""``flask fleet erase``, and what every erasure says and does at its end."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

import click
from flask.cli import with_appcontext

from ..core.privacy.erasure import Summary, total
from ..app.database import problem_of
from ..core.privacy.redaction import folded
from ..app.repository import AgentRepository
from ..storage.sqlite.purge import empty_log, vacuum
from ..storage.erasure import Erasure
from ..app.state import current_state
from .terminal import printable, say, screen_width, table
from .completion import machine_ids
from .opening import checked_text, open_fleet
from .options import json_option, say_json

_HEADING = ("MACHINE", "ROW", "EVENTS", "IDENTITIES", "WHAT")

#: For what is gone for good.
erase_option = click.option("--yes", is_flag=True, help="Do it; else it is only shown.")

vacuum_option = click.option(
    "--vacuum",
    "vacuuming",
    is_flag=True,
    help="Write the whole file anew as well, without what older writers left in it.",
)


@click.command("erase")
@click.argument(
    "machine", callback=checked_text, required=False, shell_complete=machine_ids
)
@click.option(
    "--user",
    "email",
    metavar="E-MAIL",
    callback=checked_text,
    help="Erase one person's traces on every machine instead.",
)
@erase_option
@vacuum_option
@json_option
@with_appcontext
def erase_command(
    machine: str | None, email: str | None, yes: bool, vacuuming: bool, as_json: bool
) -> None:
    """Erase what is personal about MACHINE, or a person, for good.

    Names, e-mails, user ids, host names and addresses go, from the history too;
    what happened and when stays. Without --yes it only shows what would go. Say
    the same command again where it could not be finished.

    \b
    Example: flask fleet erase --user zoe@example.com
    """
    if (machine is None) == (email is None):
        raise click.UsageError("Name a MACHINE, or a person with --user.")
    with open_fleet() as repository:
        erasure = Erasure(repository.unit)
        if machine is not None:
            plans = erasure.of_machines([erasure.known(machine)])
        else:
            person = folded(email)
            with repository.snapshot():
                named = erasure.naming(person)
            plans = erasure.of_person(person, named)
        if not yes:
            with repository.snapshot():
                show([plan.summary() for plan in plans if plan.fields], as_json)
            return
        erasure.erase(plans)
        if email is not None:
            erasure.forget(folded(email))
        finish(repository, erasure.done, vacuuming, as_json)


def show(summaries: list[Summary], as_json: bool) -> None:
    """Say what an erasure would take, and that it has not."""
    if as_json:
        say_json(_report(summaries, done=False))
        return
    _say_table(summaries)
    if summaries:
        say(f"Would erase from {_rows(summaries)}. Say --yes to do it.")
    else:
        say("There is nothing to erase.")


def finish(
    repository: AgentRepository,
    summaries: list[Summary],
    vacuuming: bool,
    as_json: bool,
) -> None:
    """Make sure that what was erased is in the files no longer, and say what was.

    Raises ClickException where it may still be there: exit code 1.
    """
    vacuumed, fault = _vacuumed(repository, vacuuming)
    emptied = empty_log(repository.connection, current_state().settings.busy_timeout)
    if as_json:
        about = {"log_emptied": emptied, "vacuumed": vacuumed}
        say_json(_report(summaries, done=True) | about)
    else:
        _say_table(summaries)
        what = f"Erased from {_rows(summaries)}." if summaries else "Nothing was left."
        say(f"{what} The log is {'empty' if emptied else 'NOT empty'}.")
        if summaries and not vacuumed:
            say("Free space in the file may keep copies; --vacuum leaves none.")
    if not emptied:
        raise click.ClickException(
            "What was erased is still in the log beside the database: another program"
            " reads what was there before, or writes. Run the same command again."
        )
    if fault is not None:
        raise click.ClickException(
            f"Erased, but the file could not be written anew: {fault}"
            " Run the same command again."
        )


def _vacuumed(
    repository: AgentRepository, vacuuming: bool
) -> tuple[bool, str | None]:
    if not vacuuming:
        return False, None
    try:
        vacuum(repository.connection)
    except sqlite3.Error as error:
        return False, problem_of(error).detail
    return True, None


def _report(summaries: list[Summary], done: bool) -> dict[str, Any]:
    return {"done": done, "machines": summaries, "rows": total(summaries)}


def _say_table(summaries: list[Summary]) -> None:
    if not summaries:
        return
    rows = [_HEADING, *map(_row, summaries)]
    for line in table(rows, screen_width(), fixed={1, 2, 3}):
        say(line)
    say("")
    for line in _warnings(summaries):
        click.echo(line, err=True)


def _row(summary: Summary) -> tuple[str, ...]:
    tables = ("enrolled_agents", "lea_fleet_events", "lea_fleet_identities")
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
            f"{' and others' if len(active) > 5 else ''}. An agent says again what is"
            " erased, with its next heartbeat; uninstall its machine first."
        )
