"""GET /fleet in pages: a machine that does not change appears exactly once."""

from __future__ import annotations

import base64
import shutil
import sqlite3
import sys
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import lea_fleet
from lea_fleet.core import clock
from lea_fleet.core.listing import SORTS, FleetFilter
from lea_fleet.core.pages import KINDS, Position, write_cursor
from lea_fleet.storage.listing import Listing
from lea_fleet.storage.sqlite.dialect import add_functions
from tests.support.api import OPERATOR_TOKEN, Api, assert_invalid
from tests.support.fleets import ask, fill, listed, pages
from tests.support.processes import in_processes

LEGACY = Path(__file__).parents[1] / "support" / "data" / "legacy.db"
PACKAGE = str(Path(lea_fleet.__file__).parent)

ORDERS = [*SORTS, *(f"-{name}" for name in SORTS)]

examples = settings(
    deadline=None,
    max_examples=50,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def some_fleet(size, *, gone=3):
    """Return rows with many ties; each *gone*-th machine is uninstalled."""
    names = [None, "Zoé", "zoe", "Émile", "Adam", ""]
    start = datetime(2026, 1, 1, tzinfo=timezone.utc)
    return [
        {
            "machine_id": f"PC-{number}",
            "user_name": names[number % 6],
            "user_email": names[number % 5],
            "hostname": names[number % 2],
            "version": f"1.{number % 12}",
            "status": "uninstalled" if number % gone == 0 else "active",
            "enrolled_at": clock.iso(start + timedelta(days=number % 7)),
            "last_seen_at": None if number % 4 == 0 else clock.iso(start),
        }
        for number in range(size)
    ]


@pytest.mark.parametrize("order", [None, *ORDERS])
@pytest.mark.parametrize("limit", [1, 7, 30, 1000])
def test_the_pages_together_are_the_whole_list(operator, engine, order, limit):
    fill(engine, some_fleet(30))
    parameters = {} if order is None else {"sort": order}

    found = list(pages(operator, limit=limit, **parameters))

    whole = listed(ask(operator, **parameters))
    assert len(set(whole)) == 30
    assert [each for page in found for each in listed(page)] == whole
    sizes = [len(listed(page)) for page in found]
    assert all(size == limit for size in sizes[:-1]) and 0 < sizes[-1] <= limit
    assert [page["next_cursor"] is None for page in found][-1:] == [True]


def test_pages_are_of_the_filter(operator, engine):
    fill(engine, some_fleet(30))
    parameters = {"status": "active", "q": "zo", "sort": "hostname"}

    found = list(pages(operator, limit=2, **parameters))

    whole = ask(operator, **parameters)
    assert [each for page in found for each in listed(page)] == listed(whole) != []
    assert all(page["totals"] == whole["totals"] for page in found)


def test_a_page_that_ends_with_the_list_says_so(operator, engine):
    fill(engine, some_fleet(4))

    assert ask(operator, limit=4)["next_cursor"] is None
    assert (
        ask(operator, limit=4, status="active", sort="version")["next_cursor"] is None
    )
    assert "next_cursor" not in ask(operator)
    assert ask(operator, limit=1, q="nobody")["next_cursor"] is None


def test_where_there_is_another_page_a_link_leads_there(app, operator, engine):
    fill(engine, some_fleet(5))
    first = operator.get("/fleet?limit=3&presence=stale&presence=uninstalled&q=pc")

    link = first.headers["Link"].removesuffix('>; rel="next"').removeprefix("<")
    second = Api(operator.client, operator.token, "").get(link)

    assert len(listed(first.json)) + len(listed(second.json)) == 5
    assert "Link" not in second.headers
    assert first.json["next_cursor"] in link


def test_a_cursor_without_a_limit_gives_a_page_of_a_hundred(operator, engine):
    fill(engine, some_fleet(120))
    cursor = ask(operator, limit=1)["next_cursor"]

    page = ask(operator, cursor=cursor)

    assert (len(listed(page)), page["next_cursor"] is None) == (100, False)


def test_names_are_ordered_as_people_do_it(operator, engine):
    names = ["zoé", "Émile", "Zoe 10", "eve", "Zoé 9", "Emil", None, "ÉVA", "李"]
    rows = [{"machine_id": str(n), "user_name": name} for n, name in enumerate(names)]
    fill(engine, rows)

    found = ask(operator, sort="user_name")["active"]

    assert [agent["user_name"] for agent in found] == [
        None,
        "Emil",
        "Émile",
        "ÉVA",
        "eve",
        "zoé",
        "Zoé 9",
        "Zoe 10",
        "李",
    ]


@pytest.mark.parametrize("column", ["version", "machine_id", "hostname"])
def test_numbers_in_names_are_ordered_by_their_value(operator, engine, column):
    values = ["1.10.0", "1.9.12", "01.9.3", "1.9", "10.0", "2", "1.9.20261124093000"]
    rows = [{"machine_id": f"x{n}", column: value} for n, value in enumerate(values)]
    fill(engine, rows)

    found = ask(operator, sort=f"-{column}")["active"]

    ordered = ["10.0", "2", "1.10.0", "1.9.20261124093000", "1.9.12", "01.9.3", "1.9"]
    assert [agent[column] for agent in found] == ordered


def test_a_machine_that_was_never_seen_is_where_it_was_enrolled(operator, engine):
    def at(day):
        return f"2026-03-0{day}T08:00:00+00:00"

    rows = [
        {"machine_id": "a", "enrolled_at": at(1), "last_seen_at": at(3)},
        {"machine_id": "b", "enrolled_at": at(2)},
        {"machine_id": "c", "enrolled_at": at(1), "last_seen_at": at(1)},
    ]
    fill(engine, rows)

    assert listed(ask(operator, sort="last_seen_at")) == ["c", "b", "a"]


@pytest.mark.parametrize("order", ["enrolled_at", "-enrolled_at", "last_seen_at"])
def test_keys_that_are_no_text_or_no_utf_8_are_paged_too(
    operator, engine, database, order
):
    rows = some_fleet(4)
    for number, odd in enumerate([b"\xff\x00", "", b"", "\0", "2026", b"2026"]):
        rows.append({"machine_id": f"odd {number}", "enrolled_at": odd})
    fill(engine, rows)
    with closing(sqlite3.connect(database)) as connection:
        connection.execute(
            "UPDATE enrolled_agents SET enrolled_at = CAST(x'32ff30' AS TEXT)"
            " WHERE machine_id = 'PC-1'"
        )
        connection.commit()

    found = [
        each for page in pages(operator, limit=1, sort=order) for each in listed(page)
    ]

    assert found == listed(ask(operator, sort=order))
    assert len(set(found)) == 10


# While machines are added, changed and removed


@st.composite
def lives(draw):
    """Return the changes after each page: an action, and the machine's number."""
    actions = st.sampled_from(["enroll", "uninstall", "return", "heartbeat"])
    return draw(st.lists(st.tuples(actions, st.integers(0, 11)), max_size=12))


@examples
@given(
    order=st.sampled_from(ORDERS),
    limit=st.integers(1, 5),
    lives=st.lists(lives(), max_size=6),
)
def test_who_stays_as_he_is_comes_exactly_once_and_in_order(
    operator, engine, order, limit, lives
):
    fill(engine, some_fleet(12))
    before = listed(ask(operator, sort=order))
    moved, happenings = set(), iter(lives)

    found = []
    for page in pages(operator, limit=limit, sort=order):
        found += listed(page)
        for action, number in next(happenings, ()):
            moved |= happen(operator, action, number, order)

    calm = [machine_id for machine_id in before if machine_id not in moved]
    assert [machine_id for machine_id in found if machine_id not in moved] == calm


def happen(operator, action, number, order):
    """Apply a change to a machine; return the machines whose place it may change."""
    machine_id = f"PC-{number}"
    if action == "heartbeat":
        operator.post("/heartbeat", {"machine_id": machine_id})
        is_by_it = "seen" in order or "presence" in order
        return {machine_id} if is_by_it else set()
    if action == "uninstall":
        operator.uninstall(machine_id)
        return {machine_id}
    if action == "enroll":
        machine_id = f"new {number}"
    operator.post("/enroll", {"machine_id": machine_id})
    return {machine_id}


def test_a_page_is_of_one_moment(operator, elsewhere, engine, monkeypatch):
    """The cursor and the totals are from the same snapshot as the page."""
    fill(engine, some_fleet(6, gone=99))
    position = Listing.position

    def change_first(self, *args):
        for machine_id in ("PC-1", "PC-2", "new"):
            elsewhere.post("/enroll", {"machine_id": machine_id, "force": True})
        return position(self, *args)

    monkeypatch.setattr(Listing, "position", change_first)
    page = ask(operator, limit=3)
    monkeypatch.undo()

    assert page["totals"]["total"] == 6
    rest = ask(operator, limit=9, cursor=page["next_cursor"])
    assert len(listed(page) + listed(rest)) == 6 - len(
        {"PC-1", "PC-2"} - set(listed(page))
    )


def test_lists_and_totals_agree_while_another_process_writes(engine, make_app):
    fill(engine, some_fleet(300))

    def write():
        operator = Api(make_app().test_client(), OPERATOR_TOKEN)
        for number in range(100):
            operator.uninstall(f"PC-{number}")
            operator.post("/enroll", {"machine_id": f"new {number}"})

    def read():
        operator = Api(make_app().test_client(), OPERATOR_TOKEN)
        fleets = [ask(operator)]
        while "new 99" not in listed(fleets[-1]):
            fleets.append(ask(operator, q="p"))
            fleets.append(ask(operator))
        return fleets

    _, fleets = in_processes(write, read)

    for fleet in fleets:
        counts = [len(fleet[status]) for status in ("active", "uninstalled")]
        totals = fleet["totals"]
        assert counts == [totals["active"], totals["uninstalled"]]
        assert len(set(listed(fleet))) == totals["total"]


# Cursors


@pytest.fixture
def cursor(operator, engine):
    fill(engine, some_fleet(30))
    return ask(operator, limit=5)["next_cursor"]


@pytest.mark.parametrize(
    "parameters",
    [
        {"sort": "enrolled_at"},
        {"sort": "machine_id"},
        {"status": "active"},
        {"presence": "stale"},
        {"q": "PC"},
        {"version": "1.1"},
        {"silent_for": "1d"},
        {"machine_id": "PC-1"},
    ],
    ids=str,
)
def test_a_cursor_is_for_the_listing_that_gave_it(operator, cursor, parameters):
    query = {**parameters, "cursor": cursor}

    assert_invalid(operator.get("/fleet", query_string=query), "cursor")


def test_a_cursor_is_for_any_limit_and_format(operator, cursor):
    rest = ask(operator, limit=1000, totals=0, cursor=cursor)

    assert len(listed(rest)) == 25
    query = {"cursor": cursor, "format": "csv", "delimiter": "semicolon"}
    lines = operator.get("/fleet", query_string=query).text.splitlines()
    assert len(lines) == 1 + 25


def test_a_cursor_with_another_character_anywhere_is_refused(operator, cursor):
    for place, character in enumerate(cursor):
        other = "A" if character != "A" else "B"
        tampered = cursor[:place] + other + cursor[place + 1 :]
        query = {"limit": 5, "cursor": tampered}
        assert_invalid(operator.get("/fleet", query_string=query), "cursor")


DEEP = base64.urlsafe_b64encode(b"[" * 40_000).decode()


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "=",
        "é",
        "👍",
        "!",
        "A" * 60_000,
        DEEP,
        "AAAA",
        "null",
        "../../etc",
        "%",
        "-_",
    ],
    ids=lambda text: text[:9],
)
def test_what_is_no_cursor_is_refused(operator, text):
    query = {"cursor": text}

    assert_invalid(operator.get("/fleet", query_string=query), "cursor")


@examples
@given(data=st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_no_cursor_whatever_is_a_fault_of_the_servers(operator, data):
    text = base64.urlsafe_b64encode(data).decode()
    for cursor in (text, text.rstrip("="), data.decode("latin-1")):
        response = operator.get("/fleet", query_string={"cursor": cursor, "limit": 1})
        assert response.status_code == 200 or response.json["code"] == "invalid_field"


@examples
@given(
    status=st.sampled_from(["active", "uninstalled"]),
    kind=st.sampled_from(KINDS),
    key=st.binary(max_size=40),
    row_id=st.integers(-(2**63), 2**63 - 1),
    order=st.sampled_from(ORDERS),
)
def test_a_cursor_that_was_made_up_is_a_place_and_no_more(
    operator, status, kind, key, row_id, order
):
    made_up = write_cursor(Position(status, kind, key, row_id), FleetFilter(sort=order))

    ask(operator, sort=order, cursor=made_up)


@pytest.mark.parametrize("place", [0, 1])
def test_a_made_up_cursor_of_no_place_is_refused(operator, monkeypatch, place):
    monkeypatch.setattr(
        "lea_fleet.core.pages._digest", lambda told, wanted: b"12345678"
    )
    head = bytearray(
        base64.urlsafe_b64decode(
            write_cursor(Position("active", "text", b"2026", 1), FleetFilter()) + "=="
        )
    )
    head[place] = 200
    forged = base64.urlsafe_b64encode(bytes(head)).decode().rstrip("=")

    assert_invalid(operator.get("/fleet", query_string={"cursor": forged}), "cursor")


# SQLite's query plans


@pytest.mark.parametrize("status", ["active", "uninstalled"])
@pytest.mark.parametrize("order", ["enrolled_at", "-enrolled_at"])
@pytest.mark.parametrize("deep", [False, True])
def test_a_page_by_enrollment_sorts_nothing(
    app, operator, engine, database, status, order, deep
):
    fill(engine, some_fleet(30))
    operator.get("/fleet")
    asked = []
    (connection,) = app.extensions["lea_fleet"].store._idle
    cursor = ask(operator, status=status, sort=order, limit=5)["next_cursor"]
    connection.set_trace_callback(asked.append)

    ask(
        operator,
        status=status,
        sort=order,
        limit=5,
        **({"cursor": cursor} if deep else {}),
    )

    connection.set_trace_callback(None)
    (query,) = [text for text in asked if "json_object" in text]
    with closing(sqlite3.connect(database)) as other:
        add_functions(other)
        plan = [row[3] for row in other.execute(f"EXPLAIN QUERY PLAN {query}")]
    index = "lea_fleet_listing" if status == "active" else "lea_fleet_departed"
    assert index in plan[0]
    assert not any("ORDER BY" in step for step in plan)


@pytest.mark.parametrize("status", ["active", "uninstalled"])
@pytest.mark.parametrize("order", ["enrolled_at", "-enrolled_at"])
def test_a_page_of_a_file_of_the_older_server_sorts_nothing(
    app, operator, database, status, order
):
    database.parent.mkdir(exist_ok=True)
    shutil.copy(LEGACY, database)
    operator.get("/fleet")
    asked = []
    (connection,) = app.extensions["lea_fleet"].store._idle
    connection.set_trace_callback(asked.append)

    ask(operator, status=status, sort=order, limit=5)

    connection.set_trace_callback(None)
    (query,) = [text for text in asked if "json_object" in text]
    with closing(sqlite3.connect(database)) as other:
        add_functions(other)
        plan = [row[3] for row in other.execute(f"EXPLAIN QUERY PLAN {query}")]
    index = "lea_fleet_listing" if status == "active" else "lea_fleet_departed"
    assert index in plan[0]
    assert not any("ORDER BY" in step for step in plan)


def test_a_filtered_page_costs_no_call_for_each_machine(operator, engine):
    now = clock.iso(clock.now())
    fill(engine, [{**row, "last_seen_at": now} for row in some_fleet(120, gone=999)])
    calls_of_page(operator, 50)  # the first one opens the database

    few, more = (calls_of_page(operator, limit) for limit in (5, 50))

    most_calls, most_files = engine.limits_of_page
    assert len(few) == len(more) <= most_calls
    assert len(set(more)) <= most_files


def calls_of_page(operator, limit):
    """Return the file of each call of ours that a page of so many machines takes."""
    files = []

    def note(frame, event, argument):
        if event == "call" and frame.f_code.co_filename.startswith(PACKAGE):
            files.append(frame.f_code.co_filename)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        path = f"/fleet?limit={limit}&totals=0&presence=online"
        page = operator.get(path)
    finally:
        sys.setprofile(before)
    assert len(listed(page.json)) == limit and page.json["next_cursor"]
    return files


# By what is seldom sorted by


@pytest.mark.parametrize("column", ["user_id", "os_info", "uninstall_reason"])
def test_machines_are_sorted_by_other_texts(operator, engine, column):
    values = ["b", "A", None, "a 2", "a 10"]
    rows = [{"machine_id": str(n), column: value} for n, value in enumerate(values)]
    fill(engine, rows)

    def found(sort):
        shown = pages(operator, limit=2, sort=sort)
        return [row[column] for page in shown for row in page["active"]]

    assert found(column) == [None, "A", "a 10", "a 2", "b"]
    assert found(f"-{column}") == ["b", "a 2", "a 10", "A", None]


def test_machines_are_sorted_by_presence_and_by_when_they_left(
    operator, engine, the_clock
):
    now = the_clock.now()

    def ago(**duration):
        return clock.iso(now - timedelta(**duration))

    seen = {"stale": ago(days=20), "online": ago(seconds=1), "offline": ago(days=1)}
    gone = {"first": ago(days=3), "last": ago(days=1), "unknown": None}
    left = {"status": "uninstalled"}
    fill(
        engine,
        [
            *({"machine_id": n, "last_seen_at": at} for n, at in seen.items()),
            *(
                {"machine_id": n, "uninstalled_at": at, **left}
                for n, at in gone.items()
            ),
        ],
    )

    assert listed(ask(operator, status="active", sort="presence")) == [
        "online",
        "offline",
        "stale",
    ]
    by_date = ask(operator, status="uninstalled", sort="-uninstalled_at")
    assert listed(by_date) == ["last", "first", "unknown"]
