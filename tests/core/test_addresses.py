"""Which stored texts name a person."""

from __future__ import annotations

import pytest

from lea_fleet.core.privacy.addresses import (
    addresses,
    mentions,
    names,
    person,
    without_others,
)

ZOE = "zoé@example.com"

FORMS = [
    "zoé@example.com",
    "ZOÉ@Example.COM",
    "zoe\u0301@example.com",
    "  Zoé@example.com\t",
    "\u00a0zoé@example.com\u200b",
    "<zoé@example.com>",
    "mailto:zoé@example.com",
    "MAILTO:ZOÉ@EXAMPLE.COM?subject=x",
    "mailto:zo%C3%A9%40example.com",
    "mailto:zo%c3%a9@example.com?subject=x",
    "zoé%40example.com",
    "%3Czoé@example.com%3E",
    "Zoé%20zoé@example.com%20x",
    "bob@example.com%3bzoé@example.com",
    "zoé\uff20example.com",
    "Zoé Lefèvre <zoe\u0301@example.com>",
    '"Lefèvre, Zoé" <zoé@example.com>',
    "'zoé@example.com'",
    "zoé@example.com (work)",
    "zoé@example.com;bob@example.com",
    "bob@example.com;zoé@example.com",
    "bob@example.com, <zoé@example.com>, x@y",
    "bob@example.com zoé@example.com",
    "bob@example.com|zoé@example.com/x@y",
    "SMTP:zoé@example.com",
    "- zoé@example.com",
    "-zoé@example.com",
    "zoé@example.com.",
]

OTHERS = [
    "zoé@example.community",
    "zoé@example.com.au",
    "zoé@example.com-group.org",
    "zoé@example.comé",
    "xzoé@example.com",
    "x.zoé@example.com",
    "x+zoé@example.com",
    "x--zoé@example.com",
    "o'zoé@example.com",
    "zoe@example.com",
    "<zoé@example.community>;mailto:chloé@example.com",
    "zoé@example.com@elsewhere.org",
    "zoé@example",
    "mailto:x%2Bzo%C3%A9%40example.com",
    "mailto:zo%C3%A9%40example.com.au",
    "",
    None,
]


@pytest.mark.parametrize("stored", FORMS)
def test_each_form_of_an_address_names_its_person(stored):
    assert names(stored, ZOE)
    assert mentions(f"asked {stored} to leave", ZOE)


@pytest.mark.parametrize("stored", OTHERS)
def test_a_longer_or_another_address_is_another_persons(stored):
    assert not names(stored, ZOE)
    assert not mentions(f"asked {stored} to leave", ZOE)


def test_a_short_address_is_not_found_in_a_longer_one():
    assert names("<a@b>", "a@b") and names("c@d;a@b", "a@b")
    assert not names("a@bc", "a@b") and not names("aa@b;a@b.c", "a@b")


def test_a_name_without_an_address_equals_the_whole_value_only():
    assert names("Amélie", "amélie")
    assert not names("Amélie Martin", "amélie")
    assert mentions("told by Amélie", "amélie")


@pytest.mark.parametrize(
    "typed", [form for form in FORMS if len(addresses(form)) == 1 and form[0] != "-"]
)
def test_a_person_may_be_typed_in_any_form(typed):
    assert person(typed) == ZOE


def test_two_addresses_that_are_typed_are_looked_for_as_they_are():
    assert person("A@b;c@d") == "a@b;c@d"
    assert person(" Amélie ") == "amélie"


def test_an_address_with_an_apostrophe_is_one():
    assert person("<O'Brien@example.com>") == "o'brien@example.com"


def test_of_several_addresses_only_ones_own_is_shown():
    assert without_others("Zoé@example.com;bob@x.org", ZOE) == ZOE
    assert without_others("Zoé <Zoé@example.com>", ZOE) == "Zoé <Zoé@example.com>"
    assert without_others("bob@x.org;c@d", ZOE) == "bob@x.org;c@d"
