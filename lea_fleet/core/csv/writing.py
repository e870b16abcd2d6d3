"""Agents as CSV that a spreadsheet opens as it was meant."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterable, Mapping
from typing import IO, Any

from ..machine import COLUMNS

#: What may stand between two cells; Excel in French wants semicolons.
DELIMITERS = {"comma": ",", "semicolon": ";"}

_HEADING = (*COLUMNS, "presence", "suspected_clone")

#: What makes a formula of a cell that begins with it (OWASP, CSV Injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def write_table(
    file: IO[bytes], agents: Iterable[Mapping[str, Any]], delimiter: str
) -> None:
    """Write a heading and a line for each of *agents*, as RFC 4180 says, in UTF-8.

    *delimiter* is one of DELIMITERS.

    There is a byte order mark, without which Excel takes the text for Windows-1252. A
    cell that would be a formula gets an apostrophe before it. No NUL, which only an
    older server may have stored: Python 3.10 cannot write one, nor Excel read it.
    """
    file.write(codecs.BOM_UTF8)
    text = codecs.getwriter("utf-8")(file)
    lines = csv.writer(text, delimiter=DELIMITERS[delimiter])
    lines.writerow(_HEADING)
    for agent in agents:
        lines.writerow([protected(agent[name]) for name in _HEADING])


def protected(value: Any) -> Any:
    """Return the cell of a *value*: nothing that a spreadsheet would work out."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        return value
    text = value.replace("\0", "\ufffd")
    return f"'{text}" if text.startswith(_FORMULA) else text


def unprotected(cell: str) -> str:
    """Return the text of which :func:`protected` has made *cell*."""
    return cell[1:] if cell[:1] == "'" and cell[1:].startswith(_FORMULA) else cell
