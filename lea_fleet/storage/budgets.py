"""``lea_fleet_budgets``: how many events a machine may cause itself.

The agent and the installer on a machine may cause some events as often as they like.
Each machine has a budget for each such event, which is used up by AGENT_EVENTS of them
and refills through the day. Operators, commands and the host need none.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from math import ceil
from typing import Any

from ..core import clock
from ..core.events import ROLES_ON_THE_MACHINE
from ..core.limits import AGENT_EVENTS, BUDGET_PERIOD, LONGEST_RETRY
from .events import Events
from .unit_of_work import Repository, UnitOfWork

_PERIOD = timedelta(seconds=BUDGET_PERIOD)

_APART = timedelta(seconds=clock.APART)

_SELECT = (
    "SELECT full_at, noted FROM lea_fleet_budgets"
    " WHERE machine_id = :machine_id AND event = :event"
)
_SPEND = """INSERT INTO lea_fleet_budgets (machine_id, event, full_at, noted)
  VALUES (:machine_id, :event, :full_at, false)
  ON CONFLICT (machine_id, event) DO UPDATE
  SET full_at = excluded.full_at, noted = excluded.noted"""
_NOTE = (
    "UPDATE lea_fleet_budgets SET noted = true"
    " WHERE machine_id = :machine_id AND event = :event"
)


class Budget(Repository):
    """A machine's budget for one kind of *event*.

    It is for as many as *most* in a period. It outlives an enrollment: otherwise, an
    agent and an installer could refill it.
    """

    def __init__(
        self, unit: UnitOfWork, machine_id: str, event: str, *, most: int = AGENT_EVENTS
    ) -> None:
        super().__init__(unit)
        self._key = {"machine_id": machine_id, "event": event}
        #: How long it takes until there is one event more.
        self._share = _PERIOD / most

    def spend(self) -> bool:
        """Return whether the actor may cause one more event now, and count it.

        Needs an open transaction. The first refusal after an event is recorded, so that
        the history shows where something is missing.
        """
        if not self._is_limited:
            return True
        full_at, noted = self._read()
        if self._wait(full_at) <= timedelta(0):
            values = {**self._key, "full_at": clock.iso(full_at + self._share)}
            self._unit.session.execute(_SPEND, values)
            return True
        if not noted:
            self._unit.session.execute(_NOTE, self._key)
            machine_id, event = self._key.values()
            Events(self._unit).add("not_recorded", machine_id, kind=event)
        return False

    def retry_after(self) -> int:
        """Return after how many seconds to ask again, at most LONGEST_RETRY.

        0 if :meth:`spend` would not refuse, or would have to record its first refusal.
        """
        full_at, noted = self._read()
        seconds = ceil(self._wait(full_at).total_seconds())
        return min(max(seconds, 0), LONGEST_RETRY) if self._is_limited and noted else 0

    @property
    def _is_limited(self) -> bool:
        return self._unit.actor.get("role") in ROLES_ON_THE_MACHINE

    def _wait(self, full_at: datetime) -> timedelta:
        return full_at + self._share - _PERIOD - self._unit.now

    def _read(self) -> tuple[datetime, bool]:
        """Return when the budget is full again, and whether a refusal was recorded."""
        now = self._unit.now
        row: Any = self._unit.session.execute(_SELECT, self._key).fetchone()
        if row is None:
            return now, False
        full_at = datetime.fromisoformat(row[0])
        # From before the clock was set back. Another server's may be ahead a little.
        if full_at > now + _PERIOD + _APART:
            return now, False
        return max(full_at, now), bool(row[1])
