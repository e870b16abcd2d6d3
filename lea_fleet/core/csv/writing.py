"""Write machines as CSV that spreadsheets open correctly, without formulas."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterable, Mapping
from typing import IO, Any

from ..machine import COLUMNS

#: Delimiters between two cells, by name; Excel in French expects semicolons.
DELIMITERS = {"comma": ",", "semicolon": ";"}

_HEADING = (*COLUMNS, "presence", "suspected_clone")

#: A cell that begins with one of these is a formula (OWASP, CSV Injection).
#: Some spreadsheets read full-width signs as the others.
_FORMULA = (*"=+-@\t\r\n", *"\uff1d\uff0b\uff0d\uff20")


def write_table(
    file: IO[bytes], agents: Iterable[Mapping[str, Any]], delimiter: str
) -> None:
    """Write a heading and a line for each of *agents* (RFC 4180), in UTF-8.

    *delimiter* is one of DELIMITERS.

    The file begins with a byte order mark: without it Excel assumes Windows-1252. A
    cell that would be a formula gets an apostrophe before it. A NUL, which only an
    older server may have stored, is replaced: Python 3.10 cannot write it, and Excel
    cannot read it.
    """
    file.write(codecs.BOM_UTF8)
    text = codecs.getwriter("utf-8")(file)
    lines = csv.writer(text, delimiter=DELIMITERS[delimiter])
    lines.writerow(_HEADING)
    for agent in agents:
        lines.writerow([protected(agent[name]) for name in _HEADING])


def protected(value: Any) -> Any:
    """Return *value* as a cell that a spreadsheet does not run as a formula."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        return value
    text = value.replace("\0", "\ufffd")
    return f"'{text}" if text.startswith(_FORMULA) else text


def unprotected(cell: str) -> str:
    """Undo :func:`protected`: return the text without its apostrophe."""
    return cell[1:] if cell[:1] == "'" and cell[1:].startswith(_FORMULA) else cell
