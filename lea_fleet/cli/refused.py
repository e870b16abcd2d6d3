"""``flask fleet refused``: machines whose enrollment was refused, and what to do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from tempfile import SpooledTemporaryFile
from typing import IO, Any, TypeVar

import click
from flask.cli import with_appcontext

from ..core import clock
from ..core.csv.forms import Form
from ..core.csv.writing import write_rows
from ..core.limits import LARGEST_ID
from ..core.refused import CODES, OPERATOR, RELEASABLE, RefusedFilter
from ..core.rows import RefusedMachine
from ..core.text import printable
from ..storage.refused import Refused
from .command import FleetCommand
from .completion import token_ids
from .database import open_listing
from .options import given_since, json_option, say_json
from .terminal import ago, pour, say, say_table

_Command = TypeVar("_Command", bound=Callable[..., Any])

#: What an operator can do about the refusals of each code.
REMEDIES = {
    "already_enrolled": "the machine is active here. If it was set up anew, release it:"
    " flask fleet release --refused",
    "reactivation_refused": "the machine was uninstalled, and its setup forbids"
    " reactivating it (allow_reactivate: false).",
    "machine_blocked": "an operator has blocked the machine: see flask fleet blocked",
    "enrollment_token_exhausted": "make a token for more machines, and put it into the"
    " setup: flask fleet token create",
    "token_expired": "make another token, and put it into the setup: flask fleet token"
    " create",
    "token_revoked": "the setup has a token that was revoked; give it another one:"
    " flask fleet token create",
    "insufficient_scope": "only the operator's token enrolls by force, or at all if"
    " LEA_FLEET_ISSUE is shared.",
    "invalid_field": "the setup sends no valid machine id; mend what it sends.",
}

_COLUMNS = tuple(RefusedMachine.__annotations__)
_HEADING = ("MACHINE", "HOSTNAME", "CODE", "TOKEN", "TIMES", "LAST", "STATE")

#: Bytes of CSV that are kept in memory.
_IN_MEMORY = 1024 * 1024

_FILTERS = (
    click.option(
        "--code",
        metavar="CODE",
        type=click.Choice(CODES),
        help="Only those refused with this code, such as token_expired.",
    ),
    click.option(
        "--token",
        metavar="ID",
        type=click.IntRange(OPERATOR, LARGEST_ID),
        shell_complete=token_ids,
        help="Only those refused with this enrollment token; 0 is the operator's.",
    ),
    click.option(
        "--since",
        metavar="TIME",
        callback=given_since,
        help="Only those refused since then: 12h, 2026-03-02, 2026-03-02T08:00+01:00.",
    ),
)


def filter_options(command: _Command) -> _Command:
    """Add the options that select refused machines."""
    for option in reversed(_FILTERS):  # the help shows them in order
        command = option(command)
    return command


@click.command("refused", cls=FleetCommand)
@filter_options
@json_option
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, for Excel and others.")
@click.option(
    "--semicolon", is_flag=True, help="Print CSV with semicolons, for Excel in French."
)
@with_appcontext
def refused_command(
    code: str | None,
    token: int | None,
    since: str | None,
    as_json: bool,
    as_csv: bool,
    semicolon: bool,
) -> None:
    """List the machines whose enrollment was refused, and what to do about them.

    The last refused first, for 30 days, or until they enroll. "Still alive" is a
    machine that was heard since it was first refused: another computer asked for
    its id, or its setup ran again. Below the table is what to do for each code.

    \b
    Example: flask fleet refused --since 1d
    """
    if as_json and (as_csv or semicolon):
        raise click.UsageError("Give only one of --json and CSV.")
    with open_listing() as repository:
        wanted = RefusedFilter(code, token, since)
        refused, _ = Refused(repository.unit).page(wanted)
    if as_json:
        say_json({"refusals": refused})
    elif as_csv or semicolon:
        _print_csv(refused, Form("semicolon" if semicolon else "comma"))
    else:
        say_refused(refused)


def say_refused(refused: Sequence[RefusedMachine]) -> None:
    """Print *refused* as a table, and below it what to do for each code."""
    now = clock.now()
    say_table(
        _HEADING,
        [_row(each, now) for each in refused],
        fixed={0, 2, 3, 4, 5, 6},
        empty="No machine was refused.",
    )
    there = {each["code"] for each in refused if each["released_until"] is None}
    told = [code for code in CODES if code in there]
    if told:
        say("")
    for code in told:
        say(f"{code}: {REMEDIES[code]}")


def state_of(refused: RefusedMachine) -> str:
    """Return what has become of a machine since it was refused; "-" for nothing."""
    if refused["released_until"] is not None:
        return "released"
    if refused["still_alive"]:
        return "still alive"
    if refused["code"] == RELEASABLE and refused["agent_status"] != "active":
        return "uninstalled"
    return "-"


def _row(refused: RefusedMachine, now: datetime) -> list[str]:
    token = refused["enrollment_token"]
    return [
        printable(refused["machine_id"] or "-"),
        printable(refused["hostname"] or refused["address"] or "-"),
        refused["code"],
        "operator" if token is None else str(token),
        str(refused["refused"]),
        ago(refused["last_at"], now),
        state_of(refused),
    ]


def _print_csv(refused: Sequence[RefusedMachine], form: Form) -> None:
    file: IO[bytes]
    with SpooledTemporaryFile(_IN_MEMORY) as file:
        write_rows(file, _COLUMNS, refused, form)
        pour(file)
