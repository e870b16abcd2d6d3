"""``lea_fleet_selections``: machines that an operator is about to act on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ..core import clock
from ..core.limits import (
    BULK_STEP,
    MOST_SELECTIONS,
    MOST_SELECTIONS_OF_ALL,
    SELECTION_LIFETIME,
)
from .unit_of_work import Repository

_ADD = """INSERT INTO lea_fleet_selections (owner, filter, machines, expires_at)
  VALUES (:owner, :filter, :machines, :expires_at) RETURNING id"""


class Selection(NamedTuple):
    """A selection; *filter* is what its machines must still match, as JSON."""

    id: int
    filter: str
    machines: int
    expires_at: str

    @property
    def steps(self) -> int:
        """The number of transactions that acting on all of it takes."""
        return -(-self.machines // BULK_STEP)


class Selections(Repository):
    """Selections of machines. keep() needs an open transaction."""

    def keep(self, filter: str, owner: str, ids: Sequence[int]) -> Selection:
        """Store a selection of the rows *ids* for its *owner*, and return it.

        Those that have expired are deleted, and the oldest ones of that owner, and of
        all, beyond their bounds.
        """
        self._make_room(owner)
        values = {
            "owner": owner,
            "filter": filter,
            "machines": len(ids),
            "expires_at": clock.after(self._unit.now, SELECTION_LIFETIME),
        }
        ((selection,),) = self._unit.session.execute(_ADD, values).fetchall()
        self._unit.session.executemany(
            "INSERT INTO lea_fleet_selected (selection, step, ids)"
            " VALUES (:selection, :step, :ids)",
            [
                {"selection": selection, "step": step, "ids": json.dumps(each)}
                for step, each in enumerate(steps_of(ids))
            ],
        )
        return Selection(selection, filter, len(ids), str(values["expires_at"]))

    def find(self, selection_id: int, owner: str) -> Selection | None:
        """Return a selection of that *owner* that has not expired, or None."""
        row = self._unit.session.execute(
            "SELECT id, filter, machines, expires_at FROM lea_fleet_selections"
            " WHERE id = :id AND owner = :owner AND expires_at > :now",
            {"id": selection_id, "owner": owner, "now": self._unit.timestamp},
        ).fetchone()
        return None if row is None else Selection(*row)

    def ids(self, selection_id: int, step: int | None = None) -> list[int]:
        """Return the row ids of a selection: of one step, or of all of them."""
        which = "" if step is None else " AND step = :step"
        rows = self._unit.session.execute(
            f"SELECT ids FROM lea_fleet_selected WHERE selection = :id{which}"
            " ORDER BY step",
            {"id": selection_id, "step": step},
        )
        return [row_id for (ids,) in rows for row_id in json.loads(ids)]

    def clear(self) -> None:
        """Delete all selections: their filters may name people."""
        for table in ("lea_fleet_selections", "lea_fleet_selected"):
            self._unit.session.execute(f"DELETE FROM {table}")

    def _make_room(self, owner: str) -> None:
        execute, now = self._unit.session.execute, {"now": self._unit.timestamp}
        kept = execute(
            "SELECT id, owner FROM lea_fleet_selections WHERE expires_at > :now"
            " ORDER BY id DESC",
            now,
        ).fetchall()
        theirs = [each for each, of in kept if of == owner][MOST_SELECTIONS - 1 :]
        rest = [each for each, _ in kept][MOST_SELECTIONS_OF_ALL - 1 :]
        for gone in {*theirs, *rest}:
            execute("DELETE FROM lea_fleet_selections WHERE id = :id", {"id": gone})
        execute("DELETE FROM lea_fleet_selections WHERE expires_at <= :now", now)
        execute(
            "DELETE FROM lea_fleet_selected WHERE selection NOT IN"
            " (SELECT id FROM lea_fleet_selections)"
        )


def steps_of(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    """Yield the row *ids* of the machines of each transaction."""
    for begin in range(0, len(ids), BULK_STEP):
        yield ids[begin : begin + BULK_STEP]
