"""A stand-in for the older server: it shares the file and does not know our tables.

It opens a connection for each call, uses deferred transactions, a lock within its own
process, one table, and the file's journal mode.
"""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing, contextmanager
from datetime import datetime, timezone

_SCHEMA = """
CREATE TABLE IF NOT EXISTS enrolled_agents (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    machine_id TEXT NOT NULL UNIQUE,
    user_name TEXT,
    user_email TEXT,
    user_id TEXT,
    hostname TEXT,
    os_info TEXT,
    version TEXT,
    status TEXT NOT NULL DEFAULT 'active',
    enrolled_at TEXT NOT NULL,
    last_seen_at TEXT,
    uninstalled_at TEXT,
    uninstall_reason TEXT
);
CREATE INDEX IF NOT EXISTS idx_enrolled_agents_status ON enrolled_agents(status);
CREATE INDEX IF NOT EXISTS idx_enrolled_agents_machine ON enrolled_agents(machine_id);
"""


class OlderServer:
    """The registry of the older server, on the file at *path*."""

    def __init__(self, path):
        self._path = path
        self._lock = threading.Lock()
        with self._connected() as connection:
            connection.executescript(_SCHEMA)

    def get(self, machine_id):
        with self._connected() as connection:
            return _find(connection, machine_id)

    def list_by_status(self, status):
        with self._connected() as connection:
            return _rows(
                connection,
                "SELECT * FROM enrolled_agents WHERE status = ?"
                " ORDER BY enrolled_at DESC",
                status,
            )

    def enroll(self, machine_id, user_name=None):
        """Enroll a new machine, or reactivate one; it must not be active."""
        with self._connected() as connection:
            known = _find(connection, machine_id)
            if known is None:
                connection.execute(
                    "INSERT INTO enrolled_agents"
                    " (machine_id, user_name, status, enrolled_at, last_seen_at)"
                    " VALUES (?, ?, 'active', ?, ?)",
                    (machine_id, user_name, _now(), _now()),
                )
                return
            if known["status"] == "active":
                raise ValueError(f"{machine_id} is active")
            connection.execute(
                "UPDATE enrolled_agents SET status = 'active', enrolled_at = ?,"
                " last_seen_at = ?, uninstalled_at = NULL, uninstall_reason = NULL,"
                " user_name = COALESCE(?, user_name) WHERE machine_id = ?",
                (_now(), _now(), user_name, machine_id),
            )

    def uninstall(self, machine_id, reason=None):
        with self._connected() as connection:
            connection.execute(
                "UPDATE enrolled_agents SET status = 'uninstalled',"
                " uninstalled_at = ?, uninstall_reason = ?"
                " WHERE machine_id = ? AND status = 'active'",
                (_now(), reason, machine_id),
            )

    def touch_last_seen(self, machine_id):
        with self._connected() as connection:
            connection.execute(
                "UPDATE enrolled_agents SET last_seen_at = ? WHERE machine_id = ?",
                (_now(), machine_id),
            )

    @contextmanager
    def _connected(self):
        """Yield a connection; its transaction begins with the first write."""
        with self._lock, closing(sqlite3.connect(self._path)) as connection:
            with connection:
                yield connection


class OlderServersStatements(OlderServer):
    """Its statements on another database, where another program may run them.

    *connected* yields a connection, whose statements take ``?``.
    """

    def __init__(self, connected):
        self._connected = connected


def _find(connection, machine_id):
    query = "SELECT * FROM enrolled_agents WHERE machine_id = ?"
    return next(iter(_rows(connection, query, machine_id)), None)


def _rows(connection, query, *values):
    result = connection.execute(query, values)
    names = [column[0] for column in result.description]
    return [dict(zip(names, row)) for row in result.fetchall()]


def _now():
    return datetime.now(timezone.utc).isoformat()
