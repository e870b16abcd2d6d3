"""``lea_fleet_refused``: list and count the machines whose enrollment was refused.

Each row stands for the refusals of one machine by one code, with one enrollment token.
It is void once the machine has enrolled since, through whichever server: its
``enrolled_at`` is another one then. Void rows are not shown, and are deleted by whoever
writes the next row for that token: an enrollment has nothing to do about them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ..core import clock
from ..core.limits import REFUSED_MEMORY
from ..core.privacy.erasure import Said
from ..core.refused import RefusedFilter
from ..core.rows import RefusedMachine
from .agents import in_utc
from .unit_of_work import Repository

#: The enrollment of the outer query's ``agent``, which a row is valid for.
ENROLLED_AT = "coalesce(CAST(agent.enrolled_at AS TEXT), '')"

KEY = "enrollment_token = :enrollment_token AND look = :look AND code = :code"

_HEARD = in_utc("agent.last_seen_at")

#: Rows that are not void, nor older than they are kept.
_VALID = f"""FROM lea_fleet_refused AS refusal
  LEFT JOIN enrolled_agents AS agent ON agent.machine_id = refusal.machine_id
  LEFT JOIN lea_fleet_releases AS release
    ON release.machine_id = agent.machine_id AND released_until > :now
    AND release.enrolled_at = agent.enrolled_at AND (release.enrollment_token IS NULL
      OR release.enrollment_token = refusal.enrollment_token)
  WHERE refusal.enrolled_at = {ENROLLED_AT} AND last_at > :kept_since"""

_SELECT = f"""SELECT refusal.enrollment_token, look, code, refusal.machine_id,
    refusal.hostname, address, refused, first_at, last_at, CAST(agent.status AS TEXT),
    CAST(agent.last_seen_at AS TEXT), released_until,
    CASE WHEN agent.status = 'active' AND {_HEARD} > first_at THEN 1 ELSE 0 END
  {_VALID}"""

#: As text, which a cursor consists of.
_TOKEN = "CAST(refusal.enrollment_token AS TEXT)"

_NEWEST_FIRST = f"ORDER BY last_at DESC, {_TOKEN} DESC, look DESC, code DESC"

_AFTER = (
    f"(last_at, {_TOKEN}, look, code)"
    " < (:after_at, :after_token, :after_look, :after_code)"
)

#: A machine may have been refused with several tokens.
_COUNT = f"SELECT code, count(DISTINCT look) {_VALID} GROUP BY code"
_COUNT_WAITING = f"""SELECT count(DISTINCT look) {_VALID} AND released_until IS NULL
  AND look NOT IN (SELECT look FROM lea_fleet_blocks)"""
_COUNT_SINCE = f"SELECT count(DISTINCT look) {_VALID} AND last_at >= :since"


class Refused(Repository):
    """The refused machines. Methods that write need an open transaction."""

    def page(
        self,
        wanted: RefusedFilter,
        *,
        limit: int | None = None,
        after: Sequence[str] | None = None,
    ) -> tuple[list[RefusedMachine], Sequence[str] | None]:
        """Return up to *limit* rows (None for all), and where the next page begins.

        The last refused first. The second value is what to pass as *after* for the next
        page; it is None on the last page.
        """
        values: dict[str, Any] = {**self._bounds(), **wanted._asdict()}
        conditions = ""
        if wanted.code is not None:
            conditions += " AND code = :code"
        if wanted.enrollment_token is not None:
            conditions += " AND refusal.enrollment_token = :enrollment_token"
        if wanted.since is not None:
            conditions += " AND last_at >= :since"
        if after is not None:
            conditions += f" AND {_AFTER}"
            names = ("after_at", "after_token", "after_look", "after_code")
            values |= dict(zip(names, after))
        end = "" if limit is None else " LIMIT :limit"
        values["limit"] = None if limit is None else limit + 1
        rows = self._unit.session.execute(
            f"{_SELECT}{conditions} {_NEWEST_FIRST}{end}", values
        ).fetchall()
        shown = rows[:limit]
        position = None
        if limit is not None and len(rows) > limit:
            token, look, code, *_ = shown[-1]
            position = (str(shown[-1][8]), str(token), str(look), str(code))
        return [_refused(row) for row in shown], position

    def of(self, machine_id: str) -> list[RefusedMachine]:
        """Return the refusals of one machine, the last first."""
        rows = self._unit.session.execute(
            f"{_SELECT} AND refusal.machine_id = :machine_id {_NEWEST_FIRST}",
            {**self._bounds(), "machine_id": machine_id},
        )
        return [_refused(row) for row in rows]

    def count_by_code(self) -> dict[str, int]:
        """Return the number of refused machines for each code that there is."""
        rows = self._unit.session.execute(_COUNT, self._bounds())
        return {code: machines for code, machines in rows}

    def count_waiting(self) -> int:
        """Return the number of refused machines that no operator lets in or blocks."""
        ((machines,),) = self._unit.session.execute(
            _COUNT_WAITING, self._bounds()
        ).fetchall()
        return int(machines)

    def count_since(self, since: str) -> int:
        """Return the number of machines that were refused since a timestamp."""
        values = {**self._bounds(), "since": since}
        ((machines,),) = self._unit.session.execute(_COUNT_SINCE, values).fetchall()
        return int(machines)

    def forget(self, *machine_ids: str) -> None:
        """Delete the rows of machines, such as one that is given another id."""
        self._unit.session.executemany(
            "DELETE FROM lea_fleet_refused WHERE machine_id = :machine_id",
            [{"machine_id": machine_id} for machine_id in machine_ids],
        )

    # Personal data

    def said_by(self, machine_id: str | None) -> list[Said]:
        """Return what a machine has said; for None, those whose id was not read."""
        about = "IS NULL" if machine_id is None else "= :machine_id"
        rows = self._unit.session.execute(
            "SELECT enrollment_token, look, code, hostname, address"
            f" FROM lea_fleet_refused WHERE machine_id {about}"
            " ORDER BY enrollment_token, look, code",
            {"machine_id": machine_id},
        )
        return [Said(*row) for row in rows]

    def hostnames(self) -> Iterator[tuple[str | None, str]]:
        """Yield each hostname that is stored, and the machine that has said it."""
        yield from self._unit.rows(
            "SELECT machine_id, hostname FROM lea_fleet_refused"
            " WHERE hostname IS NOT NULL"
        )

    def erase(self, refused: Iterable[Said]) -> None:
        """Erase hostname and address from these rows."""
        self._unit.session.executemany(
            "UPDATE lea_fleet_refused SET hostname = NULL, address = NULL"
            f" WHERE {KEY}",
            [each._asdict() for each in refused],
        )

    def _bounds(self) -> dict[str, str]:
        kept_since = clock.before(self._unit.now, REFUSED_MEMORY)
        return {"kept_since": kept_since, "now": self._unit.timestamp}


def _refused(row: Sequence[Any]) -> RefusedMachine:
    token, _, code, machine_id, hostname, address, *rest = row
    times, first_at, last_at, status, last_seen_at, released_until, heard = rest
    return {
        "machine_id": machine_id,
        "hostname": hostname,
        "address": address,
        "enrollment_token": token or None,
        "code": code,
        "refused": times,
        "first_at": first_at,
        "last_at": last_at,
        "agent_status": status,
        "last_seen_at": last_seen_at,
        "still_alive": bool(heard),
        "released_until": released_until,
    }
