"""Connections to a SQLite file; what holds on PostgreSQL too is in test_stores.py.

None is used when the file at the path is another one. A database that cannot be used
gives a 503 that names the path, to operators only, and one line in the shell.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest
from flask import Flask, send_file

from lea_fleet import create_app
from lea_fleet.app.signals import agent_enrolled
from lea_fleet.storage.sqlite import connection as one_connection
from lea_fleet.storage.sqlite import connections, opening
from tests.support.api import OPERATOR_TOKEN, Api, assert_problem
from tests.support.fleets import fill, get_db
from tests.support.processes import beside, in_processes, open_descriptors

pytestmark = pytest.mark.sqlite

NOBODY = 65534


def connection_of(app):
    """Return the connection of an application context that has ended."""
    with app.app_context():
        return get_db()


def is_open(connection):
    try:
        connection.total_changes  # sends SQLite no statement
    except sqlite3.ProgrammingError:
        return False
    return True


def operator_of(app):
    return Api(app.test_client(), OPERATOR_TOKEN)


def machines(api):
    response = api.get("/fleet")
    assert response.status_code == 200, response.text
    return sorted(agent["machine_id"] for agent in response.json["active"])


def is_sound(database):
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@contextmanager
def write_lock(database):
    """Hold the write lock in another connection."""
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


# From opening to closing

NOTHING_IS_OPENED = """
import os, sys
from pathlib import Path

opened = []
sys.addaudithook(
    lambda event, args: event == "sqlite3.connect" and opened.append(args[0])
)

from lea_fleet import create_app

def status(token):
    headers = {"Authorization": f"Bearer {token}"}
    return client.get("/api/v1/agents/fleet", headers=headers).status_code

folder = Path(os.environ["RPA_AGENTS_DB_PATH"]).parent
client = create_app().test_client()
assert status("unknown") == 401
assert not opened and not folder.exists(), opened
assert status(os.environ["RPA_API_TOKEN"]) == 200
assert opened and folder.exists()
"""


def test_nothing_is_opened_or_made_at_import_or_by_the_factory(database):
    settings = {"RPA_API_TOKEN": OPERATOR_TOKEN, "RPA_AGENTS_DB_PATH": str(database)}
    subprocess.run(
        [sys.executable, "-c", NOTHING_IS_OPENED],
        env={**os.environ, **settings},
        check=True,
    )


@pytest.mark.parametrize("name", ["50%25 done?.db", "a#b&mode=ro.db", "é ü.db"])
def test_the_name_of_the_file_may_be_any(make_app, tmp_path, name):
    operator = operator_of(make_app(RPA_AGENTS_DB_PATH=tmp_path / name))

    operator.enroll("PC-1")

    made = {path.name for path in tmp_path.iterdir()}
    assert made == {name, f"{name}-wal", f"{name}-shm"}


# After a fork


def test_a_child_that_was_forked_in_a_context_writes_to_no_lost_log(app, operator):
    """Connections in use are inherited, and the parent's last close deletes the WAL."""
    operator.enroll("PC-1")

    def child(ready, over):
        operator.enroll("PC-2")
        ready.set()
        over.wait()
        response = operator.post("/enroll", {"machine_id": "PC-3"})
        assert_problem(response, 503, "database_unavailable", "retry")

    with ExitStack() as parent:
        parent.enter_context(app.app_context())
        get_db()
        with beside(child):
            parent.close()
            app.extensions["lea_fleet"].store.close_idle()

    assert machines(operator) == ["PC-1", "PC-2"]


def test_a_context_that_ends_in_the_child_leaves_the_transaction_alone(app):
    said = []
    context = app.app_context()
    context.push()
    connection = get_db()
    connection.execute("BEGIN IMMEDIATE")
    connection.set_trace_callback(said.append)

    def in_the_child():
        context.pop()
        return said

    assert in_processes(in_the_child) == [[]]
    assert connection.in_transaction
    context.pop()
    assert said == ["ROLLBACK"]


# Another file at the path


@pytest.fixture
def another_file(make_app, tmp_path):
    """A closed database with one machine, PC-OTHER."""
    path = tmp_path / "other.db"
    app = make_app(RPA_AGENTS_DB_PATH=path)
    operator_of(app).enroll("PC-OTHER")
    app.extensions["lea_fleet"].store.close_idle()
    return path


def test_a_file_that_takes_the_place_of_the_database_is_used(
    app, operator, database, another_file
):
    old = operator.enroll("PC-1")

    os.replace(another_file, database)
    remove_wal(database)

    assert machines(operator) == ["PC-OTHER"]
    assert_problem(old.heartbeat(), 401, "invalid_token", "ask_operator")
    operator.enroll("PC-2")
    assert machines(operator) == ["PC-2", "PC-OTHER"]
    assert is_sound(database)


@pytest.mark.parametrize("logs", [True, False], ids=["its logs stay", "with its logs"])
def test_a_database_that_disappears_is_not_begun_anew(operator, database, logs):
    agent = operator.enroll("PC-1")

    database.unlink()
    if not logs:
        remove_wal(database)

    for response in (operator.get("/fleet"), operator.uninstall("PC-1")):
        problem = assert_problem(response, 503, "database_unavailable", "retry")
        assert str(database) in problem["detail"]
    assert_problem(agent.heartbeat(), 503, "database_unavailable", "retry")
    assert not database.exists()


def test_a_database_that_is_put_back_has_lost_nothing(operator, database):
    agent = operator.enroll("PC-1")
    elsewhere = database.with_name("elsewhere")

    database.rename(elsewhere)
    assert_problem(operator.get("/fleet"), 503, "database_unavailable")
    elsewhere.rename(database)

    assert machines(operator) == ["PC-1"]
    assert agent.heartbeat().status_code == 200


def test_a_backup_that_is_put_in_the_place_of_a_lost_database_is_used(
    operator, database, another_file
):
    operator.enroll("PC-1")

    database.unlink()
    assert_problem(operator.get("/fleet"), 503, "database_unavailable")
    os.replace(another_file, database)
    remove_wal(database)

    assert machines(operator) == ["PC-OTHER"]


def test_the_log_of_one_file_is_not_read_into_another(operator, database, another_file):
    """SQLite would do so, since it finds the WAL by its name."""
    operator.enroll("PC-1")
    before = another_file.read_bytes()

    os.replace(another_file, database)

    for _ in range(3):
        problem = assert_problem(operator.get("/fleet"), 503, "database_unavailable")
        assert f"{database}-wal" in problem["detail"]
    assert database.read_bytes() == before
    remove_wal(database)
    assert machines(operator) == ["PC-OTHER"]
    assert is_sound(database)


def test_nor_is_it_where_every_connection_is_in_use(
    app, operator, database, another_file
):
    operator.enroll("PC-1")
    with app.app_context():
        get_db()
        os.replace(another_file, database)
        assert_problem(operator.get("/fleet"), 503, "database_unavailable")


def test_nor_is_it_after_a_fault_that_left_no_connection(
    operator, database, another_file
):
    operator.enroll("PC-1")
    with closing(sqlite3.connect(database)) as other:  # keeps the WAL
        other.execute("DROP TABLE lea_fleet_events")
        assert_problem(operator.uninstall("PC-1"), 503, "database_unavailable")
        before = another_file.read_bytes()
        os.replace(another_file, database)

        problem = assert_problem(operator.get("/fleet"), 503, "database_unavailable")

    assert f"{database}-wal" in problem["detail"]
    assert database.read_bytes() == before


def test_a_log_without_its_database_is_kept(operator, elsewhere, database, tmp_path):
    """SQLite would delete it, with the data that only the WAL has."""
    operator.enroll("PC-1")
    away = tmp_path / "away.db"
    os.rename(database, away)

    problem = assert_problem(elsewhere.get("/fleet"), 503, "database_unavailable")

    assert f"{database}-wal" in problem["detail"]
    assert not database.exists()
    os.rename(away, database)
    assert machines(operator) == machines(elsewhere) == ["PC-1"]


@pytest.fixture
def unopened(database, another_file):
    """A database that the server has not opened yet."""
    database.parent.mkdir()
    os.rename(another_file, database)
    return database


def test_a_database_that_disappears_before_it_is_opened_is_not_begun_anew(
    operator, unopened, monkeypatch
):
    connect = sqlite3.connect

    def too_late(*args, **options):
        unopened.unlink()
        return connect(*args, **options)

    monkeypatch.setattr(sqlite3, "connect", too_late)

    assert_problem(operator.get("/fleet"), 503, "database_unavailable", "retry")
    assert not unopened.exists()


@pytest.mark.parametrize("replaced", [True, False])
def test_nor_is_one_that_disappears_when_it_has_been_looked_at(
    operator, unopened, monkeypatch, replaced
):
    other = unopened.with_name("other.db")
    other.write_bytes(unopened.read_bytes())

    def look_and_lose(path):
        os.replace(other, path) if replaced else path.unlink()
        return True

    monkeypatch.setattr(opening, "is_writable", look_and_lose)

    assert_problem(operator.get("/fleet"), 503, "database_unavailable", "retry")
    assert unopened.exists() is replaced


@pytest.mark.parametrize("ends", [["-wal"], ["-shm"]], ids=" ".join)
def test_a_log_that_disappears_is_noticed_and_saved(operator, database, ends):
    operator.enroll("PC-1")
    for end in ends:
        os.unlink(f"{database}{end}")

    for _ in range(2):
        problem = assert_problem(operator.get("/fleet"), 503, "database_unavailable")
        assert f"{database}-wal" in problem["detail"]
        assert problem["detail"].endswith("what was in that WAL is saved.")

    with closing(sqlite3.connect(f"file:{database}?immutable=1", uri=True)) as alone:
        assert [*alone.execute("SELECT machine_id FROM enrolled_agents")] == [("PC-1",)]


def test_a_log_that_disappears_with_its_index_is_saved_and_begun_anew(
    operator, elsewhere, database
):
    operator.enroll("PC-1")
    remove_wal(database)

    assert machines(operator) == ["PC-1"]
    operator.enroll("PC-2")

    assert in_another_process(database) == ["PC-1", "PC-2"]
    assert machines(operator) == machines(elsewhere) == ["PC-1", "PC-2"]
    assert is_sound(database)


# A host that opens the file in the server's process


def in_another_process(database):
    """Read all machines in a process that closes the database at its end."""
    script = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]);"
        "[print(m) for (m,) in c.execute('SELECT machine_id FROM enrolled_agents"
        " ORDER BY 1')]; c.close()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(database)],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


HOST_READS = {
    "read": lambda path: path.read_bytes(),
    "hashed": lambda path: hashlib.sha256(path.read_bytes()).hexdigest(),
    "copied": lambda path: shutil.copy(path, path.with_name("copy.db")),
    "sent": lambda path: send(path),
    "its index read": lambda path: [
        path.with_name(path.name + end).read_bytes() for end in ("", "-wal", "-shm")
    ],
}


def send(path):
    host = Flask("host")
    host.add_url_rule("/", view_func=lambda: send_file(path))
    response = host.test_client().get("/")
    assert response.data.startswith(b"SQLite format 3")
    response.close()


@pytest.mark.parametrize("read", HOST_READS.values(), ids=HOST_READS)
def test_a_host_that_drops_the_locks_costs_no_request(operator, database, read):
    """Then another process takes itself for the last one, and removes the WAL."""
    tokens = []
    for number in range(3):
        tokens.append(operator.enroll(f"PC-{number}"))
        read(database)
        assert len(in_another_process(database)) == number + 1
        assert not database.with_name(f"{database.name}-wal").exists()

        assert [agent.heartbeat().status_code for agent in tokens] == [200] * len(
            tokens
        )

    assert machines(operator) == ["PC-0", "PC-1", "PC-2"]
    assert is_sound(database)


def test_the_locks_are_back_when_the_database_has_been_reopened(operator, database):
    operator.enroll("PC-1")
    database.read_bytes()
    in_another_process(database)
    operator.enroll("PC-2")

    assert in_another_process(database) == ["PC-1", "PC-2"]

    assert database.with_name(f"{database.name}-wal").exists()


def test_nothing_is_reopened_while_another_part_of_the_process_has_it_open(
    operator, database
):
    """SQLite would go on with the index of the WAL that was removed."""
    operator.enroll("PC-1")
    with closing(sqlite3.connect(database)) as host:
        assert host.execute("SELECT count(*) FROM enrolled_agents").fetchone() == (1,)
        database.read_bytes()
        in_another_process(database)

        for _ in range(2):
            problem = assert_problem(
                operator.get("/fleet"), 503, "database_unavailable"
            )
            assert "another part of this process" in problem["detail"]

    assert machines(operator) == ["PC-1"]
    operator.enroll("PC-2")
    assert in_another_process(database) == ["PC-1", "PC-2"]


def test_another_application_of_the_process_leaves_the_removed_wal_too(
    operator, elsewhere, database
):
    operator.enroll("PC-1")
    elsewhere.enroll("PC-2")
    database.read_bytes()
    in_another_process(database)

    operator.enroll("PC-3")
    elsewhere.enroll("PC-4")

    assert machines(operator) == machines(elsewhere)
    assert in_another_process(database) == ["PC-1", "PC-2", "PC-3", "PC-4"]


def test_a_request_waits_for_those_that_still_use_the_removed_wal(
    app, operator, database
):
    operator.enroll("PC-1")
    in_use, removed = threading.Event(), threading.Event()

    def use():
        with app.app_context():
            get_db()
            in_use.set()
            assert removed.wait(30)

    with ThreadPoolExecutor(1) as other:
        ends = other.submit(use)
        assert in_use.wait(30)
        database.read_bytes()
        in_another_process(database)
        removed.set()
        assert machines(operator) == ["PC-1"]
        ends.result(30)
    operator.enroll("PC-2")

    assert in_another_process(database) == ["PC-1", "PC-2"]


def test_what_only_the_removed_wal_has_is_saved_before_it_is_left(
    operator, database, tmp_path
):
    """As where a commit came between another process's checkpoint and its end."""
    operator.enroll("PC-1")
    before = database.read_bytes()
    remove_wal(database)

    assert machines(operator) == ["PC-1"]

    assert database.read_bytes() != before


def test_a_wal_of_another_process_is_not_written_over(operator, database):
    """What was acknowledged is only in the WAL that was removed: nobody guesses."""
    operator.enroll("PC-1")
    remove_wal(database)

    script = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]);"
        "c.execute('CREATE TABLE theirs (x)'); c.commit(); print(flush=True); input()"
    )
    command = [sys.executable, "-c", script, str(database)]
    with subprocess.Popen(command, stdin=-1, stdout=-1) as another:
        another.stdout.readline()
        problem = assert_problem(operator.get("/fleet"), 503, "database_unavailable")
        another.communicate(b"\n")

    assert problem["detail"].endswith("what was in that WAL is not saved.")


def test_a_file_that_is_moved_and_linked_to_is_not_used_by_two_wals(
    operator, make_app, database, tmp_path
):
    operator.enroll("PC-1")
    moved = tmp_path / "moved.db"
    os.rename(database, moved)
    database.symlink_to(moved)

    response = operator.post("/enroll", {"machine_id": "PC-2"})
    assert_problem(response, 503, "database_unavailable")
    for _ in range(2):
        problem = assert_problem(operator.get("/fleet"), 503, "database_unavailable")
        assert f"was moved to {moved}" in problem["detail"]
    assert not moved.with_name("moved.db-wal").exists()

    operator.client.application.extensions["lea_fleet"].store.close_idle()
    assert "PC-1" in machines(operator_of(make_app()))
    assert is_sound(moved)


def test_a_link_that_is_made_anew_is_still_the_same(operator, database, tmp_path):
    operator.enroll("PC-1")
    app = operator.client.application
    app.extensions["lea_fleet"].store.close_idle()
    moved = tmp_path / "moved.db"
    os.rename(database, moved)
    for number in range(3):
        database.unlink(missing_ok=True)
        database.symlink_to(moved)
        operator.enroll(f"PC-again-{number}")


@pytest.fixture(params=["deleted", "moved away", "replaced", "without its WAL"])
def lose(request, database, another_file, tmp_path):
    """Lose the database in one of several ways."""

    def lose():
        if request.param == "moved away":
            os.rename(database, tmp_path / "away.db")
        elif request.param == "without its WAL":
            os.unlink(f"{database}-wal")
        else:
            database.unlink()
        if request.param == "replaced":
            os.rename(another_file, database)

    return lose


def test_what_is_written_to_a_lost_file_is_not_acknowledged(
    operator, before_writing, lose
):
    """The file is lost between the beginning of the request and its transaction."""
    operator.enroll("PC-1")
    before_writing(lose)
    told = []

    with agent_enrolled.connected_to(lambda app, **about: told.append(about)):
        response = operator.post("/enroll", {"machine_id": "PC-2"})

    assert_problem(response, 503, "database_unavailable", "retry")
    assert not told


def remove_wal(database):
    """Delete the WAL and its index, as an operator who replaces a database does."""
    for end in ("-wal", "-shm"):
        database.with_name(database.name + end).unlink()


# Many connections, for a long time


def test_a_log_that_another_thread_has_just_begun_is_not_taken_for_a_lost_one(
    app, engine, monkeypatch
):
    fill(engine, [])  # by a program that does not use a WAL
    look = connections.files_at

    def look_while_another_opens(path):
        monkeypatch.setattr(connections, "files_at", look)
        files = look(path)
        with ThreadPoolExecutor(1) as other:
            other.submit(connection_of, app).result(30)
        return files

    monkeypatch.setattr(connections, "files_at", look_while_another_opens)
    assert is_open(connection_of(app))


def test_descriptors_do_not_pile_up_on_a_file_that_is_no_database(operator, database):
    database.parent.mkdir()
    database.write_text("no database" * 1000)

    operator.get("/fleet")
    before = open_descriptors()
    for _ in range(100):
        assert_problem(operator.get("/fleet"), 503, "database_unavailable")

    assert open_descriptors() <= before


# Databases that cannot be used


@contextmanager
def unprivileged():
    """Run as the user nobody for a while, since root may write everywhere."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_folder():
    """A folder that the user nobody may write to; only root may enter pytest's."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder)


def make_database(path):
    app = create_app({"RPA_API_TOKEN": OPERATOR_TOKEN, "RPA_AGENTS_DB_PATH": str(path)})
    operator = operator_of(app)
    for number in range(50):
        operator.enroll(f"PC-{number}", os_info="x" * 200)
    app.extensions["lea_fleet"].store.close_idle()
    path.chmod(0o666)


def parent_is_a_file(path):
    path.parent.rmdir()
    path.parent.write_text("")


def path_is_a_folder(path):
    path.mkdir()


def text_file(path):
    path.write_text("no database")
    path.chmod(0o666)


def garbage_after_the_header(path):
    path.write_bytes(b"SQLite format 3\0" + b"\xff" * 8176)
    path.chmod(0o666)


def truncated(path):
    make_database(path)
    os.truncate(path, 3 * 4096 + 100)


def garbage_in_the_tables(path):
    make_database(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:4096].ljust(len(whole), b"\xff"))


def garbage_in_the_schema(path):
    """SQLite's message is not valid UTF-8."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE traces (at)")
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("UPDATE sqlite_master SET sql = CAST(x'43ff' AS TEXT)")
    path.chmod(0o666)


def read_only_file(path):
    make_database(path)
    path.chmod(0o444)


def read_only_folder(path):
    path.parent.chmod(0o555)


def read_only_folder_of_a_database(path):
    make_database(path)
    path.parent.chmod(0o555)


def folder_that_may_not_be_entered(path):
    make_database(path)
    path.parent.chmod(0o000)


@pytest.fixture(
    params=[
        parent_is_a_file,
        path_is_a_folder,
        text_file,
        garbage_after_the_header,
        truncated,
        garbage_in_the_tables,
        garbage_in_the_schema,
        read_only_file,
        read_only_folder,
        read_only_folder_of_a_database,
        folder_that_may_not_be_entered,
    ],
    ids=lambda make: make.__name__,
)
def unusable(request, open_folder, make_app):
    """An application at a path where no database can be used, and that path."""
    path = open_folder / "folder" / "rpa.db"
    path.parent.mkdir()
    path.parent.chmod(0o777)
    request.param(path)
    # Modules imported on first use may be in folders that the user cannot read.
    operator_of(make_app()).get("/fleet")
    yield make_app(RPA_AGENTS_DB_PATH=path), path
    path.parent.chmod(0o777)


def test_an_unusable_database_is_a_503_that_names_the_path(unusable):
    app, path = unusable
    operator = operator_of(app)

    with unprivileged():
        responses = [
            operator.get("/fleet"),
            operator.post("/enroll", {"machine_id": "PC-1"}),
            operator.uninstall("PC-1"),
            operator.post("/heartbeat", {"machine_id": "PC-1"}),
            operator.get("/machines/PC-1"),
        ]

    for response in responses:
        problem = assert_problem(response, 503, "database_unavailable", "retry")
        assert str(path.parent) in problem["detail"]


def test_an_agent_is_not_told_the_path_of_an_unusable_database(unusable):
    app, path = unusable
    agent = Api(app.test_client(), "lea_agent_unknown")

    with unprivileged():
        responses = [agent.get("/machines/PC-1"), agent.post("/heartbeat", {})]

    for response in responses:
        assert_problem(response, 503, "database_unavailable", "retry")
        assert str(path.parent) not in response.text
        assert path.name not in response.text


def test_an_unusable_database_is_one_line_in_the_shell(unusable):
    app, path = unusable

    with unprivileged():
        result = app.test_cli_runner().invoke(args=["fleet", "list"])

    (line,) = result.output.splitlines()
    assert line.startswith("Error: ")
    assert str(path.parent) in line
    assert result.exit_code == 1


def test_a_database_that_becomes_usable_is_used(operator, database):
    database.parent.mkdir()
    database.write_text("no database")
    assert_problem(operator.get("/fleet"), 503, "database_unavailable")

    database.unlink()

    assert machines(operator) == []


# Another writer


@pytest.fixture
def hasty(make_app):
    """An operator of a server that does not wait long for a lock."""
    return operator_of(make_app(LEA_FLEET_BUSY_TIMEOUT=0.05))


@pytest.fixture
def silent_agent(hasty, the_clock):
    """An agent whose next heartbeat has to be written."""
    agent = hasty.enroll("PC-1")
    assert agent.heartbeat().status_code == 200
    the_clock.advance(seconds=20)
    return agent


def test_how_long_a_writer_waits_is_for_the_settings_to_say(make_app):
    with make_app(LEA_FLEET_BUSY_TIMEOUT="3s").app_context():
        assert get_db().execute("PRAGMA busy_timeout").fetchone()[0] == 3000


def test_a_schema_that_cannot_be_made_yet_is_made_later(hasty, database):
    database.parent.mkdir()
    with closing(sqlite3.connect(database)) as host:
        host.execute("PRAGMA journal_mode = WAL")
    with write_lock(database):
        assert_problem(hasty.get("/fleet"), 503, "database_busy", "retry")

    assert machines(hasty) == []


def test_the_first_connection_waits_until_the_file_can_be_in_wal_mode(
    operator, database, monkeypatch
):
    """SQLite reports "locked" at once while another process writes in the old mode."""
    refused = threading.Event()

    class Refused(one_connection.Connection):
        def execute(self, *arguments):
            try:
                return super().execute(*arguments)
            except sqlite3.OperationalError:
                refused.set()
                raise

    monkeypatch.setattr(one_connection, "Connection", Refused)
    database.parent.mkdir()
    with ThreadPoolExecutor() as pool:
        with write_lock(database):
            answer = pool.submit(machines, operator)
            assert refused.wait(30)
        assert answer.result() == []


# A table that is dropped


@pytest.mark.parametrize("idle", [1, 3])
@pytest.mark.parametrize("table", ["enrolled_agents", "lea_fleet_tokens"])
def test_a_dropped_table_is_a_503_once_at_most(app, operator, database, table, idle):
    operator.enroll("PC-1")
    with ExitStack() as contexts:  # so that as many connections are open, and then idle
        for _ in range(idle):
            contexts.enter_context(app.app_context())
            get_db()
    with closing(sqlite3.connect(database)) as other:
        other.execute(f"DROP TABLE {table}")

    responses = [operator.post("/enroll", {"machine_id": f"PC-{n}"}) for n in "234"]

    statuses = [response.status_code for response in responses]
    assert statuses in ([201] * 3, [503, 201, 201])
    assert operator.get("/fleet").status_code == 200
