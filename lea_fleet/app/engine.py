"""The one place that chooses an engine for the fleet's database."""

from __future__ import annotations

from ..storage.interface import Dialect, Session, Store
from ..storage.sqlite.connections import Connections
from ..storage.sqlite.dialect import SqliteDialect
from ..storage.sqlite.schema import refuse_old_sqlite
from .settings import Settings


def open_store(settings: Settings) -> Store:
    """Return the store that *settings* name; nothing is opened or made yet.

    Raises RuntimeError for an SQLite that is too old.
    """
    refuse_old_sqlite()
    return Connections(
        settings.database,
        busy_timeout=settings.busy_timeout,
        reuse=settings.reuse_connections,
    )


def dialect_of(session: Session) -> Dialect:
    """Return how to speak to *session*, which a host has opened itself."""
    return SqliteDialect()


#: What the engines raise; Store.problem_of() says what that means.
DATABASE_ERRORS = Connections.errors
