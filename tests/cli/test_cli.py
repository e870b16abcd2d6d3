"""``flask fleet list``: the fleet in a shell, whether or not the server runs."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lea_fleet.cli.terminal import text_width
from tests.support.api import OPERATOR_TOKEN

LEGACY = Path(__file__).parents[1] / "support" / "data" / "legacy.db"


@pytest.fixture
def run(app, monkeypatch):
    """Run ``flask fleet`` with these words; return the result."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return lambda *words, **options: app.test_cli_runner().invoke(
        args=["fleet", *words], **options
    )


@pytest.fixture
def legacy(database):
    database.parent.mkdir()
    shutil.copy(LEGACY, database)


def test_the_table(run, operator, the_clock):
    operator.enroll(
        "PC-1", user_name="Zoé Lefèvre", hostname="PC-COMPTA-01", version="1.3.1"
    )
    the_clock.advance(minutes=4)
    operator.enroll("PC-2")
    the_clock.advance(seconds=5)

    assert run("list").output == (
        "MACHINE  USER         HOSTNAME      VERSION  PRESENCE  LAST SEEN\n"
        "PC-2     -            -             -        online    5 s ago\n"
        "PC-1     Zoé Lefèvre  PC-COMPTA-01  1.3.1    offline   4 min ago\n"
        "\n"
        "2 machines: 2 active (1 online, 1 offline, 0 stale), 0 uninstalled\n"
    )


@pytest.mark.parametrize(
    ("status", "listed"),
    [
        ((), ["PC-1"]),
        (("--status", "active"), ["PC-1"]),
        (("--status", "uninstalled"), ["PC-2"]),
        (("--status", "all"), ["PC-1", "PC-2"]),
    ],
)
def test_the_status_asked_for_is_listed_and_everything_is_counted(
    run, operator, status, listed
):
    operator.enroll("PC-1")
    operator.enroll("PC-2")
    operator.uninstall("PC-2")

    lines = run("list", *status).output.splitlines()

    assert [line.split()[0] for line in lines[1:-2]] == listed
    assert lines[-1].startswith("2 machines: 1 active")
    printed = json.loads(run("list", "--json", *status).output)
    assert [agent["machine_id"] for agent in printed["agents"]] == listed


def test_json_is_what_the_api_says_in_ascii(run, operator, the_clock):
    operator.enroll("PC-1", user_name="李 明")

    result = run("list", "--json")

    assert result.output.isascii()
    fleet = operator.get("/fleet").json
    assert json.loads(result.output) == {
        "agents": fleet["active"],
        "active": fleet["active"],
        "uninstalled": [],
        "totals": fleet["totals"],
    }


def test_an_empty_fleet_is_counted_and_no_fault(begun, run):
    result = run("list")

    assert (result.exit_code, result.output) == (
        0,
        "0 machines: 0 active (0 online, 0 offline, 0 stale), 0 uninstalled\n",
    )


@pytest.mark.parametrize("columns", [80, 120])
def test_the_older_servers_fleet_fits_the_screen(run, legacy, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))

    heading, *lines = run("list", "--status", "all").output.splitlines()

    assert len(lines) == 12 + 2
    assert all(text_width(line) <= columns for line in [heading, *lines[:12]])
    # Aligned: each presence begins below its heading, wide characters and all.
    column = text_width(heading[: heading.index("PRESENCE")])
    for line in lines[:12]:
        presence = "uninstalled" if "uninstalled" in line else "stale"
        assert text_width(line[: line.index(presence)]) == column


def test_nothing_is_cut_where_there_is_room(run, legacy, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")

    output = run("list", "--status", "all").output

    assert "{9f2c4e03-77aa-4b1e-9d57-0a03c0ffee03}" in output
    assert "…" not in output


def test_what_a_machine_says_moves_no_cursor_and_hides_nothing(run, operator):
    operator.enroll("PC-1", user_name="a\x1b[2Jb\nc", hostname="\u202egpj.exe\x9b")

    result = run("list", env={"COLUMNS": "200"})

    assert "a\\x1b[2Jb\\nc" in result.output
    assert "\\u202egpj.exe\\x9b" in result.output
    assert len(result.output.splitlines()) == 4


def test_what_the_screens_encoding_lacks_is_escaped(app, operator, monkeypatch):
    operator.enroll("PC-1", user_name="Zoé 李")
    runner = app.test_cli_runner(charset="latin-1")

    result = runner.invoke(args=["fleet", "list"])

    assert result.exit_code == 0
    assert "Zoé \\u674e".encode("latin-1") in result.stdout_bytes


def test_only_what_is_unusual_has_a_color(run, operator, the_clock):
    operator.enroll("PC-stale")
    the_clock.advance(days=15)
    operator.enroll("PC-offline")
    the_clock.advance(hours=12)
    operator.enroll("PC-online", hostname="A")
    twins = operator.enroll("PC-twins", hostname="A")
    for hostname in ("B", "A"):
        twins.heartbeat(hostname=hostname)
    operator.enroll("PC-gone")
    operator.uninstall("PC-gone")

    lines = run("list", "--status", "all", color=True).stdout.splitlines()

    found = {re.search(r"PC-\w+", line)[0]: line for line in lines if "PC-" in line}
    colors = {name: re.findall(r"\x1b\[(3\d)m", line) for name, line in found.items()}
    assert colors == {
        "PC-stale": ["31"],
        "PC-offline": ["33"],
        "PC-online": [],
        "PC-twins": ["31"],
        "PC-gone": [],
    }


def test_colours_are_for_a_terminal_only(run, operator, the_clock, monkeypatch):
    operator.enroll("PC-1")
    the_clock.advance(hours=1)

    assert "\x1b[" not in run("list").output
    assert "\x1b[33m" in run("list", color=True).output
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[" not in run("list", color=True).output


def test_a_wrong_option_is_exit_code_2(run):
    result = run("list", "--status", "lost")

    assert result.exit_code == 2
    assert "'lost' is not one of" in result.stderr


def test_a_database_fault_is_one_line_and_exit_code_1(run, database):
    database.parent.mkdir()
    database.write_bytes(b"not a database" * 100)

    result = run("list")

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("Error: ") and result.stderr.count("\n") == 1
    assert str(database) in result.stderr


def test_a_fault_while_reading_is_one_line_too(run, engine, operator):
    operator.enroll("PC-1")
    engine.execute("DROP TABLE enrolled_agents")
    engine.execute("CREATE VIEW enrolled_agents AS SELECT 1 AS machine_id")

    result = run("list")

    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: {engine.says_unusable}")


def test_the_list_needs_the_setting_but_asks_for_no_credential(begun, app):
    assert app.config["RPA_API_TOKEN"] == OPERATOR_TOKEN
    assert app.test_cli_runner().invoke(args=["fleet", "list"], input="").exit_code == 0


def test_a_missing_setting_is_one_line_for_the_flask_command():
    environment = {k: v for k, v in os.environ.items() if not k.startswith("RPA_")}
    done = subprocess.run(
        [sys.executable, "-m", "flask", "--app", "lea_fleet", "fleet", "list"],
        capture_output=True,
        text=True,
        env=environment,
    )

    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("Error: RPA_API_TOKEN is not set.")
    assert done.stderr.count("\n") == 1


def test_a_database_that_was_moved_away_is_not_begun_anew_by_a_command(
    run, operator, engine
):
    agent = operator.enroll("PC-1")

    with engine.missing():
        result = run("list")
        assert not engine.exists()

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"Error: {engine.says_absent}")
    assert agent.heartbeat().status_code == 200
