"""Each event is declared once; all else is derived from it or checked against it."""

from __future__ import annotations

import json
import logging
import re

import pytest

from lea_fleet.app import signals
from lea_fleet.app.database import get_host_repository
from lea_fleet.core import event_details as details
from lea_fleet.core.event_types import EVENTS, EventType, Holds
from lea_fleet.core.events import OPERATOR_NAMES, ROLES
from lea_fleet.core.rows import OPERATOR_ROLES
from tests.api.test_openapi import DOCUMENT
from tests.page.test_page_files import STATIC, catalogue
from tests.support import docs
from tests.support.traces import ZOE

OF_MACHINE = [name for name, event in EVENTS.items() if event.of_machine]
REASONS = {reason for event in EVENTS.values() for reason in event.because}
SCHEMAS = DOCUMENT["components"]["schemas"]


@pytest.fixture
def noted(monkeypatch):
    """Declare an additional event, with a member that a person writes."""
    monkeypatch.setitem(EVENTS, "noted", None)
    details.holds.cache_clear()

    class Noted(EventType):
        """A note on a machine has been written."""

        name = "noted"
        members = {"note": Holds.FREE_TEXT, "about": Holds.AFTER}

    yield Noted
    details.holds.cache_clear()


@pytest.fixture
def note(app, operator, noted):
    """Record the additional event on PC-1, which is Bob's."""
    operator.enroll("PC-1", user_email="bob@example.com")
    told = {"note": f"Lent to {ZOE['user_email'].upper()}"}
    with app.app_context():
        repository = get_host_repository()
        with repository.transaction():
            repository.events.add("noted", "PC-1", **told)
    return told


# What is not declared is not recorded


@pytest.mark.parametrize(
    ("name", "detail", "message"),
    [
        ("enroled", {}, "'enroled' is not a declared event"),
        ("released", {"untill": "x"}, "'released' declares no member untill"),
        ("reenrolled", {"because": "luck"}, "'reenrolled' declares no reason 'luck'"),
    ],
)
def test_what_is_not_declared_is_refused_and_named(app, name, detail, message):
    with app.app_context():
        repository = get_host_repository()
        with pytest.raises(ValueError, match=message), repository.transaction():
            repository.events.add(name, "PC-1", **detail)
        assert repository.events.page("PC-1", limit=1) == ([], None)


def test_a_member_holds_the_same_in_every_event():
    for event in EVENTS.values():
        assert {name: details.holds(name) for name in event.members} == event.members


def test_a_member_of_a_later_version_may_name_anybody():
    assert details.holds("of_a_later_version") is Holds.FREE_TEXT
    assert details.logged("enrolled", {"of_a_later_version": "x", "version": "2"}) == {
        "version": "2"
    }
    assert details.logged("of_a_later_version", {"version": "2"}) == {}


# A new event needs no other change


def test_the_erasure_of_a_person_finds_a_new_free_text(run, operator, note):
    result = run("erase", "--user", ZOE["user_email"], "--yes", "--json")

    assert result.exit_code == 0, result.output
    page = operator.get("/machines/PC-1/events").json["events"]
    (noted,) = [event for event in page if event["event"] == "noted"]
    assert noted["detail"] == {"note": None}


def test_the_export_of_a_person_has_a_new_free_text(run, note):
    told = json.loads(run("export", "--user", ZOE["user_email"]).stdout)

    assert [(found["event"], found["text"]) for found in told["mentions"]] == [
        ("noted", note["note"])
    ]


def test_the_change_log_has_a_new_event_without_what_machines_say(noted, caplog):
    caplog.set_level(logging.INFO, "lea_fleet")
    actor = {"role": "host"}
    detail = {"note": "lent", "about": {"user_name": "Zoé"}}
    event = {"event": "noted", "machine_id": "PC-1", "actor": actor, "detail": detail}
    signals.announce(event)

    assert caplog.messages == ["noted machine_id=PC-1 by=host note=lent"]


def test_a_new_side_of_an_identity_is_erased_and_tells_the_user(noted):
    assert details.side({"about": {"user_email": "x"}}, Holds.AFTER) == {
        "user_email": "x"
    }


# Every list of events is complete


def test_each_signal_of_an_event_is_one_that_a_host_can_connect_to():
    public = {
        signal.name
        for signal in vars(signals).values()
        if isinstance(signal, signals.NamedSignal)
    }
    of_events = {event.signal for event in EVENTS.values() if event.signal}

    assert of_events == public - {"agent-seen"}


def test_the_openapi_document_has_every_event_member_and_role():
    event = SCHEMAS["Event"]["properties"]
    members = {name for each in OF_MACHINE for name in EVENTS[each].members}

    assert event["event"]["enum"] == OF_MACHINE
    assert SCHEMAS["EventName"]["enum"] == list(EVENTS)
    assert set(event["detail"]["properties"]) == members
    assert set(event["detail"]["properties"]["because"]["enum"]) == REASONS
    assert SCHEMAS["Actor"]["properties"]["role"]["enum"] == list(ROLES)
    assert set(OPERATOR_NAMES) < set(SCHEMAS["Actor"]["properties"])


@pytest.mark.parametrize("name", EVENTS)
def test_the_reference_has_every_event_with_its_sentence_members_and_reasons(name):
    section = docs.section(docs.parse(docs.REFERENCE), "Events")
    entries = {
        item.astext(): entry
        for entry in section.findall(docs.nodes.definition_list_item)
        for item in entry.findall(docs.nodes.literal)
        if item.parent.tagname == "term"
    }
    assert list(entries) == list(EVENTS)
    told = entries[name].children[-1]
    about = EVENTS[name]

    assert " ".join(told.astext().split()).startswith(about.__doc__)
    assert {*about.members, *about.because} <= docs.literals(told)


@pytest.mark.parametrize("language", ["en", "fr"])
def test_the_page_has_a_text_for_every_event_reason_and_role(language):
    texts = catalogue(language)

    def keys(prefix):
        found = (re.fullmatch(rf"{prefix}\.(\w+)", key) for key in texts)
        return {key[1] for key in found if key}

    assert keys("event") == set(EVENTS)
    assert keys("because") == REASONS
    assert keys("role") == set(OPERATOR_ROLES)
    assert keys("actor") == {*ROLES, *OPERATOR_NAMES, "from"}


def test_the_timeline_tells_of_no_event_and_no_member_that_there_is_not():
    code = (STATIC / "timeline.js").read_text("utf-8")
    lists = re.findall(r"const (?:ending|telling) = \[([^]]*)\]", code)
    names = re.findall(r'"(\w+)"', " ".join(lists))
    members = re.search(r"const \{ ([\w, ]+) \} = detail;", code)[1].split(", ")

    assert names and set(names) <= set(EVENTS)
    of_machines = {name for each in OF_MACHINE for name in EVENTS[each].members}
    # Of an enrollment token its label is enough, of an operator name and role. Which
    # kinds of data were erased, operators need not know.
    shown = of_machines - {"fields"} | {"label", "name", "role"}
    assert set(members) == shown
