"""Text for a terminal: safe, aligned, and as wide as the screen."""

from __future__ import annotations

import os
import shutil
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import IO

import click

_GAP = "  "

#: A column is never cut below this width to make room for others.
_NARROWEST = 7

#: Control, format (among them those that turn the writing direction), line and
#: paragraph separators, surrogates: what may move a cursor or hide a name.
_UNSAFE = ("Cc", "Cf", "Zl", "Zp", "Cs")


def say(text: str, *, fg: str | None = None, bold: bool | None = None) -> None:
    """Print a line; what the screen's encoding lacks comes out escaped."""
    # click leaves colours out where there is no terminal.
    color = False if _is_plain() else None
    with _faults_named():
        click.secho(_encodable(text), color=color, fg=fg, bold=bold)


def say_table(
    heading: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    fixed: set[int],
    empty: str,
) -> None:
    """Print *rows* below their *heading*, or that they are *empty*."""
    if not rows:
        say(empty)
        return
    top, *lines = table([heading, *rows], screen_width(), fixed=fixed)
    say(top, bold=True)
    for line in lines:
        say(line)


def paint(text: str) -> None:
    """Write *text*, with the codes that move the cursor, onto a terminal."""
    with _faults_named():
        sys.stdout.write(_encodable(text))
        sys.stdout.flush()


def pour(file: IO[bytes]) -> None:
    """Print what is in *file*, byte for byte."""
    file.seek(0)
    with _faults_named():
        shutil.copyfileobj(file, sys.stdout.buffer)
        sys.stdout.buffer.flush()


def styled(text: str, *, fg: str | None = None, bold: bool | None = None) -> str:
    """Return *text* with the codes of its colour, for a terminal."""
    return text if _is_plain() else click.style(text, fg=fg, bold=bold)


def _is_plain() -> bool:
    return bool(os.environ.get("NO_COLOR"))  # see no-color.org


def _encodable(text: str) -> str:
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


@contextmanager
def _faults_named() -> Iterator[None]:
    if sys.stdout is None:  # click would print nothing, and be content
        raise click.ClickException("The output cannot be written: it is closed.")
    try:
        yield
    except BrokenPipeError:  # the reader has seen enough
        raise
    except OSError as error:
        message = f"The output cannot be written: {error.strerror}."
        raise click.ClickException(message) from None


def printable(text: str) -> str:
    """Return *text* with everything escaped that is no visible character."""
    if text.isprintable():
        return text
    return "".join(
        letter if unicodedata.category(letter) not in _UNSAFE else _escaped(letter)
        for letter in text
    )


def screen_width() -> int:
    """Return the columns there are: COLUMNS, else the terminal's, else 80."""
    return shutil.get_terminal_size(fallback=(80, 24)).columns


def screen_height() -> int:
    """Return the lines there are: LINES, else the terminal's, else 24."""
    return shutil.get_terminal_size(fallback=(80, 24)).lines


def table(rows: Sequence[Sequence[str]], width: int, *, fixed: set[int]) -> list[str]:
    """Return *rows* as aligned lines of at most *width* columns.

    The first row is the heading. Where the table is too wide, the widest
    columns are cut first; those whose numbers are in *fixed* never are.
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
    """Return how many columns *text* takes: wide characters two, marks none."""
    return len(text) if text.isascii() else sum(map(_columns, text))


def ago(moment: str | None, now: datetime) -> str:
    """Return how long before *now* the ISO 8601 *moment* was: ``3 min ago``."""
    try:
        seconds = (now - datetime.fromisoformat(str(moment))).total_seconds()
    except (TypeError, ValueError):  # absent, or not as any server writes it
        return "never"
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        if seconds >= length:
            return f"{int(seconds // length)} {unit} ago"
    return "now"


def at(moment: str | None) -> str:
    """Return the ISO 8601 *moment* as a table shows it: in UTC, to the second."""
    return "-" if moment is None else printable(moment[:19].replace("T", " "))


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


def _escaped(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")
