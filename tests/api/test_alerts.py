"""GET /alerts: what was noticed in the last day, and whether somebody is told."""

from __future__ import annotations

from datetime import timedelta

import pytest

from lea_fleet.app.database import get_host_repository
from lea_fleet.storage.alerts import Alerts
from tests.api.test_openapi import assert_documented
from tests.support.api import OPERATOR_TOKEN, Api, assert_invalid
from tests.support.followers import await_followers
from tests.support.receiver import SECRET, receiving, status

PASSWORD = "lea_install_0123456789abcdefghijklmnopqrstuvwxyz"


@pytest.fixture
def receiver():
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def add(app, the_clock):
    """Add alerts about a machine, with what a minute later is."""

    def add(*machines):
        for machine_id in machines:
            with app.app_context():
                repository = get_host_repository()
                with repository.transaction():
                    seen = {"last_seen_at": the_clock.iso()}
                    Alerts(repository.unit).add("machine.silent", machine_id, **seen)
            the_clock.advance(minutes=1)

    return add


@pytest.fixture
def served(make_app, operator):
    """Return what the route answers on a server with these settings."""

    def served(query="", **settings):
        operator.get("/fleet")  # creates the tables
        app = make_app(**settings)
        response = Api(app.test_client(), OPERATOR_TOKEN).get(f"/alerts{query}")
        assert response.status_code == 200, response.text
        assert_documented(response, "GET", "/alerts")
        return response.json

    return served


@pytest.fixture
def notify(make_app):
    def notify(**settings):
        app = make_app(**settings)
        await_followers(app)
        result = app.test_cli_runner().invoke(args=["fleet", "notify"])
        assert isinstance(result.exception, (SystemExit, type(None)))

    return notify


def machines(answer):
    return [each["machine_id"] for each in answer["alerts"]]


# The alerts


def test_a_fleet_without_alerts_and_destinations_has_an_empty_page(served):
    assert served() == {"alerts": [], "next_cursor": None, "destinations": []}


def test_an_alert_has_all_that_was_noticed(served, add, the_clock):
    at = the_clock.iso()
    add("PC-1")

    (alert,) = served()["alerts"]

    assert isinstance(alert.pop("id"), int)
    assert alert == {
        "machine_id": "PC-1",
        "alert": "machine.silent",
        "at": at,
        "detail": {"last_seen_at": at},
    }


def test_an_alert_about_no_machine_has_none(served, app):
    with app.app_context():
        repository = get_host_repository()
        with repository.transaction():
            Alerts(repository.unit).add("fleet.silent", None, online=1, usual=9)

    (alert,) = served()["alerts"]

    assert alert["machine_id"] is None
    assert alert["detail"] == {"online": 1, "usual": 9}


def test_the_pages_have_each_alert_once_newest_first(served, add):
    add(*"ABCDE")
    pages, cursor = [], ""
    while cursor is not None:
        answer = served(f"?limit=2&cursor={cursor}")
        pages.append(machines(answer))
        cursor = answer["next_cursor"]

    assert pages == [["E", "D"], ["C", "B"], ["A"]]


def test_a_page_that_is_full_with_the_last_one_is_the_last(served, add):
    add("A", "B")

    assert served("?limit=2")["next_cursor"] is None


def test_an_alert_between_two_pages_repeats_and_hides_none(served, add):
    add("A", "B", "C")
    first = served("?limit=2")
    add("D")

    second = served(f"?limit=2&cursor={first['next_cursor']}")

    assert (machines(first), machines(second)) == (["C", "B"], ["A"])
    assert machines(served("?limit=1")) == ["D"]


def test_a_page_has_50_by_default_and_at_most_500(served, add, operator):
    add(*map(str, range(51)))

    assert len(served()["alerts"]) == 50
    assert len(served("?limit=500")["alerts"]) == 51
    assert_invalid(operator.get("/alerts?limit=501"), "limit")


@pytest.mark.parametrize("cursor", ["0", "-1", "x", "1.0", str(2**63)])
def test_a_cursor_that_is_not_one_is_named(operator, cursor):
    assert_invalid(operator.get(f"/alerts?cursor={cursor}"), "cursor")


def test_a_parameter_that_does_not_exist_is_named(operator):
    assert_invalid(operator.get("/alerts?machine_id=PC-1"), "machine_id")


def test_after_a_day_an_alert_is_not_shown_though_it_may_be_stored(
    served, add, the_clock, engine
):
    add("A", "B")  # at 08:00 and 08:01
    the_clock.time += timedelta(hours=24, minutes=-2)
    assert machines(served()) == ["B", "A"]

    the_clock.advance(microseconds=1)

    assert machines(served()) == ["B"]
    ((stored,),) = engine.execute("SELECT count(*) FROM lea_fleet_alerts")
    assert stored == 2


# The destinations


def test_a_destination_that_was_never_told_has_nothing(served, receiver, add):
    add("A")

    assert served(**receiver.settings)["destinations"] == [
        {
            "destination": "http://127.0.0.1",
            "looked_at": None,
            "delivered_at": None,
            "failing_since": None,
            "fault": None,
            "waiting": 0,
        }
    ]


def test_what_waits_and_what_was_delivered(
    served, notify, receiver, operator, the_clock, add
):
    notify(**receiver.settings)
    looked = the_clock.iso()
    add("A")
    operator.enroll("PC-1")
    await_followers(operator.client.application)

    (waits,) = served(**receiver.settings)["destinations"]
    notify(**receiver.settings)
    (told,) = served(**receiver.settings)["destinations"]

    assert (waits["looked_at"], waits["delivered_at"]) == (looked, None)
    assert waits["waiting"] == 2
    assert told["looked_at"] == told["delivered_at"] == the_clock.iso()
    assert told["waiting"] == 0


def test_a_destination_that_fails_says_since_when_and_why(
    served, notify, receiver, add, the_clock
):
    notify(**receiver.settings)
    add("A", "B")
    receiver.answers = [status(500), status(503)]
    since = the_clock.iso()
    notify(**receiver.settings)
    the_clock.advance(minutes=2)
    notify(**receiver.settings)

    (fails,) = served(**receiver.settings)["destinations"]
    the_clock.advance(minutes=5)
    notify(**receiver.settings)
    (mended,) = served(**receiver.settings)["destinations"]

    assert fails["failing_since"] == since < fails["looked_at"]
    assert fails["fault"] == "the receiver answered 503"
    assert (fails["delivered_at"], fails["waiting"]) == (None, 2)
    assert (mended["failing_since"], mended["fault"]) == (None, None)
    assert mended["waiting"] == 0


def test_what_is_looked_at_to_count_what_waits_is_bounded(
    served, notify, receiver, add, monkeypatch
):
    monkeypatch.setattr("lea_fleet.api.routes.alerts.MOST_WAITING", 3)
    notify(**receiver.settings)
    add(*"ABCDE")

    assert served(**receiver.settings)["destinations"][0]["waiting"] == 3


def test_only_what_this_servers_settings_name_is_shown_in_their_order(
    served, notify, receiver
):
    notify(**receiver.settings)
    others = "https://b.example.com/1 https://a.example.com/2"

    answer = served(
        LEA_FLEET_WEBHOOK_URL=others,
        LEA_FLEET_WEBHOOK_SECRET=SECRET,
        LEA_FLEET_MAIL_TO="it@example.com",
        LEA_FLEET_SMTP_URL="smtp://mail.example.com",
    )

    assert [each["destination"] for each in answer["destinations"]] == [
        "https://b.example.com",
        "https://a.example.com",
        "mail by smtp://mail.example.com",
    ]


# What is not in the answer


def test_no_person_secret_or_path_is_in_it(
    served, notify, receiver, operator, the_clock
):
    failing = f"http://127.0.0.1:1/{PASSWORD}/hook?key={PASSWORD}"
    settings = {
        "LEA_FLEET_WEBHOOK_URL": f"{receiver.url}/{PASSWORD} {failing}",
        "LEA_FLEET_WEBHOOK_SECRET": SECRET,
        "LEA_FLEET_WEBHOOK_PERSONAL": True,
        "LEA_FLEET_MAIL_TO": "zoe@example.com",
        "LEA_FLEET_SMTP_URL": f"smtp://zoe:{PASSWORD}@127.0.0.1:1",
    }
    notify(**settings)
    installer = operator.installer(label="of zoe@example.com")
    operator.enroll("PC-1", user_name="Zoé", hostname="ZOE-PC")
    refused = {"machine_id": "PC-1", "hostname": "ZOE-PC", "user_name": "Zoé"}
    assert installer.post("/enroll", refused).status_code == 409
    receiver.answers = [status(500)]
    the_clock.advance(minutes=1)
    notify(**settings)

    answer = served(**settings)

    assert [each["alert"] for each in answer["alerts"]] == ["machine.refused"]
    places = ["http://127.0.0.1"] * 2 + ["mail by smtp://127.0.0.1"]
    assert [each["destination"] for each in answer["destinations"]] == places
    assert all(each["fault"] for each in answer["destinations"])
    text = str(answer).lower()
    for part in (PASSWORD, SECRET.lower(), "zo\xe9", "zoe", "hook", "/lea", "key"):
        assert part not in text, part
