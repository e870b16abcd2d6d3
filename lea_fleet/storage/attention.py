"""Find machines that need attention: without a token, not set up, from the future."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from .agent_tokens import LIVE_TOKEN
from .agents import PRESENCE
from .releases import RELEASE
from .unit_of_work import Repository

#: Columns with timestamps of what has happened.
_TIMESTAMPS = (
    ("enrolled_agents", "enrolled_at"),
    ("enrolled_agents", "last_seen_at"),
    ("lea_fleet_events", "at"),
)

_NO_TOKEN = f"""
    SELECT CAST(machine_id AS TEXT) FROM enrolled_agents AS agent
    WHERE status = 'active' AND NOT EXISTS ({LIVE_TOKEN})
    AND NOT EXISTS ({RELEASE}) ORDER BY id
"""

_AWAITED = f"""
    SELECT {PRESENCE} AS presence, count(*) FROM enrolled_agents AS agent
    WHERE status = 'active' AND last_seen_at IS NULL AND EXISTS ({RELEASE})
    GROUP BY presence
"""


class Ahead(NamedTuple):
    """A *column* with timestamps in the future, in so many *rows*."""

    column: str
    rows: int
    latest: str


class Attention(Repository):
    """Questions of the doctor about the fleet."""

    def without_token(self) -> list[str]:
        """Return the ids of the active machines with no live token and no release."""
        values = {"now": self._unit.timestamp}
        rows = self._unit.session.execute(_NO_TOKEN, values)
        return [machine_id for (machine_id,) in rows]

    def awaited(self, limits: Mapping[str, str]) -> dict[str, int]:
        """Return how many machines wait for their setup, by presence.

        They were never seen and are released, as an import leaves them. *limits* are
        those of the unit of work.
        """
        rows = self._unit.session.execute(_AWAITED, limits)
        return {presence: count for presence, count in rows}

    def ahead(self, timestamp: str, tables: Iterable[str]) -> Iterator[Ahead]:
        """Yield the columns of *tables* that have a later timestamp than this one."""
        for table, column in _TIMESTAMPS:
            if table not in tables:
                continue
            rows, latest = self._unit.session.execute(
                f"SELECT count(*), CAST(max({column}) AS TEXT) FROM {table}"
                f" WHERE {column} > :timestamp",
                {"timestamp": timestamp},
            ).fetchone()
            if rows:
                yield Ahead(f"{table}.{column}", rows, latest)
