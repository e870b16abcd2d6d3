"""Takes what is personal out of an event. Knows no Flask and no SQL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..text import folded

#: The members of a detail in which machines name people and host names.
_SIDES = ("before", "after")

#: Those in which a person writes what they like.
_FREE_TEXT = ("reason", "label")

#: Whose address says where a machine is, and so where its user is.
_ON_THE_MACHINE = ("agent", "installer")

_OPERATORS = ("user", "os_user")


@dataclass(frozen=True)
class Redaction:
    """What has to go from an event; texts are as :func:`folded` gives them.

    *values* go wherever they stand: from ``before``, ``after`` and ``hostnames``
    where one is the whole value, and a free text goes where it contains one. With
    *before* and *after* the values there go whatever they are, but for those that
    are *spared*; with *after* the hostnames of a suspected clone too. With
    *address*, that of an agent or installer goes; and *operator* goes as an actor.
    """

    values: frozenset[str] = frozenset()
    before: bool = False
    after: bool = False
    spared: frozenset[str] = frozenset()
    address: bool = False
    operator: str | None = None

    def actor(self, actor: Mapping[str, Any]) -> tuple[dict[str, Any], set[str]]:
        """Return an event's actor without what has to go, and what has gone."""
        kept, gone = dict(actor), set()
        if self.operator is not None:
            for name in _OPERATORS:
                if folded(actor.get(name)) == self.operator:
                    gone |= {"operator"} | ({"address"} & kept.keys())
                    del kept[name]
                    kept.pop("address", None)
        if self.address and actor.get("role") in _ON_THE_MACHINE and "address" in kept:
            del kept["address"]
            gone.add("address")
        return kept, gone

    def detail(self, detail: Mapping[str, Any]) -> tuple[dict[str, Any], set[str]]:
        """Return an event's detail without what has to go, and what has gone.

        What has gone is null, and is left out of ``hostnames``.
        """
        kept, gone = dict(detail), set()
        for side in _SIDES:
            said = detail.get(side)
            if isinstance(said, dict):
                names = {n for n, v in said.items() if self._takes(side, v)}
                kept[side] = {n: None if n in names else said[n] for n in said}
                gone |= names
        if isinstance(detail.get("hostnames"), list):
            named = detail["hostnames"]
            kept["hostnames"] = [n for n in named if not self._takes("after", n)]
            gone |= {"hostname"} if kept["hostnames"] != named else set()
        for name in _FREE_TEXT:
            if self.is_in(detail.get(name)):
                kept[name] = None
                gone.add(name)
        return kept, gone

    def is_in(self, text: object) -> bool:
        """Tell whether a free *text* contains one of the values, in any case."""
        text = folded(text)
        return any(value in text for value in self.values)

    def _takes(self, side: str, value: object) -> bool:
        if value is None:
            return False
        text = folded(value)
        return text in self.values or (getattr(self, side) and text not in self.spared)
