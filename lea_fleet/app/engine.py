"""The one place that chooses an engine for the fleet's database."""

from __future__ import annotations

from ..storage.interface import Dialect, Session, Store
from ..storage.sqlite.backup import BackupFailed, back_up
from ..storage.sqlite.checks import Reading, engine_checks, reading
from ..storage.sqlite.connections import Connections, connect
from ..storage.sqlite.dialect import SqliteDialect
from ..storage.sqlite.dry_run import copy_for_dry_run
from ..storage.sqlite.files import is_part_of
from ..storage.sqlite.purge import empty_wal, vacuum
from ..storage.sqlite.schema import refuse_old_sqlite
from .settings import Settings

# From the second line on: what the commands use besides the store.
__all__ = ["DATABASE_ERRORS", "dialect_of", "open_store"]
__all__ += ["BackupFailed", "back_up", "connect", "copy_for_dry_run", "empty_wal"]
__all__ += ["Reading", "engine_checks", "is_part_of", "reading", "vacuum"]


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
