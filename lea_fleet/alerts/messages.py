"""Messages about events and alerts: which are due, and what is in them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from ..core.alerts import TEST, type_of_event
from ..core.event_types import Holds
from ..core.events import EVENTS
from ..core.machine import PERSONAL
from ..core.rows import Alert, Event, without_none
from ..core.tags import name_of
from ..storage.agents import Agents
from ..storage.alerts import Alerts
from ..storage.events import Events
from ..storage.mutes import Mutes
from ..storage.tags import Tags
from ..storage.unit_of_work import UnitOfWork

#: Rows that are read at once.
_BATCH = 100


@dataclass(frozen=True)
class Due:
    """A message to be delivered, without its content.

    *position* and *alert_id* are how far a destination has come with it. *event_id* is
    None for an alert. *id* is the same each time that it is delivered.
    """

    id: str
    type: str
    at: str
    machine_id: str | None
    position: str
    alert_id: int
    event_id: int | None
    detail: dict[str, Any]


class Feed:
    """The events and alerts after a position, in the order of their timestamps."""

    def __init__(self, unit: UnitOfWork) -> None:
        self._unit = unit

    def after(self, position: str, alert_id: int) -> Iterator[Due]:
        """Yield what is due. It is read as it is needed, in no transaction.

        Of two about one machine, the earlier one comes first.
        """
        events, alerts = self._events(position), self._alerts(alert_id)
        event, alert = next(events, None), next(alerts, None)
        while event is not None or alert is not None:
            if alert is None or (event is not None and event[0]["at"] <= alert["at"]):
                assert event is not None
                told, position = event
                yield _due_event(told, position, alert_id)
                event = next(events, None)
            else:
                alert_id = alert["id"]
                yield _due_alert(alert, position)
                alert = next(alerts, None)

    def _events(self, position: str) -> Iterator[tuple[Event, str]]:
        while True:
            found = Events(self._unit).after_each(position, limit=_BATCH)
            yield from found
            if len(found) < _BATCH:
                return
            position = found[-1][1]

    def _alerts(self, alert_id: int) -> Iterator[Alert]:
        while True:
            found = Alerts(self._unit).after(alert_id, limit=_BATCH)
            yield from found
            if len(found) < _BATCH:
                return
            alert_id = found[-1]["id"]


def _due_event(event: Event, position: str, alert_id: int) -> Due:
    return Due(
        id=_message_id("event", event["id"], event["at"]),
        type=type_of_event(event["event"]),
        at=event["at"],
        machine_id=event["machine_id"],
        position=position,
        alert_id=alert_id,
        event_id=event["id"],
        detail={},
    )


def _due_alert(alert: Alert, position: str) -> Due:
    return Due(
        id=_message_id("alert", alert["id"], alert["at"]),
        type=alert["alert"],
        at=alert["at"],
        machine_id=alert["machine_id"],
        position=position,
        alert_id=alert["id"],
        event_id=None,
        detail=alert["detail"],
    )


def test_message(at: str) -> Due:
    """Return a message that tells nothing."""
    return Due(_message_id(TEST, 0, at), TEST, at, None, "", 0, None, {})


def _message_id(kind: str, number: int, at: str) -> str:
    return f"msg_{sha256(f'{kind} {number} {at}'.encode()).hexdigest()[:32]}"


class Content:
    """What is in messages, as it is when they are sent: what was erased is not.

    With *personal*, personal data of events and of the machine's row as well; of the
    machine's tags those with these *names*.
    """

    def __init__(
        self, unit: UnitOfWork, personal: bool, names: Collection[str] = ()
    ) -> None:
        self._unit = unit
        self._personal = personal
        self._names = names

    def of(self, due: Due) -> dict[str, Any]:
        """Return the members of a message's ``data``."""
        data: dict[str, Any] = dict(due.detail)
        if due.event_id is not None:
            data = self._of_event(due.event_id)
        if due.machine_id is None:
            return data
        about = {**self._of_machine(due), **self._tags(due.machine_id)}
        return {"machine_id": due.machine_id, **about, **data}

    def is_muted(self, due: Due) -> bool:
        """Return whether a message is about a machine that is muted."""
        machine_id = due.machine_id
        return machine_id is not None and bool(Mutes(self._unit).until(machine_id))

    def _of_event(self, event_id: int) -> dict[str, Any]:
        event = Events(self._unit).get(event_id)
        if event is None:
            return {}
        declared = EVENTS.get(event["event"])
        members = declared.members if declared else {}
        detail = {
            name: value
            for name, value in event["detail"].items()
            if self._personal or members.get(name) == Holds.NOTHING_PERSONAL
        }
        actor = event["actor"]
        return {**detail, "actor": actor if self._personal else _role_of(actor)}

    def _of_machine(self, due: Due) -> dict[str, Any]:
        assert due.machine_id is not None
        agent = Agents(self._unit).find(due.machine_id) if self._personal else None
        if agent is None:
            return {}
        known: Mapping[str, Any] = agent
        return without_none({name: known[name] for name in PERSONAL})

    def _tags(self, machine_id: str) -> dict[str, list[str]]:
        tags = Tags(self._unit).of(machine_id) if self._names else []
        shown = [tag for tag in tags if name_of(tag) in self._names]
        return {"machine_tags": shown} if shown else {}


def _role_of(actor: dict[str, Any]) -> dict[str, Any]:
    named = ("role", "enrollment_token")
    return {name: actor[name] for name in named if name in actor}
