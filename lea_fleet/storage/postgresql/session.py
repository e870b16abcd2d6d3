"""One connection to PostgreSQL, as the statements on the fleet use it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count, islice
from typing import Any

import psycopg
from psycopg import capabilities
from psycopg.adapt import PyFormat, Transformer
from psycopg.errors import error_from_result
from psycopg.generators import fetch
from psycopg.pq import (
    ConnStatus,
    DiagnosticField,
    ExecStatus,
    Format,
    TransactionStatus,
)
from psycopg.pq.abc import PGresult

from .errors import OutcomeUnknown, is_lost
from .greenlets import runner
from .statements import translated

#: What PostgreSQL cannot store: NUL, and half a surrogate pair. In its place is sent
#: ASCII's SUBSTITUTE: no new id may have a control character. (U+FFFF, it may.)
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_SUBSTITUTE = "\x1a"

#: Uses after which a connection prepares a statement, and how many it keeps prepared.
#: The whole test suite sends some 300 statements.
_USES = 3
_MOST_PREPARED = 500

_DONE = (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK, ExecStatus.EMPTY_QUERY)

_USABLE = (TransactionStatus.IDLE, TransactionStatus.INTRANS)
_SQLSTATE = DiagnosticField.SQLSTATE

#: What a statement is prepared for: its text and the types of its parameters.
_Key = tuple[bytes, "tuple[int, ...] | None"]

#: Begins a write. The level is named, since an administrator may have set another one.
BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED"


class Rows:
    """The rows of a result, and how many the statement has returned or changed."""

    def __init__(self, rows: list[tuple[Any, ...]], rowcount: int) -> None:
        self.rowcount = rowcount
        self._left = iter(rows)

    def fetchone(self) -> tuple[Any, ...] | None:
        return next(self._left, None)

    def fetchmany(self, size: int = 1) -> list[tuple[Any, ...]]:
        return list(islice(self._left, size))

    def fetchall(self) -> list[tuple[Any, ...]]:
        return list(self._left)

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return self._left


class Session:
    """Run our statements on the psycopg connection *driver*, which is in autocommit.

    *schema* is the quoted identifier of the schema that our tables are in. *begin* and
    *begin_not_durable* are the statements that begin its write transactions; *once*
    ends the WHERE of one that is a transaction itself. If *pooled*, nothing outlasts a
    transaction: no statement stays prepared, and no cursor is held.

    Statements are run by psycopg's interface to libpq, with its adaptation of values.
    Its cursors would cost a heartbeat 36 µs of processor time (45 instead of 9).
    """

    def __init__(
        self,
        driver: psycopg.Connection[Any],
        schema: str,
        *,
        begin: str = BEGIN,
        begin_not_durable: str = BEGIN,
        once: str = "",
        pooled: bool = False,
    ) -> None:
        self.driver = driver
        self.schema = schema
        self.begin = begin.encode()
        self.begin_not_durable = begin_not_durable.encode()
        self.once = once
        self.pid = os.getpid()
        #: Whether the host has it, who may change its settings.
        self.handed_out = False
        self._runner = runner(driver)
        self._adapted = Transformer(driver)
        self._prepared: dict[_Key, bytes] = {}
        self._uses: dict[_Key, int] = {}
        self._cursors: set[int] = set()
        self._pooled = pooled
        self._room = 0 if pooled else _MOST_PREPARED
        self._pipelines = not pooled and capabilities.has_pipeline()

    def execute(
        self,
        statement: str,
        values: Mapping[str, Any] = {},
        format: Format = Format.TEXT,
    ) -> Rows:
        """Run a statement of ours; all its rows are in memory. Raises psycopg.Error.

        *format* is that in which they are sent.
        """
        query, names = translated(statement, self.schema)
        result = self._run(query, [values[name] for name in names], format)
        adapted = self._adapted
        adapted.set_pgresult(result)
        rows = adapted.load_rows(0, result.ntuples, tuple) if result.ntuples else []
        return Rows(rows, result.command_tuples or 0)

    def executemany(self, statement: str, values: Iterable[Mapping[str, Any]]) -> Rows:
        rowcount = sum(self.execute(statement, each).rowcount for each in values)
        return Rows([], rowcount)

    def batches(
        self, statement: str, values: Mapping[str, Any], size: int
    ) -> Iterator[list[Any]]:
        """Yield the rows of a query in batches, of which one is in memory at a time.

        By a cursor of the server. Outside of a transaction, the server keeps the whole
        result, and if it is pooled this process does.
        """
        if self._pooled and not self.in_transaction:
            rows = self.execute(statement, values)
            yield from iter(lambda: rows.fetchmany(size), [])
            return
        number = next(free for free in count() if free not in self._cursors)
        name = f"batches_{number}"
        hold = "" if self.in_transaction else "WITH HOLD "
        self.execute(f"DECLARE {name} NO SCROLL CURSOR {hold}FOR {statement}", values)
        self._cursors.add(number)
        fetch = f"FETCH {size:d} FROM {name}"
        try:
            # In binary: as text, each byte of the JSON would be sent as two.
            while batch := self.execute(fetch, {}, Format.BINARY).fetchall():
                yield batch
                if len(batch) < size:
                    return
        finally:
            self._cursors.discard(number)
            if self.driver.pgconn.transaction_status in _USABLE:
                self.command(f"CLOSE {name}".encode())

    def command(self, statement: bytes) -> None:
        """Run one or more statements without values. Raises psycopg.Error."""
        self._check(self._runner.exec_(statement))

    def run_before(
        self, commands: bytes, statement: str, values: Mapping[str, Any]
    ) -> int:
        """Run *commands*, then a statement; return how many rows that has found.

        In one round trip where libpq can (14 or later), and no pooler is in between.
        """
        if not self._pipelines:
            self.command(commands)
            return self.execute(statement, values).rowcount
        query, names = translated(statement, self.schema)
        key, sent = self._adapt(query, [values[name] for name in names])
        name = self._prepared.get(key) or self._name(key)
        run, formats = self.driver.pgconn, self._adapted.formats
        run.enter_pipeline_mode()
        for command in commands.split(b"; "):
            run.send_query_params(command, None)
        if name:
            run.send_query_prepared(name, sent, formats)
        else:
            run.send_query_params(query, sent, key[1], formats)
        run.pipeline_sync()
        return self._end_pipeline()

    def commit(self) -> None:
        """Commit. Raises OutcomeUnknown if the server went away meanwhile."""
        # PostgreSQL would answer the COMMIT of a transaction that failed with ROLLBACK.
        if self.driver.pgconn.transaction_status == TransactionStatus.INERROR:
            raise psycopg.errors.InFailedSqlTransaction("an earlier statement failed")
        try:
            self.command(b"COMMIT")
        except psycopg.Error as error:
            if not is_lost(error):
                raise
            raise OutcomeUnknown(
                "the connection was lost during the commit, so that it is not known"
                " whether it was written"
            ) from error

    def rollback(self) -> None:
        """Roll back, unless the connection is lost: its server has done so then."""
        if not self.in_transaction:
            return
        try:
            self.command(b"ROLLBACK")
        except psycopg.Error as error:
            if not is_lost(error):
                raise
            # It must not hide what ended the transaction: an unknown outcome, perhaps.
            self.driver.close()

    @property
    def in_transaction(self) -> bool:
        return self.driver.pgconn.transaction_status != TransactionStatus.IDLE

    def _run(self, query: bytes, values: Sequence[Any], format: Format) -> PGresult:
        key, sent = self._adapt(query, values)
        name = self._prepared.get(key) or self._name(key)
        run, formats = self._runner, self._adapted.formats
        if name:
            # A NULL is None, whatever the annotation says.
            result = run.exec_prepared(name, sent, formats, format)
        else:
            result = run.exec_params(query, sent, key[1], formats, format)
        if result.status not in _DONE:
            self._check(result)
        return result

    def _adapt(self, query: bytes, values: Sequence[Any]) -> tuple[_Key, Sequence[Any]]:
        """Return what a statement is prepared for, and the values to send."""
        adapted = self._adapted
        formats = [PyFormat.AUTO] * len(values)
        try:
            sent = adapted.dump_sequence(values, formats)
        except (psycopg.DataError, UnicodeEncodeError):
            sent = adapted.dump_sequence([*map(_storable, values)], formats)
        return (query, adapted.types), sent

    def _end_pipeline(self) -> int:
        """Read a pipeline; return its last result's rows, or raise its first error."""
        run, failed, rows = self.driver.pgconn, None, 0
        while run.status == ConnStatus.OK:
            # Not get_result() alone: it waits without letting other threads run.
            result = self.driver.wait(fetch(run))
            if result is None:  # between the results of two statements
                continue
            if result.status == ExecStatus.PIPELINE_SYNC:
                run.exit_pipeline_mode()
                break
            if result.status not in _DONE:
                failed = failed or result
            rows = result.ntuples
        if run.status == ConnStatus.BAD:
            raise psycopg.OperationalError(run.get_error_message())
        if failed is not None:
            self._check(failed)
        return rows

    def _name(self, key: _Key) -> bytes:
        """Prepare a statement that is used often; return its name, or nothing."""
        if len(self._prepared) >= self._room:
            return b""
        if len(self._uses) > _MOST_PREPARED:
            self._uses.clear()
        uses = self._uses[key] = self._uses.get(key, 0) + 1
        if uses <= _USES:
            return b""
        name = f"lea_fleet_{len(self._prepared)}".encode()
        self._check(self._runner.prepare(name, *key))
        self._prepared[key] = name
        del self._uses[key]
        return name

    def _check(self, result: PGresult) -> None:
        """Raise psycopg.Error unless the statement was run."""
        if result.status in _DONE:
            return
        pgconn = self.driver.pgconn
        if pgconn.status == ConnStatus.BAD and not result.error_field(_SQLSTATE):
            raise psycopg.OperationalError(pgconn.get_error_message())
        raise error_from_result(result, self.driver.info.encoding)


def adopt(driver: psycopg.Connection[Any]) -> Session:
    """Return a session on a connection that the host has opened itself."""
    asked = Session(driver, "").execute("SELECT quote_ident(current_schema())")
    ((schema,),) = asked.fetchall()
    return Session(driver, schema, pooled=True)


def _storable(value: Any) -> Any:
    """Return *value* without what PostgreSQL cannot store."""
    if isinstance(value, list):
        return [_storable(each) for each in value]
    return _UNSTORABLE.sub(_SUBSTITUTE, value) if isinstance(value, str) else value
