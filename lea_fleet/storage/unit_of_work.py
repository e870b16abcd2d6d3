"""The unit of work: a session, the actor, and the transaction's one timestamp."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from ..core import clock
from ..core.limits import CLONE_MEMORY
from ..core.presence import PresenceRule
from ..core.rows import Event
from .interface import Dialect, Session

#: Who acts where nobody says otherwise: the host's own code.
HOST = {"role": "host"}


class UnitOfWork:
    """A *session*, the *rule* of presence, and the *actor* whom its events name.

    Once committed, each event is handed to *announce*. Units that act on one session
    for different actors (see :meth:`acting_as`) share its transaction.
    """

    def __init__(
        self,
        session: Session,
        dialect: Dialect,
        rule: PresenceRule,
        *,
        actor: Mapping[str, Any] | None = None,
        announce: Callable[[Event], None] | None = None,
    ) -> None:
        self.session = session
        self.dialect = dialect
        self.rule = rule
        self.actor = actor or HOST
        self._announce = announce
        # The unit that keeps what the transaction on this session needs.
        self._root = self
        self._now: datetime | None = None
        self._timestamp = ""
        self._recorded: list[tuple[UnitOfWork, Event]] = []

    def acting_as(self, actor: Mapping[str, Any]) -> UnitOfWork:
        """Return a unit on the same session, and in its transaction, for *actor*."""
        unit = UnitOfWork(
            self.session, self.dialect, self.rule, actor=actor, announce=self._announce
        )
        unit._root = self._root
        return unit

    @property
    def now(self) -> datetime:
        """The one timestamp of the transaction or snapshot; else the time, read now.

        It is read once the lock is held: what waited for another writer is later.
        """
        return self._root._now or clock.now()

    @property
    def timestamp(self) -> str:
        """:attr:`now` as ISO 8601 UTC."""
        if self._root._now is None:
            return clock.iso(clock.now())
        return self._root._timestamp

    def limits(self, interval: int) -> dict[str, str]:
        """Return the values that presence and suspected clones are told by.

        *interval* is the longest, in seconds, that agents have been told recently.
        """
        now = self.now
        limits = self.rule.limits(now, interval)
        limits["now"] = self._root._timestamp if self._root._now else clock.iso(now)
        limits["clone_since"] = clock.before(now, CLONE_MEMORY)
        return limits

    def record(self, event: Event) -> None:
        """Have *event*, which is written, announced once it is committed."""
        self._root._recorded.append((self, event))

    @contextmanager
    def transaction(
        self, about: str | Iterable[str] = (), *, durable: bool = True
    ) -> Iterator[None]:
        """Return a context that writes all or nothing.

        *about* names the machines that it writes about, which an engine may lock.
        Inside one that is open already this is a part of it, and the outer one
        commits. Without *durable*, what is committed may be lost in a power cut.
        """
        if self.dialect.in_transaction(self.session):
            yield
            return
        root = self._root
        self.dialect.begin_writing(self.session, about, durable)
        try:
            root._read_clock()
            yield
            self.session.commit()
        except BaseException:
            root._recorded.clear()
            self.session.rollback()
            raise
        finally:
            root._now = None
        # Taken out first: whoever is told may use the session to write again.
        recorded, root._recorded = root._recorded, []
        for unit, event in recorded:
            if unit._announce is not None:
                unit._announce(event)

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Return a context in which everything is read from one snapshot."""
        root = self._root
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
    """Return what names the enrollment that a machine, or its token, is in."""
    return {"machine_id": machine["machine_id"], "enrolled_at": machine["enrolled_at"]}


class Repository:
    """Statements about one table or question, on one unit of work."""

    def __init__(self, unit: UnitOfWork) -> None:
        self._unit = unit
