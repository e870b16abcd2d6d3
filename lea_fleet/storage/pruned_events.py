"""Delete old events, and ``lea_fleet_pruned``: how many there were of each day.

The events that say when a machine began and ended its present enrollment are kept,
without the address of whoever was at the machine. All others are counted by day and
name before they are deleted, so that no total goes down.
"""

from __future__ import annotations

import json
from typing import Any

from ..core.events import ENROLLMENTS
from ..core.privacy.redaction import Redaction
from .attempts import attempts
from .batches import STEP, until_done
from .events import Events
from .unit_of_work import Repository

_BEGINS = ", ".join(f"'{event}'" for event in (*ENROLLMENTS, "imported"))

# An event that says what was deleted is not deleted itself. Of an enrollment that has
# moved on, an event never counts as of the present one again.
_KEPT = f"""(event = 'pruned' OR EXISTS (
    SELECT 1 FROM enrolled_agents AS agent
    WHERE agent.machine_id = lea_fleet_events.machine_id
    AND (event IN ({_BEGINS}) AND at >= agent.enrolled_at
      OR event = 'uninstalled' AND at >= agent.uninstalled_at)
  ))"""

_STEP = "id > :after AND id <= :last AND at < :older_than"
_CARRY = f"""INSERT INTO lea_fleet_pruned (date, event, events)
  SELECT substr(at, 1, 10), event, count(*) FROM lea_fleet_events
  WHERE {_STEP} AND NOT {_KEPT} GROUP BY 1, 2
  ON CONFLICT (date, event) DO UPDATE
  SET events = lea_fleet_pruned.events + excluded.events"""
_DELETE = f"DELETE FROM lea_fleet_events WHERE {_STEP} AND NOT {_KEPT}"
_ADDRESSES = (
    "SELECT id, actor, detail FROM lea_fleet_events"
    f" WHERE {_STEP} AND actor LIKE '%\"address\"%'"
)


class PrunedEvents(Repository):
    """Count and delete the events from before a timestamp."""

    def count(self, older_than: str) -> int:
        """Return the number of events that :meth:`prune` would delete."""
        ((count,),) = self._unit.session.execute(
            "SELECT count(*) FROM lea_fleet_events"
            f" WHERE at < :older_than AND NOT {_KEPT}",
            {"older_than": older_than},
        ).fetchall()
        return int(count)

    def prune(self, older_than: str) -> int:
        """Delete the events from before that timestamp; return their number.

        In short transactions, the first of which records an event. Each of them counts
        what it deletes, so that an interruption loses nothing.
        """
        found = self.count(older_than)
        if not found:
            return 0
        values: dict[str, Any] = {"older_than": older_than, "after": 0}
        deleted = 0

        def step() -> bool:
            nonlocal deleted
            values["last"] = self._last(values)
            if values["last"] is None:
                return False
            for attempt in attempts(self._unit):
                with attempt, self._unit.transaction():
                    Events(self._unit).take_turn()
                    if values["after"] == 0:
                        told = {"older_than": older_than, "events": found}
                        Events(self._unit).add("pruned", None, **told)
                    self._unit.session.execute(_CARRY, values)
                    rows = self._unit.session.execute(_DELETE, values).rowcount
                    self._forget_addresses(values)
            deleted += rows
            values["after"] = values["last"]
            return True

        until_done(step)
        return deleted

    def _last(self, values: dict[str, Any]) -> int | None:
        """Return the id of the last event of a step, or None if there is none left."""
        last: int | None
        ((last,),) = self._unit.session.execute(
            "SELECT max(id) FROM (SELECT id FROM lea_fleet_events"
            " WHERE id > :after AND at < :older_than ORDER BY id LIMIT :step) AS step",
            {**values, "step": STEP},
        ).fetchall()
        return last

    def _forget_addresses(self, values: dict[str, Any]) -> None:
        """Remove the addresses of machines from the events that are kept.

        Which user they are of can no longer be told without the events in between.
        """
        redaction, kept = Redaction(address=True), []
        rows = self._unit.session.execute(_ADDRESSES, values).fetchall()
        for event_id, actor, detail in rows:
            redacted, gone = redaction.actor(json.loads(actor))
            if gone:
                told = json.loads(detail)
                kept.append({"id": event_id, "actor": redacted, "detail": told})
        Events(self._unit).rewrite(kept)
