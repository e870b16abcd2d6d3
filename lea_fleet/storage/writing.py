"""What every change to the fleet has in common: a transaction, and its events."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Any

from ..core.machine import DETAILS
from ..core.presence import PresenceRule
from .sqlite.transactions import Level, transaction
from .clones import CloneRepository
from .enrollment_tokens import EnrollmentTokenRepository
from .events import Event, EventRepository
from .releases import ReleaseRepository
from .replays import ReplayRepository
from .summary import AgentSummary
from .agent_tokens import TokenRepository

#: Who acts where nobody says otherwise: the host's own code.
HOST = {"role": "host"}

#: Sets the columns of the details that are given, and leaves the others.
SET_GIVEN = ", ".join(f"{name} = coalesce(:{name}, {name})" for name in DETAILS)


class AgentWriter(AgentSummary):
    """A reader whose kin also writes, for *actor*, and hands on what happened."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        rule: PresenceRule | None = None,
        *,
        actor: Mapping[str, Any] | None = None,
        announce: Callable[[Event], None] | None = None,
    ) -> None:
        super().__init__(connection, rule)
        self._actor = actor or HOST
        self._announce = announce

    # Made where they are needed: a heartbeat, the most frequent call, needs none.

    @cached_property
    def tokens(self) -> TokenRepository:
        return TokenRepository(self.connection)

    @cached_property
    def events(self) -> EventRepository:
        return EventRepository(self.connection, self._actor)

    @cached_property
    def enrollment_tokens(self) -> EnrollmentTokenRepository:
        return EnrollmentTokenRepository(self.connection)

    @cached_property
    def _replays(self) -> ReplayRepository:
        return ReplayRepository(self.connection)

    @cached_property
    def releases(self) -> ReleaseRepository:
        return ReleaseRepository(self.connection)

    @cached_property
    def clones(self) -> CloneRepository:
        return CloneRepository(self.connection)

    @contextmanager
    def transaction(self, synchronous: Level = "FULL") -> Iterator[None]:
        """Return a context in which several calls are one transaction.

        Inside one that is open already this is a part of it, and the outer one
        commits.
        """
        if self.connection.in_transaction:
            yield
            return
        self.events.recorded.clear()
        with transaction(self.connection, synchronous):
            yield
        if self._announce is None:
            return
        # A copy: whoever is told may use this repository to write again.
        for event in list(self.events.recorded):
            self._announce(event)


def complete(details: Mapping[str, str | None]) -> dict[str, str | None]:
    """Return *details* with None for each that is not given."""
    unknown = details.keys() - set(DETAILS)
    if unknown:
        raise TypeError(f"no such detail of a machine: {', '.join(sorted(unknown))}")
    return {name: details.get(name) for name in DETAILS}
