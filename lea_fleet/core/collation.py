"""How names are searched and ordered, as people do it.

Names come as bytes: another program may have stored them in another encoding.
"""

from __future__ import annotations

import re
import unicodedata

#: Characters of a name that count for its place in an order; then the id does.
_LONGEST_NAME = 64

#: A key goes into a cursor, and a cursor into an address.
_LONGEST_KEY = 256

_DIGITS = re.compile(r"\d+", re.ASCII)


def contains(name: bytes, part: str) -> bool:
    """Tell whether *part*, which is in case-folded form, is in *name* in any case."""
    return part in name.decode("utf-8", "replace").casefold()


def sort_key(name: bytes | None) -> str:
    """Return text by which names come in the order of a list for people.

    Without regard to case and accents, and numbers by their value: ``PC-9`` is
    before ``PC-10``, ``Émile`` between ``Emil`` and ``Eve``. No name comes first.
    """
    if name is None:
        return ""
    text = name[: 4 * _LONGEST_NAME].decode("utf-8", "replace")[:_LONGEST_NAME]
    if not text.isascii():
        parts = unicodedata.normalize("NFKD", text)
        text = "".join(c for c in parts if not unicodedata.combining(c))
    return _DIGITS.sub(_padded, text.casefold())[:_LONGEST_KEY]


def _padded(number: re.Match[str]) -> str:
    return number[0].rjust(12, "0")
