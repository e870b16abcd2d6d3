"""One connection to PostgreSQL, as the statements on the fleet use it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import count
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus

from .errors import OutcomeUnknown, is_lost
from .statements import translated

Cursor = psycopg.Cursor[tuple[Any, ...]]

#: What PostgreSQL cannot store: NUL, and half a surrogate pair. In its place is sent
#: what is not a character, and no id may have: a lookup or a search finds nothing.
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_NOTHING = "\uffff"

#: Names for the server's cursors, of which a session may have several open.
_names = count()

#: Statements that a connection keeps prepared. The whole test suite sends some 300.
_MOST_PREPARED = 300


class Session:
    """Run our statements on the psycopg connection *driver*, which is in autocommit.

    *schema* is the quoted identifier of the schema that our tables are in. *begin* and
    *begin_not_durable* are the statements that begin its write transactions.
    """

    def __init__(
        self,
        driver: psycopg.Connection[Any],
        schema: str,
        *,
        begin: str = "BEGIN",
        begin_not_durable: str = "BEGIN",
    ) -> None:
        self.driver = driver
        self.schema = schema
        self.begin = begin
        self.begin_not_durable = begin_not_durable
        self.pid = os.getpid()
        #: Whether the host has it, who may change its settings.
        self.handed_out = False
        driver.prepared_max = _MOST_PREPARED

    def execute(self, statement: str, values: Mapping[str, Any] = {}) -> Cursor:
        """Run a statement of ours. Raises psycopg.Error."""
        text = translated(statement, self.schema)
        try:
            return self.driver.execute(text, values)
        except (psycopg.DataError, UnicodeEncodeError) as error:
            if not _is_unsendable(error):
                raise
            return self.driver.execute(text, _sendable(values))

    def executemany(
        self, statement: str, values: Iterable[Mapping[str, Any]]
    ) -> Cursor:
        cursor = self.driver.cursor()
        cursor.executemany(translated(statement, self.schema), values)
        return cursor

    def batches(
        self, statement: str, values: Mapping[str, Any], size: int
    ) -> Iterator[list[Any]]:
        """Yield the rows of a query in batches, of which one is in memory at a time.

        By a cursor of the server. Outside of a transaction, the server keeps the whole
        result.
        """
        name, alone = f"lea_fleet_{next(_names)}", not self.in_transaction
        with self.driver.cursor(name, withhold=alone) as cursor:
            text = translated(statement, self.schema)
            try:
                cursor.execute(text, values)
            except (psycopg.DataError, UnicodeEncodeError) as error:
                if not _is_unsendable(error):
                    raise
                cursor.execute(text, _sendable(values))
            while batch := cursor.fetchmany(size):
                yield batch

    def commit(self) -> None:
        """Commit. Raises OutcomeUnknown if the server went away meanwhile."""
        # PostgreSQL would answer the COMMIT of a transaction that failed with ROLLBACK.
        if self.driver.pgconn.transaction_status == TransactionStatus.INERROR:
            raise psycopg.errors.InFailedSqlTransaction("an earlier statement failed")
        try:
            self.driver.commit()
        except psycopg.Error as error:
            if not is_lost(error):
                raise
            raise OutcomeUnknown(
                "the connection was lost during the commit, so that it is not known"
                " whether it was written"
            ) from error

    def rollback(self) -> None:
        self.driver.rollback()

    @property
    def in_transaction(self) -> bool:
        return self.driver.pgconn.transaction_status != TransactionStatus.IDLE


def _is_unsendable(error: Exception) -> bool:
    """Tell whether *error* is about a value that psycopg has not sent."""
    return isinstance(error, UnicodeEncodeError) or (
        isinstance(error, psycopg.DataError) and error.sqlstate is None
    )


def _sendable(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return *values* without what PostgreSQL cannot store."""
    return {name: _without_nul(value) for name, value in values.items()}


def _without_nul(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_nul(each) for each in value]
    if not isinstance(value, str):
        return value
    return _UNSTORABLE.sub(_NOTHING, value)
