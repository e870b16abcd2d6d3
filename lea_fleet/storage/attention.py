"""Find machines without a token, and timestamps in the future."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from .agent_tokens import LIVE_TOKEN
from .agents import in_utc
from .releases import RELEASE
from .unit_of_work import Repository

#: Columns whose timestamps must not be in the future.
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


class Ahead(NamedTuple):
    """A *column* with future timestamps: in how many *rows*, and the *latest*."""

    column: str
    rows: int
    latest: str


class Attention(Repository):
    """The doctor's queries about the fleet."""

    def without_token(self) -> list[str]:
        """Return the ids of the active machines with no live token and no release."""
        values = {"now": self._unit.timestamp}
        rows = self._unit.session.execute(_NO_TOKEN, values)
        return [machine_id for (machine_id,) in rows]

    def ahead(self, timestamp: str, tables: Iterable[str]) -> Iterator[Ahead]:
        """Yield each column of *tables* that has timestamps after *timestamp*."""
        for table, column in _TIMESTAMPS:
            if table not in tables:
                continue
            at = in_utc(column)
            rows, latest = self._unit.session.execute(
                f"SELECT count(*), CAST(max({at}) AS TEXT) FROM {table}"
                f" WHERE {at} > :timestamp",
                {"timestamp": timestamp},
            ).fetchone()
            if rows:
                yield Ahead(f"{table}.{column}", rows, latest)
