"""The lines of a file that could not be used: said, counted, and written to a file."""

from __future__ import annotations

import csv
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, NamedTuple

import click

from ..core.csv.writing import protected
from .terminal import printable

#: How many are kept for a program, and how many are said on the screen.
_KEPT = 100
_SAID = 10

#: How much of each machine's id is said.
_LONGEST_NAME = 60


class Refusal(NamedTuple):
    """A line that was not used: its number in the file, its machine, and why."""

    line: int
    machine_id: str
    reason: str


class Refusals:
    """Those of one file: how many (``count``), and the ``first`` hundred of them.

    All are written as CSV to *file*, which is to be at *path*, if that is given.
    """

    def __init__(self, file: IO[str] | None = None, path: Path | None = None) -> None:
        self.count = 0
        self.first: list[Refusal] = []
        self._path = path
        self._writer = None if file is None else csv.writer(file, delimiter=";")

    def add(self, refusal: Refusal) -> None:
        self.count += 1
        if len(self.first) < _KEPT:
            self.first.append(refusal)
        if self._writer is None or self._path is None:
            return
        try:
            if self.count == 1:
                self._writer.writerow(Refusal._fields)
            self._writer.writerow(map(protected, refusal))
        except OSError as error:
            raise _unwritable(self._path, error) from None

    def say(self) -> None:
        """Say the first on the error stream, and where all are."""
        for line, machine_id, reason in self.first[:_SAID]:
            about = f", {printable(machine_id[:_LONGEST_NAME])}" if machine_id else ""
            click.echo(f"Line {line}{about}: {printable(reason)}.", err=True)
        more = self.count - _SAID
        if more > 0:
            where = "" if self._path else " Write them all to a file with --errors."
            click.echo(f"And {more} more.{where}", err=True)
        if self.count and self._path:
            click.echo(f"All are in {printable(str(self._path))}.", err=True)


def is_of_refusals(path: Path) -> bool:
    """Tell whether the file at *path* is of ours, or empty, or not there."""
    try:
        with open(path, encoding="utf-8-sig", errors="replace") as file:
            heading = file.readline(_LONGEST_NAME)
    except OSError:  # where it cannot be written either, that is said then
        return True
    return heading.strip() in ("", ";".join(Refusal._fields))


@contextmanager
def refusals_into(path: Path | None) -> Iterator[Refusals]:
    """Yield refusals that are in a file at *path* at the end, if there are any.

    Only its owner may read it. That it can be written is known at the beginning;
    what was there before is replaced at the end. As Excel in French reads it.
    """
    if path is None:
        yield Refusals()
        return
    try:
        folder = path.parent
        descriptor, name = tempfile.mkstemp(prefix=".lea-fleet-", dir=folder)
        file = open(descriptor, "w", encoding="utf-8-sig", newline="")
    except OSError as error:
        raise _unwritable(path, error) from None
    try:
        refusals = Refusals(file, path)
        yield refusals
        try:
            file.close()
            if refusals.count:
                os.replace(name, path)
        except OSError as error:
            raise _unwritable(path, error) from None
    finally:
        with suppress(OSError):  # which tries once more to write what did not fit
            file.close()
        with suppress(FileNotFoundError):
            os.unlink(name)


def _unwritable(path: Path, error: OSError) -> click.ClickException:
    return click.ClickException(
        f"{printable(str(path))} cannot be written: {error.strerror}."
    )
