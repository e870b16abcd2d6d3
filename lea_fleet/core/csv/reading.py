"""CSV as people have it: from Excel in French, from other programs, and from us.

Of the fleet it knows only what its columns are called.
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

#: What may stand between two cells, where the file does not say it.
_DELIMITERS = (";", ",", "\t")

#: Which encoding a file says that it has.
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}

#: What a file without a mark is read as: what has umlauts in Windows-1252 is no UTF-8.
_UNMARKED = ("utf-8", "cp1252")

#: Bytes that are no UTF-8, as Python escapes them; and what ASCII has not.
_NO_UTF8 = re.compile("[\udc80-\udcff]+")
_BEYOND_ASCII = re.compile("[^\x00-\x7f]")

#: Excel's own first line, which says what stands between two cells.
_SEP = re.compile(r'"?sep=([^\w\s"]|\t)"?[\r\n]*', re.IGNORECASE)

#: What else people, and our own tables on the screen, call a column.
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

#: The most characters that are said of a heading, which may be no heading at all.
_LONGEST_SAID = 200

#: The most characters of a line, lest a file that has none fill the memory.
_LONGEST_LINE = 1024 * 1024


class NotCsv(ValueError):
    """A file that cannot be read as a table; the text says why."""


class Line(NamedTuple):
    """A line of the table: its *cells* by column, or the *fault* that it has.

    *number* is where it begins in the file, from 1 on. A cell that the line lacks
    is not in *cells*.
    """

    number: int
    cells: dict[str, str]
    fault: str | None = None


class _Row(NamedTuple):
    number: int
    cells: list[str]
    fault: str | None = None


_NO_ROW = _Row(1, [], "is blank, and so is every other")


class CsvFile:
    """A table in *file*, under a heading that names some of *columns*.

    ``ignored`` are the columns of the heading that are none of those, ``size`` the
    bytes of the file. Raises NotCsv where it is no text, or has no such heading.
    """

    def __init__(
        self, file: IO[bytes], columns: Collection[str], *, required: str
    ) -> None:
        self._file = file
        self._text = _text_of(file)
        self.size = self.position()
        self._delimiter, self._skipped = self._said_delimiter()
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
        """Yield each line below the heading that is not blank, from the first on."""
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

    def _said_delimiter(self) -> tuple[str, int]:
        """Return what a line ``sep=`` says, and how many lines that is."""
        self._text.seek(0)
        said = _SEP.fullmatch(self._text.readline())
        return (said[1], 1) if said else ("", 0)

    def _find_heading(self, columns: Collection[str]) -> list[str]:
        """Return the heading as it is written, and keep the delimiter which finds the
        most columns in it."""
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

        Strictly read, so that a quote which is never closed swallows no line in
        silence. What can be read after a fault is read.
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
    """Return *file* as text, with the ends of its lines as they are.

    All of it is looked at: a byte that makes it another encoding may be the last.
    """
    for encoding in _encodings(file):
        file.seek(0)
        text = io.TextIOWrapper(file, encoding, newline="")
        try:
            _refuse_other_than_lines(text)
            return text
        except UnicodeError:
            text.detach()  # lest it close the file
            if encoding.startswith("utf-8"):
                _refuse_damaged_utf8(file, encoding)
    raise NotCsv("It is no text: neither UTF-8 nor UTF-16 nor Windows-1252.")


def _refuse_damaged_utf8(file: IO[bytes], encoding: str) -> None:
    """Refuse what is UTF-8 for the most part: read as another encoding, each of its
    umlauts would be two wrong letters."""
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
            raise NotCsv(f"Line {number} has a NUL character: it is no CSV file.")
        if len(line) == _LONGEST_LINE and line[-1] not in "\r\n":
            raise NotCsv(f"Line {number} has over {_LONGEST_LINE} characters.")


def _encodings(file: IO[bytes]) -> tuple[str, ...]:
    file.seek(0)
    start = file.read(max(map(len, _MARKS)))
    said = (name for mark, name in _MARKS.items() if start.startswith(mark))
    encoding = next(said, None)
    return _UNMARKED if encoding is None else (encoding,)


def _name(cell: str) -> str:
    """Return the name of a column as it is known, however it is written."""
    name = re.sub(r"[\s-]+", "_", cell.strip().lower())
    return _ALSO_CALLED.get(name, name)


def _check(heading: list[str], columns: Collection[str], required: str) -> None:
    if required not in heading:
        found = ", ".join(filter(None, heading)) or "none"
        if len(found) > _LONGEST_SAID:
            found = f"{found[:_LONGEST_SAID]}…"
        raise NotCsv(
            f"There is no column {required} in its first line. The columns there:"
            f" {found}. Those that are known: {', '.join(columns)}."
        )
    twice = [name for name, n in Counter(heading).items() if n > 1 and name in columns]
    if twice:
        raise NotCsv(f"There is more than one column {', '.join(twice)}.")
