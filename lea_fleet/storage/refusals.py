"""``lea_fleet_refusals``: how many requests were refused, by code, for all processes.

Written by processes that have no other way to know each other's counts (see
app/refusals.py). One row for each code, so the table does not grow.
"""

from __future__ import annotations

from collections.abc import Mapping

from .unit_of_work import Repository

_ADD = """INSERT INTO lea_fleet_refusals (code, refused) VALUES (:code, :refused)
  ON CONFLICT (code) DO UPDATE
  SET refused = lea_fleet_refusals.refused + excluded.refused"""


class RefusalCounts(Repository):
    """The sums that processes have added up since the table was created.

    They never decrease, also when a server starts again: Prometheus reads them as
    counters that were not reset.
    """

    def add(self, counts: Mapping[str, int]) -> None:
        """Add *counts*, by code, in a transaction that a power cut may undo.

        Sorted, so that two processes lock the rows in one order.
        """
        rows = [{"code": code, "refused": counts[code]} for code in sorted(counts)]
        with self._unit.transaction(durable=False):
            self._unit.session.executemany(_ADD, rows)

    def totals(self) -> dict[str, int]:
        """Return the sum of each code that was ever added."""
        rows = self._unit.session.execute(
            "SELECT code, refused FROM lea_fleet_refusals"
        )
        return {code: refused for code, refused in rows}
