"""What a listing of machines is asked for: its filters, its pages and its cursors.

Each filter is declared once, as a field of :class:`FleetFilter`; the query parameters
of ``GET /fleet``, the options of ``flask fleet list`` and the page are made from that,
or held to it by a test. Its condition in SQL stands in ``storage/listing.py``.
"""

from __future__ import annotations

import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Collection, Iterator
from dataclasses import Field, dataclass, field, fields
from hashlib import blake2b
from typing import Any, Literal, NamedTuple

Status = Literal["active", "uninstalled"]

#: Both, in the order in which every listing runs through them.
STATUSES: tuple[Status, ...] = ("active", "uninstalled")

PRESENCES = ("online", "offline", "stale", "uninstalled")

#: What a listing may be ordered by.
SORTS = (
    "enrolled_at",
    "last_seen_at",
    "machine_id",
    "user_name",
    "user_email",
    "hostname",
    "version",
)

NEWEST_FIRST = "-enrolled_at"

#: How the value of a filter is written: as it is, even blank; as text; as one of
#: several words; as several of them; as a duration.
Kind = Literal["exact", "text", "choice", "choices", "duration"]


class Declared(NamedTuple):
    """What there is to know of a filter beside its name.

    *choices* are the words of a choice, *options* how the command calls it (not at all
    where there are none), *help* is the help of that option, *on_page* whether the page
    has a control for it.
    """

    kind: Kind
    choices: Collection[str] = ()
    options: tuple[str, ...] = ()
    help: str = ""
    on_page: bool = True


def _filter(kind: Kind, default: Any = None, **declared: Any) -> Any:
    return field(default=default, metadata={"filter": Declared(kind, **declared)})


@dataclass(frozen=True)
class FleetFilter:
    """The machines that a listing is of: all that fit everything that is given.

    *presence* is any of these, or all where there are none; *silent_for* is in
    seconds. *sort* is one of SORTS, with ``-`` before it for descending.
    """

    machine_id: str | None = _filter("exact", on_page=False)
    status: Status | None = _filter(
        "choice",
        choices=STATUSES,
        options=("--status",),
        help="Which machines to list.",
        on_page=False,
    )
    presence: tuple[str, ...] = _filter(
        "choices",
        (),
        choices=PRESENCES,
        options=("--presence",),
        help="Only machines with this presence; may be repeated.",
    )
    q: str | None = _filter(
        "text",
        options=("-q", "--search"),
        help="Only machines with TEXT in their id, user, e-mail address or hostname.",
    )
    version: str | None = _filter(
        "text",
        options=("--version",),
        help="Only machines that run exactly this version.",
    )
    silent_for: float | None = _filter(
        "duration",
        options=("--silent-for",),
        help="Only machines not seen for this long: 12h, 14d.",
    )
    sort: str = NEWEST_FIRST

    @property
    def sort_name(self) -> str:
        return self.sort.removeprefix("-")

    @property
    def descending(self) -> bool:
        return self.sort.startswith("-")


def _declared(one: Field[Any]) -> Declared | None:
    declared: Declared | None = one.metadata.get("filter")
    return declared


#: The filters by name, in the order of the reference.
FILTERS: dict[str, Declared] = {
    one.name: declared
    for one in fields(FleetFilter)
    if (declared := _declared(one)) is not None
}

#: The whole fleet, the newest enrollment first.
WHOLE_FLEET = FleetFilter()


def is_sort(text: str) -> bool:
    """Tell whether *text* is what a listing may be ordered by."""
    return text.removeprefix("-") in SORTS


# Cursors

#: The types of a sort key, as a cursor names them.
KINDS = ("text", "blob", "integer", "real", "null")

#: The status and the kind, as indexes, and the id. The key follows, then a digest.
_HEAD = struct.Struct(">BBq")
_DIGEST_SIZE = 8


class Position(NamedTuple):
    """A place in the order of a listing: behind the machine with this *id*.

    *key* is the bytes of what the listing is ordered by, as it stood there when
    the page was read, and *kind* its type in the database.
    """

    status: Status
    kind: str
    key: bytes
    id: int


def write_cursor(position: Position, wanted: FleetFilter) -> str:
    """Return *position* in the listing that *wanted* makes, as a cursor."""
    status, kind, key, row_id = position
    head = _HEAD.pack(STATUSES.index(status), KINDS.index(kind), row_id)
    told = head + key
    return urlsafe_b64encode(told + _digest(told, wanted)).decode().rstrip("=")


def read_cursor(cursor: str, wanted: FleetFilter) -> Position:
    """Return the position that a *cursor* of the listing *wanted* stands for.

    Raises ValueError for text that is none, or is another listing's.
    """
    decoded = _decoded(cursor)
    told, digest = decoded[:-_DIGEST_SIZE], decoded[-_DIGEST_SIZE:]
    try:
        status, kind, row_id = _HEAD.unpack_from(told)
        position = Position(STATUSES[status], KINDS[kind], told[_HEAD.size :], row_id)
    except (struct.error, IndexError):
        position = None
    if position is None or digest != _digest(told, wanted):
        raise ValueError("is not one that this very listing has given")
    return position


def _decoded(cursor: str) -> bytes:
    try:
        decoded = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    except ValueError:  # not ASCII, or no base64
        return b""
    # Base64 is read leniently: what is not as it was written is no cursor.
    written = urlsafe_b64encode(decoded).decode().rstrip("=")
    return decoded if written == cursor else b""


def _digest(told: bytes, wanted: FleetFilter) -> bytes:
    """Tie a cursor to its listing. No secret: every cursor an operator could
    make up is a place in the order, and no more."""
    return blake2b(told + repr(wanted).encode(), digest_size=_DIGEST_SIZE).digest()


# Pages


@dataclass(frozen=True)
class Page:
    """What a listing is asked for: all that is *wanted*, or, with a *limit*, no
    more than that many, from the place *after* which the page begins."""

    wanted: FleetFilter = WHOLE_FLEET
    limit: int | None = None
    after: Position | None = None


#: The rows of a page; the first column of each is the id of the machine.
Rows = list[Any]


class PageReader:
    """Reads a page, one status after the other, and notices where it ends.

    *read* is a method of the storage's Listing that yields rows in batches, ``rows``
    or ``json_rows``. Within one snapshot.
    """

    def __init__(self, read: Callable[..., Iterator[Rows]], page: Page) -> None:
        self._read = read
        self._page = page
        self._room = page.limit
        self._last: tuple[Status, int] | None = None
        #: The status and id of the last machine, once it is known that more follow.
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

    def _reaches(self, status: Status) -> bool:
        wanted, after = self._page.wanted, self._page.after
        if wanted.status not in (None, status):
            return False
        begins = STATUSES[0] if after is None else after.status
        return STATUSES.index(begins) <= STATUSES.index(status)
