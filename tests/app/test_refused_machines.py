"""Refused machines are written at once, and their repeats once a minute."""

from __future__ import annotations

import os
from collections import Counter

import pytest

from lea_fleet.app import flushing
from lea_fleet.app.flushing import Flusher
from lea_fleet.app.refused_machines import RefusedMachines
from lea_fleet.core.limits import MOST_REFUSED, MOST_REFUSING_TOKENS
from lea_fleet.core.refused import Refusal, look_of
from tests.support.server import running_server
from tests.support.timers import Timers


@pytest.fixture
def timers(monkeypatch):
    timers = Timers()
    monkeypatch.setattr(flushing, "Timer", timers)
    return timers


class Rows:
    """Stands for the database: what was written, in which transactions."""

    def __init__(self):
        self.written = []
        self.fails = False

    def save(self, repeats):
        if self.fails:
            raise OSError
        self.written.append(list(repeats))

    @property
    def times(self):
        """How often each machine was refused, by what was written."""
        times = Counter()
        for repeats in self.written:
            for refusal, count in repeats:
                times[refusal.machine_id] += count
        return times

    @property
    def sizes(self):
        return [len(repeats) for repeats in self.written]


@pytest.fixture
def rows():
    return Rows()


@pytest.fixture
def refused(timers, rows):
    return RefusedMachines(rows.save, (OSError,), Flusher(), now=lambda: timers.now)


@pytest.fixture
def refuse(refused, rows):
    def refuse(machine_id="PC-1", times=1, token=3, code="token_expired", **said):
        said = {"hostname": "A", "address": "10.0.0.1", **said}
        for _ in range(times):
            look = look_of(machine_id)
            refusal = Refusal(token, look, code, machine_id, at="then", **said)
            refused.note(refusal, rows.save)

    return refuse


def test_the_first_is_written_at_once_and_starts_no_thread(refuse, rows, timers):
    refuse()
    refuse("PC-2")

    assert rows.sizes == [1, 1]
    assert timers.waiting == []


def test_repeats_are_written_once_a_minute_for_each_machine_and_code(
    refuse, rows, timers
):
    for _ in range(600):
        refuse()
        refuse(code="token_revoked")
        timers.advance(1)
    timers.advance(70)

    assert rows.times == {"PC-1": 1200}
    assert len(rows.written) <= 2 + 10
    timers.advance(600)
    assert timers.waiting == []


def test_one_that_comes_back_after_a_minute_is_written_at_once(refuse, rows, timers):
    refuse(times=2)
    timers.advance(200)
    refuse()

    assert rows.sizes == [1, 1, 1]
    assert rows.times == {"PC-1": 3}


def test_a_repeat_says_only_what_has_changed(refuse, rows, timers):
    refuse(times=2)
    timers.advance(70)
    refuse(times=2, hostname="B")
    timers.advance(70)

    said = [(r.hostname, r.address) for repeats in rows.written for r, _ in repeats]
    assert said == [("A", "10.0.0.1"), (None, None), ("B", "10.0.0.1")]


def test_where_machines_push_each_other_out_they_are_written_together(
    refuse, rows, timers
):
    for number in range(MOST_REFUSED + 1000):
        refuse(f"PC-{number}")
    assert rows.sizes == [1] * MOST_REFUSED

    timers.advance(10)
    assert rows.sizes[MOST_REFUSED:] == [MOST_REFUSED]
    newest = {f"PC-{number}" for number in range(1000, MOST_REFUSED + 1000)}
    assert {refusal.machine_id for refusal, _ in rows.written[-1]} == newest


def test_each_token_is_written_in_a_transaction_of_its_own(refuse, rows, timers):
    for token in (1, 2):
        for _ in range(2):
            refuse("PC-1", token=token)
            refuse("PC-2", token=token)
    timers.advance(70)

    assert rows.sizes == [1, 1, 1, 1, 2, 2]


def test_a_process_keeps_a_bounded_number_in_memory(refuse, refused, timers):
    for token in range(MOST_REFUSING_TOKENS + 50):
        for number in range(MOST_REFUSED + 50):
            refuse(f"PC-{number}", token=token)
    kept = [len(token.tallies) for token in refused._tokens.values()]

    assert kept == [MOST_REFUSED] * MOST_REFUSING_TOKENS
    timers.advance(200)
    refused.flush()
    assert list(refused._tokens) == []


def test_blocked_machines_are_not_pushed_out_of_memory(refuse, rows, timers):
    refuse("STOLEN", times=3, code="machine_blocked")
    for number in range(2 * MOST_REFUSED):
        refuse(f"PC-{number}")
    timers.advance(70)

    assert rows.times["STOLEN"] == 3


def test_what_cannot_be_written_is_kept(refuse, rows, timers):
    rows.fails = True
    refuse(times=3)
    timers.advance(300)
    assert rows.written == []

    rows.fails = False
    timers.advance(10)
    assert rows.times == {"PC-1": 3}
    assert rows.written[0][0].refusal.hostname == "A"


def test_what_is_left_is_written_when_the_process_ends(refuse, refused, rows):
    refuse(times=5)
    refused.close()

    assert rows.times == {"PC-1": 5}


def test_a_child_process_writes_nothing_of_its_parents(refuse, refused, rows):
    refuse(times=5)
    with refused._lock:  # as a thread of the parent may hold it
        child = os.fork()
        if child == 0:
            refused.close()
            os._exit(len(rows.written) - 1)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_one_thread_serves_all_of_an_application(app, timers):
    state = app.extensions["lea_fleet"]

    assert state.refused_machines._flusher is state.refusals._flusher


@pytest.mark.parametrize("options", [(), ("--threads", "4")], ids=["sync", "threads"])
def test_a_server_that_stops_has_written_every_refusal(tmp_path, options):
    with running_server(tmp_path, "-w", "2", *options) as server:
        installer = server.operator.installer()
        installer.enroll("PC-1")
        for _ in range(50):
            response = installer.post("/enroll", {"machine_id": "PC-1"})
            assert response.status_code == 409
        server.stop()
        server.start_again()

        (row,) = server.operator.get("/refusals").json["refusals"]
    assert row["refused"] == 50
