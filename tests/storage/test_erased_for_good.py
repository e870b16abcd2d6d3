"""Erased data is in no file any more, or the command fails and says so."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing

import pytest

from lea_fleet.core.problems import DatabaseUnavailable
from lea_fleet.storage.sqlite import admin
from tests.storage.test_legacy import LEGACY, PEOPLE
from tests.support.engines import SqliteFile
from tests.support.older_server import OlderServer
from tests.support.server import running_server
from tests.support.traces import BOB, ZOE, traces

pytestmark = [
    pytest.mark.sqlite,
    pytest.mark.usefixtures("deletes_nothing_by_itself"),
]

LONG = {name: f"{value} {'é' * 200}" for name, value in ZOE.items()}


@pytest.fixture
def app(make_app):
    return make_app(LEA_FLEET_BUSY_TIMEOUT=0.2)


@pytest.fixture
def reader(database):
    """A connection that reads a snapshot until it is closed."""

    def begin():
        connection = sqlite3.connect(database, isolation_level=None)
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM enrolled_agents").fetchone()
        opened.append(connection)
        return connection

    opened = []
    yield begin
    for connection in opened:
        connection.close()


def test_without_secure_delete_it_would_stay(operator, database):
    nothing = ", ".join(f"{name} = NULL" for name in ZOE)
    operator.enroll("PC-1", **ZOE)
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute(f"UPDATE enrolled_agents SET {nothing}")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    assert traces(SqliteFile(database), *ZOE.values()) != []


def test_nothing_is_left_of_what_fills_pages(run, operator, database):
    for number in range(60):
        agent = operator.enroll(f"PC-{number}", **LONG)
        agent.heartbeat(**{name: f"{number}{value}" for name, value in LONG.items()})
        agent.heartbeat(**BOB)
    result = run("erase", "--user", LONG["user_email"], "--yes")
    assert result.exit_code == 0, result.output
    for number in range(60):
        run("erase", "--user", f"{number}{LONG['user_email']}", "--yes")

    assert traces(SqliteFile(database), *ZOE.values(), "éééé") == []


def test_what_the_server_writes_over_is_not_kept_either(operator, run, database):
    agent = operator.enroll("PC-1", **ZOE)
    agent.heartbeat(hostname="NOW")
    run("erase", "PC-1", "--yes")

    assert traces(SqliteFile(database), *ZOE.values(), "NOW") == []


def test_a_reader_of_before_keeps_the_log_and_the_command_says_so(
    run, operator, database, reader
):
    operator.enroll("PC-1", **ZOE)
    before = reader()
    failed = run("erase", "PC-1", "--yes")

    assert failed.exit_code == 1
    assert "is still in the WAL" in failed.stderr
    assert "Run the same command again" in failed.stderr
    assert traces(SqliteFile(database), *ZOE.values()) != []
    assert operator.machine()["user_name"] is None

    before.close()
    again = run("erase", "PC-1", "--yes")
    assert again.exit_code == 0
    assert again.stdout == "Nothing to erase. The WAL is empty.\n"
    assert traces(SqliteFile(database), *ZOE.values()) == []


def test_json_says_that_the_log_is_not_empty(run, operator, reader):
    operator.enroll("PC-1", **ZOE)
    reader()
    failed = run("erase", "PC-1", "--yes", "--json")

    assert failed.exit_code == 1
    assert json.loads(failed.stdout)["log_emptied"] is False


def test_a_person_of_whom_nothing_is_left_is_asked_for_again_to_empty_the_log(
    run, operator, database, reader
):
    operator.enroll("PC-1", **ZOE)
    before = reader()
    words = ("erase", "--user", ZOE["user_email"], "--yes")
    assert run(*words).exit_code == 1
    before.close()

    assert run(*words).exit_code == 0
    assert traces(SqliteFile(database), *ZOE.values()) == []


def test_a_file_that_cannot_be_written_anew_is_said(run, operator, monkeypatch):
    def fail(connection, path):
        raise DatabaseUnavailable("database or disk is full")

    monkeypatch.setattr(admin, "vacuum", fail)
    operator.enroll("PC-1", **ZOE)
    failed = run("erase", "PC-1", "--yes", "--vacuum", "--json")

    assert failed.exit_code == 1
    assert "could not be rewritten" in failed.stderr
    told = json.loads(failed.stdout)
    assert (told["log_emptied"], told["vacuumed"]) == (True, False)


def test_a_database_that_is_locked_is_one_line(run, operator, database):
    operator.enroll("PC-1", **ZOE)
    with closing(sqlite3.connect(database, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        failed = run("erase", "PC-1", "--yes")

    assert (failed.exit_code, failed.stdout) == (1, "")
    assert failed.stderr.startswith("Error: ") and failed.stderr.count("\n") == 1


def test_what_an_older_server_left_goes_only_when_the_file_is_written_anew(
    run, database
):
    database.parent.mkdir()
    shutil.copy(LEGACY, database)
    older = OlderServer(database)
    for machine_id in PEOPLE:
        older.uninstall(machine_id)
        older.enroll(machine_id, "X")
    names = PEOPLE.values()
    for machine_id in PEOPLE:
        assert run("erase", machine_id, "--yes").exit_code == 0
    assert traces(SqliteFile(database), *names) != []

    result = run("erase", "AIVA-PC-001", "--yes", "--vacuum", "--json")
    assert json.loads(result.stdout)["vacuumed"] is True
    assert traces(SqliteFile(database), *names) == []


def test_beside_a_server_that_runs(tmp_path, make_app):
    with running_server(tmp_path / "live", "-w", "2", "-k", "gthread") as server:
        agents = [server.operator.enroll(f"PC-{n}", **ZOE) for n in range(20)]
        for agent in agents:
            agent.heartbeat(**BOB)
        app = make_app(RPA_AGENTS_DB_PATH=str(server.database))
        erase = ["fleet", "erase", "--user", ZOE["user_email"], "--yes", "--json"]
        result = app.test_cli_runner().invoke(args=erase)

        assert result.exit_code == 0, result.output
        assert traces(SqliteFile(server.database), *ZOE.values()) == []
        assert server.database.with_name("rpa_data.db-wal").stat().st_size == 0
        assert {agent.heartbeat().status_code for agent in agents} == {200}
        assert server.operator.machine("PC-7")["user_name"] == BOB["user_name"]
