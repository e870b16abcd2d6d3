"""Enrollment tokens: each enrolls a limited number of machines until it expires."""

from __future__ import annotations

import builtins
import json
from collections.abc import Iterable
from typing import Any, cast

from ..core import clock
from ..core.events import ENROLLMENTS
from ..core.limits import LONGEST_DURATION, MOST_ENROLLMENT_TOKEN_USES, MOST_TAGS
from ..core.problems import (
    EnrollmentTokenExhausted,
    TokenRevoked,
    UnknownEnrollmentToken,
)
from ..core.rows import ENROLLMENT_TOKEN_STATES, EnrollmentToken
from ..core.tags import parse_tags
from ..core.tokens import ENROLLMENT_PREFIX, hash_token, is_long_token
from .events import Events
from .unit_of_work import Repository

_COLUMNS = (
    "id",
    "label",
    "created_at",
    "expires_at",
    "max_uses",
    "uses",
    "revoked_at",
    "tags",
)
_SELECT = f"""SELECT {', '.join(_COLUMNS)}, CASE
    WHEN revoked_at IS NOT NULL THEN 'revoked'
    WHEN expires_at <= :now THEN 'expired'
    WHEN uses >= max_uses THEN 'used_up'
    ELSE 'active'
  END AS state
  FROM lea_fleet_enrollment_tokens"""
_INSERT = (
    "INSERT INTO lea_fleet_enrollment_tokens"
    " (token_hash, label, created_at, expires_at, max_uses, tags)"
    " VALUES (:token_hash, :label, :now, :expires_at, :max_uses, :tags) RETURNING id"
)

# The events say it, of which those of present enrollments are never pruned. The index
# lea_fleet_events_enrolled has this very condition; an actor begins with its role and
# its enrollment token (auth/credentials.py: actor_of). With OR, SQLite would read the
# whole index.
_ENROLLED = f"""SELECT machine_id, at FROM lea_fleet_events
  WHERE event IN ({", ".join(f"'{event}'" for event in ENROLLMENTS)})"""
_ENROLLED_WITH = f"""(machine_id, enrolled_agents.enrolled_at) IN (
    {_ENROLLED} AND actor = :enrolled_by
    UNION ALL {_ENROLLED} AND actor >= :enrolled_from AND actor < :enrolled_until
  )"""


def enrolled_with(token_id: int) -> tuple[str, dict[str, Any]]:
    """Return the condition for machines whose present enrollment was with that token.

    With it come its parameters.
    """
    actor = f'{{"role": "installer", "enrollment_token": {token_id}'
    return _ENROLLED_WITH, {
        "enrolled_by": f"{actor}}}",
        "enrolled_from": f"{actor},",
        "enrolled_until": f"{actor}-",  # the character after the comma
    }


class EnrollmentTokens(Repository):
    """Enrollment tokens. create() and revoke() open a transaction, use() needs one."""

    def list(self, state: str | None = None) -> list[EnrollmentToken]:
        """Return the enrollment tokens, newest first.

        Those in one *state* of ENROLLMENT_TOKEN_STATES, or all.
        """
        listed = self._select("ORDER BY id DESC")
        return [token for token in listed if state in (None, token["state"])]

    def count_by_state(self) -> dict[str, int]:
        """Return the number of enrollment tokens in each state."""
        rows = self._unit.session.execute(
            f"SELECT state, count(*) FROM ({_SELECT}) AS token GROUP BY state",
            {"now": self._unit.timestamp},
        )
        counted = {state: count for state, count in rows}
        return {**dict.fromkeys(ENROLLMENT_TOKEN_STATES, 0), **counted}

    def find(self, token_hash: str) -> EnrollmentToken | None:
        """Return the token with that hash, or None."""
        found = self._select("WHERE token_hash = :token_hash", token_hash=token_hash)
        return found[0] if found else None

    def require(self, token_id: int) -> EnrollmentToken:
        """Return the token with that id. Raises UnknownEnrollmentToken."""
        found = self._select("WHERE id = :id", id=token_id)
        if not found:
            raise UnknownEnrollmentToken(token_id)
        return found[0]

    def create(
        self,
        token: str,
        *,
        label: str,
        lifetime: float | None,
        max_uses: int,
        tags: Iterable[str] = (),
    ) -> EnrollmentToken:
        """Store the hash of a new *token*, and return its row.

        *lifetime* is in seconds, or None for a token that never expires; its machines
        are given the *tags*. Raises
        ValueError for a token that new_enrollment_token() has not made, and for a
        number of uses, a lifetime or a tag that the API would refuse.
        """
        if not is_long_token(token, ENROLLMENT_PREFIX):
            raise ValueError("An enrollment token is made by new_enrollment_token().")
        if not 1 <= max_uses <= MOST_ENROLLMENT_TOKEN_USES:
            raise ValueError("The number of uses of this token is not valid.")
        if lifetime is not None and not 0 < lifetime <= LONGEST_DURATION:
            raise ValueError("The lifetime of this token is not valid.")
        given = parse_tags(tags)
        if len(given) > MOST_TAGS:
            raise ValueError("This token has too many tags.")
        unit = self._unit
        with unit.transaction():
            expires = None if lifetime is None else clock.after(unit.now, lifetime)
            values = {
                "token_hash": hash_token(token.encode()),
                "label": label,
                "now": unit.timestamp,
                "expires_at": expires,
                "max_uses": max_uses,
                "tags": json.dumps(given),
            }
            ((token_id,),) = unit.session.execute(_INSERT, values).fetchall()
            return self._recorded("enrollment_token_created", token_id)

    def use(self, token_id: int) -> builtins.list[str]:
        """Count one use, and return the tags that the machine is given.

        Raises EnrollmentTokenExhausted if no use is left, and TokenRevoked if it was
        revoked since the guard's check.
        """
        counted = self._unit.session.execute(
            "UPDATE lea_fleet_enrollment_tokens SET uses = uses + 1"
            " WHERE id = :id AND uses < max_uses AND revoked_at IS NULL"
            " RETURNING tags",
            {"id": token_id},
        ).fetchall()
        if not counted:
            if self.require(token_id)["revoked_at"] is not None:
                raise TokenRevoked("This enrollment token has been revoked.")
            raise EnrollmentTokenExhausted(
                "This enrollment token has no uses left; ask for another."
            )
        return list(json.loads(counted[0][0]))

    def revoke(self, token_id: int) -> EnrollmentToken:
        """Revoke the token and return it.

        One that is revoked already keeps its date. Raises UnknownEnrollmentToken.
        """
        with self._unit.transaction():
            token = self.require(token_id)
            if token["revoked_at"] is not None:
                return token
            self._unit.session.execute(
                "UPDATE lea_fleet_enrollment_tokens SET revoked_at = :now"
                " WHERE id = :id",
                {"id": token_id, "now": self._unit.timestamp},
            )
            return self._recorded("enrollment_token_revoked", token_id)

    def _recorded(self, event: str, token_id: int) -> EnrollmentToken:
        """Record an event about the token, and return the token."""
        token = self.require(token_id)
        Events(self._unit).add(
            event,
            None,
            enrollment_token=token_id,
            label=token["label"],
            expires_at=token["expires_at"],
            max_uses=token["max_uses"],
        )
        return token

    def _select(self, which: str, **values: Any) -> builtins.list[EnrollmentToken]:
        rows = self._unit.session.execute(
            f"{_SELECT} {which}", {"now": self._unit.timestamp, **values}
        )
        names = (*_COLUMNS, "state")
        tokens = [dict(zip(names, row)) for row in rows]
        for token in tokens:
            token["tags"] = json.loads(token["tags"])
        return cast(builtins.list[EnrollmentToken], tokens)
