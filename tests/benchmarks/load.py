"""Put load on a server from clients in their own processes.

They use an HTTP library and a new connection for each request, as agents do. Their own
cost is the same for every server.
"""

from __future__ import annotations

import json
import random
import time
from contextlib import closing
from http.client import HTTPConnection

from tests.support.api import PREFIX
from tests.support.processes import in_processes

#: Concurrent clients: enough that neither of two workers is ever idle.
CLIENTS = 4


def post(path, token, body):
    """Return a request."""
    kind = {"Content-Type": "application/json"}
    return "POST", PREFIX + path, json.dumps(body), {**_bearer(token), **kind}


def get(path, token):
    return "GET", PREFIX + path, None, _bearer(token)


def _bearer(token):
    return {"Authorization": f"Bearer {token}", "Connection": "close"}


def send(port, request):
    """Send *request*; return the body of the response, which must be a success."""
    with closing(HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        connection.request(*request)
        answer = connection.getresponse()
        body = answer.read()
    assert answer.status in (200, 201), body[:500]
    return body


def throughput(port, make_request, seconds, clients=CLIENTS):
    """Return the number of requests answered per second.

    *make_request* is called with a different number each time.
    """

    def client(first):
        def work():
            sent, began = 0, time.perf_counter()
            while (passed := time.perf_counter() - began) < seconds:
                send(port, make_request(first + sent * clients))
                sent += 1
            return sent / passed

        return work

    return sum(in_processes(*(client(first) for first in range(clients))))


def latencies(port, make_request, rate, seconds):
    """Return the seconds that each request took, at *rate* requests per second.

    Requests are sent at random times. Each is timed from when it was due, so that a
    server that falls behind does not slow its clients down.
    """
    clients = 4 * CLIENTS

    def client(first):
        def work():
            chance = random.Random(first)
            took, began, due = [], time.perf_counter(), 0.0
            while (due := due + chance.expovariate(rate / clients)) < seconds:
                time.sleep(max(0.0, began + due - time.perf_counter()))
                send(port, make_request(first + len(took) * clients))
                took.append(time.perf_counter() - began - due)
            return took

        return work

    answers = in_processes(*(client(first) for first in range(clients)))
    return [took for each in answers for took in each]
