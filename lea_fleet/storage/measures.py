"""Measure the fleet for a monitoring system."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from ..core.events import ENROLLMENTS
from ..core.limits import LONGEST_DETAIL, MOST_TAGS_REPORTED, MOST_VERSIONS
from ..core.refused import CODES
from ..core.tags import value_of
from .blocks import Blocks
from .clones import Clones
from .duplicates import Duplicates
from .enrollment_tokens import EnrollmentTokens
from .listing import Listing
from .mutes import Mutes
from .refused import Refused
from .retirements import Retirements
from .unit_of_work import UnitOfWork

_VERSIONS = f"""
    SELECT substr(CAST(version AS TEXT), 1, {LONGEST_DETAIL}), count(*)
    FROM enrolled_agents WHERE status = 'active'
    GROUP BY 1 ORDER BY 2 DESC, 1 NULLS FIRST LIMIT {MOST_VERSIONS}
"""

_TAGGED = """FROM lea_fleet_tags JOIN enrolled_agents USING (machine_id)
    WHERE name = :name AND status = 'active'"""
_VALUES = f"""
    SELECT tag, count(*) {_TAGGED}
    GROUP BY tag ORDER BY 2 DESC, 1 LIMIT {MOST_TAGS_REPORTED}
"""

# No index on the event's name: each enrollment would have to update it.
_EVENTS = """
    SELECT event, CAST(sum(events) AS INTEGER) FROM (
      SELECT event, count(*) AS events FROM lea_fleet_events GROUP BY event
      UNION ALL SELECT event, events FROM lea_fleet_pruned
    ) AS recorded GROUP BY event
"""


class Tagged(NamedTuple):
    """The number of active *machines* with a tag of one name, and of each value.

    *values* are the most frequent ones; that of a word is empty.
    """

    machines: int
    values: dict[str, int]


@dataclass(frozen=True)
class Measures:
    """Measurements of the fleet, all from one snapshot.

    *totals* counts machines by status and by presence. *versions* has the number of
    active machines for each version, the most frequent first; the name is empty if the
    version is not known. *enrollments* and *uninstalls* count all events ever recorded,
    *enrollment_tokens* the tokens in each state, *refused* the refused machines by
    code. *tags* has each name that was asked for.
    """

    totals: dict[str, int]
    versions: list[tuple[str, int]]
    enrollments: dict[str, int]
    uninstalls: int
    enrollment_tokens: dict[str, int]
    suspected_clones: int
    blocks: int
    muted: int
    refused: dict[str, int]
    retiring: int
    duplicates: int
    tags: dict[str, Tagged]


def measure(unit: UnitOfWork, names: Iterable[str] = ()) -> Measures:
    """Take all measurements in one snapshot; count machines by the tags of *names*."""
    execute = unit.session.execute
    with unit.snapshot():
        events = {event: count for event, count in execute(_EVENTS)}
        return Measures(
            totals=Listing(unit).totals(),
            versions=[(name or "", count) for name, count in execute(_VERSIONS)],
            enrollments={name: events.get(name, 0) for name in ENROLLMENTS},
            uninstalls=events.get("uninstalled", 0),
            enrollment_tokens=EnrollmentTokens(unit).count_by_state(),
            suspected_clones=len(Clones(unit).suspects()),
            blocks=Blocks(unit).count(),
            muted=len(Mutes(unit).machines()),
            refused=dict.fromkeys(CODES, 0) | Refused(unit).count_by_code(),
            retiring=len(Retirements(unit).machines()),
            duplicates=Duplicates(unit).count(),
            tags={name: _tagged(unit, name) for name in names},
        )


def _tagged(unit: UnitOfWork, name: str) -> Tagged:
    execute, asked = unit.session.execute, {"name": name}
    ((machines,),) = execute(f"SELECT count(*) {_TAGGED}", asked)
    return Tagged(machines, {value_of(tag): n for tag, n in execute(_VALUES, asked)})
