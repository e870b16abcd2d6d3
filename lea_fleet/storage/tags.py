"""``lea_fleet_tags``: the groups that a machine belongs to.

A tag that an operator has given beats one of the same name that an enrollment token
gives, and both outlast a new enrollment.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cache
from typing import Any

from ..core.limits import MOST_TAGS, MOST_TAGS_COUNTED
from ..core.listing import PRESENCES
from ..core.problems import InvalidField
from ..core.tags import name_of
from .agents import PRESENCE
from .events import Events
from .interface import Dialect
from .intervals import Intervals
from .unit_of_work import Repository

_SET = """INSERT INTO lea_fleet_tags (machine_id, name, tag, by_operator)
  VALUES (:machine_id, :name, :tag, :by_operator)
  ON CONFLICT (machine_id, name) DO UPDATE
  SET tag = excluded.tag, by_operator = excluded.by_operator"""

_OF = (
    "SELECT tag FROM lea_fleet_tags"
    " WHERE machine_id = :machine_id ORDER BY machine_id, name"
)

_SUMS = ", ".join(
    f"CAST(sum(CASE WHEN presence = '{name}' THEN 1 ELSE 0 END) AS INTEGER)"
    for name in PRESENCES
)
_COUNTS = f"""SELECT tag, {_SUMS} FROM (
    SELECT lea_fleet_tags.tag AS tag, {PRESENCE} AS presence
    FROM lea_fleet_tags JOIN enrolled_agents USING (machine_id)
    WHERE {{wanted}}
  ) AS tagged GROUP BY tag
  ORDER BY sum(CASE WHEN presence = 'uninstalled' THEN 0 ELSE 1 END) DESC, tag
  LIMIT :most"""


class Tags(Repository):
    """Tags of machines. Methods that write need an open transaction."""

    def of(self, machine_id: str) -> list[str]:
        """Return the tags of a machine, sorted by name."""
        rows = self._unit.session.execute(_OF, {"machine_id": machine_id})
        return [tag for (tag,) in rows]

    def adds(self, machine_id: str, given: Iterable[str]) -> bool:
        """Return whether :meth:`change` would give a machine any of these tags.

        Raises InvalidField for more tags than a machine may have.
        """
        known = self._known(machine_id)
        new = {name_of(tag) for tag in given if known.get(name_of(tag)) != tag}
        _refuse_more(known.keys() | new)
        return bool(new)

    def change(
        self, machine_id: str, given: Iterable[str], removed: Iterable[str] = ()
    ) -> bool:
        """Remove tags by name, and give a machine others; return whether any changed.

        A tag takes the place of the one of the same name, and is an operator's from
        then on. Raises InvalidField for more tags than a machine may have.
        """
        known = self._known(machine_id)
        wanted = {name_of(tag): tag for tag in given}
        gone = [name for name in removed if name in known and name not in wanted]
        new = [tag for name, tag in wanted.items() if known.get(name) != tag]
        _refuse_more(known.keys() - set(gone) | wanted.keys())
        self._delete(machine_id, gone)
        self._set(machine_id, wanted.values(), by_operator=True)
        events = Events(self._unit)
        if gone:
            events.add("untagged", machine_id, tags=[known[name] for name in gone])
        if new:
            events.add("tagged", machine_id, tags=new)
        return bool(gone or new)

    def give_from_token(self, machine_id: str, tags: Iterable[str]) -> None:
        """Give a machine the *tags* of the enrollment token that it comes with.

        Those that an operator has given stay as they are. What is more than a machine
        may have is left out: it is no reason to refuse an enrollment.
        """
        rows = self._unit.session.execute(
            "SELECT name, tag, by_operator FROM lea_fleet_tags"
            " WHERE machine_id = :machine_id",
            {"machine_id": machine_id},
        )
        known = {name: (tag, by_operator) for name, tag, by_operator in rows}
        given: list[str] = []
        room = MOST_TAGS - len(known)
        for tag in tags:
            before, is_operators = known.get(name_of(tag), (None, False))
            if is_operators or tag == before or (before is None and room <= 0):
                continue
            room -= before is None
            given.append(tag)
        self._set(machine_id, given, by_operator=False)
        if given:
            Events(self._unit).add("tagged", machine_id, tags=given)

    def erase(self, machine_id: str, tags: Iterable[str]) -> None:
        """Delete *tags* of a machine, without an event."""
        self._delete(machine_id, map(name_of, tags))

    def all(self) -> Iterator[tuple[str, str]]:
        """Yield each machine and tag."""
        return self._unit.rows("SELECT machine_id, tag FROM lea_fleet_tags")

    def counts(self, name: str | None = None) -> list[dict[str, Any]]:
        """Count the machines of each tag by presence, the most frequent tags first.

        With *name*, of tags with that name only. Not more than MOST_TAGS_COUNTED.
        """
        unit = self._unit
        limits = unit.limits(Intervals(unit).longest_in_use())
        values = {**limits, "name": name, "most": MOST_TAGS_COUNTED}
        wanted = "true" if name is None else "name = :name"
        rows = unit.session.execute(_COUNTS.format(wanted=wanted), values)
        return [_counted(tag, dict(zip(PRESENCES, counts))) for tag, *counts in rows]

    def _known(self, machine_id: str) -> dict[str, str]:
        return {name_of(tag): tag for tag in self.of(machine_id)}

    def _set(self, machine_id: str, tags: Iterable[str], *, by_operator: bool) -> None:
        about = {"machine_id": machine_id, "by_operator": by_operator}
        rows = [{**about, "name": name_of(tag), "tag": tag} for tag in tags]
        if rows:
            self._unit.session.executemany(_SET, rows)

    def _delete(self, machine_id: str, names: Iterable[str]) -> None:
        rows = [{"machine_id": machine_id, "name": name} for name in names]
        if rows:
            self._unit.session.executemany(
                "DELETE FROM lea_fleet_tags"
                " WHERE machine_id = :machine_id AND name = :name",
                rows,
            )


def _refuse_more(names: Collection[str]) -> None:
    if len(names) > MOST_TAGS:
        message = f"a machine has at most {MOST_TAGS}"
        raise InvalidField([{"field": "tags", "message": message}])


def _counted(tag: str, by_presence: Mapping[str, int]) -> dict[str, Any]:
    active = sum(by_presence.values()) - by_presence["uninstalled"]
    return {"tag": tag, "active": active, **by_presence}


def tagged(tags: Iterable[str]) -> tuple[str, dict[str, Any]]:
    """Return the condition for machines with all of *tags*, and its parameters.

    A tag without a value stands for all tags of that name.
    """
    conditions, values = [], {}
    for number, tag in enumerate(tags):
        name, equals, _ = tag.partition("=")
        wanted = f"name = :tag_name_{number}"
        values[f"tag_name_{number}"] = name
        if equals:
            wanted += f" AND tag = :tag_{number}"
            values[f"tag_{number}"] = tag
        conditions.append(
            f"machine_id IN (SELECT machine_id FROM lea_fleet_tags WHERE {wanted})"
        )
    return " AND ".join(conditions), values


@cache
def as_json(dialect: Dialect) -> str:
    """Return the expression for the tags of a row of ``enrolled_agents``, as JSON."""
    return dialect.list_as_json(
        "tag",
        "lea_fleet_tags WHERE lea_fleet_tags.machine_id = enrolled_agents.machine_id",
        order="name",
    )
