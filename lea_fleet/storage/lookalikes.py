"""Find machine ids that look alike: one computer may have become two machines.

Ids are compared as they are, since the older server does so too; a GUID in another
case or with braces is then another machine, and nobody notices. So it is shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..core.machine import look
from ..core.text import folded
from .unit_of_work import Repository

_IDS = "SELECT CAST(machine_id AS TEXT) FROM enrolled_agents"


class Lookalikes(Repository):
    """Machines by what their ids look like; each method reads the ids of all."""

    def of(self, machine_id: str) -> list[str]:
        """Return the other machines whose ids look like *machine_id*."""
        return [each for each in self.all_of(machine_id) if each != machine_id]

    def all_of(self, machine_id: str) -> list[str]:
        """Return the machines whose ids look like *machine_id*, with itself."""
        looked_for = look(machine_id)
        return sorted(each for each in self._ids(_IDS) if look(each) == looked_for)

    def groups(self, machine_ids: Iterable[str]) -> dict[str, list[str]]:
        """Return by look the machines whose ids look like one of these, in order.

        The ids of the fleet are read once: 0.1 s for 100,000.
        """
        groups: dict[str, list[str]] = {look(each): [] for each in machine_ids}
        for machine_id in self._ids(f"{_IDS} ORDER BY machine_id"):
            group = groups.get(look(machine_id))
            if group is not None:
                group.append(machine_id)
        return groups

    def near(self, machine_id: str) -> list[str]:
        """Return up to three ids that look like *machine_id*, which is not known.

        Failing those, the one that begins with it. For people who typed it.
        """
        looked_for, begin = look(machine_id), _typed(machine_id)
        known = list(self._ids(f"{_IDS} ORDER BY machine_id"))
        same = [
            each for each in known if look(each) == looked_for or _typed(each) == begin
        ]
        if same or not begin:
            return same[:3]
        begun = [each for each in known if _typed(each).startswith(begin)]
        return begun if len(begun) == 1 else []

    def by_look(self) -> dict[str, str]:
        """Return a machine for each look that there is."""
        return {look(machine_id): machine_id for machine_id in self._ids(_IDS)}

    def active(self) -> list[list[str]]:
        """Return the groups of active machines whose ids look alike."""
        found: dict[str, list[str]] = {}
        for machine_id in self._ids(f"{_IDS} WHERE status = 'active' ORDER BY id"):
            found.setdefault(look(machine_id), []).append(machine_id)
        return [group for group in found.values() if len(group) > 1]

    def _ids(self, query: str) -> Iterator[str]:
        for (machine_id,) in self._unit.rows(query):
            yield machine_id


def _typed(machine_id: str) -> str:
    return folded(machine_id).strip("{}")
