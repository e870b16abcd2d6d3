"""Releases: allow an active machine to re-enroll once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ..core import clock
from ..core.limits import RELEASE_LIFETIME
from ..core.problems import AlreadyEnrolled
from ..core.refused import OPERATOR
from ..core.rows import Agent
from .unit_of_work import Repository, enrollment_of

#: The end of an imported machine's release: it lasts until the machine enrolls.
NEVER = "9999-12-31T23:59:59+00:00"

#: Selects a row if the outer query's ``agent`` may re-enroll.
RELEASE = (
    "SELECT 1 FROM lea_fleet_releases AS release"
    " WHERE release.machine_id = agent.machine_id AND released_until > :now"
    " AND release.enrolled_at = agent.enrolled_at"
)

_OF_MACHINE = """SELECT 1 FROM lea_fleet_releases AS release
    WHERE release.machine_id = enrolled_agents.machine_id
    AND release.enrolled_at = enrolled_agents.enrolled_at"""

#: The condition for a machine in ``enrolled_agents`` that was imported and has never
#: come: its installer may claim it.
PENDING = f"""last_seen_at IS NULL AND EXISTS (
    {_OF_MACHINE} AND release.released_until = '{NEVER}'
  )"""

#: The condition for a machine in ``enrolled_agents`` that an operator lets re-enroll.
RELEASED = f"""(status = 'active' AND EXISTS (
    {_OF_MACHINE}
    AND release.released_until > :now AND release.released_until < '{NEVER}'
  ))"""

# A release that already lasts longer is not shortened.
_ADD = """INSERT INTO lea_fleet_releases
    (machine_id, enrolled_at, released_until, enrollment_token)
  VALUES (:machine_id, :enrolled_at, :until, :enrollment_token)
  ON CONFLICT (machine_id) DO UPDATE SET
    released_until = CASE
      WHEN lea_fleet_releases.enrolled_at = excluded.enrolled_at
        AND lea_fleet_releases.released_until > excluded.released_until
      THEN lea_fleet_releases.released_until
      ELSE excluded.released_until END,
    enrolled_at = excluded.enrolled_at,
    enrollment_token = excluded.enrollment_token
  RETURNING released_until"""


class Release(NamedTuple):
    """Until when a machine may re-enroll, and with which token alone.

    *enrollment_token* is None if it may with any, or as a command does.
    """

    until: str
    enrollment_token: int | None


class Releases(Repository):
    """Releases. Methods that write need an open transaction."""

    def add(
        self, agent: Mapping[str, Any], enrollment_token: int | None = None
    ) -> Release:
        """Allow an *agent* to re-enroll; return the release that it has then.

        With *enrollment_token*, it may with that token alone (OPERATOR is theirs),
        unless it may with any already.
        """
        if enrollment_token is not None:
            known = self.find(agent)
            if known is not None and known.enrollment_token is None:
                return known
        until = clock.after(self._unit.now, RELEASE_LIFETIME)
        return Release(self._add(agent, until, enrollment_token), enrollment_token)

    def count(self) -> int:
        """Return how many active machines an operator lets re-enroll."""
        ((machines,),) = self._unit.session.execute(
            "SELECT count(*) FROM enrolled_agents WHERE machine_id IN"
            f" (SELECT machine_id FROM lea_fleet_releases) AND {RELEASED}",
            {"now": self._unit.timestamp},
        ).fetchall()
        return int(machines)

    def add_endless(self, agent: Mapping[str, Any]) -> None:
        """Allow an *agent* to re-enroll, without a time limit."""
        self._add(agent, NEVER, None)

    def is_endless(self, agent: Mapping[str, Any]) -> bool:
        """Return whether an *agent* may re-enroll without a time limit."""
        return self.until(agent) == NEVER

    def until(self, agent: Mapping[str, Any]) -> str | None:
        """Return until when an *agent* may re-enroll, or None if it may not."""
        release = self.find(agent)
        return None if release is None else release.until

    def find(self, agent: Mapping[str, Any]) -> Release | None:
        """Return the release of an *agent*, or None if it may not re-enroll."""
        row = self._unit.session.execute(
            "SELECT released_until, enrollment_token FROM lea_fleet_releases"
            " WHERE machine_id = :machine_id AND enrolled_at = :enrolled_at"
            " AND released_until > :now",
            {**enrollment_of(agent), "now": self._unit.timestamp},
        ).fetchone()
        return None if row is None else Release(str(row[0]), row[1])

    def admits_actor(self, agent: Mapping[str, Any]) -> bool:
        """Return whether an *agent* may be re-enrolled by who acts now."""
        release = self.find(agent)
        token = self._unit.actor.get("enrollment_token", OPERATOR)
        return release is not None and release.enrollment_token in (None, token)

    def reason_to_reenroll(self, known: Agent, *, force: bool) -> str:
        """Return why an active machine may re-enroll.

        Raises AlreadyEnrolled if it may not.
        """
        if force:
            return "force"
        if self.admits_actor(known):
            return "release"
        if self._unit.rule.is_given_up(known, self._unit.now):
            return "silence"
        raise AlreadyEnrolled(known)

    def clear(self, machine_id: str) -> None:
        """Delete the release of a machine, if there is one."""
        self._unit.session.execute(
            "DELETE FROM lea_fleet_releases WHERE machine_id = :machine_id",
            {"machine_id": machine_id},
        )

    def _add(
        self, agent: Mapping[str, Any], until: str, enrollment_token: int | None
    ) -> str:
        values = {"until": until, "enrollment_token": enrollment_token}
        # fetchall(), since an unfinished statement would stay open after COMMIT.
        ((released_until,),) = self._unit.session.execute(
            _ADD, {**enrollment_of(agent), **values}
        ).fetchall()
        return str(released_until)
