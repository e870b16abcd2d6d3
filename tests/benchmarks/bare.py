"""The floor: a minimal Flask application with the same routes.

It compares one shared token in constant time, reads JSON and returns JSON of the same
size. It has no database except for the listing: rows, dicts and ``jsonify``.
"""

from __future__ import annotations

import hmac
import os
import sqlite3
from contextlib import closing
from datetime import datetime, timezone

from flask import Flask, abort, jsonify, request

from tests.support.api import PREFIX


def create_app():
    app = Flask(__name__)
    app.json.sort_keys = False
    token = os.environ["RPA_API_TOKEN"].encode()

    def guard():
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode(), token):
            abort(401)

    @app.post(f"{PREFIX}/heartbeat")
    def heartbeat():
        guard()
        said = request.get_json()
        return jsonify(
            status="ok",
            machine_id=said["machine_id"],
            heartbeat_interval=60,
            server_time=datetime.now(timezone.utc).isoformat(),
        )

    @app.post(f"{PREFIX}/enroll")
    def enroll():
        guard()
        said = request.get_json()
        now = datetime.now(timezone.utc).isoformat()
        agent = {
            "id": 1,
            "machine_id": said["machine_id"],
            "user_name": said.get("user_name"),
            "user_email": said.get("user_email"),
            "user_id": said.get("user_id"),
            "hostname": said.get("hostname"),
            "os_info": said.get("os_info"),
            "version": said.get("version"),
            "status": "active",
            "enrolled_at": now,
            "last_seen_at": now,
            "uninstalled_at": None,
            "uninstall_reason": None,
            "presence": "online",
            "suspected_clone": False,
        }
        answer = jsonify(
            status="enrolled",
            machine_id=said["machine_id"],
            api_token="lea_agent_" + 43 * "x",
            heartbeat_interval=60,
            agent=agent,
        )
        return answer, 201

    @app.get(f"{PREFIX}/fleet")
    def fleet():
        guard()
        with closing(sqlite3.connect(os.environ["RPA_AGENTS_DB_PATH"])) as connection:
            connection.row_factory = sqlite3.Row
            rows = connection.execute(
                "SELECT *, 'online' AS presence, 0 AS suspected_clone"
                " FROM enrolled_agents ORDER BY enrolled_at DESC, id DESC"
            )
            agents = [dict(row) for row in rows]
        active = [agent for agent in agents if agent["status"] == "active"]
        uninstalled = [agent for agent in agents if agent["status"] != "active"]
        totals = {"active": len(active), "uninstalled": len(uninstalled)}
        return jsonify(active=active, uninstalled=uninstalled, totals=totals)

    return app
