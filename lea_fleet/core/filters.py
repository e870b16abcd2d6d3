"""What the declaration of a filter consists of; the filters are in listing.py."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import Field, field
from typing import Any, Literal, NamedTuple

#: The type of a filter's value: exact text, even blank; text; one of several words;
#: any of several words; a duration; true or false; all of several tags; a row's id.
Kind = Literal[
    "exact", "text", "choice", "choices", "duration", "flag", "tags", "number"
]


class Declared(NamedTuple):
    """The declaration of a filter, without its name.

    *choices* are the words that it accepts, *options* the names of the command's option
    (empty if it has none), and *help* is the help of that option.
    """

    kind: Kind
    choices: Collection[str] = ()
    options: tuple[str, ...] = ()
    help: str = ""


def filter_field(kind: Kind, default: Any = None, **declared: Any) -> Any:
    """Return the field of a filter, with its declaration."""
    return field(default=default, metadata={"filter": Declared(kind, **declared)})


def declared_by(one: Field[Any]) -> Declared | None:
    """Return the declaration of the filter that a field is, if it is one."""
    declared: Declared | None = one.metadata.get("filter")
    return declared
