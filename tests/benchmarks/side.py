"""One side of a comparison: a process that calls one application without a network.

The package may be of another commit, so this uses only ``create_app`` and HTTP
requests. It reads one command per line, and answers each with a line of JSON.
"""

from __future__ import annotations

import gc
import io
import itertools
import json
import os
import sys
import time
from pathlib import Path
from wsgiref.util import setup_testing_defaults

import lea_fleet
from tests.benchmarks import bare, quiet
from tests.support.api import OPERATOR_TOKEN, PREFIX

_TOKENS = Path("tokens.json")
_SETTINGS = {
    "RPA_API_TOKEN": OPERATOR_TOKEN,
    "RPA_AGENTS_DB_PATH": str(Path("rpa_data.db").resolve()),
    "LEA_FLEET_HEARTBEAT_INTERVAL": "10h",
    "LEA_FLEET_HEARTBEAT_RESOLUTION": "10h",
}


def main():
    assert Path(lea_fleet.__file__).parent == Path.cwd() / "lea_fleet"
    if sys.argv[1:] == ["bare"]:
        os.environ.update(_SETTINGS)  # which is where it takes them from
        app = written = bare.create_app()
    else:
        app = quiet.create_app(_SETTINGS)
        written = quiet.create_app(
            {**_SETTINGS, "LEA_FLEET_HEARTBEAT_RESOLUTION": "0s"}
        )
    requests = {
        "heartbeat": (app, _heartbeats()),
        "written": (written, _heartbeats()),
        "enrollment": (app, _enrollments()),
        "page": (app, itertools.repeat(_get("/fleet?limit=50&totals=0"))),
        "listing": (app, itertools.repeat(_get("/fleet"))),
    }
    for line in sys.stdin:
        name, number = line.split()
        answer = (
            _fill(app, int(number))
            if name == "fill"
            else _seconds(*requests[name], int(number))
        )
        print(json.dumps(answer), flush=True)


def _fill(app, machines):
    """Enroll that many machines; write their tokens to a file next to the database.

    Each token is used once, since the first use is a write.
    """
    tokens = []
    for request in itertools.islice(_enrollments(), machines):
        enrolled = json.loads(_answer(app, _environ(*request)))
        tokens.append((enrolled["machine_id"], enrolled["api_token"]))
    _TOKENS.write_text(json.dumps(tokens))
    for request in itertools.islice(_heartbeats(), machines):
        _answer(app, _environ(*request))
    return len(tokens)


def _seconds(app, requests, number):
    """Return the processor time of each of the next *number* requests."""
    environs = [_environ(*request) for request in itertools.islice(requests, number)]
    gc.collect()
    began = time.process_time()
    for environ in environs:
        _answer(app, environ)
    return (time.process_time() - began) / number


def _answer(app, environ):
    """Return the body of the response, which must be a success."""
    statuses = []
    body = app(environ, lambda status, headers, _=None: statuses.append(status))
    try:
        text = b"".join(body)
    finally:
        if hasattr(body, "close"):
            body.close()
    assert statuses[0][:3] in ("200", "201"), text[:500]
    return text


def _environ(method, path, token, body=b""):
    path, _, query = path.partition("?")
    environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": PREFIX + path,
        "QUERY_STRING": query,
        "HTTP_AUTHORIZATION": f"Bearer {token}",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.input": io.BytesIO(body),
    }
    if body:
        environ["CONTENT_TYPE"] = "application/json"
        environ["CONTENT_LENGTH"] = str(len(body))
    setup_testing_defaults(environ)
    return environ


def _get(path):
    return "GET", path, OPERATOR_TOKEN


def _heartbeats():
    """Yield heartbeats of different machines, not in the order of their ids."""
    shared = sys.argv[1:] == ["bare"]
    machines = json.loads(_TOKENS.read_text())
    for number in itertools.count():
        machine_id, token = machines[number * 7919 % len(machines)]
        body = {"machine_id": machine_id, "hostname": "PARIS-1"}
        sent = json.dumps(body).encode()
        yield "POST", "/heartbeat", OPERATOR_TOKEN if shared else token, sent


def _enrollments():
    for number in itertools.count():
        body = {
            "machine_id": f"PC-{os.getpid()}-{number}",
            "user_name": "Zoé Lefèvre",
            "hostname": "PARIS-1",
            "version": "1.4.0",
        }
        yield "POST", "/enroll", OPERATOR_TOKEN, json.dumps(body).encode()


if __name__ == "__main__":
    main()
