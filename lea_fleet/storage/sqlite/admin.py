"""What the commands need of an SQLite database, besides the fleet in it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

from ...core.findings import Checks
from ...core.problems import DatabaseProblem
from ..administration import Cleaning, Progress
from ..sides import end_interrupted
from . import checks, files
from .backup import back_up
from .connection import Connection
from .dialect import dialect_for
from .dry_run import copy_for_dry_run
from .move_source import SqliteSource, is_noting
from .indexing import count_wrong, purge, rewrite
from .permissions import refuse_to_shut_out_owner
from .purge import empty_wal, vacuum
from .schema import script

_NOT_EMPTIED = (
    "What was erased is still in the WAL beside the database: another program is"
    " reading an earlier state, or writing. Run the same command again."
)


class SqliteAdministration:
    """See :class:`lea_fleet.storage.administration.Administration`.

    *busy_timeout* is how long to wait for another process's lock, in seconds.
    """

    settings = "RPA_AGENTS_DB_PATH"

    def __init__(self, path: Path, *, busy_timeout: float) -> None:
        self.place = str(path)
        self._path = path
        self._busy_timeout = busy_timeout

    def exists(self) -> bool:
        return files.has_database(self._path)

    def is_prepared(self) -> bool:
        # Of the file itself: a link may lead to a disk that is not mounted.
        return os.path.isdir(os.path.dirname(os.path.realpath(self._path)))

    def absence(self) -> str:
        return f"There is no database at {self.place}"

    def beginning(self) -> str:
        return f"Began a new database at {self.place}."

    def refuse_user(self) -> None:
        refuse_to_shut_out_owner(self._path)

    @contextmanager
    def dry_run(self) -> Iterator[sqlite3.Connection | None]:
        copy = copy_for_dry_run(self._path, self._busy_timeout)
        if copy is None:
            yield None
            return
        with closing(copy):
            dialect_for(copy)
            yield copy

    def reading(self, busy_timeout: float) -> AbstractContextManager[checks.Reading]:
        return checks.reading(self._path, busy_timeout)

    def checks(self, reading: checks.Reading, quick: bool) -> Checks:
        return checks.engine_checks(reading, self._busy_timeout, quick)

    def clean(self, session: Connection, vacuuming: bool) -> Cleaning:
        """Empty the WAL, and with *vacuuming* rewrite the file."""
        fault, vacuumed = self._purged(session), False
        if vacuuming:
            try:
                vacuum(session, self._path)
                vacuumed = True
            except DatabaseProblem as problem:
                fault = (
                    f"Erased, but the file could not be rewritten: {problem.detail}"
                    " Run the same command again."
                )
        emptied = empty_wal(session, self._busy_timeout)
        return Cleaning(
            # "log_emptied" was the only name of "wal_emptied" once.
            {"wal_emptied": emptied, "log_emptied": emptied, "vacuumed": vacuumed},
            f"The WAL is {'empty' if emptied else 'NOT empty'}.",
            (
                ""
                if vacuumed
                else "Free space in the file may still hold copies; --vacuum removes"
                " them."
            ),
            fault if emptied else _NOT_EMPTIED,
        )

    def _purged(self, session: Connection) -> str | None:
        """Remove what was erased from the index for searches; return what failed."""
        try:
            purge(session)
        except (sqlite3.Error, DatabaseProblem) as error:
            return (
                f"Erased, but the index for searches could not be rewritten: {error}."
                " Run the same command again."
            )
        return None

    def refuse_backup(self, file: Path) -> None:
        """Refuse nothing: SQLite copies a database while it is in use."""

    def back_up(
        self, session: sqlite3.Connection, file: Path, progress: Progress
    ) -> int:
        return back_up(session, file, progress)

    def is_part_of(self, file: Path) -> bool:
        return files.is_part_of(file, self._path)

    def schema(self, role: str | None) -> str:
        if role is not None:
            raise ValueError("SQLite has no roles: who may write the file may use it")
        return script()

    def end_interrupted_move(self, session: sqlite3.Connection) -> bool:
        if not is_noting(session):
            return False
        with SqliteSource(self._path, busy_timeout=self._busy_timeout) as source:
            return end_interrupted(source)

    def wrong_keys(self, session: sqlite3.Connection) -> int:
        return count_wrong(session)

    def rewrite_keys(self, session: sqlite3.Connection) -> int:
        """Mend the index for searches, or make it; no other keys are stored."""
        return rewrite(session)
