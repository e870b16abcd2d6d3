"""A production server with several processes on one file, used over TCP."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing

import pytest

from tests.support import processes
from tests.support.api import OPERATOR_TOKEN, PREFIX, Api, assert_problem
from tests.support.server import running_server

THREADS = 32


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running_server(tmp_path_factory.mktemp("server"), "-w", "2") as server:
        server.operator.get("/fleet")  # makes the tables, whichever test comes first
        yield server


@pytest.fixture
def operator(server):
    return server.operator


@pytest.fixture
def send(server):
    """Send a POST /enroll exactly as given, from the first header field on."""

    def send(*fields, body=b"", **options):
        head = [f"POST {PREFIX}/enroll HTTP/1.1".encode(), b"Host: localhost"]
        head += [b"Content-Type: application/json", b"Connection: close", *fields]
        return server.client.send(b"\r\n".join(head) + b"\r\n\r\n", body, **options)

    return send


AUTHORIZATION = f"Authorization: Bearer {OPERATOR_TOKEN}".encode()


def at_once(call, arguments):
    return processes.at_once(call, arguments, THREADS)


def machine_ids(database):
    with closing(sqlite3.connect(database)) as connection:
        rows = connection.execute("SELECT machine_id FROM enrolled_agents")
        return Counter(machine_id for (machine_id,) in rows)


def test_the_life_of_a_machine(operator):
    agent = operator.enroll("PC-life", user_name="Zoé Lefèvre")
    assert agent.answer["status"] == "enrolled"
    assert agent.heartbeat(version="1.4.0").json["machine_id"] == "PC-life"

    (shown,) = operator.get("/fleet?machine_id=PC-life").json["active"]
    assert (shown["user_name"], shown["version"]) == ("Zoé Lefèvre", "1.4.0")

    first = agent.uninstall("PC-life", reason="moved")
    again = agent.uninstall("PC-life", reason="twice")
    assert first.status_code == again.status_code == 200
    assert first.json == again.json
    assert_problem(agent.heartbeat(), 401, "agent_uninstalled", "reenroll")

    back = operator.enroll("PC-life")
    assert back.answer["status"] == "reactivated"
    assert back.heartbeat().status_code == 200
    assert_problem(agent.heartbeat(), 401, "token_revoked")
    assert_problem(agent.uninstall("PC-life"), 401, "token_revoked")


def test_an_unknown_caller_is_sent_away(server):
    assert_problem(Api(server.client).get("/fleet"), 401, "missing_token")
    assert_problem(Api(server.client, "x").get("/fleet"), 401, "invalid_token")


def test_of_many_that_enroll_one_machine_one_does(server, operator):
    def enroll(_):
        return operator.post("/enroll", {"machine_id": "PC-one"}).status_code

    assert Counter(at_once(enroll, range(THREADS))) == {201: 1, 409: THREADS - 1}
    assert machine_ids(server.database)["PC-one"] == 1


def test_of_many_that_bring_back_one_machine_one_does(operator):
    operator.enroll("PC-back")
    operator.uninstall("PC-back")

    def enroll(_):
        return operator.post("/enroll", {"machine_id": "PC-back"})

    answers = at_once(enroll, range(THREADS))

    (won,) = [answer for answer in answers if answer.status_code == 201]
    assert Counter(a.status_code for a in answers) == {201: 1, 409: THREADS - 1}
    agent = Api(operator.client, won.json["api_token"])
    assert agent.post("/heartbeat", {}).status_code == 200


def test_many_machines_that_enroll_at_once_are_all_there(server, operator):
    names = [f"PC-many-{number}" for number in range(100)]

    agents = at_once(operator.enroll, names)

    assert [agent.machine_id for agent in agents] == names
    assert len({agent.token for agent in agents}) == len(names)
    beats = at_once(lambda agent: agent.heartbeat().status_code, agents)
    assert set(beats) == {200}
    found = machine_ids(server.database)
    assert [found[name] for name in names] == [1] * len(names)


def test_heartbeats_do_not_undo_the_uninstall_that_they_race(operator):
    agent = operator.enroll("PC-race")

    def act(number):
        if number == THREADS // 2:
            return agent.uninstall("PC-race")
        return agent.heartbeat(hostname=f"PC-{number}")

    answers = at_once(act, range(THREADS))

    assert {answer.status_code for answer in answers} <= {200, 401}
    assert operator.machine("PC-race")["status"] == "uninstalled"
    assert_problem(agent.heartbeat(), 401, "agent_uninstalled")


# What only a real connection can send


def test_a_body_of_a_megabyte_is_too_large(send):
    body = b'{"machine_id": "' + b"x" * 1_000_000 + b'"}'
    length = b"Content-Length: %d" % len(body)

    assert_too_large(send(AUTHORIZATION, length, body=body))


def test_a_body_of_a_hundred_megabytes_is_not_waited_for(send):
    assert_too_large(send(AUTHORIZATION, b"Content-Length: 100000000", body=b"{"))


def test_a_body_whose_end_is_not_announced_is_too_large(server, send, operator):
    """Also if its first 64 KiB would be a valid body."""
    operator.get("/fleet")  # begins the database
    first = b'{"machine_id": "PC-endless"}'.ljust(0x10000)
    chunks = [first, b" " * 0x10000, b" " * 0x10000, b""]

    assert_too_large(
        send(AUTHORIZATION, b"Transfer-Encoding: chunked", body=chunked(chunks))
    )
    assert "PC-endless" not in machine_ids(server.database)


def chunked(chunks):
    return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)


def assert_too_large(answer):
    """Assert a 413, or that the server closed the connection without reading it all."""
    if answer is not None:
        assert_problem(answer, 413, "body_too_large", "fix_request")


def test_a_body_may_come_in_chunks(send, operator):
    body = chunked([b'{"machine_id": ', b'"PC-chunks"}', b""])

    answer = send(AUTHORIZATION, b"Transfer-Encoding: chunked", body=body)

    assert answer.status_code == 201
    assert operator.machine("PC-chunks")["status"] == "active"


def test_a_body_that_ends_too_early_is_no_enrollment(operator, send):
    body = b'{"machine_id": "PC-short"}'
    length = b"Content-Length: %d" % (len(body) + 10)

    answer = send(AUTHORIZATION, length, body=body, finish=True)

    if answer is not None:
        assert_problem(answer, 400, "invalid_json", "fix_request")
    assert operator.get("/machines/PC-short").status_code == 404


@pytest.mark.parametrize(
    "token", [b"\xff\xfe\x80", "jeton-clé".encode(), b"lea_agent_\xc3\xa9\xff"]
)
def test_a_token_of_other_bytes_is_not_known(send, token):
    answer = send(b"Authorization: Bearer " + token, b"Content-Length: 2", body=b"{}")

    assert_problem(answer, 401, "invalid_token")


def test_of_two_authorizations_none_counts(server, send):
    answer = send(
        AUTHORIZATION,
        b"Authorization: Bearer another",
        b"Content-Length: 24",
        body=b'{"machine_id": "PC-two"}',
    )

    assert_problem(answer, 401, "invalid_token")
    assert "PC-two" not in machine_ids(server.database)


# Beside the server, and after it


def test_the_fleet_is_listed_in_a_shell_while_the_server_runs(server, operator):
    operator.enroll("PC-shell")

    listed = subprocess.run(
        [sys.executable, "-m", "flask", "--app", "lea_fleet", "fleet", "list"]
        + ["--json"],
        env=server.environment,
        capture_output=True,
        check=True,
    )

    agents = json.loads(listed.stdout)["agents"]
    assert "PC-shell" in [agent["machine_id"] for agent in agents]
    assert operator.machine("PC-shell")["status"] == "active"


def test_what_was_acknowledged_survives_the_server(tmp_path):
    with running_server(tmp_path, "-w", "2") as server:
        agents = at_once(server.operator.enroll, [f"PC-{n}" for n in range(20)])
        assert agents[0].uninstall("PC-0").status_code == 200
        server.kill()

    assert len(machine_ids(tmp_path / "rpa_data.db")) == 20
    with running_server(tmp_path) as server:
        statuses = [
            Api(server.client, agent.token).post("/heartbeat", {}).status_code
            for agent in agents
        ]
    assert statuses == [401] + [200] * 19


def test_every_worker_takes_up_the_file_that_replaced_another(tmp_path):
    with running_server(tmp_path / "before") as other:
        other.operator.enroll("PC-before")
    with running_server(tmp_path, "-w", "2") as server:
        at_once(server.operator.enroll, [f"PC-old-{n}" for n in range(THREADS)])
        os.replace(other.database, server.database)
        for end in ("-wal", "-shm"):
            os.unlink(f"{server.database}{end}")
        names = [f"PC-new-{n}" for n in range(THREADS)]
        at_once(server.operator.enroll, names)

    assert machine_ids(server.database).keys() == {"PC-before", *names}


@pytest.mark.parametrize(
    "options",
    [("-w", "3", "--preload"), ("-w", "2", "--threads", "8", "--preload")],
    ids=" ".join,
)
def test_it_may_be_served_with(tmp_path, options):
    with running_server(tmp_path, *options) as server:
        agents = at_once(server.operator.enroll, [f"PC-{n}" for n in range(40)])
        beats = at_once(lambda agent: agent.heartbeat().status_code, agents)

    assert set(beats) == {200}
    assert len(machine_ids(tmp_path / "rpa_data.db")) == 40


def test_settings_come_from_the_environment(tmp_path):
    with running_server(tmp_path, LEA_FLEET_HEARTBEAT_INTERVAL="90s") as server:
        answer = server.operator.enroll("PC-1").answer
        assert 90 <= answer["heartbeat_interval"] <= 99


def test_a_setting_that_cannot_be_ends_the_server_at_once(tmp_path):
    with pytest.raises(AssertionError, match="LEA_FLEET_ISSUE must be"):
        with running_server(tmp_path, LEA_FLEET_ISSUE="nobody"):
            raise AssertionError("it runs")


@pytest.mark.parametrize("chunk", [b"zz\r\n{}\r\n", b"-1\r\n", b"5\r\n{}\r\n\r\n"])
def test_a_chunk_that_is_none_is_a_bad_request(send, chunk):
    answer = send(AUTHORIZATION, b"Transfer-Encoding: chunked", body=chunk, finish=True)

    if answer is not None:
        assert answer.status_code == 400
