"""Choose the database engine; no other module outside storage names one."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from ..storage.administration import Administration
from ..storage.interface import Dialect, Session, Store
from ..storage.sides import Source, Target
from ..storage.sqlite.admin import SqliteAdministration
from ..storage.sqlite.connections import Connections
from ..storage.sqlite.dialect import dialect_for
from ..storage.sqlite.move_source import SqliteSource
from ..storage.sqlite.move_target import SqliteTarget
from ..storage.sqlite.schema import refuse_old_sqlite
from .settings import ConfigurationError, Settings


def open_store(settings: Settings) -> Store:
    """Return the store that *settings* name, without opening or creating anything.

    Raises RuntimeError if SQLite is too old, ConfigurationError if psycopg is missing
    or the URL is not valid.
    """
    if settings.database_url is not None:
        return _open_postgresql(settings.database_url, settings)
    refuse_old_sqlite()
    return Connections(
        settings.database,
        busy_timeout=settings.busy_timeout,
        reuse=settings.reuse_connections,
    )


def _open_postgresql(url: str, settings: Settings) -> Store:
    # Imported where it is configured: it takes as long as the rest of the package.
    try:
        from ..storage.postgresql.address import refuse_url
        from ..storage.postgresql.connections import Connections as Servers
    except ImportError as error:
        raise ConfigurationError(
            f"LEA_FLEET_DATABASE_URL needs psycopg 3 ({str(error).splitlines()[0]}):"
            " pip install 'lea-fleet[postgresql]'"
        ) from None
    try:
        refuse_url(url)
    except ValueError as error:
        raise ConfigurationError(f"LEA_FLEET_DATABASE_URL {error}") from None
    return Servers(
        url,
        schema=settings.database_schema,
        busy_timeout=settings.busy_timeout,
        reuse=settings.reuse_connections,
        pooled=settings.database_pooled,
    )


def adopted(connection: Any) -> tuple[Session, Dialect]:
    """Return the session and dialect of a *connection* that a host has opened itself.

    One of psycopg has its tables in the first schema of its ``search_path``.
    """
    if not hasattr(connection, "pgconn"):
        return connection, dialect_for(connection)
    from ..storage.postgresql.dialect import DIALECT
    from ..storage.postgresql.session import adopt

    return adopt(connection), DIALECT


def open_administration(settings: Settings) -> Administration:
    """Return what commands need of the database that *settings* name."""
    if settings.database_url is None:
        return SqliteAdministration(
            settings.database, busy_timeout=settings.busy_timeout
        )
    from ..storage.postgresql.admin import PostgresqlAdministration

    return PostgresqlAdministration(
        settings.database_url,
        schema=settings.database_schema,
        busy_timeout=settings.busy_timeout,
        pooled=settings.database_pooled,
    )


def open_source(settings: Settings) -> AbstractContextManager[Source]:
    """Open the database that *settings* name, for a fleet to leave it."""
    if settings.database_url is None:
        return SqliteSource(settings.database, busy_timeout=settings.busy_timeout)
    from ..storage.postgresql.move_source import PostgresqlSource

    return PostgresqlSource(settings.database_url, settings.database_schema)


def open_target(settings: Settings) -> AbstractContextManager[Target]:
    """Open the database that *settings* name, for a fleet to come to it.

    Raises ConfigurationError, and the errors of its driver.
    """
    if settings.database_url is None:
        return SqliteTarget(settings.database, busy_timeout=settings.busy_timeout)
    open_store(settings)  # refuses what no server could use
    from ..storage.postgresql.move_target import PostgresqlTarget

    return PostgresqlTarget(settings.database_url, settings.database_schema)


def has_password(url: str) -> bool:
    """Return whether *url* of PostgreSQL contains a password; a wrong one does not."""
    from ..storage.postgresql import address

    return address.has_password(url)
