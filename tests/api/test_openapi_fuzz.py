"""Schemathesis against a running server: it keeps what the OpenAPI document promises.

All of its checks, with the same cases in every run: valid requests are accepted,
invalid ones are refused, and each response is as documented.

``fitting`` adapts requests to the rules that a schema cannot express.
"""

from __future__ import annotations

import threading
from collections import Counter

import pytest
import schemathesis
from schemathesis import engine
from schemathesis.engine import events
from werkzeug.serving import WSGIRequestHandler, make_server

from lea_fleet.app.database import get_repository
from tests.support.api import OPERATOR_TOKEN, PREFIX

#: As the operator, since other roles are refused before the body is read.
AUTHORIZATION = {"Authorization": f"Bearer {OPERATOR_TOKEN}"}

#: An enrollment token that a host has made.
INSTALLER_TOKEN = "lea_enroll_Bx4kTn9WsQ2hVd7RyLc1ZpMf6JgEa3UoIi8YtXw5KvN"

CHECKS = {
    "allow_header_conformance",
    "content_type_conformance",
    "ensure_resource_availability",
    "ignored_auth",
    "missing_required_header",
    "negative_data_rejection",
    "not_a_server_error",
    "positive_data_acceptance",
    "response_headers_conformance",
    "response_schema_conformance",
    "status_code_conformance",
    "unsupported_method",
    "use_after_free",
}


class Quiet(WSGIRequestHandler):
    """Keeps connections open, and does not log requests."""

    protocol_version = "HTTP/1.1"

    def log_request(self, *args):
        pass


@pytest.fixture
def url(app, operator):
    """The URL of a server with a machine and an enrollment token in its fleet."""
    operator.enroll("PC-1")
    operator.installer()
    with app.app_context():
        tokens = get_repository().enrollment_tokens
        tokens.create(INSTALLER_TOKEN, label="", lifetime=None, max_uses=1)
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.port}{PREFIX}"
    server.shutdown()
    thread.join()
    server.server_close()


#: Bodies in place of those whose members depend on each other, or on what is stored.
FITTING = {
    "POST /machines/{machine_id}/mute": {"for": "14d"},
    "POST /machines/{machine_id}/tags": {"add": ["vip"]},
    "POST /machines/{machine_id}/note": {"text": "Broken"},
    "POST /selections": {"all": True},
    "POST /selections/{selection_id}": {"action": "release"},
    "POST /enrollment-tokens": {"label": "Paris", "tags": ["site=Paris"]},
    "POST /installer-kit": {
        "token": INSTALLER_TOKEN,
        "url": "https://rpa.acme.example",
    },
}


@schemathesis.hook("before_call")
def fitting(context, case, kwargs):
    """Make a valid request one that can succeed for this caller.

    An operator, unlike an agent, has to name the machine of a heartbeat or uninstall,
    a ``cursor`` is only valid if this listing has issued it, only an id that a machine
    can have is blocked, and a view has the list's filters.
    """
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    if case.operation.label in FITTING:
        case.body, case.media_type = FITTING[case.operation.label], "application/json"
    elif case.operation.label in ("POST /heartbeat", "POST /uninstall"):
        said = case.body if isinstance(case.body, dict) else {}
        if not (said.get("machine_id") or "").strip():
            case.body = {**said, "machine_id": "PC-1"}
            case.media_type = "application/json"
    elif case.operation.label in ("GET /fleet", "GET /blocks", "GET /refusals"):
        case.query.pop("cursor", None)
        case.query.pop("tag", None)
    elif case.operation.label == "POST /machines/{machine_id}/block":
        case.path_parameters["machine_id"] = "PC-2"
    elif case.operation.label == "GET /installer-kit":
        case.query.pop("url", None)
    elif case.operation.label in ("POST /views", "PUT /views/{view_id}"):
        said = case.body if isinstance(case.body, dict) else {}
        case.body = {**said, "name": "Stale", "filters": "presence=stale"}
        case.media_type = "application/json"


def test_the_server_keeps_every_promise_of_the_document(url):
    config = schemathesis.Config.from_dict(
        {
            "seed": 1,
            "cache": {"enabled": False},  # or each run would have other cases
            "headers": AUTHORIZATION,
            "continue-on-failure": True,
            "generation": {"deterministic": True, "max-examples": 30},
        }
    )
    schema = schemathesis.openapi.from_url(
        f"{url}/openapi.json", config=config, headers=AUTHORIZATION
    )
    cases, checked, faults = Counter(), set(), []

    for event in engine.from_schema(schema).execute():
        if isinstance(event, (events.NonFatalError, events.FatalError)):
            faults.append(event)
        elif isinstance(event, events.ScenarioFinished):
            cases[event.phase.value] += len(event.recorder.interactions)
            for check in (each for of in event.recorder.checks.values() for each in of):
                checked.add(check.name)
                if check.failure_info is not None:
                    faults.append((check.name, check.failure_info))

    assert not faults
    assert checked >= CHECKS
    assert set(cases) == {"examples", "coverage", "fuzzing", "stateful"}
    assert cases.total() >= 1000
