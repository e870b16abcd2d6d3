"""The other floor: the three rows of an enrollment, written directly to SQLite."""

from __future__ import annotations

import secrets
import sqlite3
import time
from contextlib import closing
from datetime import datetime, timezone

from lea_fleet.core.tokens import hash_token


def enrollment_seconds(path, enrollments):
    """Return the processor time of an enrollment, averaged over that many."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = FULL")
        began = time.process_time()
        for _ in range(enrollments):
            _enroll(connection, secrets.token_urlsafe(32))
        return (time.process_time() - began) / enrollments


def _enroll(connection, token):
    now = datetime.now(timezone.utc).isoformat()
    machine_id = f"RAW-{token[:12]}"
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(
        "INSERT INTO enrolled_agents"
        " (machine_id, user_name, hostname, version, enrolled_at, last_seen_at)"
        " VALUES (?, 'Zoé Lefèvre', 'PARIS-1', '1.4.0', ?, ?)",
        (machine_id, now, now),
    )
    connection.execute(
        "INSERT INTO lea_fleet_tokens (token_hash, machine_id, enrolled_at, issued_at)"
        " VALUES (?, ?, ?, ?)",
        (hash_token(token.encode()), machine_id, now, now),
    )
    connection.execute(
        "INSERT INTO lea_fleet_events (machine_id, event, at, actor, detail)"
        " VALUES (?, 'enrolled', ?, '{\"role\": \"operator\"}', '{}')",
        (machine_id, now),
    )
    connection.execute("COMMIT")
