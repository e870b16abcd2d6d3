"""The fleet, or a page of it, as a document: of one moment, in flat memory.

The read is over when the document is there, so that a client that reads slowly
keeps no snapshot of the database.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from typing import IO, Any, NamedTuple

from ..core.cursors import write_cursor
from ..core.filters import STATUSES
from ..core.pages import Page, PageReader
from ..app.repository import AgentRepository
from .spool import spooled
from ..core.csv.writing import write_table

#: Machines whose JSON is put together before it is written.
_BATCH = 500


class Document(NamedTuple):
    """*file* stands at its end, and whoever takes it closes it.

    *next_cursor* is None where nothing follows.
    """

    file: IO[bytes]
    next_cursor: str | None


def fleet_as_json(
    repository: AgentRepository, page: Page, *, with_totals: bool = True
) -> Document:
    """Return the body of a listing in UTF-8: two lists, and what belongs to them.

    Raises DatabaseUnavailable where no temporary file can be written.
    """
    reader = PageReader(repository.listing.agents_as_json, page)
    with spooled() as file, repository.snapshot():
        for status in STATUSES:
            file.write(b"{" if status == STATUSES[0] else b",")
            file.write(f'"{status}":['.encode())
            _write_objects(file, reader.of_status(status))
            file.write(b"]")
        next_cursor = _next_cursor(repository, reader, page)
        members: dict[str, Any] = {}
        if with_totals:
            members["totals"] = repository.listing.totals(page.wanted)
        if page.limit is not None:
            members["next_cursor"] = next_cursor
        for name, value in members.items():
            file.write(f',"{name}":{json.dumps(value, separators=(",", ":"))}'.encode())
        file.write(b"}\n")
    return Document(file, next_cursor)


def fleet_as_csv(
    repository: AgentRepository, page: Page, *, delimiter: str
) -> Document:
    """Return a listing as a table for a spreadsheet; see :mod:`spreadsheet`.

    Raises DatabaseUnavailable where no temporary file can be written.
    """
    reader = PageReader(repository.listing.agents, page)
    with spooled() as file, repository.snapshot():
        agents = (agent for status in STATUSES for agent in reader.of_status(status))
        write_table(file, agents, delimiter)
        next_cursor = _next_cursor(repository, reader, page)
    return Document(file, next_cursor)


def _write_objects(file: IO[bytes], rows: Iterator[Any]) -> None:
    separator = b""
    while batch := b",".join(row["body"] for row in islice(rows, _BATCH)):
        # What another program has stored in another encoding is made UTF-8.
        text = batch.decode("utf-8", "replace")
        file.write(separator + text.encode())
        separator = b","


def _next_cursor(
    repository: AgentRepository, reader: PageReader, page: Page
) -> str | None:
    if reader.broken_off is None:
        return None
    position = repository.listing.position(*reader.broken_off, page.wanted)
    return write_cursor(position, page.wanted)
