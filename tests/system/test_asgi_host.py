"""A host with FastAPI takes the plugin in as host.rst says: uvicorn, over TCP."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from http.client import HTTPConnection

import pytest

from tests.support import docs
from tests.support.api import OPERATOR_TOKEN, PREFIX, Api, assert_problem
from tests.support.processes import at_once
from tests.support.server import TcpClient

#: Enough for a list of several megabytes, which is sent from a file in pieces.
MACHINES = 10_000

#: A page of the host, and the plugin again below a path of its own.
MORE = """

@app.get("/login/{user}")
def log_in(user: str, request: Request):
    request.session["admin"] = user
    return "welcome"

app.mount("/rpa", bridge)
"""

_LISTENING = re.compile(r"running on http://127\.0\.0\.1:(\d+)")
_DEADLINE = 60  # seconds


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("asgi")


@pytest.fixture(scope="module")
def port(folder):
    """The port of the host that the documentation shows."""
    (code,) = docs.blocks(
        docs.section(docs.parse(docs.HOST), "An ASGI host (FastAPI)"), "python"
    )
    text = f"{code}\nfrom fastapi import Request\n{MORE}"
    folder.joinpath("main.py").write_text(text, "utf-8")
    with running(folder) as port:
        yield port


@contextmanager
def running(folder):
    """Run uvicorn on main.py in *folder*; yield its port."""
    log = folder / "uvicorn.log"
    settings = {
        "RPA_API_TOKEN": OPERATOR_TOKEN,
        "RPA_AGENTS_DB_PATH": str(folder / "rpa_data.db"),
    }
    command = [sys.executable, "-m", "uvicorn", "--port", "0", "main:app"]
    with log.open("w") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=docs.environment(**settings),
            stdout=output,
            stderr=output,
        )
    try:
        deadline = time.monotonic() + _DEADLINE
        while (found := _LISTENING.search(log.read_text())) is None:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        yield int(found[1])
    finally:
        process.terminate()
        process.wait(_DEADLINE)


@pytest.fixture
def client(port):
    return TcpClient(port)


@pytest.fixture
def operator(client):
    return Api(client, OPERATOR_TOKEN)


def test_it_serves_the_fleet_at_its_prefix_with_tokens_alone(client, operator):
    agent = operator.installer().enroll("PC-1")

    assert agent.heartbeat(version="2").json["status"] == "ok"
    assert operator.machine("PC-1")["version"] == "2"
    assert_problem(Api(client).get("/fleet"), 401, "missing_token")
    assert_problem(Api(client, "wrong").get("/fleet"), 401, "invalid_token")
    assert_problem(agent.get("/fleet"), 403, "insufficient_scope")
    document = operator.get("/openapi.json").json
    assert document["servers"] == [{"url": PREFIX}]


def test_the_hosts_routes_and_its_404_stay_the_hosts(client, operator):
    missing = client.open("/nowhere")

    assert (missing.status_code, missing.json) == (404, {"detail": "Not Found"})
    assert client.open("/openapi.json").json["info"]["title"] == "FastAPI"
    for path in ("", "/", "/nowhere", "//fleet"):
        assert_problem(operator.get(path), 404, "not_found")
    refused = operator.request("PUT", "/fleet")
    assert_problem(refused, 405, "method_not_allowed")
    assert refused.headers["Allow"] == "GET, HEAD"


def test_the_page_and_its_files_are_served(client):
    page = client.open("/fleet")

    assert (page.status_code, page.mimetype) == (200, "text/html")
    assert f'data-api="{PREFIX}"' in page.text
    assets = re.findall(r'(?:href|src)="(/fleet/assets/[^"]+)"', page.text)
    assert len(assets) >= 3
    for path in assets:
        assert client.open(path).status_code == 200


def test_mounted_below_a_path_it_is_below_that_path(client):
    operator = Api(client, OPERATOR_TOKEN, f"/rpa{PREFIX}")

    assert operator.enroll("PC-mounted").heartbeat().status_code == 200
    assert_problem(operator.get("/nowhere"), 404, "not_found")
    document = operator.get("/openapi.json").json
    assert document["servers"] == [{"url": f"/rpa{PREFIX}"}]
    assert f'data-api="/rpa{PREFIX}"' in client.open("/rpa/fleet").text


def test_a_view_of_the_host_asks_who_is_calling(client, operator):
    agent = operator.enroll("PC-asked")
    agent.prefix = ""

    assert agent.get("/robots/mine").json["role"] == "agent"
    for token in (None, "wrong", "lea_agent_wrong"):
        assert Api(client, token, "").get("/robots/mine").status_code == 401


def test_who_is_signed_in_to_the_host_is_an_operator(client):
    cookie = client.open("/login/zoe").headers["Set-Cookie"].partition(";")[0]
    browser, same_origin = Api(client), {"Sec-Fetch-Site": "same-origin"}

    assert browser.get("/fleet", headers={"Cookie": cookie}).status_code == 200
    enrolled = browser.post(
        "/enroll", {"machine_id": "PC-zoe"}, headers={"Cookie": cookie, **same_origin}
    )
    assert enrolled.status_code == 201
    cross_site = browser.post(
        "/enroll", {"machine_id": "PC-no"}, headers={"Cookie": cookie}
    )
    assert_problem(cross_site, 403, "cross_site")


def test_a_long_list_comes_whole_and_the_loop_answers_meanwhile(
    port, client, operator, folder
):
    operator.get("/fleet")
    add_machines(folder / "rpa_data.db")
    field = {"Authorization": f"Bearer {OPERATOR_TOKEN}"}

    with closing(HTTPConnection("127.0.0.1", port, timeout=_DEADLINE)) as connection:
        connection.request("GET", f"{PREFIX}/fleet", headers=field)
        response = connection.getresponse()
        first = response.read(1000)
        assert client.open("/nowhere").status_code == 404
        assert operator.enroll("PC-meanwhile").heartbeat().status_code == 200
        whole = first + response.read()

    assert len(whole) == int(response.headers["Content-Length"]) > 2**20
    ids = {agent["machine_id"] for agent in json.loads(whole)["active"]}
    assert {f"PC-many-{number}" for number in range(MACHINES)} <= ids


def add_machines(database):
    """Add machines to *database* as the older server would."""
    now = "2026-11-23T12:39:29.481244+00:00"
    rows = ((f"PC-many-{number}", now, now) for number in range(MACHINES))
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.executemany(
            "INSERT INTO enrolled_agents"
            " (machine_id, status, enrolled_at, last_seen_at)"
            " VALUES (?, 'active', ?, ?)",
            rows,
        )


def test_many_agents_at_a_time_are_all_served(operator):
    def live(number):
        agent = operator.enroll(f"PC-thread-{number}")
        beats = [agent.heartbeat(version=str(beat)) for beat in range(5)]
        return [beat.status_code for beat in beats]

    assert at_once(live, range(40), threads=20) == [[200] * 5] * 40
    versions = {operator.machine(f"PC-thread-{n}")["version"] for n in range(40)}
    assert versions == {"4"}
