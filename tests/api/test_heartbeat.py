"""POST /heartbeat: cheap, about the agent's own machine, no way to re-enroll."""

from __future__ import annotations

from datetime import timedelta

import pytest

from lea_fleet.core import clock
from tests.support.api import OPERATOR_TOKEN, Api, assert_invalid, assert_problem


@pytest.fixture
def writes(engine):
    """Return what changes with each write of another connection."""
    with engine.connected() as connection:
        yield lambda: engine.version(connection)


@pytest.fixture
def agent(operator, the_clock):
    """An agent that has used its token, so that only heartbeats write from here on."""
    enrolled = operator.enroll("PC-1", hostname="H-1", version="1.0")
    enrolled.heartbeat()
    return enrolled


def test_the_answer_says_when_to_come_again(agent, the_clock):
    response = agent.heartbeat()

    assert response.status_code == 200
    answer = response.json
    assert 60 <= answer.pop("heartbeat_interval") <= 66
    assert answer == {
        "status": "ok",
        "machine_id": "PC-1",
        "server_time": the_clock.iso(),
    }


def test_a_beat_is_seen(agent, operator, the_clock):
    the_clock.advance(minutes=1)
    agent.heartbeat()

    assert operator.machine("PC-1")["last_seen_at"] == the_clock.iso()


def test_a_detail_has_no_blanks_around_it(agent, operator):
    agent.heartbeat(version="2.0\r\n", user_name="\tZoé ", os_info=" " * 300 + "A")

    machine = operator.machine("PC-1")
    assert [machine[name] for name in ("version", "user_name", "os_info")] == [
        "2.0",
        "Zoé",
        "A",
    ]
    enrolled = operator.enroll("PC-2", version="2.0\r\n", hostname="A" + " " * 300)
    assert enrolled.answer["agent"]["version"] == "2.0"
    assert enrolled.answer["agent"]["hostname"] == "A"


def test_a_beat_updates_what_it_gives_and_leaves_the_rest(agent, operator, the_clock):
    agent.heartbeat(version="2.0", user_name="Zoé", hostname=None, os_info="  ")

    machine = operator.machine("PC-1")
    assert machine["version"] == "2.0"
    assert machine["user_name"] == "Zoé"
    assert machine["hostname"] == "H-1"
    assert machine["os_info"] is None


def test_a_beat_soon_after_the_last_one_writes_nothing(agent, writes, the_clock):
    before = writes()
    the_clock.advance(seconds=14)

    assert agent.heartbeat(version="1.0").status_code == 200
    assert writes() == before
    the_clock.advance(seconds=1)
    agent.heartbeat()
    assert writes() != before


def test_a_beat_with_news_is_written_however_soon(agent, writes):
    before = writes()
    agent.heartbeat(version="1.1")

    assert writes() != before


def test_how_soon_is_a_setting(make_app, the_clock):
    app = make_app(LEA_FLEET_HEARTBEAT_RESOLUTION="0s")
    agent = Api(app.test_client(), OPERATOR_TOKEN).enroll("PC-1")
    the_clock.advance(seconds=1)
    agent.heartbeat()

    operator = Api(app.test_client(), OPERATOR_TOKEN)
    assert operator.machine("PC-1")["last_seen_at"] == the_clock.iso()


def test_a_clock_set_back_does_not_keep_a_machine_online(agent, operator, the_clock):
    the_clock.advance(days=-1)
    agent.heartbeat()

    assert operator.machine("PC-1")["last_seen_at"] == the_clock.iso()


def test_the_first_use_of_a_token_is_written_down(operator, engine, the_clock):
    agent = operator.enroll("PC-1")
    query = "SELECT first_used_at FROM lea_fleet_tokens"
    assert engine.execute(query) == [(None,)]

    the_clock.advance(seconds=1)
    agent.get("/machines/PC-1")
    first = the_clock.iso()
    the_clock.advance(minutes=5)
    agent.heartbeat()

    assert engine.execute(query) == [(first,)]


def test_an_operator_beats_for_any_machine_by_name(agent, operator, the_clock):
    the_clock.advance(minutes=1)

    response = operator.post("/heartbeat", {"machine_id": "PC-1", "version": "3"})

    assert response.json["machine_id"] == "PC-1"
    assert operator.machine("PC-1")["last_seen_at"] == the_clock.iso()
    assert_invalid(operator.post("/heartbeat", {"version": "3"}), "machine_id")
    body = assert_problem(
        operator.post("/heartbeat", {"machine_id": "nobody"}), 404, "unknown_agent"
    )
    assert body["machine_id"] == "nobody"


def test_an_operators_beat_does_not_bring_back_an_uninstalled_machine(agent, operator):
    operator.uninstall("PC-1")
    before = operator.machine("PC-1")

    for news in ({}, {"version": "9"}):
        response = operator.post("/heartbeat", {"machine_id": "PC-1", **news})
        body = assert_problem(response, 409, "machine_uninstalled", "stop")
        assert body["machine_id"] == "PC-1"
        assert body["agent_status"] == "uninstalled"
    assert operator.machine("PC-1") == before


def test_an_agent_beats_for_itself_only(agent, operator):
    operator.enroll("PC-2")

    assert agent.heartbeat(machine_id="PC-1").status_code == 200
    assert_problem(agent.heartbeat(machine_id="PC-2"), 403, "wrong_machine")
    assert_problem(agent.heartbeat(machine_id="nobody"), 403, "wrong_machine")


def test_nothing_is_written_for_a_machine_uninstalled_in_the_meantime(
    agent, operator, elsewhere, the_clock, before_writing
):
    """The guard saw a live token; the machine is uninstalled before the write."""
    before_writing(lambda: elsewhere.uninstall("PC-1"))
    the_clock.advance(minutes=5)

    assert_problem(agent.heartbeat(version="9"), 401, "agent_uninstalled")
    machine = operator.machine("PC-1")
    assert machine["version"] == "1.0"
    assert machine["last_seen_at"] != the_clock.iso()


@pytest.mark.parametrize(
    ("silent", "presence"),
    [
        (timedelta(0), "online"),
        (timedelta(seconds=198), "online"),
        (timedelta(seconds=198, microseconds=1), "offline"),
        (timedelta(days=14), "offline"),
        (timedelta(days=14, microseconds=1), "stale"),
    ],
)
def test_presence_follows_the_silence(agent, operator, the_clock, silent, presence):
    the_clock.time += silent

    assert operator.machine("PC-1")["presence"] == presence
    totals = operator.get("/fleet").json["totals"]
    assert (totals[presence], totals["active"]) == (1, 1)


def test_presence_counts_from_the_enrollment_where_nothing_was_seen(
    operator, engine, the_clock
):
    operator.enroll("PC-1")
    engine.execute("UPDATE enrolled_agents SET last_seen_at = NULL")

    assert operator.machine("PC-1")["presence"] == "online"
    the_clock.advance(days=15)
    assert operator.machine("PC-1")["presence"] == "stale"


def test_when_a_machine_is_stale_is_a_setting(make_app, the_clock):
    never = Api(make_app(LEA_FLEET_STALE_AFTER="never").test_client(), OPERATOR_TOKEN)
    soon = Api(make_app(LEA_FLEET_STALE_AFTER="1h").test_client(), OPERATOR_TOKEN)
    never.enroll("PC-1")
    the_clock.advance(days=999)

    assert never.machine("PC-1")["presence"] == "offline"
    assert soon.machine("PC-1")["presence"] == "stale"


def test_the_clock_writes_iso_8601_in_utc_that_sorts_as_text(the_clock):
    whole = the_clock.time.replace(microsecond=0)
    written = [clock.iso(whole), clock.iso(whole + timedelta(microseconds=1))]

    assert written[0].endswith("+00:00")
    assert written == sorted(written)
