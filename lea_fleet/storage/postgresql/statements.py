"""Translate our statements to PostgreSQL's parameters and qualified names."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from psycopg.sql import Identifier

_PARAMETER = re.compile(r"(?<![:\w]):([a-z]\w*)")

#: A table of ours where a statement names it first, and a function of ours. Elsewhere
#: a table's name stands for its row, and is not qualified.
_TABLE = re.compile(r"\b(FROM|JOIN|INTO|UPDATE)(\s+)(?=enrolled_agents\b|lea_fleet_\w)")
_FUNCTION = re.compile(r"\b(?=lea_fleet_\w+\()")


class Translated(NamedTuple):
    """A statement in UTF-8, and the names of its parameters ``$1``, ``$2``, …"""

    query: bytes
    names: tuple[str, ...]


def quoted(name: str) -> str:
    """Return *name* as a quoted identifier."""
    return Identifier(name).as_string(None)


@lru_cache(maxsize=4096)
def translated(statement: str, schema: str) -> Translated:
    """Return *statement* for PostgreSQL, with the names of ours in *schema*.

    *schema* is a quoted identifier. Names are qualified in the text, since behind a
    connection pooler no ``search_path`` lasts from one transaction to the next.
    """
    prefix = f"{schema}.".replace("\\", "\\\\")
    text = _FUNCTION.sub(prefix, _TABLE.sub(rf"\1\2{prefix}", statement))
    places: dict[str, int] = {}

    def place(found: re.Match[str]) -> str:
        return f"${places.setdefault(found[1], len(places) + 1)}"

    query = _PARAMETER.sub(place, text).encode()
    return Translated(query, tuple(places))
