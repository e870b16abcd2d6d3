"""Collect the personal data of one person from every table."""

from __future__ import annotations

from typing import Any

from ..core.machine import PERSONAL
from ..core.privacy.addresses import mentions, names, person, without_others
from ..core.privacy.erasure import OF_A_USER
from ..core.privacy.export import (
    acts_of,
    block_of,
    events_of,
    is_theirs,
    mentions_of,
    notes_of,
    refusals_of,
    tags_of,
)
from ..core.privacy.ownership import History
from ..core.views import exported, is_about, is_by
from .blocks import Blocks
from .erasure import Erasure
from .naming import machines_naming
from .notes import Notes
from .operators import Operators
from .presence import Presence
from .tags import Tags
from .unit_of_work import UnitOfWork
from .views import Views


class PersonalData:
    """Export the personal data of one person."""

    def __init__(self, unit: UnitOfWork) -> None:
        self._unit = unit
        self._erasure = Erasure(unit)

    def known(self, typed: str) -> dict[str, Any]:
        """Return everything stored about the person with that e-mail address.

        It is read in one snapshot. All lists are empty if nothing is found.
        """
        email = person(typed)
        names = "machines acts mentions blocks notes refusals operators views".split()
        found: dict[str, list[Any]] = {name: [] for name in names}
        with self._unit.snapshot():
            for machine_id in machines_naming(self._unit, email):
                history = self._erasure.history(machine_id, email)
                if machine_id is not None:
                    found["machines"] += self._machine(machine_id, email, history)
                    block = self._block(machine_id, email, history)
                    found["blocks"] += (
                        [] if block in (None, *found["blocks"]) else [block]
                    )
                    note = Notes(self._unit).of(machine_id)
                    if note is not None:
                        found["notes"] += notes_of(history, email, machine_id, note)
                found["refusals"] += self._refusals(machine_id, email, history)
                found["acts"] += acts_of(history, email)
                found["mentions"] += mentions_of(history, email)
            found["operators"] = [
                {**operator, "name": without_others(operator["name"], email)}
                for operator in Operators(self._unit).list()
                if mentions(operator["name"], email)
            ]
            found["views"] = [
                exported(view, email)
                for view in Views(self._unit).list()
                if is_about(view, email) or is_by(view, email)
            ]
        exported_at = self._unit.timestamp
        return {"user_email": typed, "exported_at": exported_at, **found}

    def _machine(
        self, machine_id: str, email: str, history: History
    ) -> list[dict[str, Any]]:
        """Return the data about the person on one machine: one item or none."""
        about: dict[str, Any] = {
            "machine_id": machine_id,
            "agent": _row(history, email),
            "tags": tags_of(history, email, Tags(self._unit).of(machine_id)),
            "tokens": [],
            "presence": [],
            "identities": [
                {**identity, "value": without_others(identity["value"], email)}
                for identity in self._identities(machine_id)
                if is_theirs(history, email, identity["name"], identity["value"])
            ],
            "events": events_of(history, email),
        }
        if not any(about[name] for name in ("agent", "identities", "events", "tags")):
            return []
        if history.row is not None and history.holder == email:
            about["tokens"] = self._tokens(machine_id, history.row["enrolled_at"])
        if history.row is not None and history.is_user(email):
            about["presence"] = Presence(self._unit).days(history.row)
        return [about]

    def _block(
        self, machine_id: str, email: str, history: History
    ) -> dict[str, Any] | None:
        block = Blocks(self._unit).find(machine_id)
        return None if block is None else block_of(history, email, block)

    def _identities(self, machine_id: str) -> list[dict[str, Any]]:
        rows = self._unit.session.execute(
            "SELECT name, value, left_at FROM lea_fleet_identities"
            " WHERE machine_id = :machine_id ORDER BY left_at, name",
            {"machine_id": machine_id},
        )
        columns = ("name", "value", "left_at")
        return [dict(zip(columns, row)) for row in rows]

    def _refusals(
        self, machine_id: str | None, email: str, history: History
    ) -> list[dict[str, Any]]:
        """Return what a refused machine has said; for None, one without an id."""
        about = "IS NULL" if machine_id is None else "= :machine_id"
        rows = self._unit.session.execute(
            "SELECT machine_id, hostname, address, enrollment_token, code, refused,"
            f" first_at, last_at FROM lea_fleet_refused WHERE machine_id {about}"
            " ORDER BY first_at, enrollment_token, code",
            {"machine_id": machine_id},
        )
        names = "machine_id hostname address enrollment_token code refused"
        columns = [*names.split(), "first_at", "last_at"]
        return refusals_of(history, email, [dict(zip(columns, row)) for row in rows])

    def _tokens(self, machine_id: str, enrolled_at: str) -> list[dict[str, Any]]:
        """Return the dates of the tokens of an enrollment."""
        rows = self._unit.session.execute(
            "SELECT issued_at, first_used_at, revoked_at FROM lea_fleet_tokens"
            " WHERE machine_id = :machine_id AND enrolled_at = :enrolled_at"
            " ORDER BY issued_at",
            {"machine_id": machine_id, "enrolled_at": enrolled_at},
        )
        columns = ("issued_at", "first_used_at", "revoked_at")
        return [dict(zip(columns, row)) for row in rows]


def _row(history: History, email: str) -> dict[str, Any] | None:
    """Return the machine's row if it is that person's, without addresses of others.

    If only the user's name or id names them, without any other personal data: the rest
    may be another user's. An erasure takes those columns too.
    """
    row = history.row
    if row is None:
        return None
    if history.holder == email:
        return {**row, **{name: without_others(row[name], email) for name in PERSONAL}}
    theirs = [name for name in OF_A_USER if names(row[name], email)]
    if not theirs:
        return None
    hidden = dict.fromkeys((*PERSONAL, "uninstall_reason"))
    shown = {name: without_others(row[name], email) for name in theirs}
    return {**row, **hidden, **shown}
