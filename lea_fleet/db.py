"""The application context's connection to the database, and its repository."""

from __future__ import annotations

import os

from flask import g

from .connections import Connection, discard
from .presence import PresenceRule
from .repository import AgentRepository
from .state import current_state

_NAME = "_lea_fleet_connection"


def get_db() -> Connection:
    """Return this application context's connection, opened on first use.

    It is released when the context ends; what is not committed by then is
    rolled back. Raises DatabaseBusy or DatabaseUnavailable.
    """
    connection: Connection | None = g.get(_NAME)
    if connection is None or connection.pid != os.getpid():
        discard_db()
        connection = current_state().connections.acquire()
        setattr(g, _NAME, connection)
    return connection


def close_db(error: BaseException | None = None) -> None:
    """Release this context's connection, if it has one."""
    connection = g.pop(_NAME, None)
    if connection is not None:
        current_state().connections.release(connection)


def discard_db() -> None:
    """Close this context's connection for good: after a fault, or a fork."""
    connection = g.pop(_NAME, None)
    if connection is not None:
        discard(connection)


def get_repository() -> AgentRepository:
    """Return a repository on this application context's connection."""
    settings = current_state().settings
    rule = PresenceRule(
        settings.heartbeat_interval,
        settings.heartbeat_resolution,
        settings.stale_after,
    )
    return AgentRepository(get_db(), rule)
