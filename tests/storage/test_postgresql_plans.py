"""Query plans on PostgreSQL: a page is read in order, wherever it begins."""

from __future__ import annotations


import pytest

from lea_fleet.storage.postgresql.session import Session
from tests.support.api import OPERATOR_TOKEN, Api
from tests.support.fleets import ask, fill

pytestmark = pytest.mark.postgresql


@pytest.fixture
def plans(monkeypatch):
    """The plans of the pages that are read, as text."""
    read, found = Session.batches, []

    def batches(session, statement, values, size):
        # What a fleet of any size is read by, if there is an index for it.
        for kind in ("seqscan", "bitmapscan"):
            session.command(f"SET LOCAL enable_{kind} = off".encode())
        plan = session.execute(f"EXPLAIN {statement}", values)
        found.append("\n".join(line for (line,) in plan))
        return read(session, statement, values, size)

    monkeypatch.setattr(Session, "batches", batches)
    return found


def test_a_page_in_the_order_of_enrollment_sorts_nothing(operator, plans):
    for number in range(6):
        operator.enroll(f"PC-{number}")
    for number in range(3):
        operator.uninstall(f"PC-{number}")
    cursor, pages = None, 0
    while pages == 0 or cursor:
        query = {"limit": 2, "totals": 0, **({"cursor": cursor} if cursor else {})}
        cursor = operator.get("/fleet", query_string=query).json["next_cursor"]
        pages += 1
    assert pages == 3
    assert [plan for plan in plans if "Sort" in plan] == []
    for index in ("lea_fleet_listing", "lea_fleet_departed"):
        begun = [plan for plan in plans if index in plan]
        assert {"ROW(" in plan for plan in begun} == {False, True}, plans


def test_a_query_of_several_processes_may_call_our_functions(engine):
    """A block with EXCEPTION is a subtransaction, which fails before PostgreSQL 17."""
    engine.make_tables()
    functions = engine.execute(
        "SELECT proparallel, prosrc FROM pg_proc"
        " WHERE pronamespace = current_schema()::regnamespace"
    )

    assert functions
    for parallel, source in functions:
        assert parallel == "s" and "EXCEPTION" not in source.upper()


def test_a_large_fleet_may_be_counted_by_several_processes(make_app, engine):
    """One of our own timestamps in a million has no microseconds."""
    rows = [{"machine_id": f"PC-{number}"} for number in range(500)]
    fill(engine, [*rows, {"machine_id": "PC-A", "last_seen_at": "2026-03-01T09:00Z"}])
    # As for a large table.
    options = (
        "parallel_setup_cost",
        "parallel_tuple_cost",
        "min_parallel_table_scan_size",
    )
    url = f"{engine.settings['LEA_FLEET_DATABASE_URL']}?options="
    url += "%20".join(f"-c%20{name}%3D0" for name in options)
    app = make_app(LEA_FLEET_DATABASE_URL=url)
    operator = Api(app.test_client(), OPERATOR_TOKEN)

    assert ask(operator, limit=1)["totals"]["active"] == 501
    assert ask(operator, "/fleet/summary")["totals"]["active"] == 501
