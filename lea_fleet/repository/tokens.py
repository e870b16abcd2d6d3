"""The agents' tokens: kept as hashes, each bound to one enrolment."""

from __future__ import annotations

import sqlite3
from typing import Any

from .. import clock
from ..transaction import transaction


class TokenRepository:
    """The tokens of the agents, over one open *connection*.

    Tokens come and go as SHA-256 in hexadecimal. What writes does so in a
    transaction of its own, or as a part of the one that is open. Every method
    may raise sqlite3.Error.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def add(self, agent: dict[str, Any], token_hash: str) -> None:
        """Keep a token that belongs to the enrolment the *agent* is in."""
        with transaction(self.connection):
            self.connection.execute(
                "INSERT INTO lea_fleet_tokens"
                " (token_hash, machine_id, enrolled_at, issued_at)"
                " VALUES (?, ?, ?, ?)",
                (token_hash, agent["machine_id"], agent["enrolled_at"], _now()),
            )

    def find(self, token_hash: str) -> dict[str, Any] | None:
        """Return what is known of a token and of the machine it is for, or None.

        ``is_current`` tells whether the machine is still in the enrolment that
        the token belongs to; ``status`` and ``uninstalled_at`` are the
        machine's; ``first_used_at`` and ``revoked_at`` are the token's. A token
        whose machine was deleted from the table is not found.
        """
        row = self.connection.execute(
            "SELECT token.machine_id, token.first_used_at, token.revoked_at,"
            " agent.status, agent.uninstalled_at,"
            " token.enrolled_at = agent.enrolled_at AS is_current"
            " FROM lea_fleet_tokens AS token"
            " JOIN enrolled_agents AS agent ON agent.machine_id = token.machine_id"
            " WHERE token.token_hash = ?",
            (token_hash,),
        ).fetchone()
        return None if row is None else dict(row)

    def mark_used(self, token_hash: str) -> None:
        """Write down that a token has been used, the first time it is."""
        with transaction(self.connection):
            self.connection.execute(
                "UPDATE lea_fleet_tokens SET first_used_at = ?"
                " WHERE token_hash = ? AND first_used_at IS NULL",
                (_now(), token_hash),
            )

    def revoke_all(self, machine_id: str, moment: str) -> None:
        """Revoke every token of a machine that is not revoked yet, at *moment*."""
        with transaction(self.connection):
            self.connection.execute(
                "UPDATE lea_fleet_tokens SET revoked_at = ?"
                " WHERE machine_id = ? AND revoked_at IS NULL",
                (moment, machine_id),
            )


def _now() -> str:
    return clock.iso(clock.now())
