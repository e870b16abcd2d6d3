"""Suspected clones: a hostname that comes back within a day."""

from __future__ import annotations

import pytest

from tests.support.fleets import ask


@pytest.fixture
def agent(operator, the_clock):
    return operator.enroll("PC-1", hostname="A")


def beat(agent, the_clock, *hostnames, every=60):
    for hostname in hostnames:
        the_clock.advance(seconds=every)
        assert agent.heartbeat(hostname=hostname).status_code == 200


def events(operator, kind):
    page = operator.get("/machines/PC-1/events?limit=500").json["events"]
    return [event for event in page if event["event"] == kind]


def suspected(operator):
    listed = operator.get("/fleet").json["active"][0]["suspected_clone"]
    assert operator.machine("PC-1")["suspected_clone"] is listed
    return listed


def test_a_then_b_then_a_again_is_a_suspected_clone(agent, operator, the_clock):
    assert suspected(operator) is False
    beat(agent, the_clock, "A", "B", "B")
    assert suspected(operator) is False
    beat(agent, the_clock, "A")

    assert suspected(operator) is True
    for value, found in (("true", 1), ("false", 0)):
        assert ask(operator, suspected_clone=value)["totals"]["total"] == found
    assert ask(operator, "/fleet/summary")["suspected_clones"] == 1
    (event,) = events(operator, "suspected_clone")
    assert event["detail"] == {"hostnames": ["A", "B"]}
    assert event["actor"]["role"] == "agent"


def test_a_machine_that_was_renamed_is_none(agent, operator, the_clock):
    beat(agent, the_clock, "B", "C", "D", "D")

    assert suspected(operator) is False
    assert len(events(operator, "identity_changed")) == 3


def test_three_in_turn_are_found_too(agent, operator, the_clock):
    beat(agent, the_clock, "B", "C", "A")

    assert suspected(operator) is True


def test_a_day_between_is_no_alternation(agent, operator, the_clock):
    beat(agent, the_clock, "B")
    beat(agent, the_clock, "A", every=24 * 3600)

    assert suspected(operator) is False


def test_a_beat_without_a_hostname_says_nothing(agent, operator, the_clock):
    beat(agent, the_clock, "B", None, "B", None)

    assert suspected(operator) is False


def test_a_clone_beats_for_ever_and_is_reported_once_a_day(agent, operator, the_clock):
    beat(agent, the_clock, *"BA" * 30, every=1800)  # 30 hours

    assert suspected(operator) is True
    assert len(events(operator, "suspected_clone")) == 2
    assert len(events(operator, "identity_changed")) == 1


def test_nobody_is_blocked(agent, operator, the_clock):
    beat(agent, the_clock, *"BABA")

    assert agent.heartbeat(hostname="B").status_code == 200
    assert operator.machine("PC-1")["hostname"] == "B"


def test_it_clears_after_a_day_without_alternation(agent, operator, the_clock):
    beat(agent, the_clock, *"BA")
    beat(agent, the_clock, "A", every=24 * 3600 - 1)
    assert suspected(operator) is True
    beat(agent, the_clock, "A", every=1)

    assert suspected(operator) is False
    beat(agent, the_clock, "C")
    assert events(operator, "identity_changed")[0]["detail"]["after"] == {
        "hostname": "C"
    }


def test_it_clears_at_the_next_enrollment(agent, operator, the_clock):
    beat(agent, the_clock, *"BA")
    assert suspected(operator) is True

    again = operator.enroll("PC-1", force=True)

    assert suspected(operator) is False
    beat(again, the_clock, "B")
    assert suspected(operator) is False


def test_one_machine_casts_no_suspicion_on_another(agent, operator, the_clock):
    other = operator.enroll("PC-2", hostname="A")
    for hostname in "BABA":
        the_clock.advance(seconds=60)
        agent.heartbeat(hostname=hostname)
        other.heartbeat(hostname="A")

    assert operator.machine("PC-1")["suspected_clone"] is True
    assert operator.machine("PC-2")["suspected_clone"] is False


def test_the_list_in_a_shell_marks_it(agent, operator, the_clock, app):
    beat(agent, the_clock, *"BA")

    output = app.test_cli_runner().invoke(args=["fleet", "list"]).output

    assert "online!" in output


def test_another_case_is_the_same_host(agent, operator, the_clock):
    beat(agent, the_clock, "a", "A", "a", "A")

    assert suspected(operator) is False


def test_a_clock_set_back_does_not_keep_up_a_suspicion(agent, operator, the_clock):
    beat(agent, the_clock, *"BA")
    the_clock.advance(days=-10)

    assert suspected(operator) is False


def test_two_users_in_turn_leave_an_event_each_and_no_more(agent, operator, the_clock):
    for user in ["Zoé", "Amélie"] * 10:
        the_clock.advance(seconds=60)
        agent.heartbeat(user_name=user)

    assert suspected(operator) is False
    assert len(events(operator, "identity_changed")) == 2


def test_what_is_new_is_recorded_under_suspicion_too(agent, operator, the_clock):
    beat(agent, the_clock, *"BAB")
    agent.heartbeat(hostname="STOLEN", user_name="thief")

    event = events(operator, "identity_changed")[0]
    assert event["detail"]["after"] == {"hostname": "STOLEN", "user_name": "thief"}


def test_who_is_back_is_named_with_what_is_new(agent, operator, the_clock):
    """The event has all changed values, so that it shows whose the new ones are."""
    for said in ({"user_email": "a@b.c"}, {"user_email": "d@e.f"}):
        agent.heartbeat(**said)
    agent.heartbeat(user_email="a@b.c", user_name="Anna")

    newest = events(operator, "identity_changed")[0]["detail"]
    assert newest["before"] == {"user_name": None, "user_email": "d@e.f"}
    assert newest["after"] == {"user_name": "Anna", "user_email": "a@b.c"}


NETBIOS, FULL = "COMPTABILITE-PA", "comptabilite-paris-03"


@pytest.mark.parametrize(
    "spellings",
    [
        (NETBIOS, FULL),
        (NETBIOS, FULL + ".corp.example.com"),
        (NETBIOS, FULL, FULL + ".corp.example.com"),
        ("PC-7", "pc-7.corp.example.com"),
        ("PC-7", "pc-7."),
        ("pc-7.example.com.", " PC-7.example.com\r\n"),
        ("Cafe\u0301-03", "CAF\u00c9-03.example.com"),
    ],
)
def test_an_upgrade_that_spells_the_host_differently_is_no_clone(
    operator, the_clock, spellings
):
    agent = operator.enroll("PC-1", hostname=spellings[0])
    beat(agent, the_clock, *(spellings[1:] + spellings[::-1]) * 3)

    assert suspected(operator) is False
    assert events(operator, "identity_changed") == []
    assert operator.machine("PC-1")["hostname"] == spellings[0]


@pytest.mark.parametrize(
    "short, one, other",
    [
        ("pc", "pc.paris.example.com", "pc.lyon.example.com"),
        (NETBIOS, FULL, "comptabilite-paris-07"),
        (FULL, FULL + ".paris.example.com", FULL + ".lyon.example.com"),
        (NETBIOS, FULL + ".paris.example.com", FULL + ".lyon.example.com"),
    ],
)
def test_two_hosts_in_turn_are_found_across_the_short_name_that_both_have(
    operator, the_clock, short, one, other
):
    agent = operator.enroll("PC-1", hostname=one)
    beat(agent, the_clock, short, other)
    assert suspected(operator) is False
    assert len(events(operator, "identity_changed")) == 1
    beat(agent, the_clock, short, one)

    assert suspected(operator) is True
    (event,) = events(operator, "suspected_clone")
    assert event["detail"]["hostnames"] == sorted([one, other])


def test_a_full_name_is_remembered_for_as_long_as_the_short_one_is_reported(
    operator, the_clock
):
    agent = operator.enroll("PC-1", hostname="pc.paris.example.com")
    beat(agent, the_clock, "pc")
    the_clock.advance(days=3)
    agent.heartbeat(user_name="somebody else")
    beat(agent, the_clock, "pc.lyon.example.com")

    changed = events(operator, "identity_changed")[0]["detail"]
    assert changed["before"] == {"hostname": "pc"}
    assert changed["after"] == {"hostname": "pc.lyon.example.com"}


def test_a_new_domain_is_no_clone_however_the_host_was_spelled_before(
    operator, the_clock
):
    agent = operator.enroll("PC-1", hostname=NETBIOS)
    beat(agent, the_clock, FULL, NETBIOS, FULL + ".old.example.com", NETBIOS)
    beat(agent, the_clock, FULL + ".new.example.com", NETBIOS, FULL)

    assert suspected(operator) is False
    assert len(events(operator, "identity_changed")) == 1


def test_a_host_that_comes_back_under_another_spelling_is_found(operator, the_clock):
    agent = operator.enroll("PC-1", hostname=NETBIOS)
    beat(agent, the_clock, "LYON-01", FULL)

    assert suspected(operator) is True


def test_a_new_enrollment_knows_no_longer_name_of_before(operator, the_clock):
    agent = operator.enroll("PC-1", hostname="pc.paris.example.com")
    beat(agent, the_clock, "pc")
    agent = operator.enroll("PC-1", force=True)
    beat(agent, the_clock, "pc.lyon.example.com")

    assert events(operator, "identity_changed") == []
