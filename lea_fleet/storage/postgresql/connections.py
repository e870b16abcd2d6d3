"""The connections of one application to PostgreSQL."""

from __future__ import annotations

import os
import sys
import weakref
from collections import deque
from typing import Any

import psycopg
from psycopg import conninfo

from ...core.problems import DatabaseProblem, DatabaseUnavailable
from ..interface import Dialect
from .address import absence_of, place_of
from .dialect import DIALECT
from .direct import WRITABLE, parameters
from .errors import database_problem, may_run_again
from .events import settle_restored
from .marks import refuse_unfinished
from .schema import ensure_schema, look
from .session import BEGIN, Session
from .statements import quoted

#: Idle connections that a process keeps. Each is a process of the server.
_MOST_IDLE = 8

#: Milliseconds that a statement may take, or a transaction may be idle, at least; and
#: how much longer than a lock is waited for.
_LONG = 60_000
_TIMES_BUSY = 12

#: The first version of PostgreSQL with pg_current_xact_id().
OLDEST = 13


class Connections:
    """The connections of one application to the database at *url*.

    *busy_timeout* is how long a statement waits for a lock, in seconds. If not *reuse*,
    each connection is closed when it is released. A *pooled* database is behind
    pgbouncer or the like, which hands out another server connection for each
    transaction. Nothing is opened or created before the first :meth:`acquire`.
    """

    dialect: Dialect = DIALECT
    errors: tuple[type[Exception], ...] = (psycopg.Error,)

    def __init__(
        self, url: str, *, schema: str, busy_timeout: float, reuse: bool, pooled: bool
    ) -> None:
        self._url = url
        self._schema = schema
        self._busy_timeout = busy_timeout
        self._most_idle = _MOST_IDLE if reuse else 0
        self._pooled = pooled
        self._idle: deque[Session] = deque()
        self._is_complete = False
        self._may_begin = True
        self.place = place_of(url)
        weakref.finalize(self, _close_all, self._idle)
        _all.add(self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} to {self.place}>"

    def acquire(self) -> Session:
        """Return a session for exclusive use, and create the schema if needed.

        Raises DatabaseBusy or DatabaseUnavailable, which name host and database.
        """
        while self._idle:
            try:
                session = self._idle.pop()
            except IndexError:  # another thread took the last one
                break
            if session.pid == os.getpid() and not _has_ended(session):
                return session
            self.discard(session)
        return self._open()

    def never_begin(self) -> None:
        """Let :meth:`acquire` refuse a database without our tables."""
        self._may_begin = False

    def release(self, session: Session) -> None:
        """Return *session* to the pool, and roll back an open transaction.

        One that the host has had is closed: its settings may be other ones.
        """
        is_ours = session.pid == os.getpid() and not session.handed_out
        if not is_ours or len(self._idle) >= self._most_idle:
            self.discard(session)
            return
        try:
            session.rollback()
        except psycopg.Error:  # in a state that the host has left it in
            self.discard(session)
            return
        if not session.driver.closed:  # lost while it was in use
            self._idle.append(session)

    def discard(self, session: Session) -> None:
        """Close *session*; one inherited through a fork is only set aside."""
        _close(session)

    def is_usable(self, session: Session) -> bool:
        """Return whether this process opened *session*: not if it forked since."""
        return session.pid == os.getpid()

    def close_idle(self) -> None:
        """Close the idle connections; the next :meth:`acquire` opens a new one."""
        _close_all(self._idle)

    def problem_of(self, error: Exception) -> DatabaseProblem:
        return database_problem(error, self.place)

    def may_run_again(self, error: Exception) -> bool:
        return may_run_again(error)

    def wal_size(self) -> None:
        return None

    def distrust_idle(self) -> None:
        """Close the idle connections after an error: their server may be gone too."""
        self.close_idle()

    def _open(self) -> Session:
        try:
            driver = psycopg.connect(
                self._url,
                autocommit=True,
                prepare_threshold=None if self._pooled else 5,  # for a host's own
                **self._parameters(),
            )
        except psycopg.Error as error:
            raise database_problem(error, self.place) from None
        try:
            session = self._session(driver)
            self._check(session)
        except psycopg.Error as error:
            driver.close()
            raise database_problem(error, self.place) from None
        except BaseException:
            driver.close()
            raise
        return session

    def _session(self, driver: psycopg.Connection[Any]) -> Session:
        (commit,) = driver.execute("SHOW synchronous_commit").fetchone() or ("on",)
        # The administrator's choice, unless it is none: acknowledged means durable.
        durable = ["SET LOCAL synchronous_commit = on"] if commit == "off" else []
        limits = self._limits() if self._pooled else {}
        begin = [BEGIN, *(f"SET LOCAL {name} = {n}" for name, n in limits.items())]
        return Session(
            driver,
            quoted(self._schema),
            begin="; ".join(begin + durable),
            begin_not_durable="; ".join([*begin, "SET LOCAL synchronous_commit = off"]),
            once=_once(limits),
            pooled=self._pooled,
        )

    def _limits(self) -> dict[str, int]:
        """Return the server's timeouts for our statements, in milliseconds.

        A statement that reads a large fleet may take longer than one waits for a lock;
        a process that was stopped in a transaction must not keep a machine's lock.
        """
        busy = max(1, int(self._busy_timeout * 1000))
        longest = max(_LONG, _TIMES_BUSY * busy)
        return {
            "lock_timeout": busy,
            "statement_timeout": longest,
            "idle_in_transaction_session_timeout": longest,
        }

    def _parameters(self) -> dict[str, Any]:
        """Return the connection parameters that the URL does not give itself.

        Its options come after ours, so that they win where they set the same.
        """
        ours = parameters(self._url, **WRITABLE)
        if not self._pooled:  # pgbouncer refuses options at the start
            limits = [f"-c {name}={value}" for name, value in self._limits().items()]
            given = conninfo.conninfo_to_dict(self._url).get("options")
            ours["options"] = " ".join([*limits, str(given or "")])
        return ours

    def _check(self, session: Session) -> None:
        """Refuse a server that we cannot use, and create the schema if needed."""
        refuse_server(session.driver, self.place)
        if not self._is_complete:
            self._prepare(session.driver)
            refuse_unfinished(session.driver, self._schema)
            settle_restored(session)
            self._is_complete = True

    def _prepare(self, driver: psycopg.Connection[Any]) -> None:
        """Create what is missing of our tables, if a fleet may be begun here."""
        if not self._may_begin and not look(driver, self._schema).tables:
            raise DatabaseUnavailable(f"{absence_of(self.place, self._schema)}.")
        ensure_schema(driver, self._schema)


def refuse_server(driver: psycopg.Connection[Any], place: str) -> None:
    """Raise DatabaseUnavailable for a server that is too old, or not in UTF-8."""
    major = driver.info.server_version // 10000
    if major < OLDEST:
        raise DatabaseUnavailable(
            f"{place} is PostgreSQL {major}; lea_fleet needs {OLDEST} or later."
        )
    encoding = driver.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise DatabaseUnavailable(
            f"{place} has the encoding {encoding}; lea_fleet needs UTF8."
        )


def _once(limits: dict[str, int]) -> str:
    """Return what ends the WHERE of a statement that is a transaction itself.

    It need not wait for the disk. Its settings are its own, in one round trip instead
    of four; a statement's timeout would be too late.
    """
    own = {"synchronous_commit": "off"}
    if limits:
        own["lock_timeout"] = str(limits["lock_timeout"])
    return "".join(
        f" AND set_config('{name}', '{value}', true) IS NOT NULL"
        for name, value in own.items()
    )


def _has_ended(session: Session) -> bool:
    """Return whether the server has closed an idle connection."""
    try:
        # Without waiting. What is read first may be the reason that the server gives.
        session.driver.pgconn.consume_input()
        session.driver.pgconn.consume_input()
    except psycopg.Error:
        return True
    return session.driver.closed


def _close_all(idle: deque[Session]) -> None:
    while idle:
        _close(idle.pop())


#: Connections of the process that this one was forked from, which it goes on using.
_inherited: list[Session] = []


def _close(session: Session) -> None:
    if session.pid == os.getpid():
        session.driver.close()
    else:
        _inherited.append(session)


_all: weakref.WeakSet[Connections] = weakref.WeakSet()


def _before_fork() -> None:
    """Close all idle connections, so that the child inherits none.

    A child that closed one would end it for the parent too.
    """
    for connections in list(_all):
        connections.close_idle()


if sys.platform != "win32":
    os.register_at_fork(before=_before_fork)
