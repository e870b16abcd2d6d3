"""Compare, search, sort and print text that machines and people have written."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

#: Characters of a name that count for its place in an order; then the id does.
_LONGEST_NAME = 64

#: A key goes into a cursor, and a cursor into an address.
_LONGEST_KEY = 256

_DIGITS = re.compile(r"\d+", re.ASCII)

#: Control, format (among them those that turn the writing direction), line and
#: paragraph separators, surrogates: what may move a cursor or hide a name.
_UNSAFE = ("Cc", "Cf", "Zl", "Zp", "Cs")


def folded(value: object) -> str:
    """Return *value* for a comparison that ignores case but not accents.

    Letters that are written as one character or with a combining mark are alike.
    """
    if value is None:
        return ""
    # Folding may part what was one character, and the other way round.
    text = unicodedata.normalize("NFC", str(value)).casefold()
    return unicodedata.normalize("NFC", text).strip()


def folded_all(values: Iterable[object]) -> frozenset[str]:
    """Return those of *values* that are not blank, :func:`folded`."""
    return frozenset(map(folded, values)) - {""}


def contains(name: bytes, part: str) -> bool:
    """Tell whether *part*, which is case-folded, is in *name* in any case.

    Names come as bytes: another program may have stored them in another encoding.
    """
    return part in name.decode("utf-8", "replace").casefold()


def sort_key(name: bytes | None) -> str:
    """Return the key that sorts names in a list for people.

    It ignores case and accents, and compares numbers by their value: ``PC-9`` is
    before ``PC-10``, ``Émile`` between ``Emil`` and ``Eve``. No name comes first.
    """
    if name is None:
        return ""
    text = name[: 4 * _LONGEST_NAME].decode("utf-8", "replace")[:_LONGEST_NAME]
    if not text.isascii():
        parts = unicodedata.normalize("NFKD", text)
        text = "".join(c for c in parts if not unicodedata.combining(c))
    return _DIGITS.sub(_padded, text.casefold())[:_LONGEST_KEY]


def printable(text: str) -> str:
    """Return *text* with every character escaped that a terminal would not show."""
    if text.isprintable():
        return text
    return "".join(
        letter if unicodedata.category(letter) not in _UNSAFE else _escaped(letter)
        for letter in text
    )


def _padded(number: re.Match[str]) -> str:
    return number[0].rjust(12, "0")


def _escaped(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")
