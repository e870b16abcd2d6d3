"""Translate our statements to what psycopg takes: its parameters, qualified names."""

from __future__ import annotations

import re
from functools import lru_cache

_PARAMETER = re.compile(r"(?<![:\w]):([a-z]\w*)")

#: A table of ours where a statement names it first, and a function of ours. Elsewhere
#: a table's name stands for its row, and is not qualified.
_TABLE = re.compile(r"\b(FROM|JOIN|INTO|UPDATE)(\s+)(?=enrolled_agents\b|lea_fleet_\w)")
_FUNCTION = re.compile(r"\b(?=lea_fleet_\w+\()")


@lru_cache(maxsize=4096)
def translated(statement: str, schema: str) -> str:
    """Return *statement* for psycopg, with the names of ours in *schema*.

    Named parameters are written ``:name`` in our statements, ``%(name)s`` in psycopg's.
    *schema* is a quoted identifier. Names are qualified in the text, since behind a
    connection pooler no ``search_path`` lasts from one transaction to the next.
    """
    prefix = f"{schema}.".replace("%", "%%").replace("\\", "\\\\")
    text = statement.replace("%", "%%")
    text = _FUNCTION.sub(prefix, _TABLE.sub(rf"\1\2{prefix}", text))
    return _PARAMETER.sub(r"%(\1)s", text)
