"""Where a page of a listing ends, as text that a client hands back unread."""

from __future__ import annotations

import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import blake2b
from typing import NamedTuple

from .filters import STATUSES, FleetFilter, Status

#: What SQLite calls the types of a value; that of a key is one of them.
KINDS = ("text", "blob", "integer", "real", "null")

#: The status and the kind, as indexes, and the id. The key follows, then a digest.
_HEAD = struct.Struct(">BBq")
_DIGEST_SIZE = 8


class Position(NamedTuple):
    """A place in the order of a listing: behind the machine with this *id*.

    *key* is the bytes of what the listing is ordered by, as it stood there when
    the page was read, and *kind* its type in SQLite.
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
