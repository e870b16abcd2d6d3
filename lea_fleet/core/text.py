"""Compare, search, sort and print text from machines and people."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from .limits import LONGEST_SORTED

#: A sort key is part of a cursor, and a cursor part of a URL.
_LONGEST_KEY = 256

_DIGITS = re.compile(r"\d+", re.ASCII)

_URL = re.compile(r"(\w[\w+.-]*)://(?:[^/?#@]*@)?(\[[^\]]*\]|[^/?#:]*)", re.ASCII)

#: Categories of characters that may move a terminal's cursor or hide text: control,
#: format (including bidirectional overrides), line and paragraph separators, and
#: surrogates.
_UNSAFE = ("Cc", "Cf", "Zl", "Zp", "Cs")


def folded(value: object) -> str:
    """Normalize *value* for a comparison that ignores case but not accents.

    A letter with a combining mark equals the same letter as one character.
    """
    # Case folding may undo the normalization, so normalize again.
    return normalized(normalized(value).casefold())


def normalized(value: object) -> str:
    """Return *value* without blanks around it, and with letters and marks composed."""
    return "" if value is None else unicodedata.normalize("NFC", str(value)).strip()


def folded_all(values: Iterable[object]) -> frozenset[str]:
    """Return *values* :func:`folded`, without blank ones."""
    return frozenset(map(folded, values)) - {""}


def contains(name: bytes, part: str) -> bool:
    """Tell whether *name* contains *part* in any case; *part* is case-folded.

    Names come as bytes: another program may have stored them in another encoding.
    """
    return part in name.decode("utf-8", "replace").casefold()


def searched_text(*parts: bytes | None) -> str:
    """Return the *parts* as :func:`contains` compares them, in one text without NUL."""
    texts = [part.decode("utf-8", "replace").casefold() for part in parts if part]
    return "\x1f".join(texts).replace("\0", "\x1f")


def fold_key(name: bytes | None) -> str:
    """Return a name in bytes as :func:`folded` does; None as empty text."""
    if name is None:
        return ""
    if name.isascii():  # most are, and a list looks at all of the fleet
        return name.decode().strip().lower()
    return folded(name.decode("utf-8", "replace"))


def sort_key(name: bytes | None) -> str:
    """Return the key that sorts names in a list for people.

    It ignores case and accents, and compares numbers by their value: ``PC-9`` is
    before ``PC-10``, ``Émile`` between ``Emil`` and ``Eve``. None comes first.
    """
    if name is None:
        return ""
    text = name[: 4 * LONGEST_SORTED].decode("utf-8", "replace")[:LONGEST_SORTED]
    if not text.isascii():
        parts = unicodedata.normalize("NFKD", text)
        text = "".join(c for c in parts if not unicodedata.combining(c))
    return _DIGITS.sub(_padded, text.casefold())[:_LONGEST_KEY]


def printable(text: str) -> str:
    """Escape the characters of *text* that are not safe to print on a terminal."""
    if text.isprintable():
        return text
    return "".join(
        letter if unicodedata.category(letter) not in _UNSAFE else _escaped(letter)
        for letter in text
    )


def scheme_and_host(url: str) -> str:
    """Return what people may be shown of *url*: its user and path may be secret.

    Without the host if a later ``@`` leaves unclear where a password ends.
    """
    found = _URL.match(url)
    if found is None:
        return "not shown"
    scheme, host = found.groups()
    return f"{scheme}://{'' if '@' in url[found.end(2):] + host else host}"


def _padded(number: re.Match[str]) -> str:
    return number[0].rjust(12, "0")


def _escaped(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")
