"""The application context's connection to the database, and its repository."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Mapping
from typing import Any

from flask import g

from ..storage.sqlite.connections import Connection
from ..core.problems import DatabaseProblem, DatabaseUnavailable, database_problem
from ..storage import AgentRepository
from .signals import announce
from .state import current_state

_NAME = "_lea_fleet_connection"
_HOST_REPOSITORY = "_lea_fleet_repository"


def get_db() -> Connection:
    """Return this application context's connection, opened on first use.

    It is released when the context ends; what is not committed by then is
    rolled back. Raises DatabaseBusy or DatabaseUnavailable.
    """
    context = g._get_current_object()
    connection: Connection | None = context.get(_NAME)
    if connection is not None and connection.pid == os.getpid():
        return connection
    if connection is not None:
        discard_db()
    connection = current_state().connections.acquire()
    setattr(context, _NAME, connection)
    return connection


def close_db(error: BaseException | None = None) -> None:
    """Release this context's connection, if it has one."""
    connection = g.pop(_NAME, None)
    if connection is not None:
        current_state().connections.release(connection)


def discard_db() -> None:
    """Close this context's connection for good: after a fork."""
    connection = g.pop(_NAME, None)
    if connection is not None:
        current_state().connections.discard(connection)


def fault_of(error: sqlite3.Error) -> DatabaseProblem:
    """Return what an error of the database means to whoever asked it.

    After more than a lock no connection is left to anybody: it may be broken.
    """
    state = current_state()
    problem = database_problem(error, state.settings.database)
    if isinstance(problem, DatabaseUnavailable):
        close_db()
        state.connections.distrust_idle()
    return problem


def get_host_repository() -> AgentRepository:
    """Return this application context's repository for the host's own code.

    The same one for as long as its connection lasts, so that calls within one
    of its transactions are announced together, after the commit.
    """
    repository: AgentRepository | None = g.get(_HOST_REPOSITORY)
    if repository is None or repository.connection is not get_db():
        repository = get_repository()
        setattr(g, _HOST_REPOSITORY, repository)
    return repository


def get_repository(actor: Mapping[str, Any] | None = None) -> AgentRepository:
    """Return a repository on this application context's connection.

    *actor* is who its events name; the host, where nobody is given.
    """
    rule = current_state().rule
    return AgentRepository(get_db(), rule, actor=actor, announce=announce)
