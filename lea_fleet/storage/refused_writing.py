"""Write ``lea_fleet_refused`` within its bounds, and add the alerts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from ..core import clock
from ..core.limits import (
    MOST_REFUSED,
    REFUSED_MEMORY,
    REFUSED_TOLD_MEMORY,
    REFUSED_WRITTEN,
)
from ..core.refused import KEPT_APART, Refusal
from .alerts import Alerts
from .refused import ENROLLED_AT, KEY
from .unit_of_work import Repository, UnitOfWork

_WRITE = """INSERT INTO lea_fleet_refused (enrollment_token, look, code, machine_id,
    enrolled_at, hostname, address, refused, first_at, last_at, told_at)
  VALUES (:enrollment_token, :look, :code, :machine_id,
    :enrolled_at, :hostname, :address, :refused, :at, :at, :told_at)
  ON CONFLICT (enrollment_token, look, code) DO UPDATE SET
    machine_id = excluded.machine_id,
    hostname = coalesce(excluded.hostname, lea_fleet_refused.hostname),
    address = coalesce(excluded.address, lea_fleet_refused.address),
    refused = lea_fleet_refused.refused + excluded.refused,
    last_at = CASE WHEN excluded.last_at > lea_fleet_refused.last_at
      THEN excluded.last_at ELSE lea_fleet_refused.last_at END,
    told_at = excluded.told_at"""

_READ = f"SELECT enrolled_at, first_at, told_at FROM lea_fleet_refused WHERE {KEY}"

_DELETE_OLD = "DELETE FROM lea_fleet_refused WHERE last_at <= :kept_since"

_DELETE_VOID = """DELETE FROM lea_fleet_refused
  WHERE enrollment_token = :enrollment_token AND enrolled_at <> coalesce((
    SELECT CAST(agent.enrolled_at AS TEXT) FROM enrolled_agents AS agent
    WHERE agent.machine_id = lea_fleet_refused.machine_id
  ), '')"""

_OF_TOKEN = f"enrollment_token = :enrollment_token AND code <> '{KEPT_APART}'"

#: The newest of a token stay. SQLite has no OFFSET without a LIMIT.
_PUSH_OUT = f"""DELETE FROM lea_fleet_refused
  WHERE {_OF_TOKEN} AND (look, code) IN (
    SELECT look, code FROM lea_fleet_refused WHERE {_OF_TOKEN}
    ORDER BY last_at DESC, look DESC, code DESC LIMIT 1000000 OFFSET {MOST_REFUSED}
  )"""

_ALERT = "machine.refused"

_TOLD = f"""SELECT count(*) FROM lea_fleet_alerts
  WHERE alert = '{_ALERT}' AND at > :since AND detail LIKE :of_token"""


class Repeats(NamedTuple):
    """A refusal and how often there was one, the last time included.

    Without a hostname or address if that is as in the row: one that was erased
    meanwhile does not come back.
    """

    refusal: Refusal
    times: int


class RefusedWriting(Repository):
    """Add refusals with one enrollment token, in one transaction."""

    def __init__(self, unit: UnitOfWork) -> None:
        super().__init__(unit)
        self._room: int | None = None  # for alerts of this token

    def write(self, repeats: Sequence[Repeats]) -> None:
        """Add *repeats*, all with one token, in a transaction that may be undone.

        A power cut may do so: no answer depends on it.
        """
        unit, session = self._unit, self._unit.session
        with unit.transaction(durable=False):
            unit.dialect.take_turn(session, "refused")
            for refusal, times in repeats:
                self._write(refusal, times)
            token = {"enrollment_token": repeats[0].refusal.enrollment_token}
            session.execute(_DELETE_VOID, token)
            session.execute(_PUSH_OUT, token)
            kept_since = clock.before(unit.now, REFUSED_MEMORY)
            session.execute(_DELETE_OLD, {"kept_since": kept_since})

    def _write(self, refusal: Refusal, times: int) -> None:
        session = self._unit.session
        enrolled_at = self._enrolled_at(refusal.machine_id)
        if clock.in_utc(enrolled_at) > refusal.at:
            return  # the machine has enrolled since
        token, look, code = refusal.key
        key = {"enrollment_token": token, "look": look, "code": code}
        row: Any = session.execute(_READ, key).fetchone()
        if row is not None and row[0] != enrolled_at:  # void
            session.execute(f"DELETE FROM lea_fleet_refused WHERE {KEY}", key)
            row = None
        first_at, told_at = (refusal.at, None) if row is None else row[1:]
        is_told = _is_due(refusal.at, first_at, told_at) and self._may_tell(refusal)
        values = {
            **refusal._asdict(),
            **key,
            "enrolled_at": enrolled_at,
            "refused": times,
            "told_at": refusal.at if is_told else told_at,
        }
        session.execute(_WRITE, values)
        if is_told:
            Alerts(self._unit).add(
                _ALERT,
                refusal.machine_id,
                code=code,
                enrollment_token=token or None,
            )

    def _enrolled_at(self, machine_id: str | None) -> str:
        row = self._unit.session.execute(
            f"SELECT {ENROLLED_AT} FROM enrolled_agents AS agent"
            " WHERE machine_id = :machine_id",
            {"machine_id": machine_id},
        ).fetchone()
        return "" if row is None else str(row[0])

    def _may_tell(self, refusal: Refusal) -> bool:
        """Tell whether an alert more is told for this token, and count it.

        As many a day as machines are kept: whoever has a token can make machines up,
        and alerts of others must not be lost for them. Of blocked ones there are few.
        """
        if refusal.code == KEPT_APART:
            return True
        if self._room is None:
            since = clock.before(self._unit.now, REFUSED_TOLD_MEMORY)
            token = refusal.enrollment_token or "null"
            values = {"since": since, "of_token": f'%"enrollment_token": {token}}}%'}
            ((told,),) = self._unit.session.execute(_TOLD, values).fetchall()
            self._room = MOST_REFUSED - told
        self._room -= 1
        return self._room >= 0


def _is_due(at: str, first_at: str, told_at: str | None) -> bool:
    """Tell whether a machine that was refused *at* that time is told of again.

    After a minute, then after two more, four, and so on: 16 times in 30 days, if its
    setup tries again all the time, and at once if it comes back another day.
    """
    if told_at is None:
        return True
    told, first = map(datetime.fromisoformat, (told_at, first_at))
    pause = max(REFUSED_WRITTEN, (told - first).total_seconds())
    return (datetime.fromisoformat(at) - told).total_seconds() >= pause
