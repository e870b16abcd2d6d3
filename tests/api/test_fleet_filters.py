"""GET /fleet with parameters: matching machines only, counted, in order."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lea_fleet.core import clock
from tests.support.api import assert_invalid, assert_problem
from tests.support.fleets import ask, fill, listed

#: Characters that no HTTP server accepts in a header field.
NO_CONTROLS = dict.fromkeys([*range(32), 127])

PARIS = {
    "machine_id": "PARIS-1",
    "user_name": "Zoé Lefèvre",
    "user_email": "zoe@example.fr",
    "hostname": "COMPTA-1",
    "version": "1.9.0",
}
LYON = {
    "machine_id": "LYON-1",
    "user_name": "Émile Œuvré",
    "user_email": "emile@example.fr",
    "hostname": "ACHATS-1",
    "version": "1.10.0",
}
GONE = {
    "machine_id": "GONE-1",
    "user_name": "Zoé Martin",
    "version": "1.9.0",
    "status": "uninstalled",
}
SILENT = {"machine_id": "SILENT-1"}


@pytest.fixture
def fleet(operator, engine, the_clock):
    """Four machines: one online, one offline, one stale and one uninstalled."""
    now = the_clock.now()
    seen = [now, now - timedelta(hours=1), now, now - timedelta(days=14, seconds=1)]
    rows = [
        {**machine, "last_seen_at": clock.iso(moment)}
        for machine, moment in zip([PARIS, LYON, GONE, SILENT], seen)
    ]
    fill(engine, rows)
    return operator


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({}, ["SILENT-1", "LYON-1", "PARIS-1", "GONE-1"]),
        ({"machine_id": "LYON-1"}, ["LYON-1"]),
        ({"machine_id": "lyon-1"}, []),
        ({"status": "active"}, ["SILENT-1", "LYON-1", "PARIS-1"]),
        ({"status": "uninstalled"}, ["GONE-1"]),
        ({"presence": "online"}, ["PARIS-1"]),
        ({"presence": "stale,offline"}, ["SILENT-1", "LYON-1"]),
        ({"presence": ["stale", "uninstalled"]}, ["SILENT-1", "GONE-1"]),
        ({"q": "zoé"}, ["PARIS-1", "GONE-1"]),
        ({"q": "compta"}, ["PARIS-1"]),
        ({"q": "EMILE@"}, ["LYON-1"]),
        ({"q": "silent"}, ["SILENT-1"]),
        ({"q": "nobody"}, []),
        ({"version": "1.9.0"}, ["PARIS-1", "GONE-1"]),
        ({"version": "1.9"}, []),
        ({"silent_for": "60m"}, ["SILENT-1", "LYON-1"]),
        ({"silent_for": "14d"}, ["SILENT-1"]),
        ({"silent_for": "15d"}, []),
        ({"outdated": "true"}, ["PARIS-1", "GONE-1"]),
        ({"outdated": "true", "status": "active"}, ["PARIS-1"]),
        ({"outdated": "false"}, ["SILENT-1", "LYON-1"]),
        ({"without_version": "true"}, ["SILENT-1"]),
        ({"without_version": "false"}, ["LYON-1", "PARIS-1", "GONE-1"]),
        ({"suspected_clone": "true"}, []),
        ({"suspected_clone": "false", "status": "uninstalled"}, ["GONE-1"]),
        ({"q": "zoé", "status": "active", "version": "1.9.0"}, ["PARIS-1"]),
        ({"presence": "online", "status": "uninstalled"}, []),
        (
            dict.fromkeys(("q", "status", "presence", "sort", "limit", "cursor"), ""),
            ["SILENT-1"],
        ),
    ],
    ids=str,
)
def test_those_that_fit_everything_are_listed_and_counted(fleet, parameters, expected):
    answer = ask(fleet, **parameters)

    assert listed(answer)[: len(expected)] == expected
    agents = answer["active"] + answer["uninstalled"]
    if "" not in parameters.values():  # empty parameters are ignored
        assert len(agents) == len(expected)
    count = [agent["presence"] for agent in agents].count
    assert answer["totals"] == {
        "active": len(answer["active"]),
        "uninstalled": count("uninstalled"),
        "total": len(agents),
        "online": count("online"),
        "offline": count("offline"),
        "stale": count("stale"),
        "pending": count("pending"),
    }


def test_totals_are_of_all_that_fit_and_not_of_the_page(fleet):
    page = ask(fleet, limit=1, q="zoé")

    assert listed(page) == ["PARIS-1"]
    assert (page["totals"]["total"], page["totals"]["uninstalled"]) == (2, 1)


def test_totals_may_be_left_out(fleet):
    assert ask(fleet, totals="0").keys() == {"active", "uninstalled"}
    assert "totals" in ask(fleet, totals="1")


@pytest.mark.parametrize(
    ("stored", "asked"),
    [
        ("Émile", "émile"),
        ("émile", "ÉMILE"),
        ("Straße", "STRASSE"),
        ("STRASSE", "straße"),
        ("İSTANBUL", "i̇stanbul"),
        ("İstanbul", "İSTANBUL"),
        ("ΟΔΥΣΣΕΥΣ", "οδυσσευς"),
        ("Οδυσσεύς", "ΟΔΥΣΣΕΎΣ"),
        ("ЖУКОВ", "жуков"),
        ("Œuvré", "œuvr"),
        ("李 明", "明"),
        ("\U0001f600", "\U0001f600"),
    ],
)
@pytest.mark.parametrize(
    "column",
    ["machine_id", "user_name", "user_email", "user_id", "hostname", "os_info"],
)
def test_case_does_not_matter_in_any_script(operator, engine, column, stored, asked):
    fill(engine, [{"machine_id": "other"}, {"machine_id": "PC-1", column: stored}])

    assert len(listed(ask(operator, q=asked))) == 1


@pytest.mark.parametrize(
    "q", ["%", "_", "100%", "a_b", "*", "?", "[a-z]", "\\", "'", '"']
)
def test_no_character_of_a_search_has_a_meaning_of_its_own(operator, engine, q):
    rows = [{"machine_id": "axb 100 z"}, {"machine_id": f"PC {q}"}]
    fill(engine, rows)

    assert listed(ask(operator, q=q)) == [f"PC {q}"]


def test_a_search_does_not_run_from_one_column_into_the_next(operator, engine):
    fill(engine, [{"machine_id": "ab", "user_name": "cd", "hostname": "ef"}])

    for q in ("bc", "b c", "b\nc", "de", "df"):
        assert listed(ask(operator, q=q)) == []


odd_text = st.text("aAéÉßẞıİσςΣ%_1é ", max_size=4)
names = ("user_name", "user_email", "user_id", "hostname", "os_info")


@settings(
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    rows=st.lists(st.fixed_dictionaries(dict.fromkeys(names, st.none() | odd_text))),
    q=odd_text.filter(str.strip),
)
def test_a_search_finds_what_contains_the_text_in_any_case(operator, engine, rows, q):
    rows = [{**row, "machine_id": str(number)} for number, row in enumerate(rows)]
    fill(engine, rows)

    found = listed(ask(operator, q=q))

    texts = {row["machine_id"]: [value or "" for value in row.values()] for row in rows}
    assert sorted(found) == sorted(
        machine_id
        for machine_id, texts in texts.items()
        if any(q.casefold() in text.casefold() for text in texts)
    )


@pytest.mark.sqlite
@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"q": "zoé"},
        {"version": "3"},
        {"presence": "stale"},
        {"silent_for": "1d"},
        {"sort": "user_name"},
        {"sort": "-hostname"},
        {"sort": "version"},
        {"sort": "last_seen_at"},
        {"sort": "enrolled_at"},
        {"format": "csv"},
    ],
    ids=str,
)
@pytest.mark.parametrize("limit", [None, 1])
def test_rows_of_any_type_and_encoding_are_found(operator, engine, parameters, limit):
    odd = {
        "user_name": "Zoé".encode(),  # a BLOB
        "hostname": b"\xff\x00=",
        "version": 3,
        "last_seen_at": 1.5,
    }
    rows = [{**odd, "machine_id": "PC-odd"}, {"machine_id": b"\xfe", "status": b"x"}]
    fill(engine, rows)
    query = {**parameters, **({} if limit is None else {"limit": limit})}

    response = operator.get("/fleet", query_string=query)

    assert response.status_code == 200
    assert "PC-odd" in response.text
    assert response.mimetype == "text/csv" or listed(response.json)


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ("status=lost", ["status"]),
        ("status=active&status=active", ["status"]),
        ("presence=online,lost", ["presence"]),
        ("presence=online&presence=lost", ["presence"]),
        ("q=" + "x" * 256, ["q"]),
        ("q=%00", ["q"]),
        ("version=%00", ["version"]),
        ("silent_for=14", ["silent_for"]),
        ("silent_for=never", ["silent_for"]),
        ("silent_for=0s", ["silent_for"]),
        ("silent_for=99999999d", ["silent_for"]),
        ("duplicate=1", ["duplicate"]),
        ("sort=id", ["sort"]),
        ("sort=--machine_id", ["sort"]),
        ("sort=machine_id%20DESC", ["sort"]),
        ("limit=0", ["limit"]),
        ("limit=1001", ["limit"]),
        ("limit=-1", ["limit"]),
        ("limit=%D9%A1", ["limit"]),
        ("totals=2", ["totals"]),
        ("totals=true", ["totals"]),
        ("format=xml", ["format"]),
        ("delimiter=tab", ["delimiter"]),
        ("language=de", ["language"]),
        ("enrollment_token=0", ["enrollment_token"]),
        ("enrollment_token=one", ["enrollment_token"]),
        (f"enrollment_token={2**63}", ["enrollment_token"]),
        ("page=2", ["page"]),
        ("status=lost&sort=id&limit=x", ["sort", "status", "limit"]),
    ],
)
def test_what_cannot_be_is_a_400_that_names_it(operator, query, fields):
    assert_invalid(operator.get("/fleet", query_string=query), *fields)


parameter_names = st.sampled_from(
    "machine_id status presence q version silent_for duplicate outdated"
    " enrollment_token sort limit cursor totals format delimiter language days"
    " nonsense".split()
)
values = st.text(max_size=8) | st.sampled_from(
    "active online stale,offline 7d -version machine_id 5 0 1 csv json comma".split()
)


@settings(
    deadline=None,
    max_examples=200,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    path=st.sampled_from(["/fleet", "/fleet/summary"]),
    parameters=st.dictionaries(parameter_names, values | st.lists(values), max_size=5),
    accept=st.sampled_from(["*/*", "text/csv"]) | st.text(max_size=8),
)
def test_no_query_whatever_is_a_fault_of_the_servers(
    operator, path, parameters, accept
):
    headers = {"Accept": accept.encode().decode("latin-1").translate(NO_CONTROLS)}

    response = operator.get(path, query_string=parameters, headers=headers)

    if response.status_code != 200:
        assert_problem(response, 400, "invalid_field", "fix_request")


@pytest.mark.parametrize("versions", [["2", "10", "9"], ["1.0-b", "1.0-B", "1.0-a"]])
def test_the_newest_version_is_the_last_in_order(operator, engine, versions):
    rows = [{"machine_id": f"PC {v}", "version": v} for v in versions]
    fill(engine, [*rows, {"machine_id": "gone", "version": "99", "status": "left"}])
    ordered = listed(ask(operator, sort="-version", status="active"))
    newest = {"10"} if "10" in versions else {"1.0-b", "1.0-B"}

    outdated = listed(ask(operator, outdated="true", status="active"))

    assert {*outdated} == {
        f"PC {version}" for version in versions if version not in newest
    }
    assert {*ordered[: len(newest)]} == {f"PC {version}" for version in newest}
    assert ask(operator, "/fleet/summary")["outdated"] == len(outdated)


def test_no_machine_is_outdated_where_none_has_a_version(operator, engine):
    """Blank text of another program's is no version."""
    fill(engine, [{"machine_id": "A"}, {"machine_id": "B", "version": ""}])

    assert listed(ask(operator, outdated="true")) == []
    assert listed(ask(operator, outdated="false", sort="machine_id")) == ["A", "B"]
    assert listed(ask(operator, without_version="true", sort="machine_id")) == [
        "A",
        "B",
    ]
    assert ask(operator, "/fleet/summary")["outdated"] == 0
