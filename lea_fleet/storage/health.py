"""What a database says of its own health. Nothing here changes anything."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import NamedTuple

from ..core import clock
from .agent_tokens import LIVE_TOKEN
from .agents import PRESENCE
from .clones import Clones
from .releases import RELEASE
from .sqlite.dialect import SqliteDialect
from .unit_of_work import UnitOfWork

#: So many faults are told; a broken file has thousands.
_MOST_FAULTS = 3

#: Where instants stand that no server writes before they are past.
_INSTANTS = (
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
    """Instants of the column *where* that are still to come: *rows* of them."""

    where: str
    rows: int
    latest: str


class HealthRepository:
    """The state of the database, over one open *connection*.

    Every method may raise sqlite3.Error.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.unit = UnitOfWork(connection, SqliteDialect(), None)  # type: ignore[arg-type]

    def begin(self) -> None:
        """Let everything that is read from now on be of this moment."""
        self.connection.execute("BEGIN DEFERRED")
        self.connection.execute("SELECT count(*) FROM sqlite_master")

    def is_in_wal_mode(self) -> bool:
        """Tell whether it is; of a file that was opened as immutable SQLite cannot."""
        (mode,) = self.connection.execute("PRAGMA journal_mode").fetchone()
        return bool(mode == "wal")

    def corruption(self, *, quick: bool) -> list[str]:
        """Return the first few faults in the structure; none in a sound database.

        Reads all of it: 0.3 s for 100,000 machines with a token and an event each;
        *quick*, which does not compare the indexes with their tables, a quarter of it.
        """
        check = "quick_check" if quick else "integrity_check"
        rows = self.connection.execute(f"PRAGMA {check}({_MOST_FAULTS})")
        return [text for (text,) in rows if text != "ok"]

    def triggers(self) -> list[str]:
        """Return the names of the triggers on the table that the host shares."""
        rows = self.connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'trigger'"
            " AND lower(tbl_name) = 'enrolled_agents' ORDER BY name"
        )
        return [name for (name,) in rows]

    def ahead(self, moment: str) -> list[Ahead]:
        """Return the columns with instants after *moment*, of the tables there are."""
        rows = self.connection.execute("SELECT lower(name) FROM sqlite_master")
        present = {name for (name,) in rows}
        found = [
            self._ahead(table, column, moment)
            for table, column in _INSTANTS
            if table in present
        ]
        return [column for column in found if column.rows]

    def suspected_clones(self) -> list[str]:
        """Return the ids of the active machines that may be two computers each."""
        return Clones(self.unit).suspects()

    def without_token(self) -> list[str]:
        """Return the ids of the active machines with no live token and no release."""
        values = {"now": clock.iso(clock.now())}
        return [machine for (machine,) in self.connection.execute(_NO_TOKEN, values)]

    def awaited(self, limits: Mapping[str, str]) -> dict[str, int]:
        """Return how many machines wait for their setup, by presence.

        They were never seen, and are released, as an import leaves them. *limits*
        are those of PresenceRule.
        """
        values = {**limits, "now": clock.iso(clock.now())}
        rows = self.connection.execute(_AWAITED, values)
        return {presence: count for presence, count in rows}

    def take_write_lock(self) -> None:
        """Take the lock of a writer, and give it back with nothing written.

        Raises sqlite3.OperationalError when another writer keeps it for longer
        than the busy timeout.
        """
        self.connection.execute("BEGIN IMMEDIATE")
        self.connection.execute("ROLLBACK")

    def _ahead(self, table: str, column: str, moment: str) -> Ahead:
        rows, latest = self.connection.execute(
            f"SELECT count(*), CAST(max({column}) AS TEXT) FROM {table}"
            f" WHERE {column} > ?",
            (moment,),
        ).fetchone()
        return Ahead(f"{table}.{column}", rows, latest or "")
