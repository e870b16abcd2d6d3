"""Tags of machines: a word such as ``vip``, or ``site=lyon``.

A machine has one tag of each name. Tags are in lower case, so that ``Site=Lyon`` is no
other group than ``site=lyon``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

from .limits import (
    LONGEST_TAG_NAME,
    LONGEST_TAG_VALUE,
    MOST_REPORTED_TAGS,
    MOST_TAGS,
)
from .text import normalized

#: Separators of several tags in one text, as in a cell of CSV; no tag contains them.
_SEPARATORS = re.compile("[,;\n]")

_NAME = re.compile(rf"[a-z0-9](?:[a-z0-9._-]{{0,{LONGEST_TAG_NAME - 1}}})")

_FAULT_OF_NAME = (
    "must be a word or key=value, whose key has 1 to"
    f" {LONGEST_TAG_NAME} letters a-z, digits, dots, hyphens and underscores"
)


def parse_tag(text: str) -> str:
    """Return the tag in *text* as it is stored. Raises ValueError, saying why not."""
    name, equals, value = text.partition("=")
    name, value = parse_name(name), _lower(value)
    if not equals:
        return name
    if not 1 <= len(value) <= LONGEST_TAG_VALUE:
        raise ValueError(f"must have a value of 1 to {LONGEST_TAG_VALUE} characters")
    if not value.isprintable() or _SEPARATORS.search(value):
        raise ValueError("must not contain commas, semicolons or control characters")
    return f"{name}={value}"


def parse_name(text: str) -> str:
    """Return the name of a tag as it is stored. Raises ValueError, saying why not."""
    name = _lower(text)
    if not _NAME.fullmatch(name):
        raise ValueError(_FAULT_OF_NAME)
    return name


def parse_tags(texts: Iterable[str]) -> tuple[str, ...]:
    """Return the tags in *texts*, of which a machine may have all, in order.

    Raises ValueError, also for two values of one name.
    """
    tags = parse_wanted(texts)
    twice = [name for name, number in Counter(map(name_of, tags)).items() if number > 1]
    if twice:
        raise ValueError(f"must not give {twice[0]} twice")
    return tags


def _lower(text: str) -> str:
    # Lower case may undo the normalization, so normalize again.
    return normalized(normalized(text).lower())


def parse_names(texts: Iterable[str]) -> tuple[str, ...]:
    """Return the names of tags, each once, in order. Raises ValueError."""
    return tuple(sorted({parse_name(text) for text in texts}))


def parse_wanted(texts: Iterable[str]) -> tuple[str, ...]:
    """Return the tags that are looked for, each once, in order. Raises ValueError."""
    tags = tuple(sorted({parse_tag(text) for text in texts}))
    if len(tags) > MOST_TAGS:
        raise ValueError(f"must be at most {MOST_TAGS} tags")
    return tags


def split_tags(text: str) -> list[str]:
    """Return the parts of a *text* with several tags, not parsed yet."""
    return [part for part in _SEPARATORS.split(text) if part.strip()]


def join_tags(tags: Iterable[str]) -> str | None:
    """Return *tags* as one text, as split_tags() takes it apart; None without any."""
    return ", ".join(tags) or None


def name_of(tag: str) -> str:
    """Return the name of a stored *tag*: its key, or the tag itself."""
    return tag.partition("=")[0]


def value_of(tag: str) -> str:
    """Return the value of a stored *tag*; empty for a word."""
    return tag.partition("=")[2]


def reported_names(value: Any) -> tuple[str, ...]:
    """Return the names in the *value* of a setting: text, a list, or None for none.

    Raises ValueError, whose text follows the name of the setting.
    """
    listed = split_tags(value) if isinstance(value, str) else value or ()
    names = parse_names(map(str, listed))
    if len(names) > MOST_REPORTED_TAGS:
        raise ValueError(f"must be at most {MOST_REPORTED_TAGS} keys of tags")
    return names
