"""Cursors: where the next page of a list begins, as text that goes into a URL."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode


def encoded(packed: bytes) -> str:
    """Return bytes as URL-safe base64, without the padding."""
    return urlsafe_b64encode(packed).decode().rstrip("=")


def decoded(cursor: str) -> bytes:
    """Return the bytes of what :func:`encoded` returned; none for any other text."""
    try:
        packed = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    except ValueError:  # not ASCII, or not base64
        return b""
    # Python decodes base64 leniently: accept only the text that we would write.
    return packed if encoded(packed) == cursor else b""


def write_key(*key: str) -> str:
    """Return the cursor of the row with that *key*, by which a list is sorted."""
    return encoded(json.dumps(key).encode())


def read_key(cursor: str, length: int) -> tuple[str, ...]:
    """Return the key of a *cursor*, which has that *length*.

    Raises ValueError for text that is not such a cursor. What an operator makes up is
    only another position.
    """
    try:
        key = json.loads(decoded(cursor))
    except (ValueError, RecursionError):
        key = None
    if not isinstance(key, list) or len(key) != length:
        raise ValueError("is not a valid cursor of this list")
    if not all(isinstance(part, str) and _is_storable(part) for part in key):
        raise ValueError("is not a valid cursor of this list")
    return tuple(key)


def _is_storable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate
        return False
    return "\0" not in text
