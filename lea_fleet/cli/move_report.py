"""What ``flask fleet move`` prints, and the file of what cannot be stored."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from ..app.engine import open_administration
from ..app.settings import Settings
from ..core.csv.writing import protected
from ..core.files import whole_file
from ..core.text import printable
from ..storage.sides import Mark, Misfit, Source, Target
from .import_errors import is_error_file
from .output import note
from .terminal import say, say_table

_HEADING = ("TABLE", "ROWS", "DIGEST")

#: Hexadecimal digits of a digest that are printed; --json has all 64.
_SHOWN = 16

#: Machines that are named; --json has all.
_NAMED = 10


def say_late(late: Mapping[str, int]) -> None:
    if not late:
        say("Nothing was written here since.")
        return
    rows = ", ".join(f"{count} of {table}" for table, count in late.items())
    say(
        f"Written here since, by a program that does not know that it is closed: {rows}"
        " rows. Stop it, then bring them over with --again.",
        fg="yellow",
    )


def say_brought(report: list[dict[str, Any]], kept: list[str]) -> None:
    for each in report:
        say(f"{each['table']}: {each['rows']} {each['outcome']}")
    if kept:
        more = len(kept) - _NAMED
        named = ", ".join(map(printable, kept[:_NAMED]))
        rest = f" and {more} more" if more > 0 else ""
        say(f"Kept, since both sides have changed them: {named}{rest}.", fg="yellow")


def tell(step: str, rows: int) -> None:
    note(f"{step}: {rows:,} rows" if rows else step)


def report_of(mark: Mark, target: Target) -> dict[str, Any]:
    tables = {name: digest_of(*each) for name, each in mark.digests.items()}
    return {"moved_to": target.place, "at": mark.at, "tables": tables}


def digest_of(rows: int, digest: str) -> dict[str, Any]:
    return {"rows": rows, "digest": digest}


def say_digests(digests: Mapping[str, tuple[int, str]]) -> None:
    rows = [(name, f"{n:,}", text[:_SHOWN]) for name, (n, text) in digests.items()]
    say_table(_HEADING, rows, fixed={0, 1, 2})


def unstorable(misfits: list[Misfit], file: Path | None) -> click.ClickException:
    first = misfits[0]
    where = f"All are in {file}." if file else "--errors FILE lists them."
    return click.ClickException(
        printable(
            f"{len(misfits)} values cannot be stored as they are, such as"
            f" {first.column} of {first.table} {first.row}, which {first.reason}."
            f" {where} --accept-errors stores them with a replacement character."
        )
    )


def refuse_to_replace(errors: Path | None, *sides: Settings) -> None:
    """Refuse to overwrite a database, or another file, with the misfits."""
    if errors is None:
        return
    for side in sides:
        is_file = side.database_url is None
        if is_file and open_administration(side).is_part_of(errors):
            raise click.UsageError("A database cannot be the file for --errors.")
    if not is_error_file(errors, Misfit._fields):
        raise click.UsageError(
            f"{printable(str(errors))} already exists, with other content."
        )


@contextmanager
def errors_written(source: Source, path: Path | None) -> Iterator[None]:
    """Write the misfits that were found in the block to a CSV file at *path*."""
    if path is None:
        yield
        return
    with _new(path) as new:
        new.unlink()  # it can be made: said before anything is moved
    try:
        yield
    finally:
        with _new(path) as new:
            with new.open("w", encoding="utf-8-sig", newline="") as file:
                writer = csv.writer(file, delimiter=";")
                writer.writerow(Misfit._fields)
                writer.writerows(map(protected, each) for each in source.misfits)


@contextmanager
def _new(path: Path) -> Iterator[Path]:
    try:
        with whole_file(path.absolute()) as new:
            yield new
    except OSError as error:
        raise click.ClickException(
            printable(f"{path} cannot be written: {error.strerror}.")
        ) from None
