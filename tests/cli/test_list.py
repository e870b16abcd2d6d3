"""``flask fleet list`` with options: the filters, orders and formats of the API."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.fleets import fill, listed
from tests.support.processes import run_script

pytestmark = pytest.mark.usefixtures("begun")

ROWS = [
    {"machine_id": "PC-9", "user_name": "Zoé", "version": "1.9"},
    {"machine_id": "PC-10", "user_name": "=Émile", "version": "1.10"},
    {"machine_id": "PC-11", "hostname": "ZOÉ-PC", "status": "uninstalled"},
]


@pytest.fixture
def run(app, operator, engine):
    fill(engine, ROWS)
    return lambda *words: app.test_cli_runner().invoke(args=["fleet", "list", *words])


@pytest.mark.parametrize(
    ("options", "parameters"),
    [
        ([], {"status": "active"}),
        (["--status", "all"], {}),
        (["--status", "all", "-q", "zoé"], {"q": "zoé"}),
        (["--search", "ÉMILE"], {"q": "ÉMILE"}),
        (["--version", "1.9"], {"version": "1.9"}),
        (["--presence", "online"], {"presence": "online"}),
        (
            ["--presence", "stale", "--presence", "offline"],
            {"presence": "stale,offline", "status": "active"},
        ),
        (["--silent-for", "7d"], {"silent_for": "7d", "status": "active"}),
        (["--sort", "machine_id"], {"sort": "machine_id", "status": "active"}),
        (["--sort", "-version", "--status", "all"], {"sort": "-version"}),
        (["--status", "all", "--limit", "2"], {"limit": 2}),
    ],
    ids=str,
)
def test_each_option_is_a_parameter_of_the_api(run, operator, options, parameters):
    printed = json.loads(run("--json", *options).output)["agents"]

    fleet = operator.get("/fleet", query_string=parameters).json
    assert [agent["machine_id"] for agent in printed] == listed(fleet)
    assert printed == fleet["active"] + fleet["uninstalled"]


def test_the_totals_are_of_all_that_fit_whatever_their_status(run):
    last = run("-q", "zoé", "--limit", "1").output.splitlines()[-1]

    assert last.startswith("2 machines: 1 active") and last.endswith("1 uninstalled")


@pytest.mark.parametrize(
    ("option", "query"),
    [("--csv", "format=csv"), ("--semicolon", "format=csv&delimiter=semicolon")],
)
def test_csv_is_that_of_the_api_byte_for_byte(run, operator, option, query):
    result = run("--status", "all", option)

    assert result.exit_code == 0
    assert result.stdout_bytes == operator.get(f"/fleet?{query}").data
    assert "'=Émile".encode() in result.stdout_bytes


@pytest.mark.parametrize("more", [[], ["--watch"]], ids=["once", "watched"])
def test_uninstalled_machines_are_listed_with_date_and_reason(
    run, operator, monkeypatch, the_clock, more
):
    operator.enroll("PC-20", user_name="Zoé", version="2")
    operator.enroll("PC-21")
    operator.uninstall("PC-20", reason="sold\x1b[2J, to Lyon")
    operator.uninstall("PC-21")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(
        "lea_fleet.cli.list_command.watch",
        lambda frame, interval: print(*frame(24), sep="\n"),
    )

    lines = run("--status", "uninstalled", "-q", "PC-2", *more).stdout.splitlines()

    assert lines[:3] == [
        "MACHINE  USER  HOSTNAME  VERSION  UNINSTALLED          REASON",
        "PC-21    -     -         -        2026-03-02 08:00:00  -",
        "PC-20    Zoé   -         2        2026-03-02 08:00:00  sold\\x1b[2J, to Lyon",
    ]
    assert "REASON" not in run("--status", "all").stdout


def test_a_machine_that_an_older_server_uninstalled_has_no_date(run):
    line = run("--status", "uninstalled").stdout.splitlines()[1]

    assert line.split() == ["PC-11", "-", "ZOÉ-PC", "-", "-", "-"]


def test_csv_may_be_narrowed_too(run):
    assert run("--csv", "-q", "pc-9").stdout_bytes.count(b"\r\n") == 2


@pytest.mark.parametrize(
    "options",
    [
        ["--sort", "id"],
        ["--silent-for", "14"],
        ["--silent-for", "never"],
        ["--presence", "lost"],
        ["--limit", "0"],
        ["--search", " "],
        ["--search", "\udc80"],
        ["--json", "--csv"],
        ["--json", "--semicolon"],
    ],
    ids=str,
)
def test_a_wrong_option_is_exit_code_2(run, options):
    result = run(*options)

    assert (result.exit_code, result.stdout) == (2, "")


def test_csv_that_cannot_be_written_is_one_line_and_exit_code_1(run, monkeypatch):
    def copy(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copyfileobj", copy)
    result = run("--csv")

    assert result.exit_code == 1
    assert result.stderr == (
        "Error: The output cannot be written: No space left on device.\n"
    )


@pytest.mark.parametrize("words", ["list", "list --csv", "enroll PC-1"])
def test_a_closed_output_is_one_line_and_exit_code_1(engine, words):
    """click would print nothing, and a token would be lost without a word."""
    script = f'"$0" -m flask --app lea_fleet fleet {words} >&-'
    result = run_script(engine, script)

    assert result.returncode == 1
    assert result.stderr.splitlines()[-1] == (
        "Error: The output cannot be written: it is closed."
    )


def test_no_csv_of_a_database_that_is_none(app, database):
    app.extensions["lea_fleet"].store.close_idle()
    Path(database).write_bytes(b"not a database" * 100)

    result = app.test_cli_runner().invoke(args=["fleet", "list", "--csv"])

    assert (result.exit_code, result.stdout) == (1, "")
    assert str(database) in result.stderr
