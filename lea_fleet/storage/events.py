"""Events: append-only; only an erasure or a prune may change them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from ..core.event_filter import EventFilter
from ..core.event_details import require_declared
from ..core.rows import Agent, Event
from .interface import Dialect
from .unit_of_work import BATCH, Repository, enrollment_of

_SELECT = "SELECT id, machine_id, event, at, actor, detail FROM lea_fleet_events"
_INSERT = (
    "INSERT INTO lea_fleet_events (machine_id, event, at, actor, detail)"
    " VALUES (:machine_id, :event, :at, :actor, :detail) RETURNING id"
)
_REWRITE = "UPDATE lea_fleet_events SET actor = :actor, detail = :detail WHERE id = :id"

#: The transaction and the id of an event; neither has more than 64 bits.
_POSITION = re.compile(r"\d{1,19}-\d{1,18}", re.ASCII)

#: Created once: json.dumps() would create an encoder for each event.
_as_json = json.JSONEncoder(ensure_ascii=False).encode


class Events(Repository):
    """The events, including those that are not about a machine."""

    def add(self, event: str, machine_id: str | None, **detail: Any) -> None:
        """Append an event to the open transaction.

        *machine_id* is None for an event that is not about a machine. Raises ValueError
        for an event or detail that core/events.py does not declare.
        """
        require_declared(event, detail)
        unit, at = self._unit, self._unit.timestamp
        values = {
            "machine_id": machine_id,
            "event": event,
            "at": at,
            **_stored(unit.actor, detail),
        }
        ((event_id,),) = unit.session.execute(_INSERT, values).fetchall()
        unit.record(
            {
                "id": event_id,
                "machine_id": machine_id,
                "event": event,
                "at": at,
                "actor": dict(unit.actor),
                "detail": detail,
            }
        )

    def page(
        self,
        machine_id: str | None,
        *,
        limit: int,
        before: int | None = None,
        since: str | None = None,
    ) -> tuple[list[Event], int | None]:
        """Return up to *limit* events, newest first, and where the next page begins.

        *machine_id* None means all machines; *since* is the earliest timestamp. The
        second value is what to pass as *before* for the next page; it is None on the
        last page. Raises ValueError for a limit below 1.
        """
        return self.find(
            EventFilter(machine_id=machine_id, since=since), limit=limit, before=before
        )

    def find(
        self, wanted: EventFilter, *, limit: int, before: int | None = None
    ) -> tuple[list[Event], int | None]:
        """Return up to *limit* events that are *wanted*, as :meth:`page` does.

        One machine's are found by an index; all others are read from the newest on.
        That none of 200,000 matches took 0.03 to 0.2 s on a busy computer, without a
        lock.
        """
        if limit < 1:
            raise ValueError("The limit of this page is not valid.")
        where, values = _where(wanted)
        if before is not None:
            where += " AND id < :before"
            values["before"] = before
        rows = self._unit.session.execute(
            f"{_SELECT} WHERE {where} ORDER BY id DESC LIMIT :limit",
            {**values, "limit": limit + 1},
        ).fetchall()
        events = [_event(row) for row in rows[:limit]]
        return events, events[-1]["id"] if len(rows) > limit else None

    def each(
        self, wanted: EventFilter, *, before: int | None = None
    ) -> Iterator[Event]:
        """Yield all events that are *wanted*, newest first, with few in memory.

        No snapshot is held meanwhile: what is read does not change but by an erasure.
        """
        while True:
            events, before = self.find(wanted, limit=BATCH, before=before)
            yield from events
            if before is None:
                return

    def after(self, position: str, *, limit: int) -> tuple[list[Event], str]:
        """Return up to *limit* events after *position*, oldest first, and the next one.

        For a follower that must see each event once: it keeps the position that is
        returned with the events, which is *position* if there are none. The first one
        is ``""``, or :meth:`end` for new events only. An event is shown once no earlier
        one can be committed any more. Raises ValueError for what is not a position, and
        for a limit below 1.
        """
        found = self.after_each(position, limit=limit)
        events = [event for event, _ in found]
        return events, found[-1][1] if found else position

    def after_each(self, position: str, *, limit: int) -> list[tuple[Event, str]]:
        """Return the events as :meth:`after` does, each with the position after it."""
        if limit < 1:
            raise ValueError("The limit of these events is not valid.")
        rows = self._unit.session.execute(
            _after(self._unit.dialect), {**_position(position), "limit": limit}
        ).fetchall()
        return [(_event(row[:-1]), f"{row[-1]}-{row[0]}") for row in rows]

    def get(self, event_id: int) -> Event | None:
        """Return the event with that id, as it is now; None if it was pruned."""
        row = self._unit.session.execute(
            f"{_SELECT} WHERE id = :id", {"id": event_id}
        ).fetchone()
        return None if row is None else _event(row)

    def end(self) -> str:
        """Return the position after the last event that :meth:`after` shows."""
        row = self._unit.session.execute(
            _end(self._unit.dialect), _position("")
        ).fetchone()
        return "" if row is None else f"{row[1]}-{row[0]}"

    def history(self, machine_id: str | None) -> list[Event]:
        """Return all events of a machine, or for None of no machine, oldest first."""
        about = "IS NULL" if machine_id is None else "= :machine_id"
        rows = self._unit.session.execute(
            f"{_SELECT} WHERE machine_id {about} ORDER BY id",
            {"machine_id": machine_id},
        )
        return [_event(row) for row in rows]

    def is_own_reason(self, agent: Agent) -> bool:
        """Return whether the machine's own agent gave the reason of its uninstall.

        An earlier agent may have given the same one.
        """
        rows = self._unit.session.execute(
            f"{_SELECT} WHERE machine_id = :machine_id AND event = 'uninstalled'"
            " AND at >= :enrolled_at ORDER BY id DESC LIMIT 1",
            enrollment_of(agent),
        )
        return any(
            event["actor"].get("role") == "agent"
            and event["detail"].get("reason") == agent["uninstall_reason"]
            for event in map(_event, rows.fetchall())
        )

    def take_turn(self) -> None:
        """Let no other transaction that calls this run beside the open one.

        For those that change or delete events after they have read them: two at once
        would count an event twice, or bring back what the other one has erased.
        """
        self._unit.dialect.take_turn(self._unit.session, "events")

    def rewrite(self, events: Iterable[Mapping[str, Any]]) -> None:
        """Overwrite the stored actor and detail of *events*, found by their ids."""
        self._unit.session.executemany(
            _REWRITE,
            [
                {"id": event["id"], **_stored(event["actor"], event["detail"])}
                for event in events
            ],
        )


def is_position(text: str) -> bool:
    """Return whether *text* may be a position of :meth:`Events.after`."""
    return not text or _POSITION.fullmatch(text) is not None


def _where(wanted: EventFilter) -> tuple[str, dict[str, Any]]:
    """Return the condition for the events that are *wanted*, and its parameters."""
    values: dict[str, Any] = {
        "machine_id": wanted.machine_id,
        "since": wanted.since,
        "until": wanted.until,
    }
    conditions = ["true"]
    conditions += [] if wanted.machine_id is None else ["machine_id = :machine_id"]
    conditions += [] if wanted.since is None else ["at >= :since"]
    conditions += [] if wanted.until is None else ["at < :until"]
    if wanted.names:
        names = {f"event_{n}": name for n, name in enumerate(wanted.names)}
        conditions.append(f"event IN ({', '.join(f':{name}' for name in names)})")
        values |= names
    if wanted.actor is not None:
        texts = {f"actor_{n}": text for n, text in enumerate(wanted.actor_texts())}
        # What both engines take: LIKE ignores case in SQLite, and knows wildcards.
        found = [f"replace(actor, :{name}, '') <> actor" for name in texts]
        conditions.append(f"({' OR '.join(found)})")
        values |= texts
    return " AND ".join(conditions), values


@cache
def _after(dialect: Dialect) -> str:
    commit, after, order = dialect.following
    columns = _SELECT.replace(" FROM", f", {commit} FROM")
    return f"{columns} WHERE {after} ORDER BY {order} LIMIT :limit"


@cache
def _end(dialect: Dialect) -> str:
    commit, after, order = dialect.following
    newest = ", ".join(f"{name} DESC" for name in order.split(", "))
    return (
        f"SELECT id, {commit} FROM lea_fleet_events WHERE {after}"
        f" ORDER BY {newest} LIMIT 1"
    )


def _position(text: str) -> dict[str, Any]:
    if not text:
        return {"commit": "0", "id": 0}
    if not is_position(text):
        raise ValueError("This is not a position of events.")
    commit, event_id = text.split("-")
    return {"commit": commit, "id": int(event_id)}


def _stored(actor: Mapping[str, Any], detail: Mapping[str, Any]) -> dict[str, str]:
    """Return both columns as JSON in UTF-8; ASCII may take three times the space.

    A host's actor or a command's account may hold half a surrogate pair, which has no
    form in UTF-8: it is written as JSON's escape.
    """
    return {
        "actor": _as_json(actor).encode("utf-8", "backslashreplace").decode(),
        "detail": _as_json(detail).encode("utf-8", "backslashreplace").decode(),
    }


def _event(row: Sequence[Any]) -> Event:
    event_id, machine_id, event, at, actor, detail = row
    return {
        "id": event_id,
        "machine_id": machine_id,
        "event": event,
        "at": at,
        "actor": json.loads(actor),
        "detail": json.loads(detail),
    }
