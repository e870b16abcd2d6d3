"""``lea_fleet_destinations``: what was delivered where, and who delivers."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, cast

from ..core import clock
from ..core.limits import DESTINATION_KEPT
from ..core.rows import Destination
from .alerts import Alerts
from .events import Events
from .unit_of_work import Repository

_COLUMNS = tuple(Destination.__annotations__)
_SELECT = f"SELECT {', '.join(_COLUMNS)} FROM lea_fleet_destinations"

_OURS = "WHERE destination = :destination AND holder = :holder"

_TAKE = """UPDATE lea_fleet_destinations
  SET holder = :holder, held_until = :until, looked_at = :now
  WHERE destination = :destination
  AND (holder IS NULL OR held_until <= :now OR held_until > :far)"""


class Destinations(Repository):
    """The destinations by name. Each method that writes is a transaction of its own."""

    def all(self) -> list[Destination]:
        """Return all of them, in the order of their names."""
        return self._select("ORDER BY destination")

    def begin(self, names: Collection[str]) -> None:
        """Begin with those of *names* that are new: they are told what comes.

        Forget the others only after a week, since another server may deliver there.
        """
        known, unit = {each["destination"] for each in self.all()}, self._unit
        if known >= set(names):
            return
        with unit.transaction():
            unit.session.execute(
                "DELETE FROM lea_fleet_destinations WHERE looked_at < :long_ago",
                {"long_ago": clock.before(unit.now, DESTINATION_KEPT)},
            )
            begins = {
                "position": Events(unit).end(),
                "alert_id": Alerts(unit).end(),
                "now": unit.timestamp,
            }
            for name in sorted(set(names) - known):
                unit.session.execute(
                    "INSERT INTO lea_fleet_destinations"
                    " (destination, position, alert_id, looked_at)"
                    " VALUES (:name, :position, :alert_id, :now)"
                    " ON CONFLICT (destination) DO NOTHING",
                    {"name": name, **begins},
                )

    def take(self, name: str, holder: str, seconds: float) -> Destination | None:
        """Let *holder* alone deliver there for so many seconds.

        Return the destination, or None while another one delivers.
        """
        with self._unit.transaction(durable=False):
            now = self._unit.now
            taken = self._run(
                _TAKE,
                name,
                holder,
                until=clock.after(now, seconds),
                far=clock.after(now, seconds + clock.APART),
            )
            if not taken:
                return None
            (found,) = self._select("WHERE destination = :name", name=name)
        return found

    def deliver(
        self, name: str, holder: str, position: str, alert_id: int, seconds: float
    ) -> bool:
        """Record what was delivered, and hold on for so many seconds.

        Return False if another one delivers there now.
        """
        with self._unit.transaction(durable=False):
            return self._run(
                "UPDATE lea_fleet_destinations SET position = :position,"
                " alert_id = :alert_id, held_until = :until, delivered_at = :now,"
                " fault = NULL, failing_since = NULL, attempts = 0,"
                f" next_attempt_at = NULL {_OURS}",
                name,
                holder,
                position=position,
                alert_id=alert_id,
                until=clock.after(self._unit.now, seconds),
            )

    def skip(self, name: str, holder: str, position: str, alert_id: int) -> None:
        """Record how far a destination has come that wants nothing of that."""
        with self._unit.transaction(durable=False):
            self._move(name, holder, position, alert_id)

    def leave(self, name: str, holder: str) -> None:
        """Let others deliver there."""
        with self._unit.transaction(durable=False):
            self._run(
                "UPDATE lea_fleet_destinations"
                f" SET holder = NULL, held_until = NULL {_OURS}",
                name,
                holder,
            )

    def fail(self, name: str, holder: str, fault: str, wait: float) -> None:
        """Record what failed; it is to be tried again after *wait* seconds."""
        with self._unit.transaction():
            self._run(
                "UPDATE lea_fleet_destinations SET fault = :fault,"
                " failing_since = coalesce(failing_since, :now),"
                " attempts = attempts + 1, next_attempt_at = :next"
                f" {_OURS}",
                name,
                holder,
                fault=fault,
                next=clock.after(self._unit.now, wait),
            )

    def give_up(
        self, name: str, holder: str, position: str, alert_id: int, alerts: int
    ) -> None:
        """Skip so many messages up to there, and record that."""
        with self._unit.transaction():
            if self._move(name, holder, position, alert_id):
                told = {"alerts": alerts, "destination": name}
                Events(self._unit).add("alerts_dropped", None, **told)

    def _move(self, name: str, holder: str, position: str, alert_id: int) -> bool:
        return self._run(
            "UPDATE lea_fleet_destinations SET position = :position,"
            f" alert_id = :alert_id, attempts = 0 {_OURS}",
            name,
            holder,
            position=position,
            alert_id=alert_id,
        )

    def _run(self, statement: str, name: str, holder: str, **values: Any) -> bool:
        who = {"destination": name, "holder": holder, "now": self._unit.timestamp}
        ran = self._unit.session.execute(statement, {**who, **values})
        return ran.rowcount == 1

    def _select(self, which: str, **values: Any) -> list[Destination]:
        rows = self._unit.session.execute(f"{_SELECT} {which}", values).fetchall()
        return [cast(Destination, dict(zip(_COLUMNS, row))) for row in rows]
