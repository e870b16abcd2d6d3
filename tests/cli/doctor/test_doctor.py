"""``flask fleet doctor``: what it says, that it changes nothing, and never fails."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from docutils import nodes

from lea_fleet.storage.postgresql.checks import engine_checks
from tests.support import docs
from tests.cli.doctor.calling import (
    STRONG_TOKEN,
    call,
    connected,
    crash,
    troubles,
    unchecked,
)
from tests.support.fleets import fill, make_fleet
from tests.support.server import running_server

LEGACY = Path(__file__).parents[2] / "support" / "data" / "legacy.db"

#: Those of the database, by engine, and all others.
ENGINES = {
    "sqlite": [
        "file",
        "permissions",
        "log_owner",
        "log_removed",
        "log_size",
        "free_space",
        "file_system",
        "temporary_folder",
        "opening",
        "integrity",
        "wal_mode",
        "sqlite",
        "tables",
        "triggers",
        "search",
        "move",
        "write_lock",
    ],
    "postgresql": [*engine_checks(None, quick=True)],
}
CHECKS = {
    "database": ["clock"],
    "settings": [
        "values",
        "environment",
        "api_token",
        "metrics_token",
        "issue",
        "stale_after",
        "reenrolment",
        "enrollment_tokens",
    ],
    "fleet": [
        "machines",
        "pending",
        "offline",
        "stale",
        "clones",
        "lookalikes",
        "blocked",
        "muted",
        "retiring",
        "duplicates",
        "details",
        "tokens",
        "refused",
        "alerts",
    ],
}


@pytest.fixture
def checks(engine):
    """The names of all checks, by group."""
    return {**CHECKS, "database": ENGINES[engine.name] + CHECKS["database"]}


@pytest.mark.parametrize("running", [True, False])
def test_all_is_well_with_a_new_install(app, operator, stop, checks, running):
    operator.enroll("PC-1").heartbeat()
    if not running:
        stop()

    result = app.test_cli_runner().invoke(args=["fleet", "doctor", "--json"])

    answer = json.loads(result.output)
    assert (result.exit_code, answer["status"]) == (0, "ok")
    found = {group: [] for group in checks}
    for check in answer["checks"]:
        assert check.keys() == {"group", "check", "level", "detail", "action"}
        assert (check["level"], check["action"]) == ("ok", "")
        assert check["detail"]
        found[check["group"]].append(check["check"])
    assert found == checks


# What there may be in the place of the database


def the_running_server(operator, database):
    operator.enroll("PC-2")


def a_stopped_server(operator, database):
    pass


def a_crashed_server(operator, database):
    crash(database)


def a_log_without_its_shm(operator, database):
    crash(database)
    os.unlink(f"{database}-shm")


def an_empty_file_with_a_log(operator, database):
    crash(database)
    database.write_bytes(b"")


def a_log_alone(operator, database):
    crash(database)
    database.unlink()


def an_older_servers_file(operator, database):
    shutil.copy(LEGACY, database)


def an_older_server_that_is_writing(operator, database):
    """Killed while it wrote: the journal has to be rolled back."""
    shutil.copy(LEGACY, database)
    with connected(database) as older:
        older.execute("PRAGMA journal_mode = DELETE")
        older.execute("PRAGMA cache_size = 1")
        older.execute("BEGIN IMMEDIATE")
        older.execute("CREATE TABLE big AS SELECT randomblob(100000) AS x")
        older.execute("UPDATE enrolled_agents SET version = 'half'")
        shutil.copy(f"{database}-journal", f"{database}.journal")
        shutil.copy(database, f"{database}.half")
    shutil.move(f"{database}.half", database)
    shutil.move(f"{database}.journal", f"{database}-journal")


def an_empty_file(operator, database):
    database.write_bytes(b"")


def text(operator, database):
    database.write_text("These are notes, and no database.\n" * 100)


def a_folder(operator, database):
    database.unlink()
    database.mkdir()


def nothing(operator, database):
    database.unlink()


def no_folder(operator, database):
    database.unlink()
    database.parent.rmdir()


def a_link_to_itself(operator, database):
    database.unlink()
    database.symlink_to(database)


STATES = {
    the_running_server: {},
    a_stopped_server: {},
    a_crashed_server: {},
    a_log_without_its_shm: {"opening": "warning"},
    an_empty_file_with_a_log: {"opening": "warning"},
    a_log_alone: {"file": "fault"},
    an_older_servers_file: {},
    an_older_server_that_is_writing: {"opening": "warning"},
    an_empty_file: {},
    text: {"opening": "fault"},
    a_folder: {"file": "fault"},
    nothing: {"file": "fault"},
    no_folder: {"file": "warning"},
    a_link_to_itself: {"file": "fault"},
}


def everything(folder):
    """Return what is below *folder*, and when it was last written.

    Of a -shm that it is there: a reader notes in it that it reads.
    """
    found = {}
    for path in sorted(folder.rglob("*")):
        shared = path.name.endswith("-shm")
        status = None if shared else (path.lstat().st_mtime_ns, path.lstat().st_ino)
        content = path.read_bytes() if path.is_file() and not shared else None
        found[path] = (status, content)
    return found


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_nothing_is_made_or_changed_and_what_is_wrong_is_told(
    app, fleet, operator, database, tmp_path, state
):
    state(operator, database)
    before = everything(tmp_path)

    found = call(app)

    assert everything(tmp_path) == before
    told = troubles(found)
    assert {name: told.get(name) for name in STATES[state]} == STATES[state]
    assert bool(unchecked(found)) is bool(STATES[state])
    if not STATES[state]:
        assert told == {}


def test_the_missing_database_is_told_once_and_the_rest_still_checked(app, database):
    found = call(app)

    assert found["file"]["detail"] == f"{database} does not exist, nor does its folder"
    assert found["integrity"]["detail"] == "not checked: there is no database"
    assert found["api_token"]["level"] == found["free_space"]["level"] == "ok"


@pytest.mark.parametrize("seed", range(20))
def test_a_file_that_is_broken_anywhere_is_told_without_a_traceback(
    app, operator, stop, database, seed
):
    for number in range(40):
        operator.enroll(f"PC-{number}", user_name="x" * 200)
    stop()
    chance = random.Random(seed)
    content = bytearray(database.read_bytes())
    for _ in range(20):
        start = chance.randrange(100, len(content) - 400)
        content[start : start + 400] = chance.randbytes(400)
    database.write_bytes(content)

    assert "fault" in troubles(call(app)).values()


@pytest.mark.parametrize("place", range(0, 100, 4))
@pytest.mark.parametrize("filler", [b"\xff", b"\0"], ids=["ones", "zeros"])
def test_a_header_that_is_broken_is_no_traceback_either(
    app, fleet, database, checks, place, filler
):
    with database.open("r+b") as file:
        file.seek(place)
        file.write(4 * filler)
    before = everything(database.parent)

    assert set(call(app)) == {name for names in checks.values() for name in names}
    assert everything(database.parent) == before


@pytest.mark.sqlite
def test_a_place_where_none_can_be_made_is_a_fault(make_app, tmp_path):
    (tmp_path / "file").write_text("")
    app = make_app(RPA_AGENTS_DB_PATH=tmp_path / "file" / "rpa_data.db")

    found = call(app)["file"]

    assert found["level"] == "fault" and "cannot be made" in found["detail"]
    assert "RPA_AGENTS_DB_PATH" in found["action"]


def test_heartbeats_go_on_beside_it(tmp_path):
    """None is refused, with a server that waits for the lock for half a second."""
    database = tmp_path / "rpa_data.db"
    make_fleet(database, 3000, os_info="x" * 255)
    with running_server(tmp_path, LEA_FLEET_BUSY_TIMEOUT="1s") as server:
        agent = server.operator.enroll("PC-new")
        files = sorted(tmp_path.glob("rpa_data.db*"))
        command = [sys.executable, "-m", "flask", "--app", "lea_fleet", "fleet"]
        with subprocess.Popen(
            [*command, "doctor"], env=server.environment, stdout=subprocess.PIPE
        ) as doctor:
            answers = []
            while doctor.poll() is None:
                version = str(len(answers))  # something new, so that it is written
                answers.append(agent.heartbeat(version=version).status_code)
            output = doctor.stdout.read()

        assert b"3001 active" in output and b"write_lock: free" in output
        assert len(answers) > 10 and set(answers) == {200}
        assert sorted(tmp_path.glob("rpa_data.db*")) == files


# What is printed


def test_a_line_for_each_check_with_what_to_do(make_app, operator, fleet, checks):
    app = make_app(RPA_API_TOKEN="change-me")

    result = app.test_cli_runner().invoke(args=["fleet", "doctor"])

    assert result.exit_code == 2
    well = sum(map(len, checks.values())) - 1
    first, *lines = result.output.splitlines()
    assert first == f"fault: api_token; ok: {well}"
    headings = [line for line in lines if line in checks]
    assert headings == list(checks)
    told = [line for line in lines if line and line not in checks]
    assert [line.split("  ", 1)[0].strip() for line in told].count("ok") == well
    (weak,) = [line for line in told if line.startswith("fault")]
    assert weak.startswith("fault    api_token: RPA_API_TOKEN is weak")
    assert "Make a new one: python3 -c" in weak
    assert "change-me" not in result.output


def test_colours_are_for_a_terminal_only(make_app, fleet, monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    run = make_app(RPA_API_TOKEN=STRONG_TOKEN[:19]).test_cli_runner().invoke

    assert "\x1b[" not in run(args=["fleet", "doctor"]).output
    colored = run(args=["fleet", "doctor"], color=True).output
    assert "\x1b[33mwarning" in colored
    assert "\nok" in colored


def test_what_comes_from_the_database_moves_no_cursor(app, engine):
    fill(engine, [{"machine_id": "a\x1b[2J\nb"}])

    result = app.test_cli_runner().invoke(args=["fleet", "doctor"])

    assert "a\\x1b[2J\\nb" in result.output
    assert "\x1b" not in result.output


def test_each_check_is_described_in_the_guide():
    part = docs.section(docs.parse(docs.OPERATIONS), "Health check (doctor)")
    terms = ", ".join(term.astext() for term in part.findall(nodes.term))

    shared, *others = CHECKS.values()
    databases = [name for names in ENGINES.values() for name in (*names, *shared)]
    named = databases + [name for names in others for name in names]
    assert terms.split(", ") == named
