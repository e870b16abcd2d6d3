"""What a list has of each machine: its columns, and the same as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from typing import Any, cast

from ..core.rows import Listed
from .agents import AS_TEXT, PRESENCE, agent_of
from .clones import SUSPECTED
from .interface import Dialect
from .notes import NOTE
from .tags import as_json

#: Whether any machine has tags, and any a note.
ARE_ANY = (
    "SELECT EXISTS (SELECT 1 FROM lea_fleet_tags),"
    " EXISTS (SELECT 1 FROM lea_fleet_notes)"
)


@cache
def written(dialect: Dialect, tags: bool, notes: bool) -> tuple[str, str]:
    """Return the expressions for the tags and the note of an agent.

    A fleet without any *tags* or *notes* does not pay for them.
    """
    return (
        as_json(dialect) if tags else dialect.empty_list,
        NOTE if notes else "CAST(NULL AS TEXT)",
    )


def listed_of(row: Sequence[Any]) -> Listed:
    """Convert a *row* of :attr:`.listing.Listing.select` to a machine of a list."""
    *agent, tags, note = row
    written = {"tags": json.loads(tags), "note": note}
    return cast(Listed, {**agent_of(agent), **written})


@cache
def select_json(dialect: Dialect, tags: str, note: str) -> str:
    """Return the query for each agent's id, and for all of it as JSON."""
    written = {"tags": tags, "note": note}
    agent = dialect.agent_as_json(
        {**AS_TEXT, "presence": PRESENCE, **written}, {"suspected_clone": SUSPECTED}
    )
    return f"SELECT id, {agent} AS body FROM enrolled_agents"
