"""Refusals leave a trace in the log, but no line for each of them."""

from __future__ import annotations

import gc
import logging
import os
import re
import weakref

import pytest

from lea_fleet import agent_required
from lea_fleet.app import flushing
from lea_fleet.app import refusals as module
from lea_fleet.app.flushing import Flusher
from lea_fleet.app.refusals import Refusals
from lea_fleet.core.problems import (
    AgentUninstalled,
    DatabaseBusy,
    InvalidToken,
    MissingToken,
    TokenRevoked,
)
from tests.support.api import OPERATOR_TOKEN, PREFIX, Api
from tests.support.server import running_server
from tests.support.timers import Timers, Waiting


@pytest.fixture
def lines(caplog):
    """Return level and text of what was logged since the last call."""
    caplog.set_level("WARNING", "lea_fleet")

    def logged():
        found = [(each.levelname, each.getMessage()) for each in caplog.records]
        caplog.clear()
        return found

    return logged


@pytest.fixture
def timers(monkeypatch):
    timers = Timers()
    monkeypatch.setattr(flushing, "Timer", timers)
    return timers


@pytest.fixture
def saved():
    return []


@pytest.fixture
def refusals(timers, saved):
    """Refusals that save into a list."""
    return Refusals(saved.append, (OSError,), Flusher(), now=lambda: timers.now)


def refuse(refusals, times=1, address="10.0.0.7", problem=InvalidToken, save=False):
    for number in range(times):
        refusals.note(problem(f"detail {number}"), address, save=save)


def warning(count, address="10.0.0.7", code="invalid_token"):
    return "WARNING", f"refused code={code} address={address} count={count}"


# Lines


def test_1500_guesses_are_two_lines_and_the_last_one_has_the_count(
    make_app, lines, timers, monkeypatch
):
    app = make_app()
    refusals = app.extensions["lea_fleet"].refusals
    monkeypatch.setattr(refusals, "_now", lambda: timers.now)
    client = app.test_client()
    for number in range(1500):
        assert Api(client, f"guess-{number}").get("/fleet").status_code == 401

    assert lines() == [warning(1, "127.0.0.1")]
    timers.advance(70)
    assert lines() == [warning(1499, "127.0.0.1")]
    timers.advance(3600)
    assert lines() == []
    assert Api(client, OPERATOR_TOKEN).get("/fleet").status_code == 200


def test_there_is_a_line_a_minute_as_long_as_it_goes_on(refusals, timers, lines):
    for _ in range(600):
        refuse(refusals)
        timers.advance(1)
    timers.advance(70)

    logged = lines()
    assert len(logged) == 11
    counts = [int(text.rpartition("=")[2]) for _, text in logged]
    assert sum(counts) == 600 and counts[0] == 1


def test_codes_and_addresses_are_told_apart(refusals, lines):
    for address in ("10.0.0.7", "10.0.0.8"):
        refuse(refusals, 2, address)
        refuse(refusals, 2, address, MissingToken)

    assert len(lines()) == 4


@pytest.mark.parametrize("problem", [AgentUninstalled, TokenRevoked])
def test_what_a_fleet_causes_by_itself_is_a_line_an_hour(
    refusals, timers, lines, problem
):
    for _ in range(120):
        refuse(refusals, problem=problem)
        timers.advance(60)
    timers.advance(3600)

    assert lines() == [warning(n, code=problem.code) for n in (1, 59, 60)]


@pytest.mark.parametrize(
    ("addresses", "logged"),
    [
        (["2001:db8::1", "2001:db8:0:0:ffff::2"], "2001:db8::/64"),
        (["::ffff:10.0.0.7", "10.0.0.7"], "10.0.0.7"),
        (["fe80::1%eth0", "fe80::2%eth1"], "fe80::/64"),
        ([None, "", "evil\nrefused code=x", "999.1.1.1"], "unknown"),
    ],
)
def test_what_one_caller_may_have_whole_is_one_address(
    refusals, timers, lines, addresses, logged
):
    for address in addresses:
        refuse(refusals, address=address)
    timers.advance(70)

    first, rest = lines()
    assert first == warning(1, logged)
    assert rest == warning(len(addresses) - 1, logged)


def test_at_most_a_thousand_addresses_are_told_apart(refusals, timers, lines):
    for number in range(5000):
        refuse(refusals, address=f"10.0.{number // 250}.{number % 250}")

    logged = lines()
    assert len(logged) == 1001
    assert logged[-1] == warning(1, "others")
    timers.advance(70)
    assert lines() == [warning(3999, "others")]

    timers.advance(70)
    refuse(refusals, address="10.1.1.1")
    assert lines() == [warning(1, "10.1.1.1")]


def test_what_is_left_is_logged_when_the_process_ends(refusals, lines):
    refuse(refusals, 5)
    refuse(refusals, 3, problem=AgentUninstalled)
    lines()

    refusals.close()

    assert lines() == [warning(4), warning(2, code="agent_uninstalled")]


def test_a_child_process_repeats_nothing(refusals, lines):
    refuse(refusals, 5)
    lines()
    with refusals._lock:  # as a thread of the parent may hold it
        child = os.fork()
        if child == 0:
            refusals.close()
            os._exit(len(lines()))

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_refusal_is_answered_if_no_thread_can_be_started(refusals, monkeypatch):
    class NoTimer(Waiting):
        def __init__(self, delay, call):
            pass

        def start(self):
            raise RuntimeError("can't start new thread")

    monkeypatch.setattr(flushing, "Timer", NoTimer)
    refuse(refusals, 5)
    refusals.close()


def test_no_line_has_a_token_or_what_a_caller_sent(operator, client, caplog):
    caplog.set_level(logging.DEBUG, "lea_fleet")
    for token in ("secret-guess", "lea_agent_secret-guess", "lea_enroll_secret-guess"):
        Api(client, token).get("/fleet")
    operator.get("/fleet?secret-guess=secret-guess")
    flushing.close_all()

    assert len(caplog.records) >= 2
    for record in caplog.records:
        assert "secret-guess" not in f"{record.getMessage()}{vars(record)}"


def test_a_line_as_json_has_its_fields(client, caplog):
    Api(client, "wrong").get("/fleet")

    fields = {"code": "invalid_token", "address": "127.0.0.1", "count": 1}
    assert [record.lea_fleet for record in caplog.records] == [fields]


def test_requests_that_are_not_refused_never_come_here(
    operator, client, monkeypatch, caplog
):
    agent = operator.enroll()
    monkeypatch.setattr(module.Refusals, "note", None)
    monkeypatch.setattr(module.Refusals, "flush", None)

    assert agent.heartbeat().status_code == 200
    assert agent.heartbeat(version="2").status_code == 200
    assert operator.get("/fleet").status_code == 200
    assert operator.enroll("PC-2").heartbeat().status_code == 200


# 503


def test_a_503_storm_of_many_machines_is_two_lines(
    make_app, engine, elsewhere, lines, timers, monkeypatch
):
    token = elsewhere.enroll().token  # its first use has to be written
    app = make_app(LEA_FLEET_BUSY_TIMEOUT="0s")
    app.get("/mine")(agent_required(lambda: "yours"))
    refusals = app.extensions["lea_fleet"].refusals
    monkeypatch.setattr(refusals, "_now", lambda: timers.now)
    client = app.test_client()
    with engine.being_written():
        for number in range(100):
            request = {
                "headers": {"Authorization": f"Bearer {token}"},
                "environ_base": {"REMOTE_ADDR": f"10.0.0.{number}"},
            }
            heartbeat = client.post(f"{PREFIX}/heartbeat", **request)
            assert heartbeat.status_code == client.get("/mine", **request).status_code
            assert heartbeat.status_code == 503
        timers.advance(70)

    (level, first), (_, rest) = lines()
    assert level == "ERROR"
    assert first.startswith("database_busy: ") and engine.place in first
    assert rest == f"{first} (199 requests)"


def test_another_database_problem_has_a_line_of_its_own(refusals, lines):
    refuse(refusals, 2, problem=DatabaseBusy)
    refuse(refusals, 2)

    assert lines() == [("ERROR", "database_busy: detail 0"), warning(1)]


# Counts for all processes


def test_counts_are_saved_together_every_ten_seconds(refusals, timers, saved):
    refuse(refusals, 3, save=True)
    refuse(refusals, 2, problem=DatabaseBusy, save=True)
    assert saved == []

    timers.advance(10)
    assert saved == [{"invalid_token": 3, "database_busy": 2}]
    timers.advance(100)
    assert len(saved) == 1


def test_counts_that_cannot_be_saved_are_kept(timers, saved):
    faults = [OSError(), OSError()]

    def save(counts):
        if faults:
            raise faults.pop()
        saved.append(counts)

    refusals = Refusals(save, (OSError,), Flusher(), now=lambda: timers.now)
    refuse(refusals, save=True)
    timers.advance(20)
    refuse(refusals, save=True)
    timers.advance(10)

    assert saved == [{"invalid_token": 2}]


def test_one_refusal_starts_no_thread_unless_it_is_to_be_saved(refusals, timers):
    refuse(refusals)
    assert timers.waiting == []

    refuse(refusals, save=True)
    refuse(refusals, 5, save=True)
    assert len(timers.waiting) == 1


@pytest.mark.parametrize("body", [b"x", b'{"' + b"x" * 60_000], ids=["short", "long"])
def test_nothing_of_a_refused_request_stays_in_memory(make_app, operator, body):
    """A thousand addresses with bodies of 64 KiB took 200 MB of two workers."""
    agent, app = operator.enroll(), make_app()
    refusals = app.extensions["lea_fleet"].refusals
    kept = []
    note = refusals.note

    def watched(problem, *where, **options):
        kept.append(weakref.ref(problem))
        note(problem, *where, **options)

    refusals.note = watched
    for _ in range(2):
        app.test_client().post(
            f"{PREFIX}/heartbeat",
            data=body,
            content_type="application/json",
            headers={"Authorization": f"Bearer {agent.token}"},
        )
    gc.collect()
    assert [reference() for reference in kept] == [None, None]


def test_the_detail_of_a_refusal_is_not_kept(refusals):
    quoted = "a name of the caller's " * 1000
    refusals.note(InvalidToken(quoted), "10.0.0.7", save=False)

    assert quoted not in repr(refusals._by_address)


@pytest.mark.parametrize("options", [(), ("--threads", "4")], ids=["sync", "threads"])
def test_a_server_that_stops_has_logged_every_guess(tmp_path, options):
    with running_server(tmp_path, "-w", "2", *options) as server:
        stranger = Api(server.client, "wrong")
        for _ in range(300):
            stranger.get("/fleet")
        server.stop()

        counts = re.findall(r"refused code=invalid_token .* count=(\d+)", server.log)
    assert 2 <= len(counts) <= 4
    assert sum(map(int, counts)) == 300
