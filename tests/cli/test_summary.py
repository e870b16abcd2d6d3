"""``flask fleet summary``: the numbers of the API, for people."""

from __future__ import annotations

import json

import pytest

from lea_fleet.cli.terminal import text_width
from tests.support.fleets import fill


@pytest.fixture
def run(app, monkeypatch):
    """Run ``flask fleet summary`` with these words; return the result."""
    monkeypatch.setenv("COLUMNS", "80")
    return lambda *words: app.test_cli_runner().invoke(
        args=["fleet", "summary", *words]
    )


def test_the_screen(run, operator, the_clock):
    for number in range(3):
        operator.enroll(f"PC-{number}", version="1.4.0")
    the_clock.advance(days=1)
    operator.enroll("PC-3", version="1.3.1")
    operator.enroll("PC-4")
    operator.uninstall("PC-0")
    the_clock.advance(days=1)

    assert run().output.splitlines() == [
        "5 machines: 4 active (0 online, 4 offline, 0 stale), 1 uninstalled",
        "",
        "PRESENCE     MACHINES",
        "online       0",
        "offline      4         " + "#" * 30,
        "stale        0",
        "pending      0",
        "uninstalled  1         " + "#" * 8,
        "",
        "VERSION  MACHINES",
        "1.4.0    2         " + "#" * 30,
        "1.3.1    1         " + "#" * 15,
        "-        1         " + "#" * 15,
        "",
        "DAY         ENROLLMENTS  UNINSTALLS",
        "2026-03-02  3            0",
        "2026-03-03  2            1",
    ]


@pytest.mark.parametrize(("words", "days"), [([], 30), (["--days", "7"], 7)])
def test_json_is_what_the_api_says_in_ascii(run, operator, words, days):
    operator.enroll(version="1.4 é")
    operator.post("/machines/PC-1/tags", {"add": ["site=orléans"]})
    operator.enroll("PC-2")
    operator.uninstall("PC-2")

    output = run("--json", *words).output

    assert output.isascii()
    by_tag = operator.get("/tags").json["tags"]
    assert by_tag
    summary = operator.get(f"/fleet/summary?days={days}").json
    assert json.loads(output) == {**summary, "by_tag": by_tag}
    assert len(json.loads(output)["by_day"]) == days


def test_days_that_are_not_asked_for_are_not_shown(run, operator, the_clock):
    operator.enroll()
    the_clock.advance(days=2)

    assert "2026-03-02" in run("--days", "3").output
    assert "No enrollments or uninstalls in 2 days." in run("--days", "2").output


def test_an_empty_fleet_is_no_fault(run, operator):
    operator.get("/fleet")

    result = run()

    assert result.exit_code == 0
    assert "No active machines." in result.output
    assert "No enrollments or uninstalls in 30 days." in result.output
    assert "#" not in result.output


def test_the_rarest_of_many_versions_are_left_out_and_counted(run, engine):
    rows = [{"machine_id": f"PC-{n}", "version": f"1.{n:02}"} for n in range(25)]
    fill(engine, [*rows, {"machine_id": "PC-x", "version": "1.24"}])

    lines = run().output.splitlines()

    versions = lines[lines.index("") :]
    assert sum(line.startswith("1.") for line in versions) == 20
    assert "… and 5 more versions on 5 machines" in versions


@pytest.mark.parametrize("columns", [60, 80])
def test_a_version_that_is_long_or_hostile_fits_the_screen(
    run, engine, monkeypatch, columns
):
    monkeypatch.setenv("COLUMNS", str(columns))
    rows = [("PC-1", "李" * 100), ("PC-2", "a\x1b[2Jb\nc\u202e")]
    fill(engine, [{"machine_id": name, "version": text} for name, text in rows])

    output = run().output

    assert all(text_width(line) <= columns for line in output.splitlines()[1:])
    assert "a\\x1b[2Jb\\nc\\u202e" in output
    assert output.replace("\n", "").isprintable()


@pytest.mark.parametrize("days", ["0", "-1", "366", "many", "1.5", "", "\udc80"])
def test_days_that_cannot_be_are_exit_code_2(run, operator, days):
    operator.enroll()

    result = run(f"--days={days}")

    assert (result.exit_code, result.stdout) == (2, "")
    assert "--days" in result.stderr


def test_where_there_is_no_database_none_is_begun(run, engine):
    result = run()

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"Error: {engine.says_absent}")
    assert not engine.exists()
