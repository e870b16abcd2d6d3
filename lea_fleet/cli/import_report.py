"""What ``flask fleet import`` reports that it has done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from ..core.text import printable
from ..storage.imports import Imported
from .import_errors import Refusal

#: What is counted, and what it means.
_MEANINGS: dict[str, str] = {
    "imported": "new; they may enroll once",
    "adopted": "active without a token; they may enroll once more",
    "updated": "imported before; their details have changed",
    "unchanged": "imported before, with the same details",
    "enrolled": "already enrolled; not changed",
    "uninstalled": "uninstalled; not changed: enrolling reactivates them",
    "tagged": "of these machines; their tags have changed",
    "refused": "lines with an error",
}


def count(counts: Counter[str], result: Imported | Refusal) -> None:
    """Count a line, by what became of it; ``changed`` if that is a change."""
    counts["lines"] += 1
    if isinstance(result, Refusal):
        counts["refused"] += 1
        return
    counts[result.outcome] += 1
    counts["tagged"] += result.is_tagged
    counts["changed"] += result.changes


def counted(counts: Counter[str], ignored: list[str]) -> dict[str, object]:
    named = {name: counts[name] for name in _MEANINGS}
    return {"lines": counts["lines"], **named, "ignored_columns": ignored}


def summary(counts: Mapping[str, int], ignored: list[str]) -> Iterator[str]:
    for name, meaning in _MEANINGS.items():
        yield f"  {counts[name]:>6} {name:<12} {meaning}"
    if ignored:
        yield f"Columns that were ignored: {printable(', '.join(ignored))}"
