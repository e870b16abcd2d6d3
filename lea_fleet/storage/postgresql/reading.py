"""Read a PostgreSQL database in a transaction that changes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import psycopg
from psycopg.pq import Format, TransactionStatus

from ...core.findings import CannotCheck, NothingYet
from ...core.problems import Problem
from .direct import SHORTEST, connected
from .dialect import DIALECT
from .errors import first_line
from .schema import Found, look
from .session import Rows, Session
from .statements import quoted

#: Milliseconds for a statement of the doctor, and for one between two keys.
_PATIENT = 30_000
_HURRIED = 500


class ReadSession(Session):
    """A session in a read-only transaction, which is begun again after an error."""

    def ensure_begun(self) -> None:
        """Begin the transaction, unless it is open."""
        if self.driver.pgconn.transaction_status == TransactionStatus.INERROR:
            self.rollback()
        if not self.in_transaction:
            self.command(self.begin)

    def execute(
        self,
        statement: str,
        values: Mapping[str, Any] = {},
        format: Format = Format.TEXT,
    ) -> Rows:
        self.ensure_begun()
        try:
            return super().execute(statement, values, format)
        except psycopg.Error as error:
            if isinstance(error, psycopg.errors.LockNotAvailable):
                # Whoever has the lock has it in the next check too.
                self.begin += b"; SET LOCAL lock_timeout = 1"
            raise CannotCheck(first_line(error)) from None

    def batches(
        self, statement: str, values: Mapping[str, Any], size: int
    ) -> Iterator[list[Any]]:
        self.ensure_begun()
        return super().batches(statement, values, size)


@dataclass(frozen=True)
class Reading:
    """A snapshot of the database at *place*: *found* is the session, or why not."""

    place: str
    schema: str
    found: ReadSession | Problem

    dialect = DIALECT

    @property
    def session(self) -> ReadSession:
        """The session. Raises CannotCheck where there is none."""
        if isinstance(self.found, Problem):
            raise CannotCheck("the server cannot be read; see reachable")
        return self.found

    @property
    def fleet(self) -> ReadSession:
        """The session, if all of the fleet's tables exist."""
        if self.tables_found.foreign():
            raise CannotCheck("a table is not lea_fleet's; see tables")
        if self.tables_found.missing_tables():
            raise NothingYet("nothing yet: the tables are made at the first request")
        return self.session

    @cached_property
    def tables_found(self) -> Found:
        """What there is of our tables. Raises what :attr:`session` does."""
        self.session.ensure_begun()
        return look(self.session.driver, self.schema)

    def tables(self) -> set[str]:
        return self.tables_found.tables

    def was_disturbed(self) -> bool:
        return False  # a snapshot is kept, whatever is written meanwhile

    def rows(self, query: str, values: Any = None) -> list[tuple[Any, ...]]:
        """Return the rows of a *query* to the server, in psycopg's form."""
        self.session.ensure_begun()
        try:
            return self.session.driver.execute(query, values).fetchall()
        except psycopg.Error as error:
            raise CannotCheck(first_line(error)) from None

    def row(self, query: str, values: Any = None) -> tuple[Any, ...]:
        """Return the only row of a *query*."""
        (row,) = self.rows(query, values)
        return row


@contextmanager
def reading(
    url: str, place: str, schema: str, busy_timeout: float, *, pooled: bool
) -> Iterator[Reading]:
    """Read the database at *url* until the context ends, if possible.

    *busy_timeout* is how long, in seconds, to wait for another one's lock. With 0,
    nothing is waited for longer than a person waits who types.
    """
    hurried = busy_timeout <= 0
    statement = _HURRIED if hurried else _PATIENT
    lock = max(1, min(int(busy_timeout * 1000), _PATIENT))
    begin = (
        "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;"
        f" SET LOCAL statement_timeout = {statement};"
        f" SET LOCAL lock_timeout = {lock}"
    )
    seconds = SHORTEST if hurried else None
    # The store has options too: a pooler that it does not expect refuses them.
    options = "" if pooled else f"-c statement_timeout={statement}"
    with ExitStack() as opened:
        found: ReadSession | Problem
        try:
            driver = opened.enter_context(
                connected(url, place, seconds=seconds, options=options)
            )
            found = ReadSession(driver, quoted(schema), begin=begin, pooled=True)
        except Problem as problem:
            found = problem
        yield Reading(place, schema, found)
