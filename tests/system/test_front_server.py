"""nginx in front of gunicorn, configured as deployment.rst says: see nginx.py."""

from __future__ import annotations

import socket
import threading

import pytest

from tests.support.api import OPERATOR_TOKEN, PREFIX, Api, assert_problem
from tests.support.nginx import front_server, needs_nginx
from tests.support.server import running_server

pytestmark = needs_nginx


@pytest.fixture(scope="module", params=[1, 4], ids=["sync", "threads"])
def front(request, tmp_path_factory):
    """The client of nginx before gunicorn with two workers."""
    folder = tmp_path_factory.mktemp("front")
    options = ["-w", "2", "--threads", str(request.param), "--keep-alive", "0"]
    with running_server(folder / "gunicorn", *options) as server:
        with front_server(folder, server.port) as nginx:
            yield nginx.client


HEAD = f"POST {PREFIX}/enroll HTTP/1.1\r\nHost: x\r\n".encode()
TOKEN = f"Authorization: Bearer {OPERATOR_TOKEN}\r\n".encode()


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (HEAD, b"X-Slow: y\r\n"),
        (HEAD + b"Content-Length: 60000\r\n\r\n", b"{"),
        (HEAD + TOKEN + b"Content-Length: 60000\r\n\r\n", b"{"),
        (HEAD + TOKEN + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n{\r\n"),
    ],
    ids=["header", "body", "body with a token", "chunks with a token"],
)
def test_trickling_connections_block_nobody(front, head, piece):
    """64 of them: gunicorn alone is held by 8, as long as they like."""
    over = threading.Event()
    slow = [socket.create_connection(("127.0.0.1", front.port)) for _ in range(64)]
    for connection in slow:
        connection.sendall(head)

    def trickle():
        while not over.wait(0.05):
            for connection in slow:
                try:
                    connection.sendall(piece)
                except OSError:  # closed by a limit
                    pass

    trickling = threading.Thread(target=trickle)
    trickling.start()
    try:
        operator = Api(front, OPERATOR_TOKEN)
        statuses = {operator.get("/fleet").status_code for _ in range(20)}
    finally:
        over.set()
        trickling.join()
        for connection in slow:
            connection.close()
    assert statuses == {200}


def test_a_body_that_is_too_large_is_answered_by_lea_fleet_up_to_a_limit(front):
    operator = Api(front, OPERATOR_TOKEN)

    assert_problem(
        operator.post("/enroll", {"x": "x" * 100_000}), 413, "body_too_large"
    )
    answer = front.send(HEAD + TOKEN + b"Content-Length: 1000000\r\n\r\n")
    assert (answer.status_code, answer.mimetype) == (413, "text/html")


def test_a_machine_enrolls_and_reports_through_it(front):
    agent = Api(front, OPERATOR_TOKEN).enroll("PC-front")

    assert agent.heartbeat().status_code == 200
    assert_problem(Api(front).get("/fleet"), 401, "missing_token")
