"""The measurements of the fleet for a monitoring system, from one snapshot."""

from __future__ import annotations

from dataclasses import dataclass

from ..core.events import ENROLLMENTS
from ..core.limits import LONGEST_DETAIL, MOST_VERSIONS
from .clones import Clones
from .enrollment_tokens import EnrollmentTokens
from .listing import Listing
from .unit_of_work import UnitOfWork

_VERSIONS = f"""
    SELECT substr(CAST(version AS TEXT), 1, {LONGEST_DETAIL}), count(*)
    FROM enrolled_agents WHERE status = 'active'
    GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {MOST_VERSIONS}
"""

# There is no index on the kinds of events: each enrollment would pay for it.
_EVENTS = "SELECT event, count(*) FROM lea_fleet_events GROUP BY event"


@dataclass(frozen=True)
class Measures:
    """The measurements, all from one snapshot.

    *totals* are the machines by status and by presence; *versions* those of the
    active ones, the most frequent first, with the number of machines, where none is
    known under an empty name; *enrollments* and *uninstalls* are those of the whole
    history, *enrollment_tokens* those of each state.
    """

    totals: dict[str, int]
    versions: list[tuple[str, int]]
    enrollments: dict[str, int]
    uninstalls: int
    enrollment_tokens: dict[str, int]
    suspected_clones: int


def measure(unit: UnitOfWork) -> Measures:
    """Return the measurements of the fleet."""
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
        )
