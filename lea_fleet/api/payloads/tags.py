"""Validate tags, in a list or in one text."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ...core.tags import split_tags
from .members import Members

#: Returns the tags, or names of tags, in texts; raises ValueError, saying why not.
Parse = Callable[[Iterable[str]], "tuple[str, ...]"]


def tags_in(members: Members, field: str, parse: Parse) -> tuple[str, ...]:
    """Return what *parse* makes of the list in *field*; nothing if it is absent."""
    return _parsed(members, field, members.strings(field) or (), parse)


def tags_in_text(members: Members, field: str, parse: Parse) -> tuple[str, ...]:
    """Return what *parse* makes of the text in *field*, with commas between tags."""
    return _parsed(members, field, split_tags(members.text(field) or ""), parse)


def _parsed(
    members: Members, field: str, texts: Iterable[str], parse: Parse
) -> tuple[str, ...]:
    try:
        return parse(texts)
    except ValueError as error:
        members.refuse(field, str(error))
        return ()
