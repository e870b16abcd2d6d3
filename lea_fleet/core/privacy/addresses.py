"""Decide whether a stored text names a person, whatever form their address has in it.

Machines, imports and older servers store what they are given: ``<a@b>``,
``mailto:a%40b``, ``Zoe <a@b>``, ``a@b;c@d``, in any case and Unicode form. Everything
that looks for a person asks here, so that an export shows what an erasure erases.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import lru_cache
from urllib.parse import unquote

from ..text import folded

#: What stands around addresses, also without being visible, as in a pasted text.
_AROUND = r"""\s<>()\[\]:;,|"\u200b-\u200f\u2060\ufeff"""

_ADDRESS = re.compile(f"[^{_AROUND}]+@[^{_AROUND}?]+")

#: Belongs to an address if a letter or digit is on its other side: ``x.a@b`` is another
#: person's, ``-a@b`` is an item of a list.
_INNER = r"[.+%&~'-]"

#: The same after an address, which ends in a host's name: ``a@b's`` is about ``a@b``.
_INNER_OF_A_HOST = "[.-]"

#: In a text that is a link, or a part of one. Some programs encode what stands around
#: an address and leave its ``@``.
_ENCODED = re.compile("mailto:|%(?:20|22|2c|3[abce]|40)")

#: What East Asian keyboards write for ``@``.
_WIDE = str.maketrans("\uff20\ufe6b", "@@")


def person(typed: str) -> str:
    """Return the person that *typed* names: their address, folded, without decoration.

    A text with no address or with several is itself what is looked for.
    """
    text = _plain(typed)
    found = addresses(text)
    return found[0] if len(found) == 1 else text


def addresses(text: object) -> list[str]:
    """Return the addresses in *text*, folded."""
    return [found.strip("'.") for found in _ADDRESS.findall(_plain(text))]


def names(value: object, who: str) -> bool:
    """Tell whether a column's *value* names *who*, as :func:`person` returns it.

    It does if it equals it or has that address in it, but not a longer one: ``a@bc``
    and ``x.a@b`` are not ``a@b``.
    """
    text = _plain(value)
    return text == who or ("@" in who and _has_address(text, who))


def is_one_of(value: object, values: Collection[str]) -> bool:
    """Tell whether a column's *value* equals one of *values*, which are folded.

    Or names one of the addresses among them, as :func:`names` does.
    """
    return folded(value) in values or any(
        names(value, each) for each in values if "@" in each
    )


def mentions(text: object, value: str) -> bool:
    """Tell whether a free *text* contains *value*, which is folded.

    An address is looked for as :func:`names` does; any other value anywhere.
    """
    if "@" in value:
        return _has_address(_plain(text), value)
    return value in folded(text)


def mentions_any(text: object, values: Collection[str]) -> bool:
    """Tell whether a free *text* contains one of *values*, which are folded."""
    return any(mentions(text, value) for value in values)


def without_others(value: object, who: str) -> object:
    """Return *value*; only the address of *who* if it has those of others too."""
    return who if names(value, who) and len(addresses(value)) > 1 else value


def _plain(text: object) -> str:
    """Return *text* folded, with its addresses as they are typed, not as in a link."""
    plain = folded(text).translate(_WIDE)
    return folded(unquote(plain)) if _ENCODED.search(plain) else plain


def _has_address(text: str, address: str) -> bool:
    # Most texts do not have it at all; the search for that is 20 times faster.
    return address in text and _standing_alone(address).search(text) is not None


@lru_cache
def _standing_alone(address: str) -> re.Pattern[str]:
    """Return a pattern for *address* where it is not a part of a longer one."""
    before = rf"(?<![\w@])(?<!\w{_INNER})(?<!\w{_INNER}{{2}})"
    after = rf"(?![\w@])(?!{_INNER_OF_A_HOST}{{1,2}}\w)"
    return re.compile(f"{before}{re.escape(address)}{after}")
