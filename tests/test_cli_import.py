"""``flask fleet import``: machines from a file, before their installers come."""

from __future__ import annotations

import csv
import json
import os
import sqlite3
import stat
from contextlib import closing

import pytest

from lea_fleet.cli import importing
from tests.api import assert_problem
from tests.fleets import ask, fill, listed

HEADING = "machine_id;user_name;version\n"
TWO = f"{HEADING}PC-1;Zoé;1.4\nPC-2;;\n"
CLI = {"role": "cli", "os_user": "amelie"}
OLDER = {"machine_id": "PC-1", "user_name": "Anne", "hostname": "A"}


@pytest.fixture
def run(app, monkeypatch):
    """Run ``flask fleet`` with these words; return the result."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LOGNAME", "amelie")
    return lambda *words, **options: app.test_cli_runner().invoke(
        args=["fleet", *map(str, words)], **options
    )


@pytest.fixture
def file(tmp_path):
    """Write a file to import, and return its path."""

    def write(content):
        path = tmp_path / "machines.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.fixture
def counts(run, file):
    """Import a content; return the counts that are not zero."""

    def counts(content, *words, exit_code=0):
        result = run("import", file(content), "--json", *(words or ["--yes"]))
        assert result.exit_code == exit_code, result.output
        return not_zero(json.loads(result.stdout))

    return counts


def not_zero(said):
    names = said.keys() - {"lines", "dry_run", "ignored_columns"}
    assert said["lines"] == sum(said[name] for name in names)
    return {name: said[name] for name in names if said[name]}


def add_older(database, **columns):
    fill(database, [{**OLDER, **columns}])


def dump(database):
    with closing(sqlite3.connect(database)) as connection:
        return list(connection.iterdump())


def events(operator, machine_id="PC-1"):
    page = operator.get(f"/machines/{machine_id}/events").json["events"]
    return [(event["event"], event["detail"]) for event in page]


# What becomes of a machine


def test_what_is_new_is_active_and_has_never_been_seen(counts, operator, the_clock):
    assert counts(TWO) == {"imported": 2}

    machine = operator.machine()
    assert machine["status"] == "active"
    assert (machine["user_name"], machine["version"]) == ("Zoé", "1.4")
    assert machine["enrolled_at"] == the_clock.iso()
    assert machine["last_seen_at"] is None
    assert operator.machine("PC-2")["user_name"] is None
    (event,) = operator.get("/machines/PC-1/events").json["events"]
    assert (event["event"], event["actor"]) == ("imported", CLI)
    assert event["detail"] == {"version": "1.4"}


def test_to_be_imported_is_not_to_be_enrolled(counts, operator):
    counts(TWO)

    assert operator.get("/fleet/summary").json["by_day"][-1]["enrolments"] == 0


def test_what_is_adopted_stays_an_enrolment_of_the_older_server(
    counts, operator, database, the_clock
):
    add_older(database, enrolled_at=the_clock.iso())
    counts(TWO)

    assert operator.get("/fleet/summary").json["by_day"][-1]["enrolments"] == 1


def imported(counts, operator, database):
    counts(TWO)


def adopted(counts, operator, database):
    add_older(database)
    counts(TWO)


def left_uninstalled(counts, operator, database):
    operator.enroll()
    operator.uninstall()
    counts(TWO)


@pytest.mark.parametrize(
    ("happened", "status"),
    [(imported, "reenrolled"), (adopted, "reenrolled")]
    + [(left_uninstalled, "reactivated")],
)
def test_no_installer_meets_a_409(
    counts, operator, database, the_clock, happened, status
):
    """However long it takes to come; and the next one is refused as ever."""
    happened(counts, operator, database)
    the_clock.advance(days=400)
    installer = operator.installer()

    agent = installer.enroll("PC-1", version="2")

    assert agent.answer["status"] == status
    assert agent.heartbeat().status_code == 200
    assert operator.machine()["version"] == "2"
    response = installer.post("/enroll", {"machine_id": "PC-1"})
    assert_problem(response, 409, "already_enrolled")
    assert counts(TWO) == {"enrolled": 1, "unchanged": 1}


def test_nor_does_one_that_may_not_reactivate(counts, operator):
    counts(TWO)

    operator.installer().enroll("PC-1", allow_reactivate=False)


def test_one_of_the_older_server_is_adopted_with_what_the_file_says(
    counts, operator, database
):
    add_older(database, last_seen_at="2026-03-01T09:00:00+00:00")
    before = operator.machine()

    assert counts(TWO) == {"adopted": 1, "imported": 1}

    after = operator.machine()
    assert after == {**before, "user_name": "Zoé", "version": "1.4"}
    assert events(operator) == [("imported", {"version": "1.4", "because": "adopted"})]


def test_one_with_a_token_is_left_alone(counts, operator):
    agent = operator.enroll("PC-1", user_name="Anne")
    before = operator.machine()

    assert counts(TWO) == {"enrolled": 1, "imported": 1}

    assert operator.machine() == before
    assert len(events(operator)) == 1
    assert agent.heartbeat().status_code == 200
    response = operator.installer().post("/enroll", {"machine_id": "PC-1"})
    assert_problem(response, 409, "already_enrolled")


def test_one_that_is_uninstalled_is_left_alone(counts, operator):
    operator.enroll("PC-1")
    operator.uninstall("PC-1", reason="sold")
    before = operator.machine()

    assert counts(TWO) == {"uninstalled": 1, "imported": 1}

    assert operator.machine() == before
    assert len(events(operator)) == 2


@pytest.mark.parametrize("happened", [imported, adopted])
def test_a_second_run_changes_nothing(counts, operator, database, happened):
    happened(counts, operator, database)
    before = dump(database)

    assert counts(TWO) == {"unchanged": 2}

    assert dump(database) == before


def test_what_the_file_says_anew_is_taken_until_the_machine_enrols(counts, operator):
    counts(TWO)

    assert counts(f"{HEADING}PC-1;;1.5\nPC-2;;\n") == {"updated": 1, "unchanged": 1}

    machine = operator.machine()
    assert (machine["user_name"], machine["version"]) == ("Zoé", "1.5")
    because = {"version": "1.5", "because": "updated"}
    assert events(operator)[0] == ("imported", because)
    assert operator.installer().enroll("PC-1").answer["status"] == "reenrolled"


def test_a_release_taken_back_is_given_again_by_the_next_import(counts, operator):
    counts(TWO)
    operator.request("DELETE", "/machines/PC-1/release")
    installer = operator.installer()
    response = installer.post("/enroll", {"machine_id": "PC-1"})
    assert_problem(response, 409, "already_enrolled")

    assert counts(TWO) == {"adopted": 1, "unchanged": 1}

    installer.enroll("PC-1")


def test_a_release_by_hand_does_not_cut_short_that_of_an_import(
    counts, operator, the_clock
):
    counts(TWO)
    response = operator.post("/machines/PC-1/release")
    assert response.json["released_until"].startswith("9999-")
    the_clock.advance(days=2)

    assert operator.installer().enroll("PC-1").answer["status"] == "reenrolled"


def test_an_older_id_with_blanks_is_the_machine_that_it_was(counts, operator, database):
    add_older(database, machine_id=" PC/1")

    assert counts(f"{HEADING} PC/1;;\n") == {"adopted": 1}
    assert listed(ask(operator)) == [" PC/1"]
