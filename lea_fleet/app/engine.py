"""Choose the database engine; no other module outside storage names one."""

from __future__ import annotations

from typing import Any

from ..storage.interface import Dialect, Session, Store
from ..storage.sqlite.backup import BackupFailed, back_up
from ..storage.sqlite.checks import Reading, engine_checks, reading
from ..storage.sqlite.connections import Connections
from ..storage.sqlite.dialect import dialect_for
from ..storage.sqlite.dry_run import copy_for_dry_run
from ..storage.sqlite.files import has_database, is_part_of
from ..storage.sqlite.permissions import refuse_to_shut_out_owner
from ..storage.sqlite.purge import empty_wal, vacuum
from ..storage.sqlite.schema import refuse_old_sqlite
from .settings import ConfigurationError, Settings

# All lines but the first are what the commands use besides the store.
__all__ = ["adopted", "open_store"]
__all__ += ["BackupFailed", "back_up", "copy_for_dry_run", "empty_wal"]
__all__ += ["Reading", "engine_checks", "has_database", "is_part_of", "reading"]
__all__ += ["refuse_to_shut_out_owner", "vacuum"]


def open_store(settings: Settings) -> Store:
    """Return the store that *settings* name, without opening or creating anything.

    Raises RuntimeError if SQLite is too old, or if psycopg is missing.
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
        from ..storage.postgresql.connections import Connections as Servers
    except ImportError as error:
        raise ConfigurationError(
            f"LEA_FLEET_DATABASE_URL needs psycopg 3 ({error}):"
            " pip install 'lea_fleet[postgresql]'."
        ) from None
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
