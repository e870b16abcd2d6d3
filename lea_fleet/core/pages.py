"""One order that runs through the active machines and then the uninstalled."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from .cursors import Position
from .filters import STATUSES, WHOLE_FLEET, FleetFilter, Status


@dataclass(frozen=True)
class Page:
    """What a listing is asked for: all that is *wanted*, or, with a *limit*, no
    more than that many, from the place *after* which the page begins."""

    wanted: FleetFilter = WHOLE_FLEET
    limit: int | None = None
    after: Position | None = None


class PageReader:
    """Reads a page, one status after the other, and notices where it ends.

    *read* is a method of the repository such as ``agents``. Within one snapshot.
    """

    def __init__(self, read: Callable[..., Iterator[Any]], page: Page) -> None:
        self._read = read
        self._page = page
        self._room = page.limit
        self._last: tuple[Status, int] | None = None
        #: The status and id of the last machine, once it is known that more follow.
        self.broken_off: tuple[Status, int] | None = None

    def of_status(self, status: Status) -> Iterator[Any]:
        """Yield the rows of *status* that are on the page."""
        if self.broken_off or not self._reaches(status):
            return
        after = self._page.after
        rows = self._read(
            status,
            self._page.wanted,
            after=after if after and after.status == status else None,
            limit=None if self._room is None else self._room + 1,
        )
        for row in rows:
            if self._room == 0:
                self.broken_off = self._last
                return
            if self._room is not None:
                self._room -= 1
                self._last = status, row["id"]
            yield row

    def _reaches(self, status: Status) -> bool:
        wanted, after = self._page.wanted, self._page.after
        if wanted.status not in (None, status):
            return False
        begins = STATUSES[0] if after is None else after.status
        return STATUSES.index(begins) <= STATUSES.index(status)
