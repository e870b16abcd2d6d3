"""GET /fleet as CSV: the same machines, safe to open in a spreadsheet program."""

from __future__ import annotations

import codecs
import csv
import io
from datetime import datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lea_fleet.api import documents as spool
from lea_fleet.core.csv.forms import HEADINGS
from lea_fleet.core.temporary import TemporaryFile
from lea_fleet.core.machine import DETAILS
from lea_fleet.storage.listing import Listing
from tests.support import docs
from tests.support.api import assert_problem
from tests.support.fleets import ask, fill

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


#: What the reference calls those that it does not print.
NAMES = {"\t": "a tab", "\r": "a carriage return", "\n": "a line feed"}


def table(response, delimiter=","):
    """Return the lines of a CSV answer as mappings."""
    text = response.data.decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter))


def cells(agent):
    """Return the expected cells of an agent."""
    told = {**agent, "tags": ", ".join(agent["tags"])}
    return {name: cell(value) for name, value in told.items()}


def cell(value):
    if isinstance(value, bool):
        return str(value).lower()
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(FORMULA) else text


@pytest.fixture
def fleet(operator, the_clock):
    operator.enroll("PC-1", user_name="Zoé Lefèvre", version="1.4.0")
    operator.enroll("PC-2", hostname='a "b", c;\r\nd')
    the_clock.advance(days=15)
    operator.uninstall("PC-1", reason="=1+1")
    return operator


def test_it_has_the_machines_of_the_json_with_every_member(fleet):
    response = fleet.get("/fleet", headers={"Accept": "text/csv"})

    assert response.status_code == 200
    answer = ask(fleet)
    agents = answer["active"] + answer["uninstalled"]
    assert table(response) == [cells(agent) for agent in agents]
    assert response.data.count(b"\r\n") == 1 + len(agents) + 1  # one is in a name
    heading = response.data.decode("utf-8-sig").split("\r\n")[0]
    added = ["tags", "note"]  # after those that programs know already
    names = [name for name in agents[0] if name not in added]
    assert heading == ",".join(names + added)


def test_excel_is_told_the_encoding_and_offered_a_file(fleet):
    response = fleet.get("/fleet?format=csv")

    assert response.data.startswith(codecs.BOM_UTF8 + b"id,machine_id,")
    assert "Zoé Lefèvre".encode() in response.data
    assert response.content_type == "text/csv; charset=utf-8"
    disposition = response.headers["Content-Disposition"]
    assert disposition == "attachment; filename=fleet-2026-03-17.csv"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.content_length == len(response.data)


def test_excel_in_french_gets_semicolons(fleet):
    response = fleet.get("/fleet?format=csv&delimiter=semicolon")

    assert table(response, ";") == table(fleet.get("/fleet?format=csv"))
    assert response.data.startswith(codecs.BOM_UTF8 + b"id;machine_id;")


@pytest.mark.parametrize(
    ("language", "headings"),
    [
        ("en", ["Machine", "User", "Enrolled (UTC)", "Uninstalled (UTC)", "Tags"]),
        ("fr", ["Machine", "Utilisateur", "Enrôlement (UTC)", "Désinstallation (UTC)"]),
    ],
)
def test_people_get_headings_in_their_language_and_dates(fleet, language, headings):
    fleet.post("/machines/PC-2/note", {"text": "2026-03-02T08:00:00+00:00"})
    plain = fleet.get("/fleet?format=csv&delimiter=semicolon")

    response = fleet.get(f"/fleet?format=csv&delimiter=semicolon&language={language}")

    assert set(headings) <= set(table(response, ";")[0])
    for line, known in zip(table(response, ";"), table(plain, ";")):
        for value, (name, before) in zip(line.values(), known.items()):
            if before and name.endswith("_at"):
                before = datetime.fromisoformat(before).strftime("%Y-%m-%d %H:%M:%S")
            assert value == before
    assert "2026-03-17 08:00:00" in response.text


def test_french_takes_semicolons_unless_told_otherwise(fleet):
    for query, character in ("", ";"), ("&delimiter=comma", ","):
        response = fleet.get(f"/fleet?format=csv&language=fr{query}")
        assert response.text.startswith(f"\ufeffN°{character}Machine{character}")
    assert fleet.get("/fleet?format=csv&language=en").text[1:].startswith("Number,")


def test_every_column_has_a_heading_in_each_language(fleet):
    plain = [
        fleet.get(path).text[1:].splitlines()[0].split(",")
        for path in ("/fleet?format=csv", "/events?format=csv")
    ]
    known = {name for names in plain for name in names}

    for headings in HEADINGS.values():
        assert headings.keys() == known
        for names in plain:
            assert len({headings[name] for name in names}) == len(names)


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ("2026-03-02T08:15:00.123456+00:00", "2026-03-02 08:15:00"),
        ("2026-03-02T08:15:00+02:00", "2026-03-02 06:15:00"),
        ("2026-03-02 08:15:00", "2026-03-02 08:15:00"),
        ("yesterday", "yesterday"),
        ("=1+1", "'=1+1"),
    ],
)
def test_a_date_is_in_utc_and_what_is_none_stays(operator, engine, stored, shown):
    operator.enroll("PC-1")
    engine.execute("UPDATE enrolled_agents SET last_seen_at = ?", stored)

    (line,) = table(operator.get("/fleet?format=csv&language=en"))

    assert line["Last seen (UTC)"] == shown


def test_parameters_choose_its_machines_as_those_of_the_json(fleet):
    lines = table(fleet.get("/fleet?format=csv&status=active&q=PC&totals=0"))

    assert [line["machine_id"] for line in lines] == ["PC-2"]


def test_its_pages_follow_a_link(fleet):
    first = fleet.get("/fleet?limit=1", headers={"Accept": "text/csv"})
    cursor = ask(fleet, limit=1)["next_cursor"]

    assert first.headers["Link"].endswith(f'?limit=1&cursor={cursor}>; rel="next"')
    second = fleet.get(f"/fleet?format=csv&limit=1&cursor={cursor}")
    assert [line["machine_id"] for line in table(first) + table(second)] == [
        "PC-2",
        "PC-1",
    ]
    assert "Link" not in second.headers


def test_an_empty_fleet_is_a_heading(operator):
    assert len(operator.get("/fleet?format=csv").text.splitlines()) == 1


def test_head_gives_the_length_and_no_body(fleet):
    response = fleet.request("HEAD", "/fleet?format=csv")

    assert (response.status_code, response.data) == (200, b"")
    assert response.content_length == len(fleet.get("/fleet?format=csv").data)


@pytest.mark.parametrize(
    ("accept", "mimetype"),
    [
        (None, "application/json"),
        ("", "application/json"),
        ("*/*", "application/json"),
        ("text/csv", "text/csv"),
        ("TEXT/CSV", "text/csv"),
        ("text/csv; charset=utf-8", "text/csv"),
        ("text/csv;charset=UTF-8", "text/csv"),
        ("text/*", "text/csv"),
        ("text/csv, */*;q=0.1", "text/csv"),
        ("text/csv;q=0.5, application/json", "application/json"),
        ("application/json;q=0.5, text/csv;q=0.6", "text/csv"),
        ("application/json, text/csv", "application/json"),
        ("text/csv;q=0", "application/json"),
        ("text/csv;q=0, */*", "application/json"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "application/json"),
        ("image/png", "application/json"),
        (";;;,,,q=é", "application/json"),
    ],
)
def test_it_is_for_whoever_would_rather_have_it(operator, accept, mimetype):
    headers = {} if accept is None else {"Accept": accept}

    response = operator.get("/fleet", headers=headers)

    assert (response.status_code, response.mimetype) == (200, mimetype)
    assert "Accept" in response.headers["Vary"]


@pytest.mark.parametrize(
    ("format", "accept", "mimetype"),
    [
        ("json", "text/csv", "application/json"),
        ("csv", "application/json", "text/csv"),
    ],
)
def test_the_parameter_goes_before_the_header(operator, format, accept, mimetype):
    response = operator.get(f"/fleet?format={format}", headers={"Accept": accept})

    assert response.mimetype == mimetype


def test_a_refusal_is_a_problem_document_all_the_same(operator):
    response = operator.get("/fleet?limit=x", headers={"Accept": "text/csv"})

    assert_problem(response, 400, "invalid_field")


@pytest.mark.parametrize("column", ["machine_id", *DETAILS, "uninstall_reason"])
@pytest.mark.parametrize("first", FORMULA)
def test_no_cell_is_a_formula(operator, engine, column, first):
    formula = f"{first}cmd|'/c calc'!A0"
    row = {"machine_id": "PC-1", "status": "uninstalled", column: formula}
    fill(engine, [row])

    (line,) = table(operator.get("/fleet?format=csv"))

    assert line[column] == f"'{formula}"


@pytest.mark.sqlite
def test_a_nul_of_an_older_servers_is_a_replacement_character(operator, engine):
    fill(engine, [{"machine_id": "PC-1", "hostname": "\0=1+1\0"}])

    (line,) = table(operator.get("/fleet?format=csv"))

    assert line["hostname"] == "\ufffd=1+1\ufffd"


odd_text = st.text(
    st.sampled_from("=+-@\t\r\n\"',; aé李\ufeff"), min_size=1, max_size=6
)


@settings(
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    rows=st.lists(st.fixed_dictionaries(dict.fromkeys(DETAILS, odd_text)), max_size=4),
    delimiter=st.sampled_from([("comma", ","), ("semicolon", ";")]),
)
def test_whatever_a_machine_says_is_read_back_as_it_is(
    operator, engine, rows, delimiter
):
    fill(engine, [{**row, "machine_id": str(n)} for n, row in enumerate(rows)])
    name, character = delimiter

    response = operator.get(f"/fleet?format=csv&delimiter={name}")

    lines = table(response, character)
    assert lines == [cells(agent) for agent in ask(operator)["active"]]


def test_a_table_is_of_one_moment(operator, elsewhere, monkeypatch):
    """A machine that moves to the other list during the reading appears once."""
    operator.enroll("PC-1")
    operator.enroll("PC-2")
    batches = Listing.batches

    def uninstall_first(self, select, status, *args, **options):
        if status == "uninstalled":
            elsewhere.uninstall("PC-1")
        return batches(self, select, status, *args, **options)

    monkeypatch.setattr(Listing, "batches", uninstall_first)
    lines = table(operator.get("/fleet?format=csv"))

    assert [line["machine_id"] for line in lines] == ["PC-2", "PC-1"]
    assert [line["status"] for line in lines] == ["active", "active"]


def test_a_table_beyond_the_memory_it_may_use_is_whole(operator, monkeypatch):
    monkeypatch.setattr(spool, "_IN_MEMORY", 100)
    for number in range(20):
        operator.enroll(f"PC-{number}", user_name="é" * 255)

    response = operator.get("/fleet?format=csv")

    assert len(table(response)) == 20
    assert response.content_length == len(response.data)


def test_a_table_that_finds_no_room_is_a_503(operator, monkeypatch):
    class FullDisk(TemporaryFile):
        def write(self, data):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(spool, "TemporaryFile", FullDisk)

    response = operator.get("/fleet?format=csv")

    assert_problem(response, 503, "database_unavailable", "retry")


def test_the_reference_names_each_beginning_of_a_formula():
    section = docs.section(docs.parse(docs.REFERENCE), "CSV")
    text = " ".join(section.astext().split())

    for sign in FORMULA:
        name = NAMES.get(sign)
        assert name in text if name else sign in docs.literals(section)
