"""Write machines and events as CSV that spreadsheets open safely and correctly."""

from __future__ import annotations

import codecs
import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import IO, Any

from ..machine import COLUMNS
from ..rows import Event
from ..tags import join_tags
from .forms import DELIMITERS, Form, date

_HEADING = (*COLUMNS, "presence", "suspected_clone", "tags", "note")

_TAGS = _HEADING.index("tags")

#: The members of an actor that are columns of events.
_ACTOR = ("role", "user", "os_user", "enrollment_token", "address")

_EVENT_HEADING = ("id", "at", "event", "machine_id", *_ACTOR, "detail")

#: Created once: json.dumps() would create an encoder for each event.
_as_json = json.JSONEncoder(ensure_ascii=False).encode

#: A cell that begins with one of these is a formula (OWASP, CSV Injection).
#: Some spreadsheets read full-width signs as the others.
_FORMULA = (*"=+-@\t\r\n", *"\uff1d\uff0b\uff0d\uff20")


def write_table(
    file: IO[bytes], agents: Iterable[Mapping[str, Any]], form: Form
) -> None:
    """Write a heading and a line for each of *agents* (RFC 4180), in UTF-8.

    The file begins with a byte order mark: without it Excel assumes Windows-1252. A
    cell that would be a formula gets an apostrophe before it. A NUL, which only an
    older server may have stored, is replaced: Python 3.10 cannot write it, and Excel
    cannot read it.
    """
    _write(file, _HEADING, map(_line, agents), form)


def write_events(file: IO[bytes], events: Iterable[Event], form: Form) -> None:
    """Write a heading and a line for each of *events*, as :func:`write_table` does.

    The detail is one cell of JSON.
    """
    _write(file, _EVENT_HEADING, map(_cells, events), form)


def write_rows(
    file: IO[bytes],
    heading: Sequence[str],
    rows: Iterable[Mapping[str, Any]],
    form: Form,
) -> None:
    """Write the members that *heading* names of each of *rows*, in the same way."""
    _write(file, heading, ([row[name] for name in heading] for row in rows), form)


def _line(agent: Mapping[str, Any]) -> list[Any]:
    cells = [agent[name] for name in _HEADING]
    cells[_TAGS] = join_tags(cells[_TAGS])
    return cells


def _cells(event: Event) -> list[Any]:
    actor, detail = event["actor"], event["detail"]
    return [
        event["id"],
        event["at"],
        event["event"],
        event["machine_id"],
        *(actor.get(name) for name in _ACTOR),
        _as_json(detail) if detail else None,
    ]


def _write(
    file: IO[bytes],
    heading: Sequence[str],
    rows: Iterable[Iterable[Any]],
    form: Form,
) -> None:
    file.write(codecs.BOM_UTF8)
    text = codecs.getwriter("utf-8")(file, "replace")
    lines = csv.writer(text, delimiter=DELIMITERS[form.delimiter])
    lines.writerow(form.heading(heading))
    times = form.times_in(heading)
    for row in rows:
        cells = [protected(value) for value in row]
        for place in times:
            cells[place] = date(cells[place])
        lines.writerow(cells)


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
