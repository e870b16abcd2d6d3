"""``flask fleet import``: register machines from a CSV file before they enroll."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from itertools import islice
from pathlib import Path

import click
from flask.cli import with_appcontext

from ..api.payloads.bodies import machine_payload
from ..core.csv.encoding import DOS, NotCsv, is_text_encoding
from ..core.csv.reading import CsvFile, Line
from ..core.machine import DETAILS, stored_form
from ..core.problems import InvalidField, MachineBlocked
from ..core.temporary import copy_of
from ..core.text import printable
from ..storage.attempts import attempts
from ..storage.imports import Imported, Imports
from ..storage.unit_of_work import UnitOfWork
from .command import FleetCommand
from .database import (
    administration,
    may_begin,
    open_fleet_for_dry_run,
    open_or_begin_fleet,
)
from .import_errors import Refusal, Refusals, is_error_file, write_refusals
from .import_lookalikes import Warnings
from .import_report import count, counted, summary
from .options import create_option, json_option, refuse_many, say_json, yes_option
from .output import note
from .terminal import progress, say

#: Lines in one transaction: the server's writers wait for these at most.
LINES = 1000

_COLUMNS = ("machine_id", *DETAILS, "tags")

#: Imports one machine by id, details and tags, or foresees what importing would do.
_Act = Callable[[str, Mapping[str, "str | None"], Sequence[str]], Imported]


def _errors_path(
    context: click.Context, parameter: click.Parameter, value: Path | None
) -> Path | None:
    # click.Path lets devices through; Path's methods raise for a name that is too long.
    if value is not None and os.path.exists(value) and not os.path.isfile(value):
        raise click.BadParameter("must be a regular file, or not exist yet.")
    return value


def _encoding(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> str | None:
    if value is not None and not is_text_encoding(value):
        raise click.BadParameter("is not an encoding, such as cp850 or utf-16.")
    return value


@click.command("import", cls=FleetCommand)
@click.argument(
    "path",
    metavar="FILE.csv",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True),
)
@click.option("--dry-run", is_flag=True, help="Only print what it would do.")
@click.option(
    "--encoding",
    metavar="NAME",
    callback=_encoding,
    help="The encoding of the file, such as cp850, if it is not detected.",
)
@click.option(
    "--errors",
    metavar="FILE",
    type=click.Path(path_type=Path),
    callback=_errors_path,
    help="Write the lines with errors to this file, if there are any.",
)
@create_option
@yes_option
@json_option
@with_appcontext
def import_machines(
    path: str,
    dry_run: bool,
    encoding: str | None,
    errors: Path | None,
    create: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Register the machines of a CSV file before they enroll.

    The first line names the columns: machine_id, and any of user_name,
    user_email, user_id, hostname, os_info, version and tags. FILE.csv may be - for
    standard input. More than one machine needs --yes. Importing the same file
    again changes nothing. The tags of a line, with commas or semicolons between
    them, are given to machines that are enrolled already, too.

    \b
    Example: flask fleet import machines.csv --dry-run
    """
    if errors is not None:
        _refuse_to_replace(path, errors)
    with _opened(path, encoding) as table, write_refusals(errors) as refusals:
        if not dry_run:
            may_begin(create)  # raises before anybody is asked for --yes
        if not dry_run and not yes:
            _refuse_unless_one(table)
        work = _foresee if dry_run else partial(_import, create)
        warnings = Warnings()
        counts = work(table, refusals, warnings)
    if as_json:
        faults = [refusal._asdict() for refusal in refusals.first]
        said = counted(counts, table.ignored)
        say_json({"dry_run": dry_run, **said, **warnings.members(), "errors": faults})
    else:
        title = "Dry run; the import would be:" if dry_run else "Done:"
        for line in (title, *summary(counts, table.ignored)):
            say(line)
    warnings.say()
    refusals.say()
    if refusals.count:
        raise SystemExit(1)


def _refuse_to_replace(path: str, errors: Path) -> None:
    """Refuse to overwrite another file with the errors. Raises UsageError."""
    if path != "-" and os.path.exists(errors) and os.path.samefile(path, errors):
        raise click.UsageError("FILE.csv cannot be the file for --errors.")
    if administration().is_part_of(errors):
        raise click.UsageError("The database cannot be the file for --errors.")
    if not is_error_file(errors):
        raise click.UsageError(
            f"{printable(str(errors))} already exists, with other content."
        )


@contextmanager
def _opened(path: str, encoding: str | None = None) -> Iterator[CsvFile]:
    """Yield the table in a copy of the file, which is read more than once."""
    name = printable(path) if path != "-" else "Standard input"
    if path == "-" and sys.stdin is None:
        raise click.ClickException(f"{name} is closed.")
    try:
        with click.open_file(path, "rb") as source:
            copy = copy_of(source)
    except OSError as error:
        raise click.ClickException(
            f"{name} cannot be read: {error.strerror}."
        ) from None
    with copy:
        try:
            table = CsvFile(copy, _COLUMNS, required="machine_id", encoding=encoding)
        except NotCsv as error:
            reason = printable(str(error))
            raise click.ClickException(f"{name} cannot be used. {reason}") from None
        if encoding is None and table.encoding == DOS:
            note(
                f"{name} is read as DOS has written it ({DOS}); --encoding names"
                " another encoding."
            )
        yield table


def _refuse_unless_one(table: CsvFile) -> None:
    counts = _foresee(table, Refusals(), Warnings())
    changes = counts["changed"]
    if changes > 1:
        for line in ("The import would be:", *summary(counts, table.ignored)):
            note(line)
    refuse_many(changes, yes=False)


def _foresee(table: CsvFile, refusals: Refusals, warnings: Warnings) -> Counter[str]:
    """Count what importing the *table* would do; change nothing."""
    counts: Counter[str] = Counter()
    with open_fleet_for_dry_run() as repository:
        warnings.read_known(repository.unit)
        look = Imports(repository.unit).foresee
        unit = repository.unit

        def begin(about: list[str]) -> AbstractContextManager[None]:
            return unit.snapshot()

        _process(table, refusals, warnings, counts, unit, begin, look)
    return counts


def _import(
    create: bool, table: CsvFile, refusals: Refusals, warnings: Warnings
) -> Counter[str]:
    counts: Counter[str] = Counter()
    try:
        with open_or_begin_fleet(create) as repository:
            warnings.read_known(repository.unit)
            unit, imports = repository.unit, Imports(repository.unit)
            begin, add = imports.transaction, imports.add
            _process(table, refusals, warnings, counts, unit, begin, add)
    except (click.ClickException, KeyboardInterrupt) as fault:
        # An interrupt may come between a commit and its count.
        if counts or isinstance(fault, KeyboardInterrupt):
            note(
                "Stopped. What was imported so far is kept. Run it again for the rest."
            )
        raise
    return counts


def _process(
    table: CsvFile,
    refusals: Refusals,
    warnings: Warnings,
    counts: Counter[str],
    unit: UnitOfWork,
    transaction: Callable[[list[str]], AbstractContextManager[None]],
    act: _Act,
) -> None:
    """Act on each line of the *table*; count the outcomes."""
    seen: dict[str, int] = {}
    lines = table.lines()
    with progress(table.size) as show:
        while batch := list(islice(lines, LINES)):
            about = [_machine_id(line) for line in batch]
            for attempt in attempts(unit):
                with attempt, transaction(about):
                    results = [_result(line, seen, act) for line in batch]
            # What is rolled back is not counted.
            for line, result in zip(batch, results):
                if isinstance(result, Refusal):
                    refusals.add(result)
                elif result.outcome == "imported":
                    warnings.see(line.number, _machine_id(line))
                count(counts, result)
            show(table.position())


def _machine_id(line: Line) -> str:
    return stored_form(line.cells.get("machine_id", ""))


def _result(line: Line, seen: dict[str, int], act: _Act) -> Imported | Refusal:
    """Act on one line; *seen* has the numbers of the lines before it by machine."""
    machine_id = _machine_id(line)

    def refused(reason: str) -> Refusal:
        return Refusal(line.number, machine_id, reason)

    if line.fault is not None:
        return refused(line.fault)
    if seen.get(machine_id, line.number) != line.number:
        return refused(f"machine_id is already in line {seen[machine_id]}")
    try:
        machine = machine_payload(line.cells)
        result = act(machine.machine_id, machine.details, machine.tags)
    except InvalidField as problem:
        return refused(problem.detail.removesuffix("."))
    except MachineBlocked:
        return refused("machine_id is blocked; see flask fleet blocked")
    seen[machine_id] = line.number
    return result
