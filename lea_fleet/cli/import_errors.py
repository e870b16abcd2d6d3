"""Report the lines that an import refused: on the screen and in a file."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

import click

from ..core.csv.writing import protected
from ..core.files import whole_file
from ..core.text import printable
from .output import note

#: How many are in the JSON output, and how many are printed on the screen.
_KEPT = 100
_SAID = 10

#: Characters of a machine id that are printed.
_LONGEST_NAME = 60


class Refusal(NamedTuple):
    """A line that was refused: its number in the file, its machine, and why."""

    line: int
    machine_id: str
    reason: str


class Refusals:
    """The refusals of one import: their ``count`` and the ``first`` hundred.

    All are written as CSV to *file*, if it is given, which will be named *path*.
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
        if self._writer is None:
            return
        if self.count == 1:
            self._writer.writerow(Refusal._fields)
        self._writer.writerow(map(protected, refusal))

    def say(self) -> None:
        """Print the first refusals to standard error, and where all of them are."""
        for line, machine_id, reason in self.first[:_SAID]:
            about = f", {printable(machine_id[:_LONGEST_NAME])}" if machine_id else ""
            note(f"Line {line}{about}: {printable(reason)}.")
        more = self.count - _SAID
        if more > 0:
            where = "" if self._path else " Write them all to a file with --errors."
            note(f"And {more} more.{where}")
        if self.count and self._path:
            note(f"All are in {printable(str(self._path))}.")


def is_error_file(path: Path, fields: Sequence[str] = Refusal._fields) -> bool:
    """Tell whether *path* is a file of *fields*, or empty, or does not exist."""
    try:
        with open(path, encoding="utf-8-sig", errors="replace") as file:
            heading = file.readline(_LONGEST_NAME)
    except OSError:  # if it cannot be written either, that is reported then
        return True
    return heading.strip() in ("", ";".join(fields))


@contextmanager
def write_refusals(path: Path | None) -> Iterator[Refusals]:
    """Yield refusals that are written to *path* at the end, if there are any.

    In the format that Excel in French reads. A folder that cannot be written is
    reported at the beginning.
    """
    if path is None:
        yield Refusals()
        return
    try:
        with whole_file(path) as new:
            with open(new, "w", encoding="utf-8-sig", newline="") as file:
                refusals = Refusals(file, path)
                yield refusals
            if not refusals.count:
                new.unlink()
    except OSError as error:
        raise click.ClickException(
            f"{printable(str(path))} cannot be written: {error.strerror}."
        ) from None
