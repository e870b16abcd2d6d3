"""``flask fleet import``: machines from a file, before their installers come."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from itertools import islice
from pathlib import Path

import click
from flask.cli import with_appcontext

from ..core.csv.reading import CsvFile, Line, NotCsv
from ..storage.sqlite.files import is_part_of
from ..core.machine import DETAILS
from ..api.payloads import machine_payload
from ..core.problems import InvalidField
from ..storage.imports import CHANGES, Imports, Outcome
from ..app.state import current_state
from .terminal import printable, say
from .opening import open_or_imagine_fleet, open_or_make_fleet
from .options import json_option, refuse_many, say_json, yes_option
from .import_errors import Refusal, Refusals, is_of_refusals, refusals_into

#: Lines in one transaction: the server's writers wait for no more than these.
LINES = 1000

_COLUMNS = ("machine_id", *DETAILS)

_MEANINGS: dict[str, str] = {
    "imported": "new; their first enrolment is let through",
    "adopted": "active without a token; their next enrolment is let through",
    "updated": "imported before, with other details now",
    "unchanged": "imported before, with the same details",
    "enrolled": "enrolled already, left alone",
    "uninstalled": "uninstalled, left alone: any enrolment brings them back",
    "refused": "lines with a fault",
}

#: What is done with one machine: its id, what is known of it; what came of it.
_Act = Callable[[str, Mapping[str, "str | None"]], Outcome]


def _errors_path(
    context: click.Context, parameter: click.Parameter, value: Path | None
) -> Path | None:
    # Not by Path's methods, which raise for a name that is too long.
    if value is not None and os.path.exists(value) and not os.path.isfile(value):
        raise click.BadParameter("must be a file, or nothing yet.")
    return value


@click.command("import")
@click.argument(
    "path",
    metavar="FILE.csv",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True),
)
@click.option("--dry-run", is_flag=True, help="Say what it would do, and do nothing.")
@click.option(
    "--errors",
    metavar="FILE",
    type=click.Path(path_type=Path),
    callback=_errors_path,
    help="Write the lines that have a fault to this file, if there are any.",
)
@yes_option
@json_option
@with_appcontext
def import_command(
    path: str, dry_run: bool, errors: Path | None, yes: bool, as_json: bool
) -> None:
    """Make the machines of a CSV file known before they enrol.

    The first line names the columns: machine_id, and any of user_name,
    user_email, user_id, hostname, os_info and version. FILE.csv may be - for
    the standard input. More than one machine takes --yes. To import the file once
    more changes nothing.

    \b
    Example: flask fleet import machines.csv --dry-run
    """
    if errors is not None:
        _refuse_to_replace(path, errors)
    with _opened(path) as table, refusals_into(errors) as refusals:
        if not dry_run and not yes:
            _refuse_unless_one(table)
        work = _foresee if dry_run else _import
        counts = work(table, refusals)
    if as_json:
        faults = [refusal._asdict() for refusal in refusals.first]
        said = _counted(counts, table.ignored)
        say_json({"dry_run": dry_run, **said, "errors": faults})
    else:
        title = "A dry run; it would be:" if dry_run else "Done:"
        for line in (title, *_summary(counts, table.ignored)):
            say(line)
    refusals.say()
    if refusals.count:
        raise SystemExit(1)


def _refuse_to_replace(path: str, errors: Path) -> None:
    """Refuse a file for the errors that is another one's. Raises UsageError."""
    if path != "-" and os.path.exists(errors) and os.path.samefile(path, errors):
        raise click.UsageError("The file itself cannot be the one for --errors.")
    if is_part_of(errors, current_state().settings.database):
        raise click.UsageError("The database cannot be the file for --errors.")
    if not is_of_refusals(errors):
        raise click.UsageError(
            f"{printable(str(errors))} is there already, and holds something else."
        )


@contextmanager
def _opened(path: str) -> Iterator[CsvFile]:
    """Yield the table in a copy of the file: it is read more than once."""
    name = printable(path) if path != "-" else "The standard input"
    if path == "-" and sys.stdin is None:
        raise click.ClickException(f"{name} is closed.")
    with tempfile.TemporaryFile() as copy:
        try:
            with click.open_file(path, "rb") as source:
                shutil.copyfileobj(source, copy)
            table = CsvFile(copy, _COLUMNS, required="machine_id")
        except NotCsv as error:
            reason = printable(str(error))
            raise click.ClickException(f"{name} cannot be used. {reason}") from None
        except OSError as error:
            raise click.ClickException(
                f"{name} cannot be read: {error.strerror}."
            ) from None
        yield table


def _refuse_unless_one(table: CsvFile) -> None:
    counts = _foresee(table, Refusals())
    changes = sum(counts[outcome] for outcome in CHANGES)
    if changes > 1:
        for line in ("It would be:", *_summary(counts, table.ignored)):
            click.echo(line, err=True)
    refuse_many(changes, yes=False)


def _foresee(table: CsvFile, refusals: Refusals) -> Counter[str]:
    """Return what importing the *table* would do, line by line, and do nothing."""
    counts: Counter[str] = Counter()
    with open_or_imagine_fleet() as repository:
        look = Imports(repository.unit).foresee
        _process(table, refusals, counts, repository.snapshot, look)
    return counts


def _import(table: CsvFile, refusals: Refusals) -> Counter[str]:
    counts: Counter[str] = Counter()
    try:
        with open_or_make_fleet() as repository:
            add = Imports(repository.unit).add
            _process(table, refusals, counts, repository.transaction, add)
    except (click.ClickException, KeyboardInterrupt) as fault:
        # An interrupt may come before what has just been committed is counted.
        if counts or isinstance(fault, KeyboardInterrupt):
            click.echo(
                "Stopped. What was imported by then stays. Run it again for the rest.",
                err=True,
            )
        raise
    return counts


def _process(
    table: CsvFile,
    refusals: Refusals,
    counts: Counter[str],
    transaction: Callable[[], AbstractContextManager[None]],
    act: _Act,
) -> None:
    """Act on each line of the *table*; count how many came to what."""
    seen: dict[str, int] = {}
    lines = table.lines()
    with _progress(table.size) as show:
        while batch := list(islice(lines, LINES)):
            with transaction():
                results = [_result(line, seen, act) for line in batch]
            for result in results:  # what is rolled back is not counted
                if isinstance(result, Refusal):
                    refusals.add(result)
                counts["refused" if isinstance(result, Refusal) else result] += 1
            show(table.position())


def _result(line: Line, seen: dict[str, int], act: _Act) -> Outcome | Refusal:
    """Act on one line; *seen* has the lines before it, by their machines."""
    machine_id = line.cells.get("machine_id", "").strip()

    def refused(reason: str) -> Refusal:
        return Refusal(line.number, machine_id, reason)

    if line.fault is not None:
        return refused(line.fault)
    if machine_id in seen:
        return refused(f"machine_id is that of line {seen[machine_id]} already")
    try:
        machine = machine_payload(line.cells)
        outcome = act(machine.machine_id, machine.details)
    except InvalidField as problem:
        return refused(problem.detail.removesuffix("."))
    seen[machine_id] = line.number
    return outcome


@contextmanager
def _progress(size: int) -> Iterator[Callable[[int], None]]:
    """Yield what shows how many of *size* bytes are done: on a terminal only."""
    if not sys.stderr.isatty():
        yield lambda position: None
        return
    with click.progressbar(length=size, file=sys.stderr) as bar:
        yield lambda position: bar.update(position - bar.pos)


def _counted(counts: Counter[str], ignored: list[str]) -> dict[str, object]:
    named = {name: counts[name] for name in _MEANINGS}
    return {"lines": counts.total(), **named, "ignored_columns": ignored}


def _summary(counts: Mapping[str, int], ignored: list[str]) -> Iterator[str]:
    for name, meaning in _MEANINGS.items():
        yield f"  {counts[name]:>6} {name:<12} {meaning}"
    if ignored:
        yield f"Columns that were not used: {printable(', '.join(ignored))}"
