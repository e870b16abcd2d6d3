"""Remember enrollments, so that a lost response can be sent again."""

from __future__ import annotations

from typing import NamedTuple

from ..core import clock
from ..core.limits import REPLAY_LIFETIME
from ..core.rows import Agent
from .agents import by_id
from .unit_of_work import Repository, enrollment_of

_REMEMBER = """INSERT INTO lea_fleet_enrollments
  (machine_id, enrolled_at, status, credential, key_hash)
  VALUES (:machine_id, :enrolled_at, :status, :credential, :key_hash)
  ON CONFLICT (machine_id) DO UPDATE SET enrolled_at = excluded.enrolled_at,
    status = excluded.status, credential = excluded.credential,
    key_hash = excluded.key_hash"""


class Replay(NamedTuple):
    """An enrollment whose response may be requested again."""

    enrolled_at: str
    status: str


class Replays(Repository):
    """The credential and idempotency key of each machine's last enrollment.

    Keys are passed as SHA-256 in hexadecimal. remember() needs an open transaction.
    """

    def remember(
        self, agent: Agent, status: str, credential: str, key_hash: str
    ) -> None:
        """Store how the *agent* was enrolled, in place of its last enrollment."""
        self._unit.session.execute(
            _REMEMBER,
            {
                **enrollment_of(agent),
                "status": status,
                "credential": credential,
                "key_hash": key_hash,
            },
        )

    def find(self, machine_id: str, credential: str, key_hash: str) -> Replay | None:
        """Return a machine's enrollment if its response may be sent again, or None.

        It may be for 24 hours, if the key and the credential are the same. The response
        may be of another server, whose clock is ahead of this one's.
        """
        row = self._unit.session.execute(
            "SELECT enrolled_at, status FROM lea_fleet_enrollments"
            " WHERE machine_id IN (:sent, :trimmed) AND enrolled_at > :since"
            " AND credential = :credential AND key_hash = :key_hash",
            {
                **by_id(machine_id),
                "since": clock.before(self._unit.now, REPLAY_LIFETIME),
                "credential": credential,
                "key_hash": key_hash,
            },
        ).fetchone()
        # A later one is from before the clock was set back.
        if row is None or row[0] > clock.after(self._unit.now, clock.APART):
            return None
        return Replay(*row)
