"""Warn of imported machines whose ids look like those of other machines."""

from __future__ import annotations

from typing import NamedTuple

from ..core.machine import look
from ..core.text import printable
from ..storage.lookalikes import Lookalikes
from ..storage.unit_of_work import UnitOfWork
from .output import note

#: How many are in the JSON output, and how many are printed on the screen.
_KEPT = 100
_SAID = 10


class Alike(NamedTuple):
    """A line of the file whose machine is new, and the machine that it looks like."""

    line: int
    machine_id: str
    looks_like: str


class Warnings:
    """The new machines of one import that look like others; ``first`` are in JSON."""

    def __init__(self) -> None:
        self.count = 0
        self.first: list[Alike] = []
        self._known: dict[str, str] = {}

    def read_known(self, unit: UnitOfWork) -> None:
        """Read the machines that there are before the import."""
        self._known = Lookalikes(unit).by_look()

    def see(self, line: int, machine_id: str) -> None:
        """Note a new machine, by its stored id, in this line of the file."""
        other = self._known.setdefault(look(machine_id), machine_id)
        if other == machine_id:
            return
        self.count += 1
        if len(self.first) < _KEPT:
            self.first.append(Alike(line, machine_id, other))

    def members(self) -> dict[str, object]:
        """Return the member of the JSON output that names the first of them, if any."""
        first = [alike._asdict() for alike in self.first]
        return {"lookalikes": first} if first else {}

    def say(self) -> None:
        """Print the first of them to standard error."""
        for line, machine_id, other in self.first[:_SAID]:
            note(
                f"Warning: line {line}, {printable(machine_id)}: looks like"
                f" {printable(other)}, and is another machine."
            )
        if self.count > _SAID:
            note(f"And {self.count - _SAID} more that look alike.")
