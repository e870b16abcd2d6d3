"""Read CSV files: detect the delimiter, find the heading, report faults.

The files come from Excel in any language, from other programs, and from our own export.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Collection, Iterator
from typing import IO, NamedTuple

from .encoding import NotCsv, text_of
from .writing import unprotected

#: The delimiters that are tried if the file does not declare one.
_DELIMITERS = (";", ",", "\t")

#: Excel's own first line, which declares the delimiter.
_SEP = re.compile(r'"?sep=([^\w\s"]|\t)"?[\r\n]*', re.IGNORECASE)

#: What the end of a DOS file may have after its lines (Ctrl-Z), as ``copy a+b`` writes.
_END_OF_DOS_FILE = "\x1a"

#: The beginning of PowerShell's first line.
_TYPE = ("#TYPE ", '"#TYPE ')

#: Other names of columns, as people and our own tables on the screen write them.
_ALSO_CALLED = {
    "machine": "machine_id",
    "user": "user_name",
    "e_mail": "user_email",
    "email": "user_email",
    "user_e_mail": "user_email",
    "host": "hostname",
    "host_name": "hostname",
    "system": "os_info",
}

#: The most characters of a heading that an error quotes: it may be any line.
_LONGEST_QUOTED = 200


class Line(NamedTuple):
    """A line of the table: its *cells* by column, or its *fault*.

    *number* is the line of the file on which it begins, from 1 on. *cells* has no entry
    for a cell that the line lacks.
    """

    number: int
    cells: dict[str, str]
    fault: str | None = None


class _Row(NamedTuple):
    number: int
    cells: list[str]
    fault: str | None = None


_NO_ROW = _Row(1, [], "is blank, as is every other line")


class CsvFile:
    """Read the table in *file*, whose heading names some of *columns*.

    ``ignored`` lists the other columns of the heading, ``size`` is the size of the
    file in bytes, ``encoding`` the one that was given or detected. Raises
    NotCsv if the file is not text, or if its heading lacks the *required* column or
    names a column twice.
    """

    def __init__(
        self,
        file: IO[bytes],
        columns: Collection[str],
        *,
        required: str,
        encoding: str | None = None,
    ) -> None:
        self._file = file
        self._text = text_of(file, encoding)
        self.encoding = self._text.encoding
        self.size = self.position()
        self._delimiter, self._skipped = self._before_the_heading()
        written = self._find_heading(columns)
        heading = [_name(cell) for cell in written]
        self._columns = [name if name in columns else None for name in heading]
        unknown = (
            cell.strip()
            for cell, name in zip(written, heading)
            if name and name not in columns
        )
        self.ignored = list(dict.fromkeys(unknown))
        _check(heading, columns, required)

    def position(self) -> int:
        """Return how many bytes of the file have been read."""
        return self._file.tell()

    def lines(self) -> Iterator[Line]:
        """Yield each line below the heading that is not blank, from the start."""
        rows = self._rows(self._delimiter)
        next(rows)
        for number, cells, fault in rows:
            if fault is None and any(map(str.strip, cells[len(self._columns) :])):
                fault = (
                    f"has {len(cells)} cells, and the heading {len(self._columns)}:"
                    " a cell with a delimiter in it must be in quotes"
                )
            known = zip(self._columns, cells)
            yield Line(
                number,
                {name: unprotected(cell) for name, cell in known if name},
                fault,
            )

    def _before_the_heading(self) -> tuple[str, int]:
        """Return the delimiter that a line ``sep=`` declares, and the lines to skip.

        Windows PowerShell begins a file with the type of its objects.
        """
        self._text.seek(0)
        line = self._text.readline()
        match = _SEP.fullmatch(line)
        if match:
            return match[1], 1
        return "", int(line.startswith(_TYPE))

    def _find_heading(self, columns: Collection[str]) -> list[str]:
        """Return the heading, and keep the delimiter that finds the most columns."""
        candidates = self._delimiter or _DELIMITERS
        rows = {each: next(self._rows(each), _NO_ROW) for each in candidates}

        def fit(delimiter: str) -> tuple[int, int]:
            names = {_name(cell) for cell in rows[delimiter].cells}
            return len(names & set(columns)), len(names)

        self._delimiter = max(rows, key=fit)
        number, cells, fault = rows[self._delimiter]
        if fault is not None:
            raise NotCsv(f"Line {number} {fault}.")
        return cells

    def _rows(self, delimiter: str) -> Iterator[_Row]:
        """Yield the rows that are not blank, the heading first.

        The reader is strict, so that a quote that is never closed is reported and does
        not silently swallow lines. It continues after a faulty row.
        """
        self._text.seek(0)
        lines = map(_without_end, iter(self._text.readline, ""))
        for _ in range(self._skipped):
            next(lines)
        reader = csv.reader(lines, delimiter=delimiter, strict=True)
        while True:
            number = self._skipped + reader.line_num + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                last = self._skipped + reader.line_num
                until = f", up to line {last}" if last > number else ""
                yield _Row(number, [], f"cannot be read as CSV{until}: {error}")
                continue
            if any(map(str.strip, cells)):
                yield _Row(number, cells)


def _without_end(line: str) -> str:
    """Return *line*, blank if it is only the end of a DOS file."""
    return "\n" if line.rstrip("\r\n") == _END_OF_DOS_FILE else line


def _name(cell: str) -> str:
    """Return the canonical name of the column that *cell* of a heading names."""
    name = re.sub(r"[\s-]+", "_", cell.strip().lower())
    return _ALSO_CALLED.get(name, name)


def _check(heading: list[str], columns: Collection[str], required: str) -> None:
    if required not in heading:
        found = ", ".join(filter(None, heading)) or "none"
        if len(found) > _LONGEST_QUOTED:
            found = f"{found[:_LONGEST_QUOTED]}…"
        raise NotCsv(
            f"There is no column {required} in its first line. Columns found:"
            f" {found}. Known columns: {', '.join(columns)}."
        )
    twice = [name for name, n in Counter(heading).items() if n > 1 and name in columns]
    if twice:
        raise NotCsv(f"There is more than one column {', '.join(twice)}.")
