"""``flask fleet prune --events-older-than``: old events go, and no total goes down."""

from __future__ import annotations

import json

import pytest

from lea_fleet.storage import batches, pruned_events
from tests.cli.test_release_and_rotate import add_older, happened
from tests.support.api import MONITOR_TOKEN, Api
from tests.support.traces import BOB, ZOE, traces

OLD = ("prune", "--events-older-than")


@pytest.fixture
def in_small_steps(monkeypatch):
    monkeypatch.setattr(pruned_events, "STEP", 3)
    monkeypatch.setattr(batches, "_PAUSE", 0)


@pytest.fixture
def history(operator, the_clock):
    """Machines that came and went for 200 days, by an installer and their agents."""
    installer = operator.installer(expires="never")
    for day in range(0, 200, 20):
        name = f"PC-{day // 40}"  # each is enrolled twice
        agent = installer.enroll(name, **ZOE)
        agent.heartbeat(**BOB)
        agent.post(f"/machines/{name}/token")
        the_clock.advance(days=5)
        agent.post("/uninstall", {"reason": "moved"})
        the_clock.advance(days=15)
    for name in ("PC-0", "PC-9"):
        installer.enroll(name)


def counts(client, operator):
    """Return every number that is counted from events."""
    by_day = operator.get("/fleet/summary?days=365").json["by_day"]
    text = Api(client, MONITOR_TOKEN).get("/metrics").text
    names = ("lea_fleet_enrol", "lea_fleet_uninstalls_total")
    return by_day, [line for line in text.splitlines() if line.startswith(names)]


def recorded(run):
    return json.loads(run("events", "--json", "--limit", "1000").stdout)["events"]


@pytest.mark.parametrize(
    "words",
    [
        ["89d"],
        ["never"],
        ["90d", "--silent-for", "1d"],
        ["90d", "--uninstalled-for", "1d", "--yes"],
    ],
    ids=str,
)
def test_ninety_days_are_kept_at_least_and_one_duration_is_said(run, history, words):
    before = recorded(run)

    assert run(*OLD, *words).exit_code == 2
    assert recorded(run) == before


def test_old_events_are_only_counted_at_first(run, history):
    before = recorded(run)
    result = run(*OLD, "90d")

    assert result.exit_code == 0
    assert result.output == "21 events older than 90d. Repeat with --yes to delete.\n"
    told = json.loads(run(*OLD, "90d", "--json").stdout)
    assert (told["done"], told["events"]) == (False, 21)
    assert recorded(run) == before


def test_they_are_deleted_where_it_is_said_and_one_event_says_so(run, history, engine):
    before = recorded(run)
    result = run(*OLD, "90d", "--yes", "--json")
    told = json.loads(result.stdout)

    older_than = told["older_than"]
    assert told == {
        "done": True,
        "older_than": older_than,
        "events": 21,
        **engine.cleaned,
    }
    newest, *rest = recorded(run)
    assert (newest["event"], newest["actor"]["role"]) == ("pruned", "cli")
    assert newest["detail"] == {"older_than": older_than, "events": 21}
    assert len(rest) == len(before) - 21
    young = [event for event in before if event["at"] >= older_than]
    assert [event for event in rest if event["at"] >= older_than] == young
    assert run(*OLD, "90d").output == "No event to delete is older than 90d.\n"


def test_no_total_and_no_counter_goes_down(
    run, history, client, operator, engine, the_clock
):
    add_older(engine, "PC-old")
    before = counts(client, operator)
    for _ in range(2):
        assert run(*OLD, "90d", "--yes").exit_code == 0
        assert counts(client, operator) == before

    the_clock.advance(days=60)
    before = counts(client, operator)
    assert run(*OLD, "90d", "--yes").exit_code == 0
    assert counts(client, operator) == before


def test_what_a_machine_is_can_still_be_told(run, history, operator):
    """Of the last enrollment, its beginning and its end; not what was before."""
    run(*OLD, "90d", "--yes")

    kept = {"reactivated", "uninstalled"}
    assert {event for event, _ in happened(operator, "PC-1")} == kept
    assert [event for event, _ in happened(operator, "PC-0")] == ["reactivated"]


def test_what_is_kept_tells_nothing_of_whoever_was_at_the_machine(
    run, history, operator, engine
):
    run(*OLD, "90d", "--yes")

    for event, actor in happened(operator, "PC-1"):
        role = "agent" if event == "uninstalled" else "installer"
        assert actor["role"] == role and "address" not in actor
    assert "address" in happened(operator, "PC-0")[0][1]  # of today


def test_what_is_deleted_is_gone_from_the_files(run, operator, engine, the_clock):
    agent = operator.enroll("PC-1", hostname="first")
    for hostname in ("distinctive-host", "last"):
        agent.heartbeat(hostname=hostname)
    the_clock.advance(days=2)
    agent.heartbeat(hostname="later")  # former values go after a day
    assert traces(engine, "distinctive-host")
    the_clock.advance(days=100)

    assert run(*OLD, "90d", "--yes").exit_code == 0
    assert traces(engine, "distinctive-host") == []


def test_many_go_in_steps_that_an_interruption_does_not_undo(
    run, history, client, operator, in_small_steps, monkeypatch
):
    before = counts(client, operator)
    waits = []

    def interrupted(seconds):
        waits.append(seconds)
        if len(waits) == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr(batches.time, "sleep", interrupted)
    assert run(*OLD, "90d", "--yes").exit_code != 0
    assert counts(client, operator) == before
    monkeypatch.setattr(batches.time, "sleep", waits.append)
    assert run(*OLD, "90d", "--yes").exit_code == 0

    assert counts(client, operator) == before
    events = recorded(run)
    left = [event["detail"]["events"] for event in events if event["event"] == "pruned"]
    assert left[1] == 21 and 0 < left[0] < 21
    assert run(*OLD, "90d").output == "No event to delete is older than 90d.\n"


def test_a_person_is_still_exported_and_erased(run, history):
    run(*OLD, "90d", "--yes")
    for person in (ZOE, BOB):
        assert run("export", "--user", person["user_email"]).exit_code == 0
        assert run("erase", "--user", person["user_email"], "--yes").exit_code == 0
