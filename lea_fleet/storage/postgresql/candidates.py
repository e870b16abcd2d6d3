"""Find the machines of a search by the indexes of pg_trgm, before they are listed."""

from __future__ import annotations

from functools import cache

from ...core.machine import SEARCHED
from ..interface import Dialect
from .session import Session

#: Characters of the shortest text that trigrams find.
_SHORTEST = 3

#: Machines above which reading all of them is cheaper for a page than looking at each
#: that was found.
_MOST = 5000


@cache
def _finding(dialect: Dialect) -> tuple[str, str]:
    """Return the queries for machines that contain ``:q``, and whose note does.

    Two, since no index serves one condition on two tables.
    """
    columns, note = dialect.contains(SEARCHED), dialect.contains(("note",))
    return (
        f"SELECT id FROM enrolled_agents WHERE {columns} LIMIT :most",
        "SELECT id FROM enrolled_agents JOIN lea_fleet_notes USING (machine_id)"
        f" WHERE {note} LIMIT :most",
    )


def candidates(session: Session, text: str, dialect: Dialect) -> list[int] | None:
    """Return the ids of all rows that contain the case-folded *text*.

    None if it is too short for an index, or if they are many.
    """
    if len(text) < _SHORTEST:
        return None
    found: set[int] = set()
    for query in _finding(dialect):
        rows = session.execute(query, {"q": text, "most": _MOST + 1})
        found.update(id for (id,) in rows)
        if len(found) > _MOST:
            return None
    return sorted(found)
