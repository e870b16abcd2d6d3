"""Machines that another one has replaced: what is told, and what is not."""

from __future__ import annotations

import pytest

from lea_fleet.app.database import get_host_repository
from lea_fleet.storage.duplicates import Duplicates
from lea_fleet.storage.lookalikes import Lookalikes
from tests.support.fleets import fill

#: Now is 2026-03-02 08:00; a machine is online for three minutes.
NOW = "2026-03-02T08:00:00+00:00"
LONG_AGO = "2026-01-01T08:00:00+00:00"
BEFORE = "2026-02-01T08:00:00+00:00"
CAME = "2026-02-20T08:00:00+00:00"


@pytest.fixture
def pairs(app, engine, the_clock):
    """Fill the fleet with these rows; return the pairs that are told."""

    def pairs(*rows):
        fill(engine, rows)
        with app.app_context():
            return [
                tuple(pair) for pair in Duplicates(get_host_repository().unit).pairs()
            ]

    return pairs


def machine(machine_id, hostname, enrolled_at=LONG_AGO, last_seen_at=NOW, **columns):
    return {
        "machine_id": machine_id,
        "hostname": hostname,
        "enrolled_at": enrolled_at,
        "last_seen_at": last_seen_at,
        **columns,
    }


def silent(machine_id, hostname, **columns):
    return machine(machine_id, hostname, LONG_AGO, BEFORE, **columns)


def came(machine_id, hostname, **columns):
    return machine(machine_id, hostname, CAME, NOW, **columns)


TOLD = [("OLD", "NEW", "hostname")]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("COMPTA-3", "COMPTA-3"),
        ("COMPTA-3", "compta-3"),
        ("PC-ÉTÉ", "pc-e\u0301te\u0301"),
        ("pc.paris.example", "PC.Paris.example."),
        (" pc ", "PC"),
        ("a" * 15, "A" * 15),
    ],
)
def test_a_machine_that_is_silent_since_another_of_its_name_came_is_told(
    pairs, one, other
):
    assert pairs(silent("OLD", one), came("NEW", other)) == TOLD


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("COMPTA-3", "COMPTA-4"),
        ("pc", "pc.paris.example"),
        ("pc.lyon.example", "pc.paris.example"),
        ("COMPTABILITE-PA", "COMPTABILITE-PARIS"),
        (None, None),
        ("", ""),
        (" ", "."),
    ],
)
def test_other_names_and_none_are_no_reason(pairs, one, other):
    assert pairs(silent("OLD", one), came("NEW", other)) == []


@pytest.mark.parametrize("longer", ["pc.lyon.example", "PC.example"])
def test_a_name_that_is_a_shorter_form_of_another_is_no_reason(pairs, longer):
    rows = silent("OLD", "pc"), came("NEW", "pc")

    assert pairs(*rows) == TOLD
    assert pairs(*rows, machine("PC-3", longer)) == []


def test_a_netbios_name_that_was_cut_is_no_reason(pairs):
    rows = silent("OLD", "COMPTABILITE-PA"), came("NEW", "comptabilite-pa")

    assert pairs(*rows) == TOLD
    assert pairs(*rows, machine("PC-3", "COMPTABILITE-PARIS.example")) == []


@pytest.mark.parametrize(
    "old",
    [
        machine("OLD", "H", LONG_AGO, NOW),  # online
        machine("OLD", "H", LONG_AGO, "2026-02-20T09:00:00+00:00"),  # seen since
        silent("OLD", "H", status="uninstalled"),
    ],
)
def test_one_that_was_seen_since_or_is_gone_is_not_told(pairs, old):
    assert pairs(old, came("NEW", "H")) == []


def test_a_laptop_on_holiday_is_not_told_for_its_user(pairs):
    mail = {"user_email": "zoe@example.com"}

    assert pairs(silent("OLD", "A", **mail), came("NEW", "B", **mail)) == []


def test_a_machine_that_came_long_before_is_not_its_heir(pairs):
    assert pairs(silent("OLD", "H"), machine("NEW", "H", LONG_AGO, NOW)) == []


def test_while_two_of_one_name_are_seen_none_is_told(pairs):
    """As of computers that were all set up with one name."""
    rows = silent("PC-1", "WIN"), machine("PC-2", "WIN"), came("PC-3", "WIN")

    assert pairs(*rows) == []


def test_of_several_the_last_one_that_came_has_replaced_the_others(pairs):
    rows = silent("PC-1", "H"), machine("PC-2", "H", BEFORE, BEFORE), came("PC-3", "H")

    expected = [("PC-1", "PC-3", "hostname"), ("PC-2", "PC-3", "hostname")]
    assert pairs(*rows) == expected


def test_a_machine_that_was_imported_and_never_came_is_told(pairs):
    assert pairs(machine("OLD", "H", LONG_AGO, None), came("NEW", "H")) == TOLD


@pytest.mark.parametrize("old", [silent("OLD", "H"), came("OLD", "H")])
def test_what_was_imported_later_has_replaced_nothing_and_was_not_replaced(pairs, old):
    """As before the PCs of a fleet are set up again with other ids."""
    assert pairs(old, machine("NEW", "H", NOW, None)) == []


def test_timestamps_of_other_programs_count_in_utc(pairs):
    old = machine("OLD", "H", LONG_AGO, "2026-02-20T10:30:00+03:00")
    new = machine("NEW", "H", "2026-02-20T07:00:00-01:00", NOW)

    assert pairs(old, new) == TOLD


GUID = "0f8fad5b-d9cb-469f-a165-70867728950e"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("PC-é", "pc-é"),
        (GUID, f"{{{GUID}}}"),
        (GUID, GUID.upper()),
        (GUID, GUID.replace("-", "")),
        ("{pc-1}", "PC-1"),
        ("{ PC-1 }", "pc-1"),
        (f"({GUID})", f"urn:uuid:{GUID}"),
    ],
)
def test_ids_that_differ_in_case_or_braces_are_told_if_one_is_silent(pairs, one, other):
    rows = silent(one, "A"), machine(other, "B")
    assert pairs(*rows) == [(one, other, "id")]

    rows = machine(one, "A"), machine(other, "B")
    assert pairs(*rows) == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("PC-1", "PC1"),
        ("{PC-1", "PC-1"),
        ("(PC-1)", "PC-1"),
        (GUID[:-1], GUID[:-1].replace("-", "")),
        (GUID, GUID[:-1] + "f"),
        (GUID.replace("0", "g"), GUID.replace("0", "g").replace("-", "")),
    ],
)
def test_other_ids_are_other_machines(pairs, app, one, other):
    assert pairs(silent(one, None), machine(other, None)) == []
    with app.app_context():
        assert Lookalikes(get_host_repository().unit).active() == []


def test_who_shares_both_is_told_once(pairs):
    assert pairs(silent("old", "H"), came("OLD", "h")) == [("old", "OLD", "hostname")]


def test_pages_and_the_count_have_all_of_them(pairs, app):
    rows = [silent(f"OLD-{n:02}", f"H-{n}") for n in range(25)]
    rows += [came(f"NEW-{n:02}", f"H-{n}") for n in range(25)]
    expected = pairs(*rows)
    assert len(expected) == 25
    with app.app_context():
        duplicates = Duplicates(get_host_repository().unit)
        found, after = duplicates.page(limit=10)
        while after is not None:
            more, after = duplicates.page(limit=10, after=after)
            found += more
        assert found == expected
        assert duplicates.count() == 25
        assert duplicates.of("OLD-07") == duplicates.of("NEW-07") == [expected[7]]
