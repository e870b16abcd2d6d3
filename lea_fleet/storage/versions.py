"""The versions that active machines run, and which of them is the newest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..core.text import sort_key
from .unit_of_work import UnitOfWork

VERSION = "CAST(version AS TEXT)"

#: The condition for a machine that has reported none.
NO_VERSION = f"(coalesce({VERSION}, '') = '')"

_BY_VERSION = f"""
    SELECT {VERSION} AS version, count(*) AS machines
    FROM enrolled_agents WHERE status = 'active'
    GROUP BY 1 ORDER BY machines DESC, 1 DESC NULLS LAST
"""


def versions(unit: UnitOfWork) -> list[dict[str, Any]]:
    """Return each version of the active machines, or None, and how many run it.

    The most frequent one is first.
    """
    rows = unit.session.execute(_BY_VERSION)
    return [{"version": name, "machines": count} for name, count in rows]


def newest_of(counted: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the newest of the versions *counted*, in the order of a sorted list.

    Several if they are one version, spelled differently; none if no machine has any.
    """
    keys = {row["version"]: _key(row["version"]) for row in counted if row["version"]}
    newest = max(keys.values(), default="")
    return [version for version, key in keys.items() if key == newest]


def outdated_of(counted: Iterable[Mapping[str, Any]]) -> int:
    """Return how many of the machines *counted* run another version than the newest."""
    counted = list(counted)
    current = {*newest_of(counted)}
    return sum(
        row["machines"]
        for row in counted
        if row["version"] and row["version"] not in current
    )


def _key(version: str) -> str:
    return sort_key(version.encode("utf-8", "replace"))
