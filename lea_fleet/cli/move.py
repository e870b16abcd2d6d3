"""``flask fleet move``: bring the fleet to PostgreSQL, or back to a SQLite file."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource
from flask.cli import with_appcontext

from ..app.engine import has_password, open_source, open_store, open_target
from ..app.settings import ConfigurationError, Settings
from ..app.setting_values import database, database_url
from ..app.state import current_state
from ..core.problems import DatabaseProblem
from ..core.text import printable
from ..storage.late_writes import LateWrites, joined, late_rows
from ..storage.compared import prints_of
from ..storage.move import Unstorable, move, try_out, undo
from ..storage.sides import MoveRefused, Source, Target
from ..storage.unit_of_work import UnitOfWork
from .command import FleetCommand
from .consent import confirm
from .database import administration, refuse_missing
from .move_report import (
    digest_of,
    errors_written,
    refuse_to_replace,
    report_of,
    say_brought,
    say_digests,
    say_late,
    tell,
    unstorable,
)
from .options import Duration, DurationType, json_option, say_json
from .output import note
from .terminal import say

_WARNING = (
    "Programs that do not know that this database is closed afterwards go on writing"
    " it: an older server, lea_fleet 0.1, scripts. Are they stopped?"
)


def _refuse_password(
    context: click.Context, parameter: click.Parameter, value: str
) -> str:
    value = value.strip()  # as of a setting
    source = context.get_parameter_source(str(parameter.name))
    if source is ParameterSource.COMMANDLINE and "://" in value and has_password(value):
        raise click.BadParameter(
            "must not contain a password, which other users of this computer could see."
            " Give the URL in LEA_FLEET_MOVE_TO, or the password in PGPASSFILE or a"
            " service file."
        )
    return value


@click.command("move", cls=FleetCommand)
@click.option(
    "--to",
    metavar="URL|FILE",
    required=True,
    envvar="LEA_FLEET_MOVE_TO",
    callback=_refuse_password,
    help="Where to: postgresql://… or the path of a new SQLite file.",
)
@click.option(
    "--dry-run", is_flag=True, help="Read and check everything; move nothing."
)
@click.option("--again", is_flag=True, help="Bring over what was written here since.")
@click.option("--undo", "undoing", is_flag=True, help="Take the move back.")
@click.option(
    "--errors",
    type=click.Path(path_type=Path),
    help="Write the values that cannot be stored to this CSV file.",
)
@click.option(
    "--accept-errors", "accepting", is_flag=True, help="Store them with � in them."
)
@click.option(
    "--look-after",
    "pause",
    metavar="DURATION",
    type=DurationType(),
    default="60s",
    show_default=True,
    help="When to look what was written here since.",
)
@click.option("--yes", is_flag=True, help="Do not ask, as without a terminal.")
@json_option
@with_appcontext
def move_command(
    to: str,
    dry_run: bool,
    again: bool,
    undoing: bool,
    errors: Path | None,
    accepting: bool,
    pause: Duration,
    yes: bool,
    as_json: bool,
) -> None:
    """Move the fleet to PostgreSQL, or to a new SQLite file, while servers run.

    The configured database is copied, compared row by row with the copy, and closed
    for writing: servers answer 503 until they are restarted with the new setting.
    Until then nothing is lost by a fault: run the same command again.

    \b
    Example: flask fleet move --to postgresql://lea@db1,db2/rpa
    """
    if dry_run + again + undoing > 1:
        raise click.UsageError("Give one of --dry-run, --again and --undo.")
    here = current_state().settings
    with _said():
        refuse_missing()
    there = _settings_of(to, here)
    refuse_to_replace(errors, here, there)
    with _said(), _opened(here, there) as (source, target):
        if undoing:
            _undo(source, target, as_json)
        elif again:
            _again(source, target, there, as_json)
        elif dry_run:
            _try(source, target, errors, as_json)
        else:
            confirm(_WARNING, yes)
            _move(source, target, errors, accepting, pause, as_json)


def _settings_of(to: str, here: Settings) -> Settings:
    """Return the settings of a server that uses the database *to*."""
    try:
        if "://" in to:
            there = replace(here, database_url=database_url(to))
        else:
            there = replace(here, database_url=None, database=database(to))
    except ValueError as error:
        raise click.UsageError(f"--to {error}.") from None
    if (there.database_url is None) == (here.database_url is None):
        raise click.UsageError(
            "A fleet moves from a file to PostgreSQL or from there to a file. The"
            f" database here is {administration().place}."
        )
    if here.database_pooled:
        raise click.UsageError(
            "A move needs a connection of its own. Give the URL of the server itself to"
            " this command, and set LEA_FLEET_DATABASE_POOLED to False."
        )
    return there


@contextmanager
def _opened(here: Settings, there: Settings) -> Iterator[tuple[Source, Target]]:
    """Yield both sides; convert the errors of their drivers to DatabaseProblem."""
    administration().refuse_user()
    with open_source(here) as source, _reported(source):
        with _target(there) as target, _reported(target):
            yield source, target


def _target(there: Settings) -> AbstractContextManager[Target]:
    try:
        return open_target(there)
    except ConfigurationError as error:  # says what is wrong with a setting
        text = str(error).replace("LEA_FLEET_DATABASE_URL", "--to")
        raise click.UsageError(text) from None


@contextmanager
def _said() -> Iterator[None]:
    """Report what fails in one line with exit code 1."""
    try:
        yield
    except MoveRefused as refused:
        raise click.ClickException(printable(str(refused))) from None
    except DatabaseProblem as problem:
        raise click.ClickException(printable(problem.detail)) from None


@contextmanager
def _reported(side: Any) -> Iterator[None]:
    try:
        yield
    except side.errors as error:
        raise side.problem_of(error) from None


def _move(
    source: Source,
    target: Target,
    errors: Path | None,
    accepting: bool,
    pause: Duration,
    as_json: bool,
) -> None:
    with errors_written(source, errors):
        try:
            mark = move(source, target, accept=accepting, told=tell)
        except Unstorable:
            raise unstorable(source.misfits, errors) from None
    note(f"Closed {source.place}; {target.place} has the fleet.")
    if not as_json:
        say_digests(mark.digests)
        say(f"Both sides have these digests. Moved to {printable(target.place)}.")
        say("Restart the servers with the new setting now.")
    note(f"Looking in {pause:.0f} seconds what was written here since.")
    with suppress(KeyboardInterrupt):  # the fleet has moved: Ctrl-C ends the wait
        time.sleep(pause)
    late = _late(source)
    if as_json:
        say_json({**report_of(mark, target), "written_since": late})
    else:
        say_late(late)


def _try(source: Source, target: Target, errors: Path | None, as_json: bool) -> None:
    with target.alone():
        target.refuse()
    with errors_written(source, errors):
        digests = try_out(source, tell)
        if source.misfits:
            note(str(unstorable(source.misfits, errors)))
    if as_json:
        report = {name: digest_of(*each) for name, each in digests.items()}
        errors_found = len(source.misfits)
        say_json({"dry_run": True, "tables": report, "not_storable": errors_found})
        return
    say_digests(digests)
    say(f"Dry run; nothing was moved. {printable(target.place)} is free for it.")


def _undo(source: Source, target: Target, as_json: bool) -> None:
    undo(source, target, tell)
    if as_json:
        say_json({"undone": True, "place": source.place})
    else:
        say(f"{printable(source.place)} has the fleet again.")


def _again(source: Source, target: Target, there: Settings, as_json: bool) -> None:
    """Bring over what was written to the source since it was closed."""
    here, other = source.mark(), target.mark()
    arrived = other.id if other is not None and other.state == "open" else None
    if here is None or not here.is_closed or here.id != arrived:
        raise MoveRefused(f"{source.place} was not moved to {target.place}.")
    kept = source.prints()
    with source.alone(), source.snapshot() as rows:
        late = late_rows(rows, kept)
        done, writes = _bring(there, late, kept)
        if late:
            known = prints_of(rows)
            machines = known["enrolled_agents"], kept["enrolled_agents"]
            all_machines = joined(*machines, writes.brought.tobytes())
            source.keep(here, {**known, "enrolled_agents": all_machines})
    report = [
        {"table": table, "outcome": outcome, "rows": count}
        for (table, outcome), count in sorted(done.items())
    ]
    if as_json:
        say_json({"brought": report, "kept": writes.kept})
    elif report:
        say_brought(report, writes.kept)
    else:
        say(f"Nothing was written to {printable(source.place)} since the move.")


def _bring(
    there: Settings, late: Mapping[str, list[Any]], kept: Mapping[str, bytes]
) -> tuple[Counter[tuple[str, str]], LateWrites]:
    """Return what became of how many rows, and what wrote them."""
    store = open_store(there)
    with _reported(store):
        session = store.acquire()
        try:
            unit = UnitOfWork(session, store.dialect, current_state().rule)
            writes = LateWrites(unit)
            return Counter(writes.bring(late, kept)), writes
        finally:
            store.release(session)
            store.close_idle()


def _late(source: Source) -> dict[str, int]:
    with source.snapshot() as rows:
        late = late_rows(rows, source.prints())
    return {table: len(found) for table, found in late.items()}
