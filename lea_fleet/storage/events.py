"""What happened: appended, and changed by nothing but an erasure."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from typing import Any

from ..core import clock

#: An event as a mapping: ``id, machine_id, event, at, actor, detail``.
Event = dict[str, Any]


class EventRepository:
    """The history, over one open *connection*; *actor* is who acts now.

    ``recorded`` holds the events that were added since it was last cleared, for
    whoever wants to tell others of them once they are committed.
    """

    def __init__(
        self, connection: sqlite3.Connection, actor: Mapping[str, Any]
    ) -> None:
        self.connection = connection
        self.recorded: list[Event] = []
        self._actor = dict(actor)

    def add(self, event: str, machine_id: str | None, **detail: Any) -> None:
        """Append an event, as a part of the transaction that is open."""
        at = clock.iso(clock.now())
        added = self.connection.execute(
            "INSERT INTO lea_fleet_events (machine_id, event, at, actor, detail)"
            " VALUES (?, ?, ?, ?, ?)",
            (machine_id, event, at, json.dumps(self._actor), json.dumps(detail)),
        )
        self.recorded.append(
            {
                "id": added.lastrowid,
                "machine_id": machine_id,
                "event": event,
                "at": at,
                "actor": self._actor,
                "detail": detail,
            }
        )

    def page(
        self, machine_id: str | None, *, limit: int, before: int | None = None
    ) -> tuple[list[Event], int | None]:
        """Return *limit* events, the newest first, and where the next page begins.

        Of all machines where *machine_id* is None. *before* is what an earlier
        page said; the second member of the answer is None on the last page.
        """
        about = "" if machine_id is None else "machine_id = :machine_id AND "
        rows = self.connection.execute(
            "SELECT id, machine_id, event, at, actor, detail FROM lea_fleet_events"
            f" WHERE {about} (:before IS NULL OR id < :before)"
            " ORDER BY id DESC LIMIT :limit",
            {"machine_id": machine_id, "before": before, "limit": limit + 1},
        ).fetchall()
        events = [_event(row) for row in rows[:limit]]
        return events, events[-1]["id"] if len(rows) > limit else None

    def history(self, machine_id: str | None) -> list[Event]:
        """Return all events of a machine, or of none, the oldest first."""
        rows = self.connection.execute(
            "SELECT id, machine_id, event, at, actor, detail FROM lea_fleet_events"
            " WHERE machine_id IS ? ORDER BY id",
            (machine_id,),
        )
        return [_event(row) for row in rows]

    def rewrite(self, events: Iterable[Event]) -> None:
        """Put the actor and the detail of *events* in the place of what is there."""
        self.connection.executemany(
            "UPDATE lea_fleet_events SET actor = ?, detail = ? WHERE id = ?",
            [
                (json.dumps(event["actor"]), json.dumps(event["detail"]), event["id"])
                for event in events
            ],
        )


def _event(row: sqlite3.Row) -> Event:
    actor, detail = json.loads(row["actor"]), json.loads(row["detail"])
    return {**dict(row), "actor": actor, "detail": detail}
