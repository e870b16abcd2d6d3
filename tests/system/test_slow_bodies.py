"""Clients that send their body slowly hold no worker, and still get their answer.

The sockets are real; what is asserted is what a socket gives, never a time.
"""

from __future__ import annotations

import io
import socket
import threading
import time
from contextlib import closing, suppress

import pytest
from flask import Flask
from gunicorn.http.body import Body, ChunkedReader, LengthReader
from gunicorn.http.unreader import SocketUnreader

from lea_fleet import LeaFleet, agent_required
from lea_fleet.app import receiving
from tests.support.api import OPERATOR_TOKEN, PREFIX, Api, assert_problem
from tests.support.server import running_server

SYNC = ("-w", "2")
THREADS = ("-w", "2", "--threads", "4")
JSON = "application/json"


# One request, with gunicorn's own reader on one end of a pair of sockets


@pytest.fixture
def pair():
    """The ends of a connection: the client's and the server's."""
    client, server = socket.socketpair()
    for end in (client, server):
        end.settimeout(60)  # the test fails rather than hangs
    with closing(client), closing(server):
        yield client, server


def from_socket(server, length, token=None):
    """Return the environment of a request whose body comes from *server*."""
    unreader = SocketUnreader(server)
    if length is None:
        reader, announced = ChunkedReader(object(), unreader), {}
        announced["HTTP_TRANSFER_ENCODING"] = "chunked"
    else:
        reader = LengthReader(unreader, length)
        announced = {"CONTENT_LENGTH": str(length)}
    fields = {} if token is None else {"HTTP_AUTHORIZATION": f"Bearer {token}"}
    return {
        "wsgi.input": Body(reader),
        "wsgi.input_terminated": True,
        "gunicorn.socket": server,
        "CONTENT_TYPE": JSON,
        **announced,
        **fields,
    }


@pytest.fixture
def no_patience(monkeypatch):
    """Let the deadline of a known caller be over at once."""
    monkeypatch.setattr(receiving, "_KNOWN", 0)


@pytest.fixture
def deadlines(monkeypatch):
    """The seconds that were allowed for each body."""
    given, begin = [], receiving.TimelyInput.__init__

    def note(self, environ, seconds):
        given.append(seconds)
        begin(self, environ, seconds)

    monkeypatch.setattr(receiving.TimelyInput, "__init__", note)
    return given


def reading_has_ended(server):
    """Return whether the server closes without waiting for the client."""
    while server.recv(65536):
        pass
    return True


@pytest.mark.parametrize("length", [60_000, 10**9, None], ids=["60k", "1G", "chunked"])
@pytest.mark.parametrize("token", [None, "wrong", "lea_agent_x", "lea_enroll_x"])
def test_without_a_token_of_ours_a_body_is_not_waited_for(
    client, pair, deadlines, token, length
):
    pair[0].sendall(b"1\r\n{\r\n" if length is None else b"{")
    environ = from_socket(pair[1], length, token)

    answer = client.post(f"{PREFIX}/enroll", environ_overrides=environ)

    assert answer.status_code == 401
    assert reading_has_ended(pair[1])
    assert deadlines == [0.1]


def test_a_body_that_is_too_long_has_the_same_deadline(client, pair, no_patience):
    pair[0].sendall(b"{" * 1000)
    environ = from_socket(pair[1], 10**9, OPERATOR_TOKEN)

    answer = client.post(f"{PREFIX}/enroll", environ_overrides=environ)

    assert_problem(answer, 413, "body_too_large")
    assert reading_has_ended(pair[1])


@pytest.mark.parametrize("size", [100_000, 2_000_000])
def test_a_body_that_is_too_long_but_comes_is_read_so_that_no_answer_is_lost(
    client, pair, size
):
    rest = threading.Thread(target=pair[0].sendall, args=[b"{" * size])
    rest.start()
    environ = from_socket(pair[1], size, OPERATOR_TOKEN)

    answer = client.post(f"{PREFIX}/enroll", environ_overrides=environ)
    rest.join()

    assert_problem(answer, 413, "body_too_large")
    pair[1].setblocking(False)
    with pytest.raises(BlockingIOError):  # nothing unread, and nothing was ended
        pair[1].recv(1)


@pytest.mark.parametrize("token", [None, OPERATOR_TOKEN])
def test_a_body_without_an_end_is_read_for_a_while(client, pair, monkeypatch, token):
    monkeypatch.setattr(receiving, "_KNOWN", 0.1)
    over = threading.Event()

    def flood():
        with suppress(OSError):
            while not over.is_set():
                pair[0].sendall(b"{" * 1000)

    flooding = threading.Thread(target=flood)
    flooding.start()
    try:
        environ = from_socket(pair[1], 10**12, token)
        answer = client.post(f"{PREFIX}/enroll", environ_overrides=environ)
    finally:
        over.set()
        pair[1].close()
        flooding.join()

    assert answer.status_code == (413 if token else 401)


@pytest.mark.parametrize("length", [60_000, None], ids=["length", "chunked"])
@pytest.mark.parametrize("is_dead", [True, False])
def test_under_a_token_of_ours_there_is_a_deadline(
    operator, client, pair, no_patience, length, is_dead
):
    installer = operator.installer()
    if is_dead:
        operator.request("DELETE", "/enrollment-tokens/1")
    pair[0].sendall(b"1\r\n{\r\n" if length is None else b"{")
    environ = from_socket(pair[1], length, installer.token)

    answer = client.post(f"{PREFIX}/enroll", environ_overrides=environ)

    if is_dead:
        assert_problem(answer, 401, "token_revoked")
    else:
        assert_problem(answer, 400, "invalid_json")
    assert reading_has_ended(pair[1])


def test_an_agent_has_the_same_deadline(operator, client, pair, no_patience):
    agent = operator.enroll()
    pair[0].sendall(b"{")
    environ = from_socket(pair[1], 60_000, agent.token)

    answer = client.post(f"{PREFIX}/heartbeat", environ_overrides=environ)

    assert_problem(answer, 400, "invalid_json")
    assert reading_has_ended(pair[1])


@pytest.mark.parametrize("is_dead", [True, False])
def test_a_body_that_comes_in_time_is_read_whole(operator, client, pair, is_dead):
    installer = operator.installer()
    if is_dead:
        operator.request("DELETE", "/enrollment-tokens/1")
    sent = b'{"machine_id": "PC-1"}' + b" " * 60_000
    pair[0].sendall(sent[:5])
    rest = threading.Timer(0.2, pair[0].sendall, [sent[5:]])
    rest.start()
    environ = from_socket(pair[1], len(sent), installer.token)

    answer = client.post(f"{PREFIX}/enroll", environ_overrides=environ)
    rest.join()

    assert answer.status_code == (401 if is_dead else 201)
    pair[1].setblocking(False)
    with pytest.raises(BlockingIOError):  # nothing unread, and nothing was ended
        pair[1].recv(1)


def test_a_refused_body_that_is_there_is_read_so_that_no_answer_is_lost(client, pair):
    pair[0].sendall(b"{" * 60_000)
    environ = from_socket(pair[1], 60_000)

    assert client.post(f"{PREFIX}/enroll", environ_overrides=environ).status_code == 401

    pair[1].setblocking(False)
    with pytest.raises(BlockingIOError):
        pair[1].recv(1)


def test_the_hosts_own_routes_wait_no_longer(database, pair):
    app = Flask("host")
    app.config.update(RPA_API_TOKEN=OPERATOR_TOKEN, RPA_AGENTS_DB_PATH=database)
    LeaFleet(app)
    app.post("/mine")(agent_required(lambda: "yours"))
    pair[0].sendall(b"{")
    environ = from_socket(pair[1], 60_000)

    assert app.test_client().post("/mine", environ_overrides=environ).status_code == 401
    assert reading_has_ended(pair[1])


def test_a_server_without_such_a_socket_is_left_alone(client):
    class Untouched(io.RawIOBase):
        def read(self, *size):
            raise AssertionError

    environ = {"wsgi.input": Untouched(), "CONTENT_LENGTH": "60000"}

    assert client.post(f"{PREFIX}/enroll", environ_overrides=environ).status_code == 401


# gunicorn


@pytest.mark.parametrize("options", [SYNC, THREADS], ids=["sync", "threads"])
@pytest.mark.parametrize(
    "framing", ["Content-Length: 60000", "Transfer-Encoding: chunked"]
)
def test_8_trickling_connections_without_a_token_block_nobody(
    tmp_path, options, framing
):
    """Before, 2x4 threads answered nobody for as long as it went on."""
    with running_server(tmp_path, *options) as server:
        agent, over = server.operator.enroll(), threading.Event()

        def trickle():
            while not over.is_set():
                drip(server.port, framing, over)

        threads = [threading.Thread(target=trickle) for _ in range(8)]
        for thread in threads:
            thread.start()
        try:
            assert {agent.heartbeat().status_code for _ in range(8)} == {200}
        finally:
            over.set()
            for thread in threads:
                thread.join()


def drip(port, framing, over):
    """Send a byte now and then until the server closes the connection."""
    piece = b"1\r\n{\r\n" if "chunked" in framing else b"{"
    head = f"POST {PREFIX}/enroll HTTP/1.1\r\nHost: x\r\n{framing}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), 60) as connection:
        connection.sendall(head.encode())
        try:
            while not over.is_set():
                connection.sendall(piece)
                time.sleep(0.05)
        except OSError:
            pass


@pytest.mark.parametrize("options", [SYNC, THREADS], ids=["sync", "threads"])
def test_whoever_sends_a_whole_body_gets_the_answer(tmp_path, options):
    with running_server(tmp_path, *options) as server:
        stranger = Api(server.client)
        revoked = server.operator.installer()
        server.operator.request("DELETE", "/enrollment-tokens/1")
        for size in (0, 100, 20_000, 60_000):
            body = {"machine_id": "PC-1", "padding": "x" * size}
            for _ in range(5):
                refused = stranger.post("/enroll", body)
                assert_problem(refused, 401, "missing_token")
                refused = revoked.post("/enroll", body)
                assert_problem(refused, 401, "token_revoked")
        for size in (70_000, 100_000, 1_000_000):
            for _ in range(5):
                refused = server.operator.post("/enroll", {"padding": "x" * size})
                assert_problem(refused, 413, "body_too_large")
