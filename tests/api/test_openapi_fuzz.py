"""Schemathesis: what the OpenAPI document promises, asked of a server that runs.

Its own engine, with the same cases in every run and every check that it has: what is
valid is accepted, what is not is refused, and each answer is as documented.

Two things that no schema says are seen to before a request goes out, see ``fitting``.
"""

from __future__ import annotations

import threading
from collections import Counter

import pytest
import schemathesis
from schemathesis import engine
from schemathesis.engine import events
from werkzeug.serving import WSGIRequestHandler, make_server

from tests.support.api import OPERATOR_TOKEN, PREFIX

#: As the operator, since the other roles are refused before a body is read.
AUTHORIZATION = {"Authorization": f"Bearer {OPERATOR_TOKEN}"}

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
    """Keeps connections open, and says nothing of each request."""

    protocol_version = "HTTP/1.1"

    def log_request(self, *args):
        pass


@pytest.fixture
def url(app, operator):
    """Where a server answers, with a machine and an enrollment token in its fleet."""
    operator.enroll("PC-1")
    operator.installer()
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.port}{PREFIX}"
    server.shutdown()
    thread.join()
    server.server_close()


@schemathesis.hook("before_call")
def fitting(context, case, kwargs):
    """Make a valid request one that this caller, now, may succeed with.

    The operator, unlike an agent, has to say which machine beats or goes; and no
    ``cursor`` but one that this very listing has given leads anywhere in it.
    """
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    if case.operation.label in ("POST /heartbeat", "POST /uninstall"):
        said = case.body if isinstance(case.body, dict) else {}
        if not (said.get("machine_id") or "").strip():
            case.body = {**said, "machine_id": "PC-1"}
            case.media_type = "application/json"
    elif case.operation.label == "GET /fleet":
        case.query.pop("cursor", None)


def test_the_server_keeps_every_promise_of_the_document(url):
    config = schemathesis.Config.from_dict(
        {
            "seed": 1,
            "cache": {"enabled": False},  # it would bring in other cases each time
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
