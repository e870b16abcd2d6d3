"""Ages, widths and tables, at their edges."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from lea_fleet.cli.terminal import ago, at, table, text_width
from lea_fleet.core.text import printable

NOW = datetime(2026, 3, 2, 8, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("passed", "said"),
    [
        ({"seconds": 0}, "now"),
        ({"seconds": -90}, "now"),
        ({"seconds": 1}, "1 s ago"),
        ({"seconds": 59}, "59 s ago"),
        ({"seconds": 60}, "1 min ago"),
        ({"minutes": 59, "seconds": 59}, "59 min ago"),
        ({"hours": 1}, "1 h ago"),
        ({"hours": 47}, "1 d ago"),
        ({"days": 400}, "400 d ago"),
    ],
)
def test_ages(passed, said):
    assert ago((NOW - timedelta(**passed)).isoformat(), NOW) == said


@pytest.mark.parametrize(
    "seen",
    [
        "2026-03-02T07:00:00+00:00",
        "2026-03-02T07:00:00Z",
        "2026-03-02T16:00:00.5+09:00",
        "2026-03-01T20:00:00-11:00",
        "2026-03-02T07:00:00",
        "2026-03-02 07:00:00",
    ],
)
def test_a_time_is_told_by_its_value_however_another_program_wrote_it(seen):
    """Without an offset it is in UTC, as for the presence."""
    assert at(seen) == "2026-03-02 07:00:00"
    assert ago(seen, NOW + timedelta(minutes=1)) == "1 h ago"


@pytest.mark.parametrize("odd", [None, "", "yesterday"])
def test_an_instant_as_no_server_writes_it_is_no_fault(odd):
    assert ago(odd, NOW) == "never"


@pytest.mark.parametrize(
    ("text", "width"), [("abc", 3), ("Zoé", 3), ("Zoe\u0301", 3), ("李 明", 5), ("", 0)]
)
def test_widths(text, width):
    assert text_width(text) == width


def test_the_widest_columns_are_cut_first_and_fixed_ones_never():
    rows = [["MACHINE", "USER", "SEEN"], ["m" * 30, "u" * 12, "3 min ago"]]

    assert table(rows, 40, fixed={2}) == [
        "MACHINE          USER          SEEN",
        "mmmmmmmmmmmmmm…  uuuuuuuuuuuu  3 min ago",
    ]


def test_a_screen_too_narrow_for_any_table_keeps_what_tells_machines_apart():
    line = table([["m" * 30, "u" * 30, "3 min ago"]], 5, fixed={2})[0]

    assert line == "mmm…  uuu…  3 min ago"


def test_a_wide_character_is_cut_whole():
    assert table([["李李李李李", "x"]], 11, fixed={1})[0] == "李李李…   x"


def test_printable_text_is_left_alone():
    assert printable("Zoé O’Connor 李 😀") == "Zoé O’Connor 李 😀"
