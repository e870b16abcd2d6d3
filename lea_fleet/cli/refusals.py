"""The lines of a file that could not be used: said, counted, and written to a file."""

from __future__ import annotations

import csv
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import click

from ..spreadsheet import protected
from ..terminal import printable

#: How many are said on the screen, and how much of each machine's id.
_SAID = 10
_LONGEST_NAME = 60


class Refusal(NamedTuple):
    """A line that was not used: its number in the file, its machine, and why."""

    line: int
    machine_id: str
    reason: str


class Refusals:
    """Those of one file: how many, and the first of them.

    All go to *writer*, which writes CSV, if there is one.
    """

    def __init__(self, writer: Any = None) -> None:
        self.count = 0
        self._first: list[Refusal] = []
        self._writer = writer

    def add(self, refusal: Refusal) -> None:
        self.count += 1
        if len(self._first) < _SAID:
            self._first.append(refusal)
        if self._writer is not None:
            self._writer.writerow(map(protected, refusal))

    def say(self, path: Path | None) -> None:
        """Say them on the error stream; *path* is the file that has them all."""
        for line, machine_id, reason in self._first:
            about = f", {printable(machine_id[:_LONGEST_NAME])}" if machine_id else ""
            click.echo(f"Line {line}{about}: {printable(reason)}.", err=True)
        more = self.count - len(self._first)
        if more:
            where = " Write them all to a file with --errors." if path is None else ""
            click.echo(f"And {more} more.{where}", err=True)
        if self.count and path is not None:
            click.echo(f"All are in {printable(str(path))}.", err=True)


@contextmanager
def refusals_into(path: Path | None) -> Iterator[Refusals]:
    """Yield refusals that are in a file at *path* at the end, if there are any.

    Only its owner may read it. That it can be written is known at the beginning;
    what was there before is replaced at the end. As Excel in French reads it.
    """
    if path is None:
        yield Refusals()
        return
    with _fault_named(path):
        descriptor, name = tempfile.mkstemp(prefix=".lea-fleet-", dir=path.parent)
    try:
        with open(descriptor, "w", encoding="utf-8-sig", newline="") as file:
            writer = csv.writer(file, delimiter=";")
            writer.writerow(Refusal._fields)
            refusals = Refusals(writer)
            yield refusals
            with _fault_named(path):
                file.flush()
        if refusals.count:
            with _fault_named(path):
                os.replace(name, path)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(name)


@contextmanager
def _fault_named(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise click.ClickException(
            f"{printable(str(path))} cannot be written: {error.strerror}."
        ) from None
