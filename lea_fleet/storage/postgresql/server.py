"""Check the server: which one it is, its version, its text, its clock."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from ...core import clock
from ...core.findings import Checks, Verdict, fault, ok, some, warning
from ...core.problems import DatabaseBusy, Problem
from .connections import OLDEST
from .reading import Reading

#: The last day with fixes of each major version, as postgresql.org announces them.
#: Which minor version is the latest one cannot be known here.
_ENDS = {
    13: "2025-11-13",
    14: "2026-11-12",
    15: "2027-11-11",
    16: "2028-11-09",
    17: "2029-11-08",
    18: "2030-11-14",
}

#: Seconds by which two clocks may differ: they are adjusted all the time.
_TOLERANCE = timedelta(seconds=5)

_ADDRESS = (
    "Check LEA_FLEET_DATABASE_URL, that the server runs and has a connection left, and"
    " that its pg_hba.conf lets this role in from here."
)

#: Text columns of ours in another order than that of their bytes.
_OTHER_ORDER = """
    SELECT relname || '.' || attname FROM pg_catalog.pg_attribute
    JOIN pg_catalog.pg_class ON pg_class.oid = attrelid
    JOIN pg_catalog.pg_namespace AS space ON space.oid = relnamespace
    JOIN pg_catalog.pg_collation AS used ON used.oid = attcollation
    WHERE nspname = %s AND relname = ANY(%s) AND attnum > 0 AND NOT attisdropped
    AND collname NOT IN ('C', 'POSIX', 'ucs_basic') ORDER BY 1
"""


def server_checks(reading: Reading) -> Checks:
    """Return the checks of the server itself."""
    return {
        "reachable": lambda: _reachable(reading),
        "primary": lambda: _primary(reading),
        "version": lambda: version(
            reading.session.driver.info.server_version, clock.now()
        ),
        "encoding": lambda: _encoding(reading),
        "collation": lambda: _collation(reading),
        "server_clock": lambda: _server_clock(reading),
    }


def _reachable(reading: Reading) -> Verdict:
    found = reading.found
    if isinstance(found, DatabaseBusy):
        return fault(found.detail, "See connections, and what holds the locks.")
    if isinstance(found, Problem):
        return fault(found.detail, _ADDRESS)
    reading.session.ensure_begun()
    info = found.driver.info
    return ok(f"{reading.place} answers, at {info.host}:{info.port}")


def _primary(reading: Reading) -> Verdict:
    is_standby, is_read_only = reading.row(
        "SELECT pg_is_in_recovery(), current_setting('default_transaction_read_only')"
    )
    if is_standby:
        return fault(
            "the server is a standby, which refuses to write",
            "Name the primary in LEA_FLEET_DATABASE_URL, best all servers:"
            " postgresql://host1,host2/…; or promote this one.",
        )
    if is_read_only == "on":
        return fault(
            "transactions are read-only (default_transaction_read_only)",
            "Set it off for this role and database, if they are to be written.",
        )
    return ok("the primary")


def version(number: int, now: datetime) -> Verdict:
    """Judge the server's version *number*, such as 150018, at the time *now*."""
    major = number // 10000
    shown = f"{major}.{number % 10000}"
    if major < OLDEST:
        return fault(f"{shown} is too old", f"Use PostgreSQL {OLDEST} or later.")
    end = _ENDS.get(major)
    if end is not None and now.date().isoformat() > end:
        return warning(
            f"{shown} has got no fixes since {end}",
            "Move to a version that gets them: postgresql.org/support/versioning.",
        )
    return ok(shown)


def _encoding(reading: Reading) -> Verdict:
    encoding = reading.session.driver.info.parameter_status("server_encoding")
    if encoding == "UTF8":
        return ok("UTF8")
    return fault(
        f"{encoding}: it cannot store every name",
        "Use a database that was created with ENCODING 'UTF8'.",
    )


def _collation(reading: Reading) -> Verdict:
    """Check that our columns are in byte order, and the database's own order too.

    A library of another version may sort text in another way, and indexes that are in
    the old order miss rows. Byte order never changes: ours are not concerned.
    """
    tables = sorted(reading.tables())
    other = [name for (name,) in reading.rows(_OTHER_ORDER, [reading.schema, tables])]
    if other:
        return fault(
            f'not COLLATE "C": {some(other)}; lists and pages are in another order',
            'Change each back: ALTER TABLE … ALTER COLUMN … TYPE text COLLATE "C".',
        )
    ours = "lea_fleet's columns are in byte order"
    if reading.session.driver.info.server_version < 150000:
        return ok(ours)
    name, stored, actual = reading.row(
        "SELECT datname, datcollversion,"
        " pg_catalog.pg_database_collation_actual_version(oid)"
        " FROM pg_catalog.pg_database WHERE datname = current_database()"
    )
    if stored == actual or None in (stored, actual):
        return ok(ours)
    return warning(
        f"the database was made with version {stored} of its collation, the system has"
        f" {actual}: indexes of other tables may miss rows; {ours}",
        "Rebuild those: REINDEX DATABASE, then ALTER DATABASE … REFRESH COLLATION"
        f" VERSION, of {name}.",
    )


def _server_clock(reading: Reading) -> Verdict:
    before = clock.now()
    (now,) = reading.row("SELECT extract(epoch FROM clock_timestamp())::float8")
    after = clock.now()
    there = datetime.fromtimestamp(now, timezone.utc)
    off = max(before - there, there - after)
    if off <= _TOLERANCE:
        return ok("the server's is as this computer's")
    return warning(
        f"the server's differs by {off.total_seconds():.0f} s from this computer's",
        "Set both (timedatectl): timestamps are those of the computers that run"
        " lea_fleet, which must agree.",
    )
