"""``lea_fleet_notes``: what operators have written down about a machine."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from ..core.rows import Note
from .interface import Dialect
from .unit_of_work import Repository

#: The note about a row of ``enrolled_agents``.
NOTE = (
    "(SELECT note FROM lea_fleet_notes"
    " WHERE lea_fleet_notes.machine_id = enrolled_agents.machine_id)"
)


@cache
def _set(dialect: Dialect) -> str:
    names = [*dialect.with_keys({"note": None}), "author", "noted_at"]
    marks = ", ".join(f":{name}" for name in names)
    given = ", ".join(f"{name} = excluded.{name}" for name in names)
    return (
        f"INSERT INTO lea_fleet_notes (machine_id, {', '.join(names)})"
        f" VALUES (:machine_id, {marks}) ON CONFLICT (machine_id) DO UPDATE SET {given}"
    )


@cache
def containing(dialect: Dialect, few: bool) -> str:
    """Return the condition for machines whose note contains ``:q``.

    It reads all notes once, or those of *few* machines.
    """
    contains = dialect.contains(("note",))
    if few:
        own = "lea_fleet_notes.machine_id = enrolled_agents.machine_id"
        return f"EXISTS (SELECT 1 FROM lea_fleet_notes WHERE {own} AND {contains})"
    return f"machine_id IN (SELECT machine_id FROM lea_fleet_notes WHERE {contains})"


class Notes(Repository):
    """Notes about machines. Methods that write need an open transaction."""

    def of(self, machine_id: str) -> Note | None:
        """Return the note about a machine, if there is one."""
        row = self._unit.session.execute(
            "SELECT note, author, noted_at FROM lea_fleet_notes"
            " WHERE machine_id = :machine_id",
            {"machine_id": machine_id},
        ).fetchone()
        if row is None:
            return None
        return Note(text=row[0], author=row[1], noted_at=row[2])

    def set(self, machine_id: str, text: str, author: str | None) -> None:
        """Store the note about a machine, instead of the one before it."""
        dialect = self._unit.dialect
        written = {
            "machine_id": machine_id,
            **dialect.with_keys({"note": text}),
            "author": author,
            "noted_at": self._unit.timestamp,
        }
        self._unit.session.execute(_set(dialect), written)
        dialect.note_change(self._unit.session, machine_id)

    def remove(self, machine_id: str) -> None:
        """Delete the note about a machine, if there is one."""
        self._unit.session.execute(
            "DELETE FROM lea_fleet_notes WHERE machine_id = :machine_id",
            {"machine_id": machine_id},
        )
        self._unit.dialect.note_change(self._unit.session, machine_id)

    def all(self) -> Iterator[tuple[str, str, str | None]]:
        """Yield each machine with a note, the note and its author."""
        for row in self._unit.rows(
            "SELECT machine_id, note, author FROM lea_fleet_notes"
        ):
            yield tuple(row)

    def forget_author(self, machine_id: str) -> None:
        """Delete who has written the note about a machine."""
        self._unit.session.execute(
            "UPDATE lea_fleet_notes SET author = NULL WHERE machine_id = :machine_id",
            {"machine_id": machine_id},
        )
