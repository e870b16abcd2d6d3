"""The unit of work: a session, the actor, and the transaction's one timestamp."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from itertools import chain
from typing import Any

from ..core import clock
from ..core.limits import CLONE_MEMORY
from ..core.presence import PresenceRule
from ..core.rows import Event
from .interface import Dialect, Session

#: Rows of a large result that are in memory.
BATCH = 500

_NONE: Mapping[str, Any] = {}

#: The actor if none is given: the host's own code.
HOST = {"role": "host"}


class UnitOfWork:
    """Run transactions on a *session*, on behalf of an *actor*.

    *rule* decides on presence. *announce* is called with each event after its commit,
    and *check* in each transaction, before anything is written: it may refuse it.
    Units for other actors on the same session (see :meth:`acting_as`) share its
    transaction.
    """

    def __init__(
        self,
        session: Session,
        dialect: Dialect,
        rule: PresenceRule,
        *,
        actor: Mapping[str, Any] | None = None,
        announce: Callable[[Event], None] | None = None,
        check: Callable[[], object] | None = None,
    ) -> None:
        self.session = session
        self.dialect = dialect
        self.rule = rule
        self.actor = actor or HOST
        self._announce = announce
        self._check = check
        # The unit that keeps the state of the transaction on this session, unless this
        # one does. A unit that referred to itself would keep its session alive.
        self._outer: UnitOfWork | None = None
        self._now: datetime | None = None
        self._timestamp = ""
        self._recorded: list[tuple[UnitOfWork, Event]] = []

    def acting_as(
        self, actor: Mapping[str, Any], check: Callable[[], object] | None = None
    ) -> UnitOfWork:
        """Return a unit for another *actor* in the same session and transaction."""
        unit = UnitOfWork(
            self.session,
            self.dialect,
            self.rule,
            actor=actor,
            announce=self._announce,
            check=check,
        )
        unit._outer = self._outer or self
        return unit

    @property
    def now(self) -> datetime:
        """The timestamp of the transaction or snapshot; outside of one, the time now.

        It is read once the lock is held, so that a transaction that waited for another
        one has a later timestamp.
        """
        return (self._outer or self)._now or clock.now()

    @property
    def timestamp(self) -> str:
        """:attr:`now` as ISO 8601 UTC."""
        root = self._outer or self
        return clock.iso(clock.now()) if root._now is None else root._timestamp

    def limits(self, interval: int) -> dict[str, str]:
        """Return the query parameters for presence and suspected clones.

        *interval* is the longest heartbeat interval in use, in seconds.
        """
        root, now = self._outer or self, self.now
        limits = self.rule.limits(now, interval)
        limits["now"] = root._timestamp if root._now else clock.iso(now)
        limits["clone_since"] = clock.before(now, CLONE_MEMORY)
        return limits

    def rows(self, query: str, values: Mapping[str, Any] = _NONE) -> Iterator[Any]:
        """Yield the rows of a large result, a batch of them in memory."""
        batches = self.dialect.batches(self.session, query, values, BATCH)
        return chain.from_iterable(batches)

    def record(self, event: Event) -> None:
        """Announce *event*, which is already written, after the commit."""
        (self._outer or self)._recorded.append((self, event))

    @contextmanager
    def transaction(
        self, about: str | Iterable[str] = (), *, durable: bool = True
    ) -> Iterator[None]:
        """Run the block in a transaction: commit, or roll back if it raises.

        *about* names the machines that it writes about, which an engine may lock.
        Inside an open transaction this joins it, and the outer one commits. If not
        *durable*, a power cut may undo the commit.
        """
        if self.dialect.in_transaction(self.session):
            yield
            return
        root = self._outer or self
        self.dialect.begin_writing(self.session, about, durable)
        # What a host's own BEGIN left here was not committed by us, perhaps not at all.
        root._recorded = []
        try:
            root._read_clock()
            if self._check is not None:
                self._check()
            yield
            self.session.commit()
        except BaseException:
            self.session.rollback()
            raise
        finally:
            root._now = None
        # Emptied first, since a receiver may use the session to write again.
        recorded, root._recorded = root._recorded, []
        for unit, event in recorded:
            if unit._announce is not None:
                unit._announce(event)

    def lock(self, machine_id: str) -> None:
        """Lock a machine that the open transaction did not find when it began.

        The transaction's timestamp is read again, since whoever had the lock may have
        a later one.
        """
        self.dialect.lock(self.session, machine_id)
        (self._outer or self)._read_clock()

    def lock_look(self, machine_id: str) -> None:
        """Let no other transaction add a machine whose id looks like this one."""
        self.dialect.lock_look(self.session, machine_id)
        (self._outer or self)._read_clock()

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Run the block so that all its reads see the same snapshot.

        Inside an open transaction this joins it, and sees what it sees.
        """
        if self.dialect.in_transaction(self.session):
            yield
            return
        root = self._outer or self
        self.dialect.begin_reading(self.session)
        try:
            root._read_clock()
            yield
            self.session.commit()
        except BaseException:
            self.session.rollback()
            raise
        finally:
            root._now = None

    def _read_clock(self) -> None:
        self._now = clock.now()
        self._timestamp = clock.iso(self._now)


def enrollment_of(machine: Mapping[str, Any]) -> dict[str, Any]:
    """Return the key of the current enrollment of a machine or token."""
    return {"machine_id": machine["machine_id"], "enrolled_at": machine["enrolled_at"]}


class Repository:
    """Statements about one table or question, on one unit of work."""

    def __init__(self, unit: UnitOfWork) -> None:
        self._unit = unit
