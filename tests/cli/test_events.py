"""``flask fleet events``: the history of all machines, listed."""

from __future__ import annotations

import json

import pytest


@pytest.fixture
def fleet(operator, run, the_clock):
    operator.installer(label="Paris")
    the_clock.advance(days=1)
    operator.enroll("PC-1", hostname="A")
    operator.uninstall("PC-1", reason="=sold")
    the_clock.advance(days=1)
    run("enroll", "PC-2")
    return operator


def listed(run, *words):
    result = run("events", *words, "--json")
    assert result.exit_code == 0, result.output
    return [
        (event["event"], event["machine_id"])
        for event in json.loads(result.stdout)["events"]
    ]


WHOLE = [
    ("enrolled", "PC-2"),
    ("uninstalled", "PC-1"),
    ("enrolled", "PC-1"),
    ("enrollment_token_created", None),
]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], WHOLE),
        (["PC-1"], WHOLE[1:3]),
        (["--event", "enrolled"], WHOLE[::2]),
        (["--event", "enrolled", "--event", "uninstalled"], WHOLE[:3]),
        (["--actor", "amelie"], WHOLE[:1]),
        (["--actor", "operator", "--event", "enrolled"], WHOLE[2:3]),
        (["--since", "36h"], WHOLE[:3]),
        (["--until", "12h"], WHOLE[1:]),
        (["PC-1", "--since", "2026-03-03", "--until", "2026-03-04"], WHOLE[1:3]),
        (["--limit", "2"], WHOLE[:2]),
        (["--actor", "nobody"], []),
    ],
)
def test_each_filter_selects(fleet, run, words, expected):
    assert listed(run, *words) == expected


def test_as_lines_of_json_it_is_what_the_api_shows(fleet, run):
    lines = run("events", "--jsonl").stdout.splitlines()

    assert [*map(json.loads, lines)] == fleet.get("/events").json["events"]


@pytest.mark.parametrize(
    ("words", "delimiter"), [(["--csv"], "comma"), (["--semicolon"], "semicolon")]
)
def test_as_csv_it_is_what_the_api_sends(fleet, run, words, delimiter):
    for more, query in ([], ""), (["--limit", "2"], "&limit=2"):
        sent = fleet.get(f"/events?format=csv&delimiter={delimiter}{query}")
        assert run("events", *words, *more).stdout_bytes == sent.data


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--event", "enroled"], "'enroled' is not one of"),
        (["--actor", " "], "must not be blank"),
        (["--until", "soon"], "must be a duration"),
        (["--from", "7"], "must be beginning, now or a position"),
        (["--from", ""], "must be beginning, now or a position"),
        (["--csv", "--json"], "only one of"),
        (["--follow", "--csv"], "are for a list"),
        (["--follow", "--limit", "9"], "are for a list"),
        (["--follow", "--until", "1d"], "are for a list"),
        (["--interval", "1s"], "--interval needs --follow"),
    ],
)
def test_what_does_not_go_together_is_refused(fleet, run, words, said):
    result = run("events", *words)

    assert result.exit_code == 2
    assert said in result.stderr
