"""Write a fleet of any size directly to the database."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import datetime, timedelta, timezone

from lea_fleet.core.tokens import hash_token
from lea_fleet.storage.sqlite.schema import ensure_schema


def token_of(number):
    """Return the token of the machine with that number: full length, but not secret."""
    return f"lea_agent_{number:043d}"


def machine_of(number):
    return f"PC-{number:07d}"


def hostname_of(number):
    return f"PARIS-{number}"


def make_fleet(path, machines):
    """Write that many machines, all seen now, each with a token and an event."""
    now = datetime.now(timezone.utc)
    # In index order: inserting in any other order takes most of the time.
    hashes = sorted((hash_token(token_of(n).encode()), n) for n in range(machines))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA cache_size = -400000")  # KiB
        ensure_schema(connection)
        connection.executemany(
            "INSERT INTO enrolled_agents (machine_id, user_name, user_email, hostname,"
            " os_info, version, enrolled_at, last_seen_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (_row(n, _enrolled_at(n, now), now) for n in range(machines)),
        )
        connection.executemany(
            "INSERT INTO lea_fleet_tokens"
            " (token_hash, machine_id, enrolled_at, issued_at, first_used_at)"
            " VALUES (:hash, :machine, :at, :at, :at)",
            (
                {"hash": hash, "machine": machine_of(n), "at": _enrolled_at(n, now)}
                for hash, n in hashes
            ),
        )
        columns = connection.execute("PRAGMA table_info(lea_fleet_tokens)")
        if "said" in {column[1] for column in columns}:  # not in an older commit's
            # As their installers' enrollments leave it. Otherwise each machine's first
            # heartbeat would be written.
            connection.execute("UPDATE lea_fleet_tokens SET said = 15")
        connection.execute(
            "INSERT INTO lea_fleet_events (machine_id, event, at, actor, detail)"
            " SELECT machine_id, 'enrolled', enrolled_at, '{}', '{}'"
            " FROM enrolled_agents"
        )
        connection.commit()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def make_search_index(path):
    """Index the fleet for searches, as its first ones do."""
    from lea_fleet.storage.sqlite.indexing import rewrite  # not in an older commit's

    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        rewrite(connection)


def _enrolled_at(number, now):
    return (now - timedelta(days=30) + timedelta(seconds=number)).isoformat()


def _row(number, enrolled_at, now):
    return (
        machine_of(number),
        f"Zoé Lefèvre {number}",
        f"zoe.lefevre.{number}@example.com",
        hostname_of(number),
        "Windows 11 Pro 23H2 (22631.3447)",
        "1.4.0",
        enrolled_at,
        now.isoformat(),
    )
