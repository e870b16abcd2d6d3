"""Read CSV files: detect encoding and delimiter, find the heading, report faults.

The files come from Excel in any language, from other programs, and from our own export.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Collection, Iterator
from functools import partial
from typing import IO, NamedTuple

from .writing import unprotected

#: The delimiters that are tried if the file does not declare one.
_DELIMITERS = (";", ",", "\t")

#: Byte order marks, and the encoding of a file that begins with one.
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}

#: Encodings tried without a mark: umlauts in Windows-1252 are not valid UTF-8.
_UNMARKED = ("utf-8", "cp1252")

#: Bytes that are not UTF-8, as Python escapes them; characters beyond ASCII.
_NO_UTF8 = re.compile("[\udc80-\udcff]+")
_BEYOND_ASCII = re.compile("[^\x00-\x7f]")

#: Excel's own first line, which declares the delimiter.
_SEP = re.compile(r'"?sep=([^\w\s"]|\t)"?[\r\n]*', re.IGNORECASE)

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

#: The most characters of a line, so that a file without lines cannot fill the memory.
_LONGEST_LINE = 1024 * 1024


class NotCsv(ValueError):
    """A file that cannot be read as a table; the text says why."""


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
    file in bytes. Raises NotCsv if the file is not text, or if its heading lacks the
    *required* column or names a column twice.
    """

    def __init__(
        self, file: IO[bytes], columns: Collection[str], *, required: str
    ) -> None:
        self._file = file
        self._text = _text_of(file)
        self.size = self.position()
        self._delimiter, self._skipped = self._declared_delimiter()
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

    def _declared_delimiter(self) -> tuple[str, int]:
        """Return the delimiter that a line ``sep=`` declares, and the lines to skip."""
        self._text.seek(0)
        match = _SEP.fullmatch(self._text.readline())
        return (match[1], 1) if match else ("", 0)

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
        lines = iter(self._text.readline, "")
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


def _text_of(file: IO[bytes]) -> io.TextIOWrapper:
    """Return *file* as text in its encoding, with its line ends unchanged.

    The whole file is read: its last byte may be the one that is not valid UTF-8.
    """
    for encoding in _encodings(file):
        file.seek(0)
        text = io.TextIOWrapper(file, encoding, newline="")
        try:
            _refuse_other_than_lines(text)
            return text
        except UnicodeError:
            text.detach()  # otherwise it would close the file
            if encoding.startswith("utf-8"):
                _refuse_damaged_utf8(file, encoding)
    raise NotCsv("It is not text: neither UTF-8 nor UTF-16 nor Windows-1252.")


def _refuse_damaged_utf8(file: IO[bytes], encoding: str) -> None:
    """Refuse a file that is mostly valid UTF-8, with some damaged bytes.

    If it were read as Windows-1252, each of its umlauts would become two wrong letters.
    """
    file.seek(0)
    text = io.TextIOWrapper(file, encoding, errors="surrogateescape", newline="")
    faults, letters, first = 0, 0, 0
    for number, line in enumerate(iter(partial(text.readline, _LONGEST_LINE), ""), 1):
        if line.isascii():
            continue
        damaged = _NO_UTF8.findall(line)
        faults += len(damaged)
        letters += len(_BEYOND_ASCII.findall(line)) - len("".join(damaged))
        first = first or (number if damaged else 0)
    text.detach()
    if letters >= faults:
        raise NotCsv(f"Line {first} is damaged: it is not UTF-8, as the others are.")


def _refuse_other_than_lines(text: io.TextIOWrapper) -> None:
    number = 0
    while line := text.readline(_LONGEST_LINE):
        number += 1
        if "\0" in line:
            raise NotCsv(f"Line {number} has a NUL character: it is not a CSV file.")
        if len(line) == _LONGEST_LINE and line[-1] not in "\r\n":
            raise NotCsv(f"Line {number} has over {_LONGEST_LINE} characters.")


def _encodings(file: IO[bytes]) -> tuple[str, ...]:
    file.seek(0)
    start = file.read(max(map(len, _MARKS)))
    marked = (name for mark, name in _MARKS.items() if start.startswith(mark))
    encoding = next(marked, None)
    return _UNMARKED if encoding is None else (encoding,)


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
