"""Deliver what is due at one destination: in order, at least once, by one run."""

from __future__ import annotations

import random
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice

from ..core import clock
from ..core.limits import ALERTS_KEPT
from ..core.rows import Destination
from ..storage.destinations import Destinations
from ..storage.unit_of_work import UnitOfWork
from .channel import Channel, DeliveryFailed
from .deadline import LONGEST_DELIVERY
from .messages import Due, Feed

#: Seconds for which one run alone delivers to a destination; each delivery renews it.
#: If it is killed, the next one waits for no longer.
HELD = 2 * LONGEST_DELIVERY

#: Seconds before the next attempt; the last is for all further ones.
_WAITS = (60, 120, 300, 900, 1800, 3600)

_OTHER = "another run delivers there"

#: Attempts of a message that the receiver does not take.
_MOST_REFUSALS = 3


@dataclass(frozen=True)
class Outcome:
    """What came of a run for one destination.

    *fault* says why it ended early: what failed, or why it was not tried.
    """

    place: str
    delivered: int = 0
    dropped: int = 0
    fault: str = ""
    is_waiting: bool = False

    @property
    def is_news(self) -> bool:
        """Whether something was delivered, given up or tried."""
        return bool(self.delivered or self.dropped or self.fault) and (
            not self.is_waiting
        )


class Delivery:
    """Deliver by one *channel*, which has begun."""

    def __init__(self, unit: UnitOfWork, channel: Channel) -> None:
        self._unit = unit
        self._channel = channel
        self._rows = Destinations(unit)
        self._mine = channel.name, secrets.token_hex(8)

    def run(self) -> Outcome:
        """Deliver all that is due, until something fails."""
        done = Outcome(self._channel.place)
        found = self._rows.take(*self._mine, HELD)
        if found is None:
            return replace(done, fault=_OTHER, is_waiting=True)
        try:
            done, found = self._drop_old(found, done)
            if _is_early(found, self._unit.now):
                why = f"{found['fault']}; tried again at {found['next_attempt_at']}"
                return replace(done, fault=why, is_waiting=True)
            return self._deliver(found, done)
        finally:
            self._rows.leave(*self._mine)

    def _drop_old(
        self, found: Destination, done: Outcome
    ) -> tuple[Outcome, Destination]:
        """Give up what has been due for a day."""
        since = clock.before(self._unit.now, ALERTS_KEPT)
        last, count = None, 0
        for due in Feed(self._unit).after(found["position"], found["alert_id"]):
            if due.at >= since:
                break
            last, count = due, count + self._channel.wants(due)
        if last is None:
            return done, found
        return replace(done, dropped=count), self._skipped(found, last, count)

    def _skipped(self, found: Destination, last: Due, count: int) -> Destination:
        if count:
            self._rows.give_up(*self._mine, last.position, last.alert_id, count)
        else:
            self._rows.skip(*self._mine, last.position, last.alert_id)
        return {**found, "position": last.position, "alert_id": last.alert_id}

    def _deliver(self, found: Destination, done: Outcome) -> Outcome:
        for batch, last in self._batches(found):
            if not batch:
                self._rows.skip(*self._mine, last.position, last.alert_id)
                continue
            try:
                self._channel.send(batch)
            except DeliveryFailed as failed:
                return self._failed(failed, batch, found, done)
            done = replace(done, delivered=done.delivered + len(batch))
            if not self._rows.deliver(*self._mine, last.position, last.alert_id, HELD):
                return replace(done, fault=_OTHER, is_waiting=True)
        return done

    def _batches(self, found: Destination) -> Iterator[tuple[list[Due], Due]]:
        """Yield what is delivered together, and the last that was looked at for it."""
        batch: list[Due] = []
        last = None
        for due in Feed(self._unit).after(found["position"], found["alert_id"]):
            last = due
            if self._channel.wants(due):
                batch.append(due)
            if len(batch) == self._channel.most:
                yield batch, due
                batch, last = [], None
        if last is not None:
            yield batch, last

    def _failed(
        self,
        failed: DeliveryFailed,
        batch: list[Due],
        found: Destination,
        done: Outcome,
    ) -> Outcome:
        attempts = 0 if done.delivered else found["attempts"]
        if failed.is_refused and attempts + 1 >= _MOST_REFUSALS:
            self._skipped(found, batch[-1], len(batch))
            done = replace(done, dropped=done.dropped + len(batch))
            return replace(done, fault=f"{failed}: given up")
        wait = max(_WAITS[min(attempts, len(_WAITS) - 1)], failed.wait)
        # So that the servers of a company do not come back together.
        wait *= 1 + random.random() / 10
        self._rows.fail(*self._mine, str(failed), wait)
        return replace(done, fault=str(failed))


def _is_early(found: Destination, now: datetime) -> bool:
    """Tell whether to wait; not if the clock has been set back since it failed."""
    due, longest = found["next_attempt_at"], 2 * _WAITS[-1]
    return due is not None and clock.iso(now) < due < clock.after(now, longest)


def waiting(
    unit: UnitOfWork, channel: Channel, found: Destination, *, most: int | None = None
) -> int:
    """Return how many messages wait for delivery by a *channel*.

    With *most*, only so many events and alerts are looked at.
    """
    feed = Feed(unit).after(found["position"], found["alert_id"])
    return sum(map(channel.wants, islice(feed, most)))
