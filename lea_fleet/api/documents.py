"""Write a listing as a JSON or CSV document, in bounded memory.

A listing of machines is from one snapshot. The document is complete before it is sent,
so that a slow client does not keep a snapshot of the database open.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from typing import IO, Any, NamedTuple

from ..core.csv.forms import Form
from ..core.csv.writing import write_events, write_table
from ..core.event_filter import EventFilter
from ..core.listing import STATUSES
from ..core.pages import Page, PageReader, Rows
from ..core.privacy.hiding import hide, hide_event
from ..core.problems import DatabaseUnavailable
from ..core.rows import Event
from ..core.temporary import REMEDY, TemporaryFile
from ..storage.events import Events
from ..storage.listed import listed_of
from ..storage.listing import Listing
from ..storage.unit_of_work import UnitOfWork

#: Bytes of a document that are kept in memory; a larger one goes to a file.
_IN_MEMORY = 1024 * 1024

_encode = json.JSONEncoder(separators=(",", ":")).encode


class Document(NamedTuple):
    """A finished document. *file* is positioned at its end; the caller closes it.

    *next_cursor* is the cursor of the next page, or None on the last page.
    """

    file: IO[bytes]
    next_cursor: str | None


def fleet_as_json(
    unit: UnitOfWork, page: Page, *, with_totals: bool = True, hides: bool = False
) -> Document:
    """Write a listing as JSON in UTF-8: a list for each status, totals and cursor.

    With *hides*, without personal data.
    Raises DatabaseUnavailable if the temporary file cannot be written.
    """
    listing = Listing(unit)
    reader = PageReader(partial(listing.batches, listing.json_select), page)
    with spooled() as file, unit.snapshot():
        for status in STATUSES:
            file.write(b"{" if status == STATUSES[0] else b",")
            file.write(f'"{status}":['.encode())
            batches = reader.of_status(status)
            _write_objects(file, _hidden(batches) if hides else batches)
            file.write(b"]")
        next_cursor = listing.next_cursor(reader, page.wanted)
        members: dict[str, Any] = {}
        if with_totals:
            members["totals"] = listing.totals(page.wanted)
        if page.limit is not None:
            members["next_cursor"] = next_cursor
        for name, value in members.items():
            file.write(f',"{name}":{_encode(value)}'.encode())
        file.write(b"}\n")
    if listing.is_behind:
        unit.dialect.catch_up(unit.session)
    return Document(file, next_cursor)


def fleet_as_csv(
    unit: UnitOfWork, page: Page, *, form: Form, hides: bool = False
) -> Document:
    """Write a listing as CSV for a spreadsheet; see :mod:`core.csv.writing`.

    With *hides*, without personal data.
    Raises DatabaseUnavailable if the temporary file cannot be written.
    """
    listing = Listing(unit)
    reader = PageReader(partial(listing.batches, listing.select), page)
    with spooled() as file, unit.snapshot():
        agents: Iterable[Mapping[str, Any]] = map(listed_of, reader.rows())
        write_table(file, map(hide, agents) if hides else agents, form)
        next_cursor = listing.next_cursor(reader, page.wanted)
    return Document(file, next_cursor)


def events_as_csv(
    unit: UnitOfWork,
    wanted: EventFilter,
    *,
    limit: int | None,
    before: int | None,
    form: Form,
    hides: bool = False,
) -> Document:
    """Write events as CSV for a spreadsheet: a page, or all if there is no *limit*.

    With *hides*, without personal data.
    Raises DatabaseUnavailable if the temporary file cannot be written.
    """
    events, next_event = Events(unit), None
    with spooled() as file:
        if limit is None:
            found: Iterable[Event] = events.each(wanted, before=before)
        else:
            found, next_event = events.find(wanted, limit=limit, before=before)
        write_events(file, map(hide_event, found) if hides else found, form)
    return Document(file, None if next_event is None else str(next_event))


@contextmanager
def spooled() -> Iterator[IO[bytes]]:
    """Yield a temporary file, which stays open unless writing it fails.

    Raises DatabaseUnavailable if it cannot be written.
    """
    file: IO[bytes] = TemporaryFile(max_size=_IN_MEMORY)
    try:
        yield file
        file.flush()  # a full disk is noticed now, not half-way through sending
    except OSError as error:
        _discard(file)
        raise DatabaseUnavailable(
            f"The listing cannot be written to a temporary file: {error.strerror}."
            f" {REMEDY}"
        ) from error
    except BaseException:
        _discard(file)
        raise


def _discard(file: IO[bytes]) -> None:
    with suppress(OSError):  # closing tries to write the rest again
        file.close()


def _hidden(batches: Iterator[Rows]) -> Iterator[Rows]:
    for batch in batches:
        yield [
            (
                row_id,
                _encode(hide(json.loads(body.decode("utf-8", "replace")))).encode(),
            )
            for row_id, body in batch
        ]


def _write_objects(file: IO[bytes], batches: Iterator[Rows]) -> None:
    separator = b""
    for batch in batches:
        # Another program may have stored bytes that are not UTF-8.
        text = b",".join([body for _, body in batch]).decode("utf-8", "replace")
        file.write(separator + text.encode())
        separator = b","
