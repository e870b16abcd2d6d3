"""A database whose path is, or goes through, a symbolic link.

SQLite keeps the WAL beside the file that a link leads to, and so all that holds of a
path without links has to be looked up there.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing

import pytest

from lea_fleet.storage.sqlite.files import is_part_of
from lea_fleet.storage.sqlite import connections, files
from tests.cli.doctor.calling import call
from tests.storage.test_connections import is_sound, machines, operator_of
from tests.support.api import assert_problem
from tests.support.engines import SqliteFile

pytestmark = pytest.mark.sqlite


@pytest.fixture
def file(tmp_path):
    """The file that the link leads to; nothing is there yet."""
    (tmp_path / "disk").mkdir()
    return tmp_path / "disk" / "real.db"


@pytest.fixture(params=["link", "relative link", "link to a link", "linked folder"])
def link(request, file, tmp_path):
    """The configured path."""
    folder = tmp_path / "data"
    if request.param == "linked folder":
        folder.symlink_to(file.parent)
        return folder / file.name
    folder.mkdir()
    link = folder / "rpa_data.db"
    if request.param == "link to a link":
        (tmp_path / "between").symlink_to(file)
        link.symlink_to("../between")
    elif request.param == "relative link":
        link.symlink_to("../disk/real.db")
    else:
        link.symlink_to(file)
    return link


@pytest.fixture
def engine(link):
    return SqliteFile(link)


@pytest.fixture
def turn(database, file):
    """Let the link lead to another path, as ``ln -sfn`` and ``mv -T`` do."""

    def turn(target):
        link = database if database.is_symlink() else database.parent
        new = link.with_name("turned")
        new.symlink_to(target if link == database else target.parent)
        os.replace(new, link)

    return turn


@pytest.fixture
def other(make_app, tmp_path, file):
    """A closed database with one machine, PC-OTHER, in a folder of its own."""
    (tmp_path / "other").mkdir()
    path = tmp_path / "other" / file.name
    app = make_app(RPA_AGENTS_DB_PATH=path)
    operator_of(app).enroll("PC-OTHER")
    app.extensions["lea_fleet"].store.close_idle()
    return path


def wal_of(path):
    return path.with_name(f"{path.name}-wal")


def test_the_files_are_where_the_link_leads(operator, file):
    operator.enroll("PC-1")

    names = {path.name for path in file.parent.iterdir()}
    assert names == {"real.db", "real.db-wal", "real.db-shm"}


def test_a_wal_that_is_removed_is_noticed(operator, file):
    operator.enroll("PC-1")
    os.unlink(wal_of(file))

    problem = assert_problem(operator.get("/fleet"), 503, "database_unavailable")

    assert str(wal_of(file)) in problem["detail"]


def test_what_is_in_a_wal_that_is_removed_with_its_index_is_saved(operator, file):
    operator.enroll("PC-1")
    os.unlink(wal_of(file))
    os.unlink(f"{file}-shm")

    assert machines(operator) == ["PC-1"]
    operator.enroll("PC-2")
    operator.client.application.extensions["lea_fleet"].store.close_idle()

    with closing(sqlite3.connect(file)) as alone:
        rows = alone.execute("SELECT count(*) FROM enrolled_agents")
        assert rows.fetchone() == (2,)


def test_a_wal_without_its_database_is_kept(operator, elsewhere, file, tmp_path):
    operator.enroll("PC-1")
    os.rename(file, tmp_path / "away.db")

    for api in (operator, elsewhere):
        problem = assert_problem(api.get("/fleet"), 503, "database_unavailable")
        assert str(file) in problem["detail"]

    assert not file.exists()
    os.rename(tmp_path / "away.db", file)
    assert machines(operator) == machines(elsewhere) == ["PC-1"]


def test_a_dry_run_reports_a_wal_without_its_database(run, operator, app, file):
    operator.enroll("PC-1")
    os.rename(file, file.with_name("away.db"))

    result = run("import", "-", "--dry-run", input="machine_id\nPC-2\n")

    assert result.exit_code == 1 and wal_of(file).exists() and not file.exists()


def test_the_wal_of_one_file_is_not_read_into_another(operator, file, other):
    operator.enroll("PC-1")
    before = other.read_bytes()

    os.replace(other, file)

    problem = assert_problem(operator.get("/fleet"), 503, "database_unavailable")
    assert str(wal_of(file)) in problem["detail"]
    assert file.read_bytes() == before


def test_a_link_that_is_turned_leads_to_the_other_file(operator, file, other, turn):
    operator.enroll("PC-1")

    turn(other)
    assert machines(operator) == ["PC-OTHER"]
    operator.enroll("PC-2")
    turn(file)
    assert machines(operator) == ["PC-1"]
    operator.enroll("PC-3")
    turn(other)

    assert machines(operator) == ["PC-2", "PC-OTHER"]
    assert is_sound(file) and is_sound(other)
    with closing(sqlite3.connect(file)) as alone:
        rows = alone.execute("SELECT machine_id FROM enrolled_agents ORDER BY 1")
        assert rows.fetchall() == [("PC-1",), ("PC-3",)]


def test_a_wal_is_noticed_where_the_link_leads_now(operator, other, turn):
    operator.enroll("PC-1")
    turn(other)
    operator.enroll("PC-2")

    os.unlink(wal_of(other))

    problem = assert_problem(operator.get("/fleet"), 503, "database_unavailable")
    assert str(wal_of(other)) in problem["detail"]


def test_a_link_that_leads_nowhere_begins_no_database(operator, file, turn, tmp_path):
    operator.enroll("PC-1")
    (tmp_path / "nowhere").mkdir()
    nowhere = tmp_path / "nowhere" / file.name

    turn(nowhere)
    problem = assert_problem(operator.get("/fleet"), 503, "database_unavailable")
    turn(file)

    assert str(nowhere) in problem["detail"] and not nowhere.exists()
    assert machines(operator) == ["PC-1"]


def test_what_is_written_while_the_link_is_turned_is_not_acknowledged(
    operator, other, turn, before_writing
):
    operator.enroll("PC-1")
    before_writing(lambda: turn(other))

    response = operator.post("/enroll", {"machine_id": "PC-2"})

    assert_problem(response, 503, "database_unavailable", "retry")
    assert machines(operator) == ["PC-OTHER"]


@pytest.mark.parametrize("end", ["", "-wal", "-shm"])
def test_no_command_writes_into_the_file_that_the_link_leads_to(
    operator, database, file, end
):
    operator.enroll("PC-1")

    assert is_part_of(file.with_name(file.name + end), database)
    assert is_part_of(database, database)
    assert not is_part_of(file.with_name("real.db-copy"), database)


def test_the_doctor_looks_where_the_link_leads(app, operator, file):
    operator.enroll("PC-1")
    os.chmod(file, 0o600)
    os.chmod(wal_of(file), 0o600)
    found = call(app)
    assert str(file) in found["file"]["detail"]
    assert "no WAL" not in found["log_size"]["detail"]


def test_a_fresh_heartbeat_follows_no_link_and_takes_three_stat_calls(
    operator, monkeypatch
):
    agent = operator.enroll("PC-1")
    assert agent.heartbeat().status_code == 200
    asked, stat = [], os.stat
    monkeypatch.setattr(
        files.os, "stat", lambda *a, **k: asked.append(a) or stat(*a, **k)
    )
    monkeypatch.setattr(connections, "place_of", lambda path: pytest.fail("followed"))

    assert agent.heartbeat().status_code == 200

    assert len(asked) == 3
