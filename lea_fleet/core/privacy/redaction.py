"""Remove personal data from an event."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..event_types import Holds
from ..event_details import holds
from ..events import OPERATOR_NAMES, ROLES_ON_THE_MACHINE
from ..text import folded
from .addresses import is_one_of, mentions_any, names


@dataclass(frozen=True)
class Redaction:
    """What to remove from an event; texts are compared as addresses.py does.

    Columns and hostnames that are one of *values* are removed, and a free text if it
    contains one. With *before* or *after*, every column that the machine reported on
    that side is removed, except for the values in *spared*; with *after*, so are the
    hostnames of a suspected clone. With *address*, the IP address of an agent or
    installer is removed. *operator* is the e-mail of an actor to remove.
    """

    values: frozenset[str] = frozenset()
    before: bool = False
    after: bool = False
    spared: frozenset[str] = frozenset()
    address: bool = False
    operator: str | None = None

    def actor(self, actor: Mapping[str, Any]) -> tuple[dict[str, Any], set[str]]:
        """Return an event's redacted *actor*, and the kinds of data removed."""
        kept, gone = dict(actor), set()
        if self.operator is not None:
            for name in operator_names(actor, self.operator):
                gone |= {"operator"} | ({"address"} & kept.keys())
                del kept[name]
                kept.pop("address", None)
        on_the_machine = actor.get("role") in ROLES_ON_THE_MACHINE
        if self.address and on_the_machine and "address" in kept:
            del kept["address"]
            gone.add("address")
        return kept, gone

    def detail(self, detail: Mapping[str, Any]) -> tuple[dict[str, Any], set[str]]:
        """Return an event's redacted *detail*, and the kinds of data removed.

        Removed values become null; hostnames and texts are left out of their lists.
        """
        kept, gone = dict(detail), set()
        for name, value in detail.items():
            held = holds(name)
            if held is Holds.FREE_TEXT:
                kept[name], fields = self._free_text(name, value)
            elif held is Holds.HOSTNAMES and isinstance(value, list):
                kept[name], fields = self._hostnames(value)
            elif held in (Holds.BEFORE, Holds.AFTER) and isinstance(value, dict):
                kept[name], fields = self._side(held, value)
            else:
                continue
            gone |= fields
        return kept, gone

    def is_in(self, text: object) -> bool:
        """Tell whether a free *text* contains one of the values, in any case."""
        return mentions_any(text, self.values)

    def _free_text(self, name: str, text: Any) -> tuple[Any, set[str]]:
        if isinstance(text, list):
            kept = [each for each in text if not self.is_in(each)]
            return kept, {name} if kept != text else set()
        return (None, {name}) if self.is_in(text) else (text, set())

    def _hostnames(self, listed: list[Any]) -> tuple[list[Any], set[str]]:
        kept = [name for name in listed if not self._removes(Holds.AFTER, name)]
        return kept, {"hostname"} if kept != listed else set()

    def _side(
        self, side: Holds, columns: Mapping[str, Any]
    ) -> tuple[dict[str, Any], set[str]]:
        gone = {name for name, value in columns.items() if self._removes(side, value)}
        return dict(columns) | dict.fromkeys(gone), gone

    def _removes(self, side: Holds, value: object) -> bool:
        if value is None:
            return False
        whole_side = self.before if side is Holds.BEFORE else self.after
        is_rest = whole_side and folded(value) not in self.spared
        return is_rest or is_one_of(value, self.values)


def operator_names(actor: Mapping[str, Any], email: str) -> list[str]:
    """Return the members of an *actor* that name the operator with that *email*."""
    return [name for name in OPERATOR_NAMES if names(actor.get(name), email)]
