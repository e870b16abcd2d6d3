"""A client with one token, and assertions on the form of responses."""

from __future__ import annotations

import json
from typing import Any

OPERATOR_TOKEN = "operator-token-of-the-tests"
MONITOR_TOKEN = "monitor-token-of-the-tests"
PREFIX = "/api/v1/agents"
ACTIONS = {"fix_request", "retry", "reenroll", "stop", "ask_operator"}


class Api:
    """Sends requests to a Flask test client, with one token or with none."""

    def __init__(self, client, token=None, prefix=PREFIX):
        self.client = client
        self.token = token
        self.prefix = prefix

    def request(self, method, path, *, headers=None, **options):
        headers = dict(headers or {})
        if self.token is not None:
            headers.setdefault("Authorization", f"Bearer {self.token}")
        # Buffered, so that the response is read to its end and closed, as by a server.
        options.update(method=method, headers=headers, buffered=True)
        return self.client.open(self.prefix + path, **options)

    def get(self, path, **options):
        return self.request("GET", path, **options)

    def post(self, path, body=None, **options):
        """Send *body* as JSON; if there is none, send what *options* say."""
        if body is not None:  # not json=, which uses the host's own app.json
            options.update(data=json.dumps(body), content_type="application/json")
        return self.request("POST", path, **options)

    def enroll(self, machine_id="PC-1", **members):
        """Enroll a machine; return the agent with its token."""
        response = self.post("/enroll", {"machine_id": machine_id, **members})
        assert response.status_code == 201, response.text
        return Agent(self.client, response.json, self.prefix)

    def installer(self, **members):
        """Create an enrollment token; return the installer with it."""
        response = self.post("/enrollment-tokens", members)
        assert response.status_code == 201, response.text
        return Api(self.client, response.json["token"], self.prefix)

    def machine(self, machine_id="PC-1"):
        return self.get(f"/machines/{machine_id}").json["agent"]

    def uninstall(self, machine_id="PC-1", **members):
        return self.post("/uninstall", {"machine_id": machine_id, **members})


class Agent(Api):
    """The Lea agent on a machine, as its installer left it."""

    def __init__(self, client, answer, prefix=PREFIX):
        super().__init__(client, answer["api_token"], prefix)
        self.answer = answer
        self.machine_id = answer["machine_id"]

    def heartbeat(self, **members):
        return self.post("/heartbeat", members)


def assert_problem(response, status, code, action=None) -> dict[str, Any]:
    """Assert the one form of error body, and return it."""
    assert (response.status_code, response.json.get("code")) == (status, code)
    assert response.mimetype == "application/problem+json"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.data.isascii()
    body = json.loads(response.data)
    assert body["status"] == status
    assert body["type"].endswith(f":{code}")
    assert body["title"] and body["detail"]
    assert body["action"] in ACTIONS
    assert action in (None, body["action"])
    challenge = response.headers.get("WWW-Authenticate", "")
    assert challenge.startswith("Bearer ") is (status in (401, 403))
    assert ("Retry-After" in response.headers) is (status in (429, 503))
    return body


def assert_invalid(response, *fields) -> list[dict[str, str]]:
    """Assert a 400 that names each of *fields* once, and return its errors."""
    errors = assert_problem(response, 400, "invalid_field", "fix_request")["errors"]
    assert [error["field"] for error in errors] == list(fields)
    assert all(error["message"] for error in errors)
    return errors
