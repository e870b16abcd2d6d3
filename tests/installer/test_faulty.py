"""The server with faults does what the tests of the clients rely on."""

from __future__ import annotations

import socket
import ssl
from contextlib import closing
from http.client import HTTPSConnection, RemoteDisconnected
from uuid import uuid4

import pytest

from tests.installer.faulty import answer, bad_gateway, forward, hang, lose, redirect
from tests.support.api import Agent, Api
from tests.support.server import TcpClient


@pytest.fixture
def enrolled(server):
    return server.operator.enroll(f"PC-{uuid4()}")


@pytest.fixture
def agent(enrolled, front):
    """An agent that talks to the real server by way of the other."""
    return Agent(TcpClient(front.port), enrolled.answer)


def test_without_a_fault_the_real_server_answers(agent, front):
    assert agent.heartbeat(version="1.4").status_code == 200
    (request,) = front.requests
    assert (request.method, request.json) == ("POST", {"version": "1.4"})
    assert front.url + "/heartbeat" == f"http://127.0.0.1:{front.port}{request.path}"
    assert request.headers["authorization"] == f"Bearer {agent.token}"


def test_faults_are_met_one_each_and_then_no_more(agent, front):
    front.then(answer(503, retry_after=2), answer(429), forward, bad_gateway)
    answers = [agent.heartbeat() for _ in range(5)]
    assert [one.status_code for one in answers] == [503, 429, 200, 502, 200]
    assert answers[0].headers["Retry-After"] == "2"
    assert answers[3].mimetype == "text/html"
    times = [request.time for request in front.requests]
    assert times == sorted(times)


def test_what_is_always_so_comes_after_what_comes_once(agent, front):
    front.always(redirect(308, "http://127.0.0.1:9/"))
    front.then(forward)
    assert agent.heartbeat().status_code == 200
    for _ in range(2):
        sent_away = agent.heartbeat()
        assert sent_away.status_code == 308
        assert sent_away.headers["Location"] == "http://127.0.0.1:9/"


def test_a_lost_answer_is_of_a_request_that_was_done(agent, front, server):
    front.then(lose)
    with pytest.raises(RemoteDisconnected):
        agent.heartbeat(version="2.0-lost")
    assert server.operator.machine(agent.machine_id)["version"] == "2.0-lost"


def test_nobody_listens_while_it_is_closed(agent, front):
    with front.closed():
        with pytest.raises(ConnectionRefusedError):
            agent.heartbeat()
    assert agent.heartbeat().status_code == 200


def test_a_server_that_hangs_does_not_answer_until_it_is_closed(front):
    front.then(hang)
    with socket.create_connection(("127.0.0.1", front.port)) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        connection.settimeout(0.2)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        with front.closed():
            assert connection.recv(1) == b""


def test_the_operator_asks_through_it_too(front, server):
    operator = Api(TcpClient(front.port), server.operator.token)
    assert operator.get("/fleet").status_code == 200


def test_it_speaks_https_to_who_trusts_its_authority(https_front, trusted):
    assert https_front.url.startswith(f"https://localhost:{https_front.port}/")
    context = ssl.create_default_context(cafile=trusted)
    connection = HTTPSConnection("localhost", https_front.port, context=context)
    with closing(connection):
        connection.request("GET", "/api/v1/agents/fleet")
        assert connection.getresponse().status == 401

    untrusting = HTTPSConnection(
        "localhost", https_front.port, context=ssl.create_default_context()
    )
    with closing(untrusting), pytest.raises(ssl.SSLCertVerificationError):
        untrusting.request("GET", "/api/v1/agents/fleet")
    assert len(https_front.requests) == 1
