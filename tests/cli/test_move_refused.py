"""What stops a move: one line says why, and the fleet stays where it is, in use."""

from __future__ import annotations

import pytest

from lea_fleet.storage import move
from lea_fleet.storage.postgresql import connections
from lea_fleet.storage.postgresql.move_target import PostgresqlTarget
from lea_fleet.storage.sqlite.move_target import SqliteTarget
from tests.support.engines import PostgresqlSchema, SqliteFile
from tests.support.fleets import make_fleet
from tests.support.moves import (
    application,
    fill_all_tables,
    moved,
    refused,
    rows_of,
    run_move,
    takes_writes,
)
from tests.support.postgresql import (
    Server,
    new_database,
    new_database_on_small_disk,
    new_role,
)


@pytest.fixture
def source(sqlite_file):
    fill_all_tables(sqlite_file, 3)
    return sqlite_file


def assert_nothing_has_changed(here, before):
    assert rows_of(here) == before
    assert takes_writes(here)
    assert here.notes() == []


# The target


@pytest.fixture
def full_server(postgresql_server):
    """A database on a small disk, of a server whose other databases nobody needs.

    Any of its processes may have to write what is in memory of a full disk.
    """
    with Server() as server:
        server.start()
        with new_database_on_small_disk(server.url("")) as url:
            yield PostgresqlSchema(url, "public")


def test_a_full_disk_of_postgresql(sqlite_file, full_server):
    make_fleet(sqlite_file.path, 10_000, os_info="x" * 500)
    before = rows_of(sqlite_file)

    error = refused(sqlite_file, full_server)

    assert "No space left on device" in error
    assert_nothing_has_changed(sqlite_file, before)


def test_a_full_disk_of_the_file(postgresql_schema, small_disk):
    fill_all_tables(postgresql_schema, 400)
    before = rows_of(postgresql_schema)
    (small_disk / "other").write_bytes(bytes(15 * 2**20))
    there = SqliteFile(small_disk / "back.db")

    error = refused(postgresql_schema, there)

    assert "full" in error
    assert_nothing_has_changed(postgresql_schema, before)
    assert [path.name for path in small_disk.iterdir()] == ["other"]
    (small_disk / "other").unlink()
    moved(postgresql_schema, there)


def test_a_target_that_cannot_be_reached(source, postgresql_schema):
    before = rows_of(source)
    for to, reason in {
        "postgresql://nobody@127.0.0.1:1/none": "127.0.0.1",
        postgresql_schema.address + "_is_missing": "does not exist",
    }.items():
        assert reason in refused(source, postgresql_schema, to=to)

    assert_nothing_has_changed(source, before)


@pytest.mark.parametrize(
    ("to", "reason"),
    [
        ("postgresql://lea@db:port/rpa", "--to is not valid: its port is not a number"),
        ("mysql://lea@db/rpa", "must begin with postgresql://"),
        ("postgresql://lea@db/rpa?nothing=1", "--to is not valid"),
    ],
)
def test_a_url_that_is_wrong(source, postgresql_schema, to, reason):
    result = run_move(source, postgresql_schema, to=to)

    assert result.exit_code in (1, 2)
    assert reason in result.stderr
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    "to",
    [
        "postgresql://lea:geheim@127.0.0.1:1/rpa",
        "postgresql://lea@127.0.0.1:1/rpa?password=geheim",
        "postgres://:geheim@127.0.0.1:1",
        " postgresql://lea:geheim@127.0.0.1:1/rpa",
        "postgresql://lea@127.0.0.1:1/rpa?sslpassword=geheim",
    ],
)
def test_a_password_on_the_command_line_is_refused_and_not_repeated(
    source, postgresql_schema, to
):
    result = run_move(source, postgresql_schema, to=to)

    assert result.exit_code == 2
    assert "must not contain a password" in result.stderr
    assert "geheim" not in result.output


def test_a_password_in_the_environment_is_used_and_not_shown(
    source, postgresql_schema, postgresql_admin, monkeypatch
):
    with new_role(postgresql_admin, postgresql_schema.address) as (name, url):
        postgresql_admin.execute(f"GRANT CREATE ON DATABASE postgres TO {name}")
        monkeypatch.setenv("LEA_FLEET_MOVE_TO", url)
        assert "geheim" in url
        with application(source, postgresql_schema) as app:
            words = ["fleet", "move", "--look-after", "1s"]
            result = app.test_cli_runner().invoke(args=words)

        assert result.exit_code == 0, result.output
        assert "geheim" not in result.output
        assert rows_of(postgresql_schema) == rows_of(source)
        owner = "SELECT DISTINCT tableowner FROM pg_tables WHERE tableowner = ?"
        assert postgresql_schema.execute(owner, name) == [(name,)]


def test_a_role_that_may_not_create_tables(source, postgresql_schema, postgresql_admin):
    before = rows_of(source)
    with new_role(postgresql_admin, postgresql_schema.address) as (_, url):
        url = url.replace(":geheim", "")  # it is trusted
        tried = refused(source, postgresql_schema, "--dry-run", to=url)
        error = refused(source, postgresql_schema, to=url)

    assert "may not create tables" in tried
    assert "permission denied" in error
    assert_nothing_has_changed(source, before)


def test_a_role_that_does_not_own_the_tables(
    source, postgresql_schema, postgresql_admin
):
    """But may use them, as an administrator has made them for it."""
    postgresql_schema.make_tables()
    before = rows_of(source)
    with new_role(postgresql_admin, postgresql_schema.address) as (name, url):
        schema = postgresql_schema.settings["LEA_FLEET_DATABASE_SCHEMA"]
        for what in ("SCHEMA", "ALL TABLES IN SCHEMA"):
            postgresql_admin.execute(f"GRANT ALL ON {what} {schema} TO {name}")
        url = url.replace(":geheim", "")
        tried = refused(source, postgresql_schema, "--dry-run", to=url)

    assert "needs the role that owns the tables" in tried
    assert_nothing_has_changed(source, before)


def test_a_server_that_is_too_old(source, postgresql_schema, monkeypatch):
    before = rows_of(source)
    monkeypatch.setattr(connections, "OLDEST", 99)

    assert "lea_fleet needs 99" in refused(source, postgresql_schema)

    assert_nothing_has_changed(source, before)


def test_a_database_in_another_encoding(source, postgresql_server):
    before = rows_of(source)
    with new_database(postgresql_server, "ENCODING 'SQL_ASCII'") as url:
        there = PostgresqlSchema(url, "public")

        assert "needs UTF8" in refused(source, there)

    assert_nothing_has_changed(source, before)


@pytest.mark.parametrize("kind", ["file", "folder", "link", "dead link"])
def test_a_path_where_something_is_already(postgresql_schema, tmp_path, kind):
    fill_all_tables(postgresql_schema, 3)
    before = rows_of(postgresql_schema)
    there = SqliteFile(tmp_path / "back.db")
    (tmp_path / "other").write_text("other")
    if kind == "file":
        there.path.write_text("other")
    elif kind == "folder":
        there.path.mkdir()
    else:
        there.path.symlink_to("other" if kind == "link" else "missing")
    found = sorted(tmp_path.iterdir())

    error = refused(postgresql_schema, there)

    assert "already exists" in error or "cannot be used" in error
    assert sorted(tmp_path.iterdir()) == found
    assert (tmp_path / "other").read_text() == "other"
    assert_nothing_has_changed(postgresql_schema, before)


@pytest.mark.parametrize("words", [[], ["--dry-run"]])
def test_a_folder_that_does_not_exist(postgresql_schema, tmp_path, words):
    fill_all_tables(postgresql_schema, 3)
    there = SqliteFile(tmp_path / "missing" / "back.db")

    assert "missing does not exist" in refused(postgresql_schema, there, *words)


# The source


def test_a_source_that_does_not_exist(sides):
    assert "There is no" in refused(*sides)
    assert not sides[0].exists() and not sides[1].exists()


@pytest.mark.parametrize("path", [":memory:", "file:back.db", " "])
def test_a_path_that_is_no_setting_of_a_server(postgresql_schema, path):
    fill_all_tables(postgresql_schema, 3)
    result = run_move(postgresql_schema, postgresql_schema, to=path)

    assert result.exit_code == 2
    assert "--to must be" in result.stderr


@pytest.mark.parametrize("words", [["--dry-run"], ["--undo"], ["--again"], []])
def test_a_move_to_the_same_engine(source, tmp_path, words):
    result = run_move(source, SqliteFile(tmp_path / "other.db"), *words)

    assert result.exit_code == 2
    assert "from a file to PostgreSQL or from there to a file" in result.stderr


def test_a_connection_pooler(sides):
    """Neither side may be behind one: what a move sets for its session must last."""
    here, there = sides
    fill_all_tables(here, 3)

    result = run_move(here, there, LEA_FLEET_DATABASE_POOLED=True)

    assert result.exit_code == 2
    assert "A move needs a connection of its own" in result.stderr


def test_two_moves_at_once(sides, monkeypatch):
    """Neither of one fleet nor into one database."""
    here, there = sides
    fill_all_tables(here, 3)
    is_file = isinstance(there, SqliteFile)
    target = SqliteTarget if is_file else PostgresqlTarget
    begin, errors = target.begin, []

    def during(side, mark):
        monkeypatch.setattr(target, "begin", begin)
        begin(side, mark)
        errors.append(refused(here, there))

    monkeypatch.setattr(target, "begin", during)
    moved(here, there)

    assert len(errors) == 1
    assert "Another move of" in errors[0]


# The lock


def test_a_lock_that_would_be_too_long(sides, monkeypatch):
    here, there = sides
    fill_all_tables(here, 3)
    before = rows_of(here)
    with monkeypatch.context() as patch:
        patch.setattr(move, "LONGEST_LOCK", 0.0)

        assert "under a lock; it may be held for 0" in refused(here, there)

    assert_nothing_has_changed(here, before)
    moved(here, there)


def test_a_writer_that_does_not_end(sides):
    here, there = sides
    fill_all_tables(here, 3)
    before = rows_of(here)
    with here.being_written():
        error = refused(here, there, LEA_FLEET_BUSY_TIMEOUT="0.2s")

    assert "writing to" in error or "is busy" in error
    assert_nothing_has_changed(here, before)
