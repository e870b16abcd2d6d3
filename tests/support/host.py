"""An RPA server as it was before lea_fleet, none of which may change."""

from __future__ import annotations

import hmac
import sqlite3

from flask import Flask, jsonify, request
from flask.json.provider import DefaultJSONProvider

PUBLIC_PATHS = {"/health"}


class HostJson(DefaultJSONProvider):
    """Writes JSON in the host's own format."""

    indent = 4

    def dumps(self, obj, **kwargs):
        return "/*host*/" + super().dumps(obj, indent=self.indent, **kwargs)


def make_host(database, token):
    """Return a host with its own error pages, guard, routes, tables and JSON format."""
    app = Flask("host")
    app.json = HostJson(app)
    app.config.update(
        RPA_API_TOKEN=token, RPA_AGENTS_DB_PATH=str(database), MAX_CONTENT_LENGTH=1000
    )
    database.parent.mkdir(parents=True)
    with sqlite3.connect(database) as connection:
        connection.execute("CREATE TABLE workflows (id INTEGER PRIMARY KEY, name TEXT)")
        connection.execute("INSERT INTO workflows (name) VALUES ('Facturation')")
        connection.execute("PRAGMA user_version = 7")
    connection.close()

    @app.before_request
    def require_token():
        if request.path in PUBLIC_PATHS:
            return None
        sent = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if hmac.compare_digest(sent.encode(), app.config["RPA_API_TOKEN"].encode()):
            return None
        return jsonify(host="who are you?"), 401

    @app.get("/health")
    def health():
        return jsonify(ok=True)

    @app.get("/api/v1/workflows")
    def workflows():
        with sqlite3.connect(database) as connection:
            rows = connection.execute("SELECT name FROM workflows").fetchall()
        connection.close()
        return jsonify(workflows=rows)

    @app.post("/api/v1/workflows")
    def post_workflow():
        return jsonify(size=len(request.get_data()))

    @app.get("/api/v1/agents/catalogue")
    def catalogue():
        return jsonify(host="a route of its own under the prefix")

    @app.get("/boom")
    def boom():
        raise RuntimeError("the host's own fault")

    @app.errorhandler(Exception)
    def any_error(error):
        return "the host's page for anything", getattr(error, "code", 500)

    for code in (400, 401, 403, 404, 405, 409, 413, 415, 500, 503):
        app.register_error_handler(code, page_of(code))
    return app


def page_of(code):
    def page(error):
        return f"the host's page for {code}", code

    return page
