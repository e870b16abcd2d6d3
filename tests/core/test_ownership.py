"""Whose a machine was when, by its row and events, and when that is not known."""

from __future__ import annotations

import pytest

from lea_fleet.core.privacy.ownership import History, everything

A, B = "zoé@example.com", "bob@example.com"
ZOE = {"user_email": "ZOÉ@example.com", "user_name": "Zoé", "hostname": "PC-ZOE"}
BOB = {"user_email": B, "user_name": "Bob", "hostname": "PC-BOB"}
OLD = "2026-01-01T00:00:00+00:00"


def row(said, enrolled_at=OLD):
    empty = dict.fromkeys(("user_email", "user_name", "user_id", "hostname"))
    return {**empty, "enrolled_at": enrolled_at, **said}


def events(*happened):
    """Return events, one a day, from names, or from (before, after) for a change."""
    return [
        {
            "event": what if isinstance(what, str) else "identity_changed",
            "at": f"2026-02-{day:02}T00:00:00+00:00",
            "detail": (
                {"kind": "identity_changed"}
                if what == "not_recorded"
                else (
                    {}
                    if isinstance(what, str)
                    else {"before": what[0], "after": what[1]}
                )
            ),
        }
        for day, what in enumerate(happened, 1)
    ]


def day(number):
    return f"2026-02-{number:02}T00:00:00+00:00"


def held(history):
    """Return who may have had the machine after each event; a dot is nobody known."""
    names = {A: "A", B: "B", "": "."}
    return ["".join(sorted(names[who] for who in holders)) for holders in history.after]


def test_a_machine_of_one_person_is_theirs_from_its_enrollment_on():
    history = History(row(ZOE, day(1)), events("enrolled", "released"))

    assert held(history) == ["A", "A"]
    assert history.holder == A
    assert history.of(A) == {"zoé@example.com", "zoé", "pc-zoe"}
    assert history.after[1] == {A}


def test_another_user_parts_the_history():
    history = History(row(BOB, day(1)), events("enrolled", (ZOE, BOB), "released"))

    assert held(history) == ["A", "B", "B"]
    assert history.before[1] == {A}
    assert history.of(A) == {A, "zoé", "pc-zoe"}
    assert history.of(B) == {B, "bob", "pc-bob"}


def test_the_first_event_may_be_the_change():
    history = History(row(BOB), events((ZOE, BOB)))

    assert (history.before, history.after) == ([{A}], [{B}])
    assert history.of(A) == {A, "zoé", "pc-zoe"}


def test_an_email_that_comes_later_is_of_whoever_had_the_machine():
    named = {"user_email": None}, {"user_email": A}
    history = History(row(ZOE, day(1)), events("enrolled", named))

    assert held(history) == ["A", "A"]


@pytest.mark.parametrize("order", ["email first", "name first"])
def test_a_name_that_changes_at_another_beat_is_of_the_one_who_has_it(order):
    email = {"user_email": BOB["user_email"]}, {"user_email": A}
    name = {"user_name": "Bob"}, {"user_name": "Zoé"}
    both = (email, name) if order == "email first" else (name, email)
    history = History(row(ZOE, day(1)), events("enrolled", *both))

    assert "zoé" in history.of(A)
    assert "bob" in history.of(B)
    assert "bob" not in history.of(A)


def test_what_came_before_an_enrollment_may_be_of_anybody():
    happened = events("enrolled", "uninstalled", "reactivated", "released")
    history = History(row(ZOE, day(3)), happened)

    assert held(history) == [".A", ".A", "A", "A"]
    assert [who == {A} for who in history.after] == [False, False, True, True]


def test_an_enrollment_may_have_brought_another_user():
    after = ("uninstalled", "reactivated", "reenrolled", "released")
    happened = events((BOB, ZOE), *after)
    history = History(row(BOB, day(4)), happened)

    assert held(history) == ["A", "A", "AB", "B", "B"]


def test_without_an_enrollment_both_may_have_it_in_turn():
    history = History(row(BOB), events((BOB, ZOE), "released"))

    assert held(history) == ["A", "AB"]


def test_an_older_server_enrolls_without_an_event():
    happened = events("enrolled", "uninstalled", "released")
    history = History(row(ZOE, "2026-02-02T12:00:00+00:00"), happened)

    assert held(history) == [".A", ".A", "A"]
    assert held(History(row(ZOE, "2026-03-01T00:00:00+00:00"), happened)) == [".A"] * 3


def test_what_one_shares_with_another_goes_and_what_is_only_theirs_is_spared():
    happened = events("enrolled", (ZOE, {**BOB, "hostname": "PC-ZOE"}))
    history = History(row({**BOB, "hostname": "PC-ZOE"}, day(1)), happened)
    redaction = history.redaction(A, 1)

    assert redaction.before and not redaction.after
    assert redaction.values == {A, "zoé", "pc-zoe"}
    assert redaction.spared == {B, "bob"}


def test_without_a_row_the_events_tell():
    history = History(None, events((ZOE, BOB), "released"))

    assert held(history) == ["B", "B"]
    assert (history.holder, history.of(A)) == ("", {A, "zoé", "pc-zoe"})


def test_everything_is_what_was_ever_said():
    clone = {"event": "suspected_clone", "at": OLD, "detail": {"hostnames": ["X", "Y"]}}
    history = History(row(BOB), [*events((ZOE, BOB)), clone])

    assert everything(history) == {A, "zoé", "pc-zoe", B, "bob", "pc-bob", "x", "y"}


# Changes that were not recorded


def test_who_had_it_is_not_known_from_what_was_not_recorded_on():
    history = History(row(ZOE, day(1)), events("enrolled", "not_recorded", "released"))

    assert held(history) == [".A", ".A", ".A"]
    assert history.before[2] == {"", A}

    named = ({}, {"user_email": A})
    history = History(row(ZOE, day(1)), events(named, "not_recorded", "released"))
    assert held(history) == ["A", ".A", ".A"]


def test_it_is_known_again_from_the_next_user_or_enrollment_on():
    happened = ("enrolled", "not_recorded", "released", (ZOE, BOB), "released")
    history = History(row(BOB, day(1)), events(*happened))
    assert held(history)[2:] == [".A", "B", "B"]
    assert history.before[3] == {A}

    happened = ("enrolled", "not_recorded", "released", "reenrolled", "released")
    assert held(History(row(ZOE, day(4)), events(*happened)))[2:] == [".A", "A", "A"]


def test_what_came_unrecorded_is_not_of_the_one_before():
    """The row's values came after the gap, and are of its holder only."""
    happened = ("enrolled", (BOB, ZOE), "not_recorded", "released")
    history = History(row(BOB, day(1)), events(*happened))

    assert held(history)[1:] == ["A", ".B", ".B"]
    assert history.of(A) == {A, "zoé", "pc-zoe"}
    assert "bob" in history.of(B) and "zoé" not in history.of(B)


def test_rotations_that_were_refused_leave_no_doubt():
    happened = events("enrolled", "not_recorded", "released")
    happened[1]["detail"] = {"kind": "token_rotated"}

    assert held(History(row(ZOE, day(1)), happened)) == ["A", "A", "A"]


def test_another_spelling_of_the_hostname_leaves_no_gap_in_the_history():
    long = {**ZOE, "hostname": "pc-zoe.example.com"}
    change = ({"hostname": "PC-ZOE", "user_name": "Zoé"}, {"user_name": "Zoé L."})
    history = History(row(ZOE), events("enrolled", (BOB, long), change))

    assert history.after[2] == {A}
