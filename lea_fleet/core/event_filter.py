"""Which events of the history are wanted: as a question to one event, or to SQL."""

from __future__ import annotations

import json
from dataclasses import dataclass

from .rows import Event


@dataclass(frozen=True)
class EventFilter:
    """The events to show; what is None or empty excludes nothing.

    *machine_id* is exact. *names* are names of events. *actor* is the value of any
    member of an event's actor that is text: a role, the name of a user or account, an
    IP address. *since* is the earliest timestamp, *until* the first one after.
    """

    machine_id: str | None = None
    names: tuple[str, ...] = ()
    actor: str | None = None
    since: str | None = None
    until: str | None = None

    def matches(self, event: Event) -> bool:
        """Return whether *event* is wanted, as the SQL of storage/events.py decides."""
        return (
            self.machine_id in (None, event["machine_id"])
            and (not self.names or event["event"] in self.names)
            and (self.actor is None or self._acted(event))
            and (self.since is None or event["at"] >= self.since)
            and (self.until is None or event["at"] < self.until)
        )

    def actor_texts(self) -> list[str]:
        """Return the texts of which a stored actor has one if it is the wanted one.

        A colon before a quotation mark stands only before a value: in a value, JSON has
        a backslash between them. Version 0.1.0 stored events in ASCII.
        """
        forms = {json.dumps(self.actor, ensure_ascii=ascii) for ascii in (False, True)}
        return [f": {form}" for form in sorted(forms)]

    def _acted(self, event: Event) -> bool:
        stored = json.dumps(event["actor"], ensure_ascii=False)
        return any(text in stored for text in self.actor_texts())
