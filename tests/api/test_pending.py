"""Presence ``pending``: a machine that was imported and that nobody has seen yet."""

from __future__ import annotations

import csv
import io

import pytest

from lea_fleet.core.listing import ACTIVE_PRESENCES
from lea_fleet.storage.agents import Agents
from tests.support.fleets import ask, fill, listed


@pytest.fixture
def imported(run, begun, tmp_path, the_clock):
    """Import machines; return the output."""

    def add(*machines):
        export = tmp_path / "machines.csv"
        export.write_text("machine_id\n" + "".join(f"{name}\n" for name in machines))
        done = run("import", export, "--yes")
        assert done.exit_code == 0, done.output
        return done

    return add


def presence(operator, machine="PC-1"):
    return operator.machine(machine)["presence"]


@pytest.mark.parametrize("silence", [{}, {"hours": 1}, {"days": 99}])
def test_an_imported_machine_that_never_came_is_pending(
    operator, imported, the_clock, silence
):
    imported("PC-1")
    the_clock.advance(**silence)

    assert presence(operator) == "pending"
    assert operator.machine("PC-1")["last_seen_at"] is None


def test_every_count_has_it_and_active_is_their_sum(
    operator, monitor, imported, the_clock
):
    operator.enroll("OLD")
    the_clock.advance(days=15)
    imported("PC-1", "PC-2", "PC-3")
    operator.enroll("PC-4")
    operator.enroll("GONE")
    operator.uninstall("GONE")

    summary = ask(operator, "/fleet/summary")
    totals = ask(operator)["totals"]

    assert totals == summary["totals"]
    assert (totals["pending"], totals["online"], totals["stale"]) == (3, 1, 1)
    assert totals["active"] == sum(totals[name] for name in ACTIVE_PRESENCES) == 5
    assert totals["total"] == totals["active"] + totals["uninstalled"] == 6
    assert summary["by_presence"]["pending"] == 3
    metric = 'lea_fleet_agents_by_presence{presence="pending"} 3.0'
    assert metric in monitor.get("/metrics").text


def test_it_can_be_listed_as_json_csv_and_a_table(operator, run, imported):
    imported("PC-1")
    operator.enroll("PC-2")

    assert listed(ask(operator, presence="pending")) == ["PC-1"]
    assert listed(ask(operator, presence="online")) == ["PC-2"]
    sheet = operator.get("/fleet?format=csv").text.lstrip("\ufeff")
    rows = {row["machine_id"]: row for row in csv.DictReader(io.StringIO(sheet))}
    assert rows["PC-1"]["presence"] == "pending"
    output = run("list", "--presence", "pending").output
    assert "PC-1     -     -         -        pending   never" in output
    assert "1 active (0 online, 0 offline, 0 stale, 1 pending)" in output
    assert "PRESENCE     pending" in run("show", "PC-1").output


def test_it_ends_with_the_enrollment(operator, imported, the_clock):
    imported("PC-1")
    operator.enroll("PC-1")
    assert presence(operator) == "online"

    the_clock.advance(days=1)
    assert presence(operator) == "offline"


def test_it_ends_with_a_heartbeat_that_an_operator_sends(operator, imported):
    imported("PC-1")
    assert operator.post("/heartbeat", {"machine_id": "PC-1"}).status_code == 200

    assert presence(operator) == "online"


def test_it_ends_with_the_release(operator, run, imported, the_clock):
    imported("PC-1")
    the_clock.advance(days=1)
    assert run("release", "PC-1", "--cancel").exit_code == 0
    assert presence(operator) == "offline"

    imported("PC-1")
    assert presence(operator) == "pending"


def test_it_ends_with_the_uninstall(operator, imported):
    imported("PC-1")
    operator.uninstall("PC-1")

    assert presence(operator) == "uninstalled"


def test_a_release_for_a_day_does_not_make_a_machine_pending(
    operator, run, engine, the_clock
):
    """An older server stores no time at which a machine was seen."""
    fill(engine, [{"machine_id": "PC-1", "enrolled_at": the_clock.iso()}])
    assert run("release", "PC-1").exit_code == 0
    assert presence(operator) == "online"


def test_an_adopted_machine_that_was_seen_is_not_pending(
    operator, engine, imported, the_clock
):
    now = the_clock.iso()
    rows = [{"machine_id": f"PC-{n}", "enrolled_at": now} for n in (1, 2)]
    fill(engine, [{**rows[0], "last_seen_at": now}, rows[1]])
    imported("PC-1", "PC-2")

    assert (presence(operator), presence(operator, "PC-2")) == ("online", "pending")


def test_the_agent_that_an_import_makes_is_pending(app, imported):
    from lea_fleet.app.database import get_host_repository

    imported("PC-1")
    with app.app_context():
        unit = get_host_repository().unit
        with unit.transaction():
            assert Agents(unit).insert("PC-2", {}, seen=False)["presence"] == "pending"
