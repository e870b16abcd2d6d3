"""Servers that drop a body without an error: nobody acts as if it had been empty.

uWSGI, a2wsgi and asgiref are real. They pass on a body with Content-Length and give
the application no stream with an end for one that comes in chunks.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from a2wsgi import WSGIMiddleware
from asgiref.wsgi import WsgiToAsgi
from werkzeug.test import TestResponse

from tests.support.api import (
    OPERATOR_TOKEN,
    PREFIX,
    Api,
    assert_invalid,
    assert_problem,
)
from tests.support.server import TcpClient

ONE_USE = b'{"label": "x", "max_uses": 1, "expires": "1h"}'
BRIDGES = {"a2wsgi": WSGIMiddleware, "asgiref": WsgiToAsgi}

#: A body of every route that reads one and whose members are optional.
ROUTES = [
    ("POST", "/enrollment-tokens", ONE_USE),
    ("POST", "/heartbeat", b'{"machine_id": "PC-1", "version": "2.0"}'),
    ("POST", "/uninstall", b'{"machine_id": "PC-1", "reason": "moved"}'),
    ("POST", "/machines/PC-1/token", b"{}"),
    ("POST", "/machines/PC-1/release", b"{}"),
    ("DELETE", "/machines/PC-1/release", b"{}"),
]
every_route = pytest.mark.parametrize(("method", "path", "body"), ROUTES)


def chunked(body):
    return b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)


class Bridged:
    """Calls an application through an ASGI bridge, as an ASGI server would."""

    def __init__(self, app, version="1.1"):
        self._app = app
        self._version = version

    def open(self, path, *, method="GET", headers=(), data=b"", **_):
        async def receive():
            return {"type": "http.request", "body": data, "more_body": False}

        sent = []

        async def send(message):
            sent.append(message)

        scope = {
            "type": "http",
            "http_version": self._version,
            "method": method,
            "path": path,
            "query_string": b"",
            "headers": [
                (name.lower().encode(), value.encode())
                for name, value in dict(headers).items()
            ],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 2),
        }
        asyncio.run(self._app(scope, receive, send))
        headers = [(n.decode(), v.decode()) for n, v in sent[0]["headers"]]
        body = b"".join(message.get("body", b"") for message in sent[1:])
        return TestResponse([body], str(sent[0]["status"]), headers, None)


class Uwsgi:
    """A running uWSGI with one process."""

    _BOUND = re.compile(r"bound to TCP address 127\.0\.0\.1:(\d+)")

    def __init__(self, folder, database):
        self._log = folder / "uwsgi.log"
        command = [str(Path(sys.executable).with_name("uwsgi")), "--master"]
        command += ["--http-socket", "127.0.0.1:0", "--need-app", "--die-on-term"]
        command += ["--module", "lea_fleet:create_app()"]
        environment = {
            **os.environ,
            "RPA_API_TOKEN": OPERATOR_TOKEN,
            "RPA_AGENTS_DB_PATH": str(database),
        }
        with self._log.open("w") as log:
            self.process = subprocess.Popen(
                command, env=environment, stdout=log, stderr=log
            )

    def port(self):
        """Return its port, once it listens there."""
        deadline = time.monotonic() + 60
        while not (found := self._BOUND.search(self._log.read_text())):
            assert self.process.poll() is None, self._log.read_text()
            assert time.monotonic() < deadline, self._log.read_text()
            time.sleep(0.02)
        return int(found[1])

    def stop(self):
        self.process.terminate()
        self.process.wait(60)


@pytest.fixture(scope="module")
def uwsgi(tmp_path_factory):
    folder = tmp_path_factory.mktemp("uwsgi")
    server = Uwsgi(folder, folder / "rpa_data.db")
    try:
        yield TcpClient(server.port())
    finally:
        server.stop()


@pytest.fixture(params=[*BRIDGES, "uwsgi"])
def send(request, app):
    """Send a body as it goes over the wire, with header fields of its own."""
    name = request.param
    if name == "uwsgi":
        server = request.getfixturevalue("uwsgi")
    else:
        server = Bridged(BRIDGES[name](app))

    def send(method, path, body, **fields):
        fields = {
            "Host": "localhost",
            "Authorization": f"Bearer {OPERATOR_TOKEN}",
            "Content-Type": "application/json",
            **{field.replace("_", "-"): value for field, value in fields.items()},
        }
        if name != "uwsgi":
            return server.open(PREFIX + path, method=method, headers=fields, data=body)
        head = [f"{method} {PREFIX}{path} HTTP/1.1", "Connection: close"]
        head += [f"{field}: {value}" for field, value in fields.items()]
        coding = fields.get("Transfer-Encoding", "identity")
        wire = body if coding == "identity" else chunked(body)
        return server.send("\r\n".join([*head, "", ""]).encode(), wire)

    return send


def of_length(send, method, path, body=b""):
    return send(method, path, body, Content_Length=str(len(body)))


@pytest.fixture
def one_machine(send):
    of_length(send, "POST", "/enroll", b'{"machine_id": "PC-1"}')


@pytest.mark.usefixtures("one_machine")
@every_route
def test_a_body_that_the_server_drops_is_refused(send, method, path, body):
    before = send("GET", "/fleet", b"").data
    tokens = send("GET", "/enrollment-tokens", b"").data

    for coding in ("chunked", "Chunked"):
        answer = send(method, path, body, Transfer_Encoding=coding)
        detail = assert_problem(answer, 400, "invalid_json", "fix_request")["detail"]
        assert "Content-Length" in detail

    assert send("GET", "/fleet", b"").data == before
    assert send("GET", "/enrollment-tokens", b"").data == tokens


@pytest.mark.usefixtures("one_machine")
def test_a_body_with_its_length_arrives_on_these_servers(send):
    made = of_length(send, "POST", "/enrollment-tokens", ONE_USE)
    assert (made.status_code, made.json["max_uses"]) == (201, 1)

    empty = of_length(send, "POST", "/heartbeat")
    assert_invalid(empty, "machine_id")
    without_a_word = send("POST", "/machines/PC-1/release", b"")
    assert without_a_word.status_code == 200


@pytest.mark.parametrize("bridge", BRIDGES)
def test_a_body_over_http_2_needs_no_length(app, bridge):
    operator = Api(Bridged(BRIDGES[bridge](app), "2"), OPERATOR_TOKEN)

    made = operator.request(
        "POST",
        "/enrollment-tokens",
        headers={"Content-Type": "application/json"},
        data=ONE_USE,
    )

    assert (made.status_code, made.json["max_uses"]) == (201, 1)
    assert operator.request("POST", "/enrollment-tokens").status_code == 201
    large = operator.request(
        "POST",
        "/enrollment-tokens",
        headers={"Content-Type": "application/json"},
        data=ONE_USE + b" " * 70_000,
    )
    assert_problem(large, 413, "body_too_large")


@pytest.mark.parametrize(
    "length",
    [
        "abc",
        "+46",
        "-1",
        "46, 46",
        "4 6",
        "0x2e",
        "４６",
        "9" * 5000,
        "0" * 5000 + "46",
    ],
    ids=lambda length: length[:9],
)
def test_a_length_that_is_no_number_is_not_an_empty_body(operator, length):
    """As servers pass it on: Werkzeug takes it, or too many digits, for 0."""
    answer = operator.post(
        "/enrollment-tokens",
        data=ONE_USE,
        content_type="application/json",
        environ_overrides={"CONTENT_LENGTH": length},
    )

    assert_problem(answer, 400, "invalid_json", "fix_request")
    assert operator.get("/enrollment-tokens").json["enrollment_tokens"] == []


@pytest.mark.parametrize("coding", ["chunked", "Chunked", "identity"])
def test_a_body_in_chunks_over_http_1_0_is_refused(operator, coding):
    """Which waitress drops, and names the input complete nevertheless."""

    def send(**fields):
        return operator.post(
            "/enrollment-tokens",
            environ_overrides={
                "SERVER_PROTOCOL": "HTTP/1.0",
                "wsgi.input_terminated": True,
                **fields,
            },
        )

    refused = send(HTTP_TRANSFER_ENCODING=coding)

    assert_problem(refused, 400, "invalid_json", "fix_request")
    assert operator.get("/enrollment-tokens").json["enrollment_tokens"] == []
    assert send().status_code == 201


def test_a_body_that_would_end_with_the_connection_is_refused(send):
    """Transfer-Encoding: identity, which older versions of HTTP had for such a body."""
    tokens = send("GET", "/enrollment-tokens", b"").data

    refused = send("POST", "/enrollment-tokens", ONE_USE, Transfer_Encoding="identity")

    detail = assert_problem(refused, 400, "invalid_json", "fix_request")["detail"]
    assert "Content-Length" in detail
    assert send("GET", "/enrollment-tokens", b"").data == tokens
    made = send(
        "POST",
        "/enrollment-tokens",
        ONE_USE,
        Transfer_Encoding="identity",
        Content_Length=str(len(ONE_USE)),
    )
    assert (made.status_code, made.json["max_uses"]) == (201, 1)
