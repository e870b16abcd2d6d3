"""The connections of one application to PostgreSQL."""

from __future__ import annotations

import os
import select
import weakref
from collections import deque
from contextlib import suppress
from typing import Any

import psycopg
from psycopg import conninfo
from psycopg.sql import Identifier

from ...core.problems import DatabaseProblem, DatabaseUnavailable
from ..interface import Dialect
from .dialect import DIALECT
from .errors import CONFLICTS, database_problem
from .schema import ensure_schema
from .session import Session

#: Idle connections that a process keeps. Each is a process of the server.
_MOST_IDLE = 8

#: Seconds for each host of the URL, unless it has a connect_timeout: libpq has none.
_CONNECT_TIMEOUT = 5


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

    def release(self, session: Session) -> None:
        """Return *session* to the pool, and roll back an open transaction."""
        if session.pid != os.getpid() or len(self._idle) >= self._most_idle:
            self.discard(session)
            return
        try:
            if session.in_transaction:
                session.rollback()
        except psycopg.Error:
            self.discard(session)
            return
        if session.driver.closed:
            return
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

    def is_conflict(self, error: Exception) -> bool:
        return isinstance(error, CONFLICTS)

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
                prepare_threshold=None if self._pooled else 5,
                **self._parameters(),
            )
        except psycopg.Error as error:
            raise database_problem(error, self.place) from None
        session = Session(driver, Identifier(self._schema).as_string(None))
        try:
            self._check(session)
        except BaseException:
            driver.close()
            raise
        return session

    def _parameters(self) -> dict[str, Any]:
        """Return the connection parameters that the URL does not give itself."""
        milliseconds = max(1, int(self._busy_timeout * 1000))
        ours: dict[str, Any] = {
            "connect_timeout": _CONNECT_TIMEOUT,
            "application_name": "lea_fleet",
            "target_session_attrs": "read-write",
        }
        if not self._pooled:
            ours["options"] = f"-c lock_timeout={milliseconds}"
        given = conninfo.conninfo_to_dict(self._url)
        return {name: value for name, value in ours.items() if name not in given}

    def _check(self, session: Session) -> None:
        """Refuse a server that we cannot use, and create the schema if needed."""
        info = session.driver.info
        if info.server_version < 130000:
            raise DatabaseUnavailable(
                f"{self.place} is PostgreSQL {info.server_version // 10000}; lea_fleet"
                " needs 13 or later."
            )
        encoding = info.parameter_status("server_encoding")
        if encoding != "UTF8":
            raise DatabaseUnavailable(
                f"{self.place} has the encoding {encoding}; lea_fleet needs UTF8."
            )
        if not self._is_complete:
            try:
                ensure_schema(session, self._schema)
            except psycopg.Error as error:
                raise database_problem(error, self.place) from None
            self._is_complete = True


def place_of(url: str) -> str:
    """Return the database and hosts of *url*, without its user and password."""
    given = conninfo.conninfo_to_dict(url)
    hosts = str(given.get("host") or given.get("hostaddr") or "localhost")
    ports = str(given.get("port") or "5432")
    name = given.get("dbname") or given.get("user") or "the default database"
    return f"PostgreSQL {name} at {hosts}:{ports}"


def _has_ended(session: Session) -> bool:
    """Return whether the server has closed an idle connection.

    One that has something to say unasked has an error to tell, as a rule its end.
    """
    driver = session.driver
    if driver.closed:
        return True
    readable, _, _ = select.select([driver.pgconn.socket], [], [], 0)
    if not readable:
        return False
    with suppress(psycopg.Error):
        driver.pgconn.consume_input()
        return driver.pgconn.status != psycopg.pq.ConnStatus.OK
    return True


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
