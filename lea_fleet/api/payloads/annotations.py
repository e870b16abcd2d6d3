"""Validate what operators write about machines: tags, and notes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ...core.limits import LONGEST_NOTE
from ...core.tags import parse_name, parse_names, parse_tags
from .members import Members, parse_object
from .queries import single
from .tags import tags_in


class TagsPayload(NamedTuple):
    """The tags that a machine is given, and the names of those that it loses."""

    given: tuple[str, ...]
    removed: tuple[str, ...]


def tags_payload(body: bytes) -> TagsPayload:
    """Validate the *body* of a change of tags.

    Raises InvalidJson and InvalidField.
    """
    members = Members(parse_object(body))
    payload = TagsPayload(
        tags_in(members, "add", parse_tags), tags_in(members, "remove", parse_names)
    )
    if not members.has("add") and not members.has("remove"):
        members.refuse("add", "or remove is required")
    members.check()
    return payload


def note_payload(body: bytes) -> str:
    """Validate the *body* of a note; return its text.

    Raises InvalidJson and InvalidField.
    """
    members = Members(parse_object(body))
    text = members.text("text", LONGEST_NOTE)
    if text is None or not any(map(str.isprintable, text)):
        members.refuse("text", "is required")
    members.check()
    return text or ""


def tags_query(parameters: Mapping[str, Sequence[str]]) -> str | None:
    """Validate the *parameters* of the tags; return the name of those to count.

    Raises InvalidField for one that is not valid.
    """
    members = single(parameters, "name")
    name = members.text("name")
    try:
        name = None if name is None else parse_name(name)
    except ValueError as error:
        members.refuse("name", str(error))
    members.check()
    return name
