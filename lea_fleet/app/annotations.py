"""What operators write about a machine: its tags, and a note."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any

from ..core.events import OPERATOR_NAMES
from ..core.limits import LONGEST_NOTE
from ..core.rows import Agent, Note
from ..core.tags import parse_names, parse_tags
from ..storage.agents import Agents
from ..storage.events import Events
from ..storage.notes import Notes
from ..storage.tags import Tags
from ..storage.unit_of_work import UnitOfWork


class Annotations:
    """Tags of machines, and notes about them.

    Each write runs in a transaction of its own, or as a part of the open one, and
    raises UnknownAgent. Reached as :attr:`AgentRepository.annotations`.
    """

    def __init__(self, unit: UnitOfWork) -> None:
        self._unit = unit

    @cached_property
    def tags(self) -> Tags:
        return Tags(self._unit)

    @cached_property
    def notes(self) -> Notes:
        return Notes(self._unit)

    def of(self, agent: Agent) -> dict[str, Any]:
        """Return what is written about an *agent*, by name; for operators only."""
        machine_id = agent["machine_id"]
        return {"tags": self.tags.of(machine_id), "note": self.notes.of(machine_id)}

    def tag(
        self, machine_id: str, given: Iterable[str] = (), removed: Iterable[str] = ()
    ) -> list[str]:
        """Give a machine tags, remove others by name, and return all that it has.

        Raises ValueError for a tag that is not valid, and InvalidField for more than a
        machine may have.
        """
        tags, names = parse_tags(given), parse_names(removed)
        with self._unit.transaction(about=machine_id):
            known = Agents(self._unit).require(machine_id)["machine_id"]
            self.tags.change(known, tags, names)
            return self.tags.of(known)

    def note(self, machine_id: str, text: str) -> Note:
        """Write the *text* down about a machine, instead of what was there before.

        Raises ValueError for a text that is blank, or too long.
        """
        text = text.strip()
        if not 1 <= len(text) <= LONGEST_NOTE or not any(map(str.isprintable, text)):
            raise ValueError(f"A note has 1 to {LONGEST_NOTE} characters to be seen.")
        with self._unit.transaction(about=machine_id):
            known = Agents(self._unit).require(machine_id)["machine_id"]
            note = self.notes.of(known)
            if note is None or note["text"] != text:
                self.notes.set(known, text, self._author)
                Events(self._unit).add("noted", known)
            written = self.notes.of(known)
            assert written is not None
            return written

    def remove_note(self, machine_id: str) -> None:
        """Remove the note about a machine, if there is one."""
        with self._unit.transaction(about=machine_id):
            known = Agents(self._unit).require(machine_id)["machine_id"]
            if self.notes.of(known) is not None:
                self.notes.remove(known)
                Events(self._unit).add("note_removed", known)

    @property
    def _author(self) -> str | None:
        actor = self._unit.actor
        return next((actor[name] for name in OPERATOR_NAMES if name in actor), None)
