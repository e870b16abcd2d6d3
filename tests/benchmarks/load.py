"""Clients that put load on a server, in processes of their own.

They speak raw HTTP over sockets, a connection for each request, as a server
with sync workers wants it. What they cost falls on every server alike.
"""

from __future__ import annotations

import json
import random
import socket
import time

from tests.api import PREFIX
from tests.processes import in_processes

#: Clients at once: enough that none of two workers ever waits for one.
_CLIENTS = 4


def post(path, token, body):
    """Return a request, as bytes."""
    text = json.dumps(body)
    fields = f"Content-Type: application/json\r\nContent-Length: {len(text)}\r\n"
    return _request("POST", path, token, fields, text)


def get(path, token):
    return _request("GET", path, token)


def _request(method, path, token, fields="", text=""):
    return (
        f"{method} {PREFIX}{path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Authorization: Bearer {token}\r\n{fields}Connection: close\r\n\r\n{text}"
    ).encode()


def send(port, request):
    """Send *request*; return the bytes of the answer, which must be a success."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(request)
        parts = []
        while part := connection.recv(1 << 16):
            parts.append(part)
    answer = b"".join(parts)
    assert answer.startswith((b"HTTP/1.1 200", b"HTTP/1.1 201")), answer[:500]
    return answer


def throughput(port, make_request, seconds):
    """Return how many requests a second are answered.

    *make_request* is called with a number that no other call of this load gets.
    """

    def client(first):
        def work():
            sent, began = 0, time.perf_counter()
            while (passed := time.perf_counter() - began) < seconds:
                send(port, make_request(first + sent * _CLIENTS))
                sent += 1
            return sent / passed

        return work

    return sum(in_processes(*(client(first) for first in range(_CLIENTS))))


def latencies(port, make_request, rate, seconds):
    """Return the seconds that each request took, sent at *rate* a second.

    At random instants, and counted from the instant that was due, so that a
    server that falls behind does not slow its clients down.
    """
    clients = 4 * _CLIENTS

    def client(first):
        def work():
            instants = random.Random(first)
            took, began, due = [], time.perf_counter(), 0.0
            while (due := due + instants.expovariate(rate / clients)) < seconds:
                time.sleep(max(0.0, began + due - time.perf_counter()))
                send(port, make_request(first + len(took) * clients))
                took.append(time.perf_counter() - began - due)
            return took

        return work

    answers = in_processes(*(client(first) for first in range(clients)))
    return [took for each in answers for took in each]
