"""What the commands need of a PostgreSQL database, besides the fleet in it."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, NoReturn

import psycopg

from ...core.findings import Checks
from ...core.problems import DatabaseProblem, DatabaseUnavailable
from ..administration import BackupFailed, Cleaning, Progress
from ..sides import end_interrupted
from . import checks, keys
from .address import absence_of, connection_string, place_of
from .connections import refuse_server
from .direct import connected
from .move_source import PostgresqlSource, is_noting
from .schema import Found, look, make_tables, script
from .session import Session
from .statements import quoted

#: Where deleted data may still be. We can empty none of them: see :meth:`clean`.
_REMAINS = ["free space", "WAL", "WAL archives", "backups", "replicas"]

_LEFT = (
    "It is no longer in the tables. VACUUM{vacuum}, makes its space reusable but does"
    " not zero it; the WAL, its archives, backups and replicas keep what they have"
    " until they are rotated."
)


class PostgresqlAdministration:
    """See :class:`lea_fleet.storage.administration.Administration`.

    *busy_timeout* is how long to wait for a lock, in seconds. A *pooled* database is
    behind pgbouncer or the like.
    """

    settings = "LEA_FLEET_DATABASE_URL and LEA_FLEET_DATABASE_SCHEMA"

    def __init__(
        self, url: str, *, schema: str, busy_timeout: float, pooled: bool
    ) -> None:
        self.place = place_of(url)
        self._url = url
        self._schema = schema
        self._busy_timeout = busy_timeout
        self._pooled = pooled

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.place}>"

    def exists(self) -> bool:
        with self._connected() as driver:
            refuse_server(driver, self.place)
            return bool(look(driver, self._schema).tables)

    def is_prepared(self) -> bool:
        return True  # a URL is always configured on purpose

    def absence(self) -> str:
        return absence_of(self.place, self._schema)

    def beginning(self) -> str:
        return f"Began a new fleet in the schema {self._schema} of {self.place}."

    def refuse_user(self) -> None:
        """Refuse nobody: the server itself says what a role may do."""

    @contextmanager
    def dry_run(self) -> Iterator[Session | None]:
        """Yield a session with our tables as temporary ones, where there are none.

        Only this session sees them, and they end with it.
        """
        with self._connected() as driver:
            found = look(driver, self._schema)
            if not found.is_complete:
                self._refuse_dry_run(found)
                make_tables(driver, "pg_temp")
                yield Session(driver, "pg_temp")
                return
        yield None

    def reading(self, busy_timeout: float) -> AbstractContextManager[checks.Reading]:
        return checks.reading(
            self._url, self.place, self._schema, busy_timeout, pooled=self._pooled
        )

    def checks(self, reading: checks.Reading, quick: bool) -> Checks:
        return checks.engine_checks(reading, quick)

    def clean(self, session: Any, vacuuming: bool) -> Cleaning:
        """Say where deleted data remains; with *vacuuming*, VACUUM our tables.

        Plain VACUUM, beside which others read and write. VACUUM FULL would keep them
        out of each table while it is rewritten, for minutes in a large fleet, and gives
        the old file back as it is: neither of them zeroes anything.
        """
        fault = None
        if vacuuming:
            try:
                fault = self._vacuum()
            except DatabaseProblem as problem:
                fault = problem.detail
        done = vacuuming and fault is None
        how = ", which has run" if done else ", by itself or with --vacuum"
        return Cleaning(
            {
                # Others' changes are in the WAL too; the server removes it in time.
                "wal_emptied": None,
                "log_emptied": None,
                "vacuumed": done,
                "may_remain_in": _REMAINS,
            },
            "",
            _LEFT.format(vacuum=how),
            fault and f"Erased, but not all tables could be vacuumed: {fault}",
        )

    def refuse_backup(self, file: Path) -> NoReturn:
        """Name the program that makes backups. Raises BackupFailed."""
        address = connection_string(self._url)
        words = ["pg_dump", "-Fc", "-n", self._schema, "-f", str(file)]
        words += ["-d", address] if address else []
        raise BackupFailed(
            f"PostgreSQL's own program makes the backup: {shlex.join(words)}"
        )

    def back_up(self, session: Any, file: Path, progress: Progress) -> NoReturn:
        self.refuse_backup(file)

    def is_part_of(self, file: Path) -> bool:
        return False

    def schema(self, role: str | None) -> str:
        # The name is printed as it is: only that can be run.
        if role is not None and not role.isprintable():
            raise ValueError("--role must not contain control characters")
        return script(self._schema, role)

    def end_interrupted_move(self, session: Session) -> bool:
        if not is_noting(session.driver, self._schema):
            return False
        with PostgresqlSource(self._url, self._schema) as source:
            return end_interrupted(source)

    def wrong_keys(self, session: Session) -> int:
        return keys.compare(session, math.inf).wrong

    def rewrite_keys(self, session: Session) -> int:
        return keys.rewrite(session)

    def _connected(self) -> AbstractContextManager[psycopg.Connection[Any]]:
        return connected(self._url, self.place)

    def _refuse_dry_run(self, found: Found) -> None:
        """Refuse where temporary tables would not be as the fleet's own are."""
        if found.tables:
            found.refuse_dry_run(f"The schema {self._schema} of {self.place}")
        if self._pooled:
            raise DatabaseUnavailable(
                f"{self.absence()} yet, and a dry run needs temporary tables, which a"
                " connection pooler does not keep (LEA_FLEET_DATABASE_POOLED)."
            )

    def _vacuum(self) -> str | None:
        """VACUUM our tables; return what the server has skipped."""
        skipped: list[str] = []
        with self._connected() as driver:
            driver.add_notice_handler(lambda told: skipped.append(_warning(told)))
            if not self._pooled:
                milliseconds = max(1, int(self._busy_timeout * 1000))
                driver.execute(f"SET lock_timeout = {milliseconds}")
                driver.execute("SET statement_timeout = 0")
            tables = sorted(look(driver, self._schema).tables)
            driver.execute(f"VACUUM {', '.join(map(self._qualified, tables))}")
        told = "; ".join(filter(None, skipped))
        return f"{told}." if told else None

    def _qualified(self, table: str) -> str:
        return f"{quoted(self._schema)}.{table}"


def _warning(told: Any) -> str:
    is_warning = told.severity_nonlocalized == "WARNING"
    # A translation may have several lines.
    return " ".join(told.message_primary.split()) if is_warning else ""
