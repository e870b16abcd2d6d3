"""``flask fleet prune``: shown first, and judged again when it is done."""

from __future__ import annotations

import json

import pytest

from lea_fleet import agent_uninstalled
from lea_fleet.storage import retention, batches as steps
from tests.support.api import assert_problem
from tests.support.fleets import fill
from tests.cli.test_release_and_rotate import happened
from tests.support.traces import BOB, ZOE, traces


@pytest.fixture
def run(app, monkeypatch):
    """Run ``flask fleet prune`` with these words; return the result."""
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("LOGNAME", "amelie")
    return lambda *words: app.test_cli_runner().invoke(args=["fleet", "prune", *words])


@pytest.fixture
def in_small_steps(monkeypatch):
    monkeypatch.setattr(steps, "STEP", 2)
    monkeypatch.setattr(steps, "_PAUSE", 0)


def statuses(operator):
    fleet = operator.get("/fleet").json
    agents = fleet["active"] + fleet["uninstalled"]
    return {agent["machine_id"]: agent["status"] for agent in agents}


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--silent-for", "1d", "--uninstalled-for", "1d"],
        ["--silent-for", "never"],
        ["--silent-for", "1"],
        ["--uninstalled-for", "0d"],
        ["--silent-for", "1d", "--vacuum"],
    ],
    ids=str,
)
def test_one_duration_is_said(run, operator, words):
    operator.enroll("PC-1")

    assert run(*words).exit_code == 2


# Silent machines


def test_silent_machines_are_only_shown_at_first(run, operator, the_clock):
    operator.enroll("PC-1", **ZOE)
    the_clock.advance(days=180)
    operator.enroll("PC-2", **BOB)
    result = run("--silent-for", "180d")

    assert result.exit_code == 0
    assert result.output.splitlines() == [
        "MACHINE  USER               HOSTNAME   VERSION  LAST SEEN",
        "PC-1     Zoé Lefèvre-Œuvré  PC-DE-ZOÉ  -        180 d ago",
        "",
        "1 machine silent for 180d. Repeat with --yes to uninstall.",
    ]
    assert statuses(operator) == {"PC-1": "active", "PC-2": "active"}
    told = json.loads(run("--silent-for", "180d", "--json").output)
    assert told == {"done": False, "agents": [operator.machine("PC-1")]}


def test_silent_machines_are_uninstalled_where_it_is_said(run, operator, the_clock):
    told = []

    def note(sender, machine_id, event):
        told.append((machine_id, event["detail"]))

    agent = operator.enroll("PC-1", **ZOE)
    the_clock.advance(days=180)
    with agent_uninstalled.connected_to(note):
        result = run("--silent-for", "180d", "--yes")

    assert result.output.splitlines()[-1] == "1 machine marked as uninstalled."
    assert_problem(agent.heartbeat(), 401, "agent_uninstalled")
    assert told == [("PC-1", {"reason": "silent for 180d"})]
    actor = {"role": "cli", "os_user": "amelie"}
    assert happened(operator)[0] == ("uninstalled", actor)
    assert operator.machine()["user_name"] == ZOE["user_name"]
    assert run("--silent-for", "180d").output == (
        "No active machine has been silent for 180d.\n"
    )


def test_a_machine_of_an_older_server_that_was_never_seen_counts_as_enrolled(
    run, operator, engine
):
    old = {"enrolled_at": "2020-01-01T00:00:00+00:00"}
    fill(
        engine,
        [
            {"machine_id": "PC-1", **old},
            {"machine_id": "PC-2", **old, "last_seen_at": "2999-01-01T00:00:00+00:00"},
            {"machine_id": "PC-3", **old, "status": "uninstalled"},
        ],
    )
    run("--silent-for", "1d", "--yes")

    gone = {"PC-1": "uninstalled", "PC-2": "active", "PC-3": "uninstalled"}
    assert statuses(operator) == gone


def test_a_machine_that_beats_between_is_spared(
    run, operator, elsewhere, the_clock, monkeypatch
):
    for number in range(5):
        operator.enroll(f"PC-{number}")
    the_clock.advance(days=180)
    find = retention.Retention.silent

    def find_then_beat(self, seconds):
        found = find(self, seconds)
        elsewhere.post("/heartbeat", {"machine_id": "PC-3"})
        return found

    monkeypatch.setattr(retention.Retention, "silent", find_then_beat)
    result = run("--silent-for", "180d", "--yes", "--json")

    assert len(json.loads(result.output)["agents"]) == 4
    assert [pc for pc, s in statuses(operator).items() if s == "active"] == ["PC-3"]


def test_many_go_in_steps(run, operator, the_clock, in_small_steps):
    for number in range(7):
        operator.enroll(f"PC-{number}", **ZOE)
    the_clock.advance(days=180)

    assert run("--silent-for", "180d", "--yes").exit_code == 0
    assert set(statuses(operator).values()) == {"uninstalled"}
    the_clock.advance(days=365)
    assert run("--uninstalled-for", "365d", "--yes").exit_code == 0
    assert {happened(operator, f"PC-{n}")[0][0] for n in range(7)} == {"erased"}


# Machines that left


def test_what_is_personal_goes_long_after_the_uninstall(
    run, operator, engine, the_clock
):
    for person, machine_id in ((ZOE, "PC-1"), (BOB, "PC-2")):
        operator.enroll(machine_id, **person)
        operator.uninstall(machine_id, reason="replaced")
        the_clock.advance(days=100)
    the_clock.advance(days=100)
    shown = json.loads(run("--uninstalled-for", "365d", "--json").output)
    assert shown["machines"] == []
    the_clock.advance(days=65)
    shown = json.loads(run("--uninstalled-for", "365d", "--json").output)
    assert [machine["machine_id"] for machine in shown["machines"]] == ["PC-1"]
    assert operator.machine("PC-1")["user_name"] == ZOE["user_name"]

    result = run("--uninstalled-for", "365d", "--yes", "--json")
    assert json.loads(result.output) == {
        **shown,
        "done": True,
        **engine.cleaned,
    }
    assert traces(engine, *ZOE.values()) == []
    assert operator.machine("PC-1")["uninstall_reason"] == "replaced"
    assert operator.machine("PC-2")["user_name"] == BOB["user_name"]
    assert run("--uninstalled-for", "365d").output == "There is nothing to erase.\n"


def test_a_machine_that_comes_back_between_is_spared(
    run, operator, elsewhere, the_clock, monkeypatch
):
    operator.enroll("PC-1", **ZOE)
    operator.uninstall("PC-1")
    the_clock.advance(days=365)
    erase = retention.Retention.erase_departed

    def come_back_then_erase(self, machine_ids, seconds):
        elsewhere.enroll("PC-1")
        erase(self, machine_ids, seconds)

    monkeypatch.setattr(retention.Retention, "erase_departed", come_back_then_erase)
    assert run("--uninstalled-for", "365d", "--yes").exit_code == 0

    assert operator.machine("PC-1")["user_name"] == ZOE["user_name"]
    assert happened(operator)[0][0] == "reactivated"


def test_a_machine_without_a_date_of_its_uninstall_is_spared(run, operator, engine):
    fill(engine, [{"machine_id": "PC-1", "status": "uninstalled", **ZOE}])

    assert run("--uninstalled-for", "1s").output == "There is nothing to erase.\n"
