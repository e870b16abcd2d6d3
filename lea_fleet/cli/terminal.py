"""Print text and tables that are safe for a terminal and fit its width."""

from __future__ import annotations

import os
import shutil
import sys
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import IO

import click

from ..core import clock
from ..core.text import printable
from .output import encodable, faults_reported

_GAP = "  "

#: A column is never cut below this width to make room for others: beside a whole GUID
#: in 80 columns, each of three others has four.
_NARROWEST = 4

#: The width of a pipe or file, where programs search for whole values.
_ENDLESS = 1_000_000


def say(text: str, *, fg: str | None = None, bold: bool | None = None) -> None:
    """Print a line; characters that the screen's encoding lacks are escaped."""
    # click omits colors without a terminal, but does not know NO_COLOR.
    color = False if _is_plain() else None
    with faults_reported():
        click.secho(encodable(text), color=color, fg=fg, bold=bold)


def say_table(
    heading: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    fixed: set[int],
    empty: str = "",
) -> None:
    """Print *rows* below their *heading*, or *empty* where there are none."""
    if not rows:
        say(empty)
        return
    top, *lines = table([heading, *rows], screen_width(), fixed=fixed)
    say(top, bold=True)
    for line in lines:
        say(line)


@contextmanager
def progress(size: int) -> Iterator[Callable[[int], None]]:
    """Yield a function that shows how much of *size* is done, on a terminal."""
    hidden = not sys.stderr.isatty()
    with click.progressbar(length=size, file=sys.stderr, hidden=hidden) as bar:
        yield lambda position: bar.update(position - bar.pos)


def screen_width() -> int:
    """Return the width of the terminal, or ``COLUMNS``; without both it is endless."""
    return shutil.get_terminal_size((_ENDLESS, 0)).columns


def paint(text: str) -> None:
    """Write *text*, which may move the cursor, to the terminal."""
    with faults_reported():
        sys.stdout.write(encodable(text))
        sys.stdout.flush()


def pour(file: IO[bytes]) -> None:
    """Print the content of *file*, byte for byte."""
    file.seek(0)
    with faults_reported():
        shutil.copyfileobj(file, sys.stdout.buffer)
        sys.stdout.buffer.flush()


def styled(text: str, *, fg: str | None = None, bold: bool | None = None) -> str:
    """Return *text* with the escape codes of its color."""
    return text if _is_plain() else click.style(text, fg=fg, bold=bold)


def _is_plain() -> bool:
    return bool(os.environ.get("NO_COLOR"))  # see no-color.org


def table(rows: Sequence[Sequence[str]], width: int, *, fixed: set[int]) -> list[str]:
    """Return *rows* as aligned lines of at most *width* columns.

    The first row is the heading. Where the table is too wide, the widest
    columns are cut first; those whose numbers are in *fixed* are never cut.
    """
    widths = [max(map(text_width, column)) for column in zip(*rows)]
    spare = width - len(_GAP) * (len(widths) - 1)
    while sum(widths) > spare:
        able = [n for n in range(len(widths)) if n not in fixed]
        widest = max(able, key=lambda n: widths[n])
        if widths[widest] <= _NARROWEST:
            break
        widths[widest] -= 1
    return [
        _GAP.join(_fit(cell, size) for cell, size in zip(row, widths)).rstrip()
        for row in rows
    ]


def text_width(text: str) -> int:
    """Return how many columns *text* takes: two for wide characters, none for marks."""
    return len(text) if text.isascii() else sum(map(_columns, text))


def ago(timestamp: str | None, now: datetime) -> str:
    """Return how long before *now* the ISO 8601 *timestamp* is: ``3 min ago``."""
    try:
        seconds = (now - clock.read_time(str(timestamp))).total_seconds()
    except ValueError:  # absent, or not in ISO 8601
        return "never"
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        if seconds >= length:
            return f"{int(seconds // length)} {unit} ago"
    return "now"


def at(timestamp: str | None) -> str:
    """Return the ISO 8601 *timestamp* as tables show it: in UTC, to the second."""
    if timestamp is None:
        return "-"
    return printable(clock.in_utc(timestamp)[:19].replace("T", " "))


def _fit(text: str, width: int) -> str:
    if text_width(text) > width:
        text = _cut(text, width - 1) + "…"
    return text + " " * (width - text_width(text))


def _cut(text: str, width: int) -> str:
    taken = 0
    for index, letter in enumerate(text):
        taken += _columns(letter)
        if taken > width:
            return text[:index]
    return text


def _columns(letter: str) -> int:
    if unicodedata.combining(letter):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1
