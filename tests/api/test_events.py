"""Events: what happened, who did it and from where. None is ever deleted."""

from __future__ import annotations

import pytest

from lea_fleet import LeaFleet
from lea_fleet.storage.agent_tokens import AgentTokens
from tests.support.api import OPERATOR_TOKEN, Api, assert_invalid, assert_problem
from tests.support.fleets import fill


def events(operator, machine_id="PC-1", **query):
    response = operator.get(f"/machines/{machine_id}/events", query_string=query)
    assert response.status_code == 200, response.text
    return response.json


def kinds(operator, machine_id="PC-1"):
    return [event["event"] for event in events(operator, machine_id)["events"]]


def test_an_event_says_what_when_who_and_from_where(operator, the_clock):
    operator.enroll("PC-1", version="1.4")

    page = events(operator)

    assert page == {
        "machine_id": "PC-1",
        "events": [
            {
                "id": 1,
                "event": "enrolled",
                "at": the_clock.iso(),
                "actor": {"role": "operator", "address": "127.0.0.1"},
                "detail": {"version": "1.4"},
            }
        ],
        "next_cursor": None,
    }


def test_every_kind_of_caller_is_named(operator, app):
    agent = operator.installer().enroll("PC-1")
    agent.post("/uninstall", {"reason": "moved"})
    with app.app_context():
        LeaFleet().repository.enroll("PC-1")

    actors = [event["actor"] for event in events(operator)["events"]]

    assert actors == [
        {"role": "host"},
        {"role": "agent", "address": "127.0.0.1"},
        {"role": "installer", "enrollment_token": 1, "address": "127.0.0.1"},
    ]


def test_history_survives_any_number_of_reinstallations(operator):
    for number in range(3):
        operator.enroll("PC-1")
        operator.uninstall("PC-1", reason=f"reason {number}")

    again = ["uninstalled", "reactivated"]
    assert kinds(operator) == [*again, *again, "uninstalled", "enrolled"]
    reasons = [
        event["detail"]["reason"]
        for event in events(operator)["events"]
        if event["event"] == "uninstalled"
    ]
    assert reasons == ["reason 2", "reason 1", "reason 0"]


def test_what_changes_nothing_leaves_no_event(operator):
    agent = operator.enroll("PC-1", hostname="H")
    agent.heartbeat(hostname="H", version="2")
    agent.heartbeat()
    operator.post("/enroll", {"machine_id": "PC-1"})
    operator.request("DELETE", "/machines/PC-1/release")
    operator.uninstall("PC-1")
    operator.uninstall("PC-1")

    assert kinds(operator) == ["uninstalled", "enrolled"]


def test_a_change_of_host_or_user_is_an_event_with_before_and_after(operator):
    agent = operator.enroll("PC-1", hostname="A", user_name="Zoé", version="1")
    agent.heartbeat(hostname="B", user_name="Zoé", user_email="z@e.fr", version="2")

    first = events(operator)["events"][0]

    assert first["event"] == "identity_changed"
    assert first["actor"]["role"] == "agent"
    assert first["detail"] == {
        "before": {"hostname": "A", "user_email": None},
        "after": {"hostname": "B", "user_email": "z@e.fr"},
    }


def test_an_event_is_there_if_and_only_if_what_it_tells_is(
    operator, engine, monkeypatch
):
    def fail(*args, **options):
        raise engine.fault

    with monkeypatch.context() as failing:
        failing.setattr(AgentTokens, "add", fail)
        response = operator.post("/enroll", {"machine_id": "PC-1"})
    assert_problem(response, 503, "database_unavailable")
    operator.enroll("PC-1")

    assert kinds(operator) == ["enrolled"]


def test_pages(operator):
    operator.enroll("PC-2")
    for _ in range(3):
        operator.enroll("PC-1")
        operator.uninstall("PC-1")

    whole = events(operator)["events"]
    first = events(operator, limit=4)
    second = events(operator, limit=4, cursor=first["next_cursor"])

    assert len(whole) == 6
    assert first["events"] + second["events"] == whole
    assert isinstance(first["next_cursor"], str)
    assert second["next_cursor"] is None
    operator.enroll("PC-1")
    assert events(operator, limit=4, cursor=first["next_cursor"]) == second


@pytest.mark.parametrize("query", ["limit", "cursor"])
@pytest.mark.parametrize("value", ["0", "-1", "x", "1.0", "٣", "9" * 30])
def test_a_page_that_cannot_be(operator, query, value):
    operator.enroll("PC-1")

    response = operator.get("/machines/PC-1/events", query_string={query: value})

    assert_invalid(response, query)


def test_a_page_has_at_most_500_events_and_no_other_parameter(operator):
    operator.enroll("PC-1")

    path = "/machines/PC-1/events"
    assert operator.get(f"{path}?limit=500").status_code == 200
    assert operator.get(f"{path}?limit=&cursor=").status_code == 200  # as if not there
    assert_invalid(operator.get(f"{path}?limit=501"), "limit")
    assert_invalid(operator.get(f"{path}?before=5"), "before")
    assert_invalid(operator.get(f"{path}?limit=1&limit=2"), "limit")


def test_an_unknown_machine_has_no_history(operator):
    assert_problem(operator.get("/machines/nobody/events"), 404, "unknown_agent")


def test_a_machine_of_the_older_server_has_an_empty_history(operator, engine):
    fill(engine, [{"machine_id": "PC-1"}])

    assert events(operator)["events"] == []


def test_an_enrollment_token_leaves_events_of_no_machine(operator, app):
    operator.installer(label="Paris")
    operator.request("DELETE", "/enrollment-tokens/1")
    operator.request("DELETE", "/enrollment-tokens/1")

    with app.app_context():
        page, _ = LeaFleet().repository.events.page(None, limit=10)

    assert [event["event"] for event in page] == [
        "enrollment_token_revoked",
        "enrollment_token_created",
    ]
    assert {event["machine_id"] for event in page} == {None}
    assert page[0]["detail"]["enrollment_token"] == 1
    assert page[0]["detail"]["label"] == "Paris"


def test_an_older_servers_machine_is_adopted(operator, engine):
    """A machine without a token gets one by force, by a release and by a rotation."""
    fill(engine, [{"machine_id": f"PC-{number}"} for number in (1, 2, 3)])
    installer = operator.installer()

    assert operator.enroll("PC-1", force=True).heartbeat().status_code == 200
    operator.request("POST", "/machines/PC-2/release")
    assert installer.enroll("PC-2").heartbeat().status_code == 200
    token = operator.post("/machines/PC-3/token", {}).json["api_token"]
    agent = Api(operator.client, token)
    assert agent.post("/heartbeat").status_code == 200
    assert OPERATOR_TOKEN not in token
