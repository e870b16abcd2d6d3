"""``lea_fleet_operators``: operators with a name, each with a token and a role."""

from __future__ import annotations

import builtins
from typing import Any, cast

from ..core import clock
from ..core.limits import LONGEST_DURATION, OPERATOR_USE_RESOLUTION
from ..core.problems import UnknownOperator
from ..core.rows import OPERATOR_ROLES, Operator
from ..core.tokens import OPERATOR_PREFIX, hash_token, is_long_token
from .events import Events
from .unit_of_work import Repository
from .views import Views

_COLUMNS = (
    "id",
    "name",
    "role",
    "personal",
    "created_at",
    "expires_at",
    "last_used_at",
    "revoked_at",
)
_SELECT = f"""SELECT {', '.join(_COLUMNS)}, CASE
    WHEN revoked_at IS NOT NULL THEN 'revoked'
    WHEN expires_at <= :now THEN 'expired'
    ELSE 'active'
  END AS state
  FROM lea_fleet_operators"""
_INSERT = (
    "INSERT INTO lea_fleet_operators"
    " (token_hash, name, role, personal, created_at, expires_at)"
    " VALUES (:token_hash, :name, :role, :personal, :now, :expires_at) RETURNING id"
)
_USE = (
    "UPDATE lea_fleet_operators SET last_used_at = :now WHERE id = :id"
    " AND (last_used_at IS NULL OR last_used_at < :since)"
)


class Operators(Repository):
    """Operators. Each method that writes is a transaction of its own."""

    def list(self) -> list[Operator]:
        """Return all operators, newest first."""
        return self._select("ORDER BY id DESC")

    def find(self, token_hash: str) -> Operator | None:
        """Return the operator whose token has that hash, or None."""
        found = self._select("WHERE token_hash = :token_hash", token_hash=token_hash)
        return found[0] if found else None

    def confirm(self, token_hash: str) -> Operator | None:
        """Return what :meth:`find` does, which holds until the transaction ends.

        Needs an open transaction: whoever revokes the token waits for its end.
        """
        found = self.find(token_hash)
        if found is None:
            return None
        self._hold(found["id"])
        return self.find(token_hash)

    def require(self, operator_id: int) -> Operator:
        """Return the operator with that id. Raises UnknownOperator."""
        found = self._select("WHERE id = :id", id=operator_id)
        if not found:
            raise UnknownOperator(operator_id)
        return found[0]

    def create(
        self,
        token: str,
        *,
        name: str,
        role: str,
        lifetime: float | None,
        personal: bool = True,
    ) -> Operator:
        """Store the hash of a new *token*, and return its row.

        *lifetime* is in seconds, or None for a token that never expires; *personal* is
        whether personal data is shown, which only a viewer can do without. Raises
        ValueError for a token that new_operator_token() has not made, and for a name,
        role or lifetime that the API would refuse.
        """
        if not is_long_token(token, OPERATOR_PREFIX):
            raise ValueError("An operator's token is made by new_operator_token().")
        if not name or role not in OPERATOR_ROLES:
            raise ValueError("The name or the role of this operator is not valid.")
        if not personal and role != "viewer":
            raise ValueError("Without personal data is not valid but for a viewer.")
        if lifetime is not None and not 0 < lifetime <= LONGEST_DURATION:
            raise ValueError("The lifetime of this token is not valid.")
        unit = self._unit
        with unit.transaction():
            expires = None if lifetime is None else clock.after(unit.now, lifetime)
            values = {
                "token_hash": hash_token(token.encode()),
                "name": name,
                "role": role,
                "personal": personal,
                "now": unit.timestamp,
                "expires_at": expires,
            }
            ((operator_id,),) = unit.session.execute(_INSERT, values).fetchall()
            return self._recorded("operator_created", operator_id)

    def revoke(self, operator_id: int) -> Operator:
        """Revoke the token of an operator and return it; its own views are deleted.

        One that is revoked already keeps its date. Raises UnknownOperator.
        """
        with self._unit.transaction():
            self._hold(operator_id)
            operator = self.require(operator_id)
            if operator["revoked_at"] is not None:
                return operator
            self._unit.session.execute(
                "UPDATE lea_fleet_operators SET revoked_at = :now WHERE id = :id",
                {"id": operator_id, "now": self._unit.timestamp},
            )
            Views(self._unit).forget_ended()
            return self._recorded("operator_revoked", operator_id)

    def note_use(self, operator: Operator) -> None:
        """Store that an operator's token was used now, at most once an hour."""
        since = clock.before(self._unit.now, OPERATOR_USE_RESOLUTION)
        used = operator["last_used_at"]
        if used is not None and used >= since:
            return
        with self._unit.transaction(durable=False):
            values = {"id": operator["id"], "now": self._unit.timestamp, "since": since}
            self._unit.session.execute(_USE, values)

    def _hold(self, operator_id: int) -> None:
        self._unit.dialect.take_turn(self._unit.session, f"operator {operator_id}")

    def _recorded(self, event: str, operator_id: int) -> Operator:
        """Record an event about the operator, and return it."""
        operator = self.require(operator_id)
        Events(self._unit).add(
            event,
            None,
            operator=operator_id,
            name=operator["name"],
            role=operator["role"],
            expires_at=operator["expires_at"],
        )
        return operator

    def _select(self, which: str, **values: Any) -> builtins.list[Operator]:
        rows = self._unit.session.execute(
            f"{_SELECT} {which}", {"now": self._unit.timestamp, **values}
        )
        names = (*_COLUMNS, "state")
        found = [dict(zip(names, row)) for row in rows]
        return [
            cast(Operator, {**row, "personal": bool(row["personal"])}) for row in found
        ]
