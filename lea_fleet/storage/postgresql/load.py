"""Check what else goes on in the server: transactions, standbys, connections."""

from __future__ import annotations

from collections.abc import Iterator

from ...core.clock import duration_text
from ...core.findings import Checks, Verdict, fault, ok, some, warning
from .reading import Reading

#: Seconds after which an open transaction is long, and an idle one is forgotten.
LONG = 1800
FORGOTTEN = 60

#: Seconds by which a standby may lag.
LAG = 60

#: The part of a limit that may be used before it is a warning.
NEARLY = 0.8

_TRANSACTIONS = """
    SELECT 'process ' || pid, coalesce(state, ''),
      extract(epoch FROM clock_timestamp() - xact_start)::bigint
    FROM pg_catalog.pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
    AND backend_type = 'client backend' AND xact_start IS NOT NULL
    UNION ALL
    SELECT 'the prepared transaction ' || gid, 'prepared',
      extract(epoch FROM clock_timestamp() - prepared)::bigint
    FROM pg_catalog.pg_prepared_xacts WHERE database = current_database()
    ORDER BY 3 DESC
"""

_STANDBYS = """
    SELECT coalesce(nullif(application_name, ''), 'process ' || pid), state, sync_state,
      extract(epoch FROM replay_lag)::bigint
    FROM pg_catalog.pg_stat_replication ORDER BY 1
"""

_SLOTS = """
    SELECT slot_name, pg_size_pretty(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn))
    FROM pg_catalog.pg_replication_slots
    WHERE NOT active AND restart_lsn IS NOT NULL ORDER BY 1
"""

#: Each limit: what it is of, how many connections there are, how many there may be.
_LIMITS = """
    SELECT 'the server', count(*), current_setting('max_connections')::bigint
      - current_setting('superuser_reserved_connections')::bigint
      - coalesce(current_setting('reserved_connections', true)::bigint, 0)
    FROM pg_catalog.pg_stat_activity WHERE backend_type = 'client backend'
    UNION ALL
    SELECT 'this role', count(*), max(rolconnlimit) FROM pg_catalog.pg_stat_activity
    JOIN pg_catalog.pg_roles ON rolname = usename
    WHERE usename = current_user AND rolconnlimit >= 0
    UNION ALL
    SELECT 'this database', count(*), max(datconnlimit)
    FROM pg_catalog.pg_stat_activity
    JOIN pg_catalog.pg_database AS here ON here.datname = pg_stat_activity.datname
    WHERE here.datname = current_database() AND datconnlimit >= 0
"""


def load_checks(reading: Reading) -> Checks:
    """Return the checks of what goes on in the server."""
    return {
        "long_transactions": lambda: _long_transactions(reading),
        "replication": lambda: _replication(reading),
        "connections": lambda: _connections(reading),
    }


def _long_transactions(reading: Reading) -> Verdict:
    long = [
        f"{who} ({state or 'state unknown'}) for {duration_text(seconds)}"
        for who, state, seconds in reading.rows(_TRANSACTIONS)
        if seconds >= (FORGOTTEN if state.startswith("idle") else LONG)
    ]
    if long:
        return warning(
            f"open: {some(long)}",
            "See what it does (pg_stat_activity), and end it (pg_terminate_backend,"
            " ROLLBACK PREPARED): VACUUM keeps what it may still read, and its locks"
            " last.",
        )
    (sees_all,) = reading.row(
        "SELECT pg_has_role(current_user, 'pg_read_all_stats', 'USAGE')"
    )
    others = "" if sees_all else " of this role; pg_read_all_stats shows others' too"
    return ok(f"none{others}")


def _replication(reading: Reading) -> Verdict:
    in_recovery, names = reading.row(
        "SELECT pg_is_in_recovery(), current_setting('synchronous_standby_names')"
    )
    if in_recovery:
        return ok("not checked on a standby; see primary")
    standbys = reading.rows(_STANDBYS)
    is_waited_for = any(how in ("sync", "quorum") for _, _, how, _ in standbys)
    is_hidden = any(how is None for _, _, how, _ in standbys)
    if names and not is_waited_for and not is_hidden:
        return fault(
            "no synchronous standby is connected, and every commit waits for one",
            "Start the standby, or change synchronous_standby_names.",
        )
    troubles = [*_behind(standbys)]
    troubles += [
        f"the slot {slot} is not used, and keeps {size} of WAL"
        for slot, size in reading.rows(_SLOTS)
    ]
    if troubles:
        return warning(
            some(troubles),
            "Start the standby again, or drop its slot (pg_drop_replication_slot): WAL"
            " that is kept fills the disk.",
        )
    return ok(_standbys_told(standbys))


def _behind(
    standbys: list[tuple[str, str | None, str | None, int | None]],
) -> Iterator[str]:
    for name, state, _, lag in standbys:
        if state not in (None, "streaming"):
            yield f"the standby {name} is in the state {state}"
        elif lag is not None and lag > LAG:
            yield f"the standby {name} is {duration_text(lag)} behind"


def _standbys_told(
    standbys: list[tuple[str, str | None, str | None, int | None]],
) -> str:
    if not standbys:
        return "no standby is connected"
    return some(
        [
            f"{name}: {state}, {how}" if state else name
            for name, state, how, _ in standbys
        ]
    )


def _connections(reading: Reading) -> Verdict:
    limits = [limit for limit in reading.rows(_LIMITS) if limit[2] is not None]
    told = [f"{of} has {used} of {most}" for of, used, most in limits]
    near = [
        text for text, (_, used, most) in zip(told, limits) if used >= NEARLY * most
    ]
    if near:
        return warning(
            "; ".join(near),
            "Run fewer processes and threads, put pgbouncer in between, or raise the"
            " limit: each idle worker keeps up to 8.",
        )
    return ok("; ".join(told))
