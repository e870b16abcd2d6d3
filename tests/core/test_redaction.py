"""Personal data is removed from an event; everything else stays."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lea_fleet.core.privacy.redaction import Redaction
from lea_fleet.core.text import folded, folded_all

AGENT = {"role": "agent", "address": "10.0.0.7"}
OPERATOR = {"role": "operator", "user": "Zoé@Example.com", "address": "10.0.0.8"}
CHANGE = {
    "before": {"user_name": "Zoé", "hostname": "PC-ZOE"},
    "after": {"user_name": "Bob", "hostname": "PC-BOB"},
}

# Values have none of these letters, so texts of them must stay.
_VALUES = st.text("abcÉéßŒ-", min_size=2, max_size=8).map("§{}§".format)
_FIELDS = st.sampled_from(["user_name", "user_email", "user_id", "hostname"])
_SIDE = st.dictionaries(_FIELDS, st.none() | _VALUES)
_DETAILS = st.fixed_dictionaries(
    {},
    optional={
        "before": _SIDE,
        "after": _SIDE,
        "hostnames": st.lists(_VALUES, max_size=3),
        "reason": st.none() | st.lists(_VALUES, max_size=3).map(" x ".join),
        "version": st.just("1.4"),
        "because": st.just("force"),
    },
)


def texts(detail):
    """Return every text in *detail*, case-folded."""
    if isinstance(detail, dict):
        return [text for value in detail.values() for text in texts(value)]
    if isinstance(detail, list):
        return [text for value in detail for text in texts(value)]
    return [folded(detail)]


@given(_DETAILS, st.lists(_VALUES, min_size=1, max_size=4))
def test_no_value_is_left_and_all_else_is(detail, values):
    gone = folded_all(value.upper() for value in values)
    kept, fields = Redaction(values=gone).detail(detail)

    assert not any(value in text for text in texts(kept) for value in gone)
    assert kept.keys() == detail.keys()
    assert (kept == detail) is (not fields)
    for side in {"before", "after"} & detail.keys():
        spared = {n: v for n, v in detail[side].items() if folded(v) not in gone}
        assert kept[side] == {n: spared.get(n) for n in detail[side]}
    for name in {"version", "because"} & detail.keys():
        assert kept[name] == detail[name]


@given(_DETAILS, st.lists(_VALUES, min_size=1, max_size=4))
def test_redacting_again_changes_nothing(detail, values):
    redaction = Redaction(values=folded_all(values), before=True)
    once, _ = redaction.detail(detail)

    assert redaction.detail(once) == (once, set())


@pytest.mark.parametrize(
    ("redaction", "before", "after"),
    [
        (Redaction(before=True), [None, None], ["Bob", "PC-BOB"]),
        (Redaction(after=True), ["Zoé", "PC-ZOE"], [None, None]),
        (
            Redaction(before=True, spared=frozenset({"pc-zoe"})),
            [None, "PC-ZOE"],
            ["Bob", "PC-BOB"],
        ),
        (Redaction(values=frozenset({"bob"})), ["Zoé", "PC-ZOE"], [None, "PC-BOB"]),
        (Redaction(values=frozenset({"zoe"})), ["Zoé", "PC-ZOE"], ["Bob", "PC-BOB"]),
    ],
)
def test_a_side_goes_whole_or_by_its_values(redaction, before, after):
    kept, _ = redaction.detail(CHANGE)

    assert [list(kept[side].values()) for side in CHANGE] == [before, after]


def test_a_reason_goes_where_it_contains_a_value_and_stays_elsewhere():
    redaction = Redaction(values=frozenset({"zoé"}))

    erased = {"reason": None}
    assert redaction.detail({"reason": "given to ZOÉ"}) == (erased, {"reason"})
    assert redaction.detail({"reason": "zoe left"}) == ({"reason": "zoe left"}, set())
    assert redaction.detail({"reason": None}) == ({"reason": None}, set())


def test_the_address_of_the_machine_goes_and_an_operators_stays():
    redaction = Redaction(address=True)

    assert redaction.actor(AGENT) == ({"role": "agent"}, {"address"})
    assert redaction.actor(OPERATOR) == (OPERATOR, set())


@pytest.mark.parametrize("name", ["user", "os_user"])
def test_an_operator_goes_with_the_address(name):
    actor = {"role": "operator", name: "Zoé@Example.com", "address": "10.0.0.8"}
    kept, gone = Redaction(operator="zoé@example.com").actor(actor)

    assert (kept, gone) == ({"role": "operator"}, {"operator", "address"})
    assert Redaction(operator="zoe@example.com").actor(actor) == (actor, set())


def test_what_is_compared_is_neither_case_nor_how_an_accent_is_written():
    assert folded("ZOE\N{COMBINING ACUTE ACCENT} ") == folded("zoé")
    assert folded("Straße") == folded("STRASSE")
    assert folded("zoe") != folded("zoé")
    assert (folded(None), folded(7)) == ("", "7")
    assert json.dumps(sorted(folded_all([None, " ", "A", "a"]))) == '["a"]'
