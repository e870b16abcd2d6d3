"""Query plans on PostgreSQL: a page is read in order, wherever it begins."""

from __future__ import annotations


import pytest

from lea_fleet.storage.postgresql.session import Session

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
