"""Pages of a listing of machines, and the cursors between them."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, NamedTuple

from .cursors import decoded, encoded
from .listing import STATUSES, WHOLE_FLEET, FleetFilter, Status

#: The types of a sort key, as a cursor names them.
KINDS = ("text", "blob", "integer", "real", "null")

#: A cursor: the indexes of the status and the kind, the id; then the key, a digest.
_HEAD = struct.Struct(">BBq")
_DIGEST_SIZE = 8


class Position(NamedTuple):
    """A position in a listing: right after the machine with this *id*.

    *key* is the value of the machine's sort key in bytes, as it was when the page was
    read, and *kind* is its type in the database.
    """

    status: Status
    kind: str
    key: bytes
    id: int


def write_cursor(position: Position, wanted: FleetFilter) -> str:
    """Encode *position* in the listing of *wanted* as a cursor, in URL-safe base64."""
    status, kind, key, row_id = position
    head = _HEAD.pack(STATUSES.index(status), KINDS.index(kind), row_id)
    packed = head + key
    return encoded(packed + _digest(packed, wanted))


def read_cursor(cursor: str, wanted: FleetFilter) -> Position:
    """Decode a *cursor* of the listing of *wanted*.

    Raises ValueError for text that is not a valid cursor, or is another listing's.
    """
    whole = decoded(cursor)
    packed, digest = whole[:-_DIGEST_SIZE], whole[-_DIGEST_SIZE:]
    try:
        status, kind, row_id = _HEAD.unpack_from(packed)
        position = Position(STATUSES[status], KINDS[kind], packed[_HEAD.size :], row_id)
    except (struct.error, IndexError):
        position = None
    if position is None or digest != _digest(packed, wanted):
        raise ValueError("is not a valid cursor of this listing")
    return position


def _digest(packed: bytes, wanted: FleetFilter) -> bytes:
    """Return a digest that ties a cursor to its listing.

    It needs no secret: a cursor that an operator makes up is only another position.
    """
    return blake2b(packed + repr(wanted).encode(), digest_size=_DIGEST_SIZE).digest()


@dataclass(frozen=True)
class Page:
    """A request for a listing: the machines that match *wanted*.

    At most *limit* of them (None for all), from the position *after* on.
    """

    wanted: FleetFilter = WHOLE_FLEET
    limit: int | None = None
    after: Position | None = None


#: The rows of a page; the first column of each is the id of the machine.
Rows = list[Any]


class PageReader:
    """Read a page, one status after the other, and detect whether more follows.

    *read* yields rows in batches, as the storage's Listing does. All of it runs within
    one snapshot.
    """

    def __init__(self, read: Callable[..., Iterator[Rows]], page: Page) -> None:
        self._read = read
        self._page = page
        self._room = page.limit
        self._last: tuple[Status, int] | None = None
        #: The status and id of the page's last machine, if more machines follow.
        self.broken_off: tuple[Status, int] | None = None

    def of_status(self, status: Status) -> Iterator[Rows]:
        """Yield the rows of *status* that are on the page, in batches."""
        if self.broken_off or not self._reaches(status):
            return
        after = self._page.after
        batches = self._read(
            status,
            self._page.wanted,
            after=after if after and after.status == status else None,
            limit=None if self._room is None else self._room + 1,
        )
        if self._room is None:
            yield from batches
            return
        for batch in batches:
            shown = batch[: self._room]
            if shown:
                self._room -= len(shown)
                self._last = status, shown[-1][0]
                yield shown
            if len(shown) < len(batch):
                self.broken_off = self._last
                return

    def rows(self) -> Iterator[Any]:
        """Yield all rows of the page, one status after the other."""
        for status in STATUSES:
            for batch in self.of_status(status):
                yield from batch

    def _reaches(self, status: Status) -> bool:
        wanted, after = self._page.wanted, self._page.after
        if wanted.status not in (None, status):
            return False
        begins = STATUSES[0] if after is None else after.status
        return STATUSES.index(begins) <= STATUSES.index(status)
