"""What is known of one person, from every table."""

from __future__ import annotations

from typing import Any

from ..core import clock
from ..core.privacy.export import acts_of, events_of, mentions_of
from ..core.privacy.redaction import folded
from .agents import AgentRepository
from .erasure import ErasureRepository


class PersonRepository:
    """Finds what is known of a person, over the connection of a *repository*."""

    def __init__(self, repository: AgentRepository) -> None:
        self._repository = repository
        self._erasure = ErasureRepository(repository)

    def known(self, typed: str) -> dict[str, Any]:
        """Return what is known of the person with that e-mail, of one moment.

        ``machines``, ``acts`` and ``mentions`` are empty where nothing is.
        """
        email = folded(typed)
        found: dict[str, list[Any]] = {"machines": [], "acts": [], "mentions": []}
        with self._repository.snapshot():
            for machine_id in self._erasure.naming(email):
                history = self._erasure.history(machine_id)
                if machine_id is not None:
                    found["machines"] += self._machine(machine_id, email)
                found["acts"] += acts_of(history, email)
                found["mentions"] += mentions_of(history, email)
        exported_at = clock.iso(clock.now())
        return {"user_email": typed, "exported_at": exported_at, **found}

    def _machine(self, machine_id: str, email: str) -> list[dict[str, Any]]:
        """Return what a machine says of the person, where it says something."""
        history = self._erasure.history(machine_id)
        theirs = history.of(email) | {email}
        about: dict[str, Any] = {
            "machine_id": machine_id,
            "agent": history.row if history.holder == email else None,
            "tokens": [],
            "identities": [
                identity
                for identity in self._identities(machine_id)
                if folded(identity["value"]) in theirs
            ],
            "events": events_of(history, email),
        }
        if not (about["agent"] or about["identities"] or about["events"]):
            return []
        if history.row is not None and about["agent"]:
            about["tokens"] = self._tokens(machine_id, history.row["enrolled_at"])
        return [about]

    def _identities(self, machine_id: str) -> list[dict[str, Any]]:
        rows = self._repository.connection.execute(
            "SELECT name, value, left_at FROM lea_fleet_identities"
            " WHERE machine_id = ? ORDER BY left_at, name",
            (machine_id,),
        )
        return [dict(row) for row in rows]

    def _tokens(self, machine_id: str, enrolled_at: str) -> list[dict[str, Any]]:
        """Return the dates of an enrolment's tokens."""
        rows = self._repository.connection.execute(
            "SELECT issued_at, first_used_at, revoked_at FROM lea_fleet_tokens"
            " WHERE machine_id = ? AND enrolled_at = ? ORDER BY issued_at",
            (machine_id, enrolled_at),
        )
        return [dict(row) for row in rows]
