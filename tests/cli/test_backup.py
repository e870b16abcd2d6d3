"""Backup, restore and move: nothing that was acknowledged before is lost by them."""

from __future__ import annotations

import json
import os
import resource
import shutil
import sqlite3
import stat
import subprocess
import sys
import threading
from contextlib import closing, contextmanager

import pytest

from lea_fleet.storage.sqlite import backup
from lea_fleet.app.database import get_repository
from tests.support.api import OPERATOR_TOKEN, assert_problem
from tests.support.server import running_server

#: PostgreSQL has a program of its own; see ``tests/cli/postgresql/test_commands.py``.
pytestmark = pytest.mark.sqlite


@pytest.fixture
def back_up(run):
    """Run ``flask fleet backup`` with these words; return the result."""
    return lambda *words: run("backup", *words)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "backups" / "copy.db"


@pytest.fixture(autouse=True)
def folder(file):
    file.parent.mkdir()
    return file.parent


def machines(file):
    with closing(sqlite3.connect(file)) as connection:
        return {row[0] for row in connection.execute(_MACHINES)}


_MACHINES = "SELECT machine_id FROM enrolled_agents"


def assert_refused(result, *words):
    assert (result.exit_code, result.stdout) == (1, "")
    assert isinstance(result.exception, SystemExit)
    (line,) = result.stderr.splitlines()
    for word in words:
        assert word in line


# The copy


def test_the_copy_is_one_file_with_everything_that_only_the_log_holds(
    back_up, operator, file, folder, database
):
    operator.enroll("PC-1").heartbeat()
    assert database.with_name("rpa_data.db-wal").stat().st_size > 0

    result = back_up(file)

    assert result.exit_code == 0, result.output
    assert result.stdout == f"{file}: 1 machine, 0.2 MB, checked.\n"
    assert os.listdir(folder) == [file.name]
    assert machines(file) == {"PC-1"}
    assert os.listdir(folder) == [file.name]  # nor does it need another one to be read


def test_it_is_nobody_elses_to_read(back_up, operator, file):
    operator.enroll("PC-1")
    back_up(file)

    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_json_says_what_was_written(back_up, operator, file):
    operator.enroll("PC-1")
    result = back_up(file, "--json")

    size = file.stat().st_size
    assert json.loads(result.stdout) == {
        "file": str(file),
        "bytes": size,
        "machines": 1,
    }


def test_it_is_of_one_moment_and_nobody_waits_for_it(
    operator, file, app, database, monkeypatch
):
    """Another process writes between two steps of the copy."""
    monkeypatch.setattr(backup, "_PAGES", 1)
    operator.enroll("PC-1")
    steps = []

    def write(left, pages):
        steps.append(left)
        with closing(sqlite3.connect(database, timeout=0)) as other, other:
            other.execute("CREATE TABLE IF NOT EXISTS traces (at)")
            other.execute("INSERT INTO traces VALUES (1)")

    with app.app_context():
        repository = get_repository()
        with repository.snapshot():
            repository.count_by_status()
            backup.back_up(repository.connection, file, write)

    assert steps == sorted(steps, reverse=True) and len(steps) > 10
    with closing(sqlite3.connect(file)) as copy:
        names = {row[0] for row in copy.execute("SELECT name FROM sqlite_master")}
    assert "enrolled_agents" in names and "traces" not in names


# Refused


def test_what_is_there_is_kept_unless_it_is_forced(back_up, operator, file, folder):
    operator.enroll("PC-1")
    file.write_text("precious")

    assert_refused(back_up(file), str(file), "--force")
    assert file.read_text() == "precious"
    assert back_up(file, "--force").exit_code == 0
    assert machines(file) == {"PC-1"}
    assert os.listdir(folder) == [file.name]


def the_database(database, folder):
    return database


def its_log(database, folder):
    return database.with_name(database.name + "-wal")


def a_link_to_it(database, folder):
    (folder / "link").symlink_to(database)
    return folder / "link"


def another_name_of_it(database, folder):
    os.link(database, folder / "name")
    return folder / "name"


def its_log_where_there_is_none(database, folder):
    its_log(database, folder).unlink(missing_ok=True)
    return its_log(database, folder)


@pytest.mark.parametrize(
    "name",
    [
        the_database,
        its_log,
        a_link_to_it,
        another_name_of_it,
        its_log_where_there_is_none,
    ],
)
def test_the_database_is_never_overwritten_by_its_copy(
    back_up, app, operator, database, folder, name
):
    operator.enroll("PC-1")
    if name is its_log_where_there_is_none:
        app.extensions["lea_fleet"].store.close_idle()

    assert_refused(back_up(name(database, folder), "--force"), "is the database itself")
    assert operator.machine("PC-1")["status"] == "active"


@pytest.mark.parametrize(
    ("path", "word"),
    [
        (".", "not a regular file"),
        (os.devnull, "not a regular file"),
        ("missing/copy.db", "No such file or directory"),
        ("copy.db/copy.db", "Not a directory"),
        ("x" * 300, "File name too long"),
    ],
)
def test_a_place_that_cannot_be_is_one_line(back_up, operator, folder, path, word):
    operator.enroll("PC-1")
    (folder / "copy.db").write_text("")

    assert_refused(back_up(folder / path, "--force"), word)
    assert os.listdir(folder) == ["copy.db"]


def test_without_a_database_there_is_nothing_to_copy(back_up, database, file, folder):
    database.parent.mkdir()

    assert_refused(back_up(file), "There is no database")
    assert not os.listdir(folder) and not database.exists()


def test_a_damaged_database_is_not_copied_over_a_good_copy(
    back_up, app, operator, file
):
    for number in range(200):
        operator.enroll(f"PC-{number}")
    back_up(file)
    database = app.extensions["lea_fleet"].store.path
    app.extensions["lea_fleet"].store.close_idle()
    with database.open("r+b") as damaged:
        damaged.seek(5 * 4096)
        damaged.write(b"\xff" * 8 * 4096)

    result = back_up(file, "--force")

    assert result.exit_code == 1 and isinstance(result.exception, SystemExit)
    assert "PC-199" in machines(file)


def test_a_disk_that_fills_up_leaves_the_old_copy_and_nothing_else(
    operator, file, folder, database
):
    for number in range(50):
        operator.enroll(f"PC-{number}", hostname="x" * 255)
    file.write_text("precious")

    result = subprocess.run(
        [sys.executable, "-m", "flask", "--app", "lea_fleet", "fleet", "backup"]
        + ["--force", str(file)],
        env={
            **os.environ,
            "RPA_API_TOKEN": OPERATOR_TOKEN,
            "RPA_AGENTS_DB_PATH": str(database),
        },
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (40960, 40960)),
        capture_output=True,
        text=True,
    )

    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("Error: ") and result.stderr.count("\n") == 1
    assert file.read_text() == "precious"
    assert os.listdir(folder) == [file.name]


# As the operators' page says: with a server that runs


def backed_up(server, file):
    """Back up as an operator does, beside the server."""
    subprocess.run(
        [sys.executable, "-m", "flask", "--app", "lea_fleet", "fleet", "backup"]
        + ["--force", str(file)],
        env=server.environment,
        check=True,
        capture_output=True,
    )
    return file


@contextmanager
def enrolling(server):
    """Let an installer enroll; yield the machines whose 201 has arrived, in order."""
    enrolled, over = [], threading.Event()

    def work():
        while not over.is_set():
            server.operator.enroll(f"PC-{len(enrolled)}")
            enrolled.append(f"PC-{len(enrolled)}")

    installer = threading.Thread(target=work)
    installer.start()
    try:
        yield enrolled
    finally:
        over.set()
        installer.join()


def test_a_backup_of_a_busy_server_has_all_that_was_acknowledged_before(tmp_path, file):
    with running_server(tmp_path / "server", "-w", "2") as server:
        with enrolling(server) as enrolled:
            for _ in range(5):
                before = set(enrolled)
                copied = machines(backed_up(server, file))
                assert before <= copied

                with closing(sqlite3.connect(file)) as copy:
                    (sound,) = copy.execute("PRAGMA integrity_check").fetchone()
                assert sound == "ok"
        assert len(enrolled) > 20


def test_a_restored_backup_is_the_fleet_as_it_was(tmp_path, file):
    with running_server(tmp_path / "server") as server:
        early = server.operator.enroll("PC-early")
        gone = server.operator.enroll("PC-gone")
        backed_up(server, file)
        late = server.operator.enroll("PC-late")
        server.operator.uninstall("PC-gone")
        server.kill()  # so that its logs stay

        shutil.copyfile(file, server.database)
        for end in ("-wal", "-shm"):
            server.database.with_name(server.database.name + end).unlink()
        server.start_again()

        assert early.heartbeat().status_code == 200
        assert_problem(late.heartbeat(), 401, "invalid_token", "ask_operator")
        assert server.operator.enroll("PC-late").heartbeat().status_code == 200
        # What was uninstalled since is back, as the page says.
        assert gone.heartbeat().status_code == 200


def test_a_moved_database_goes_on_where_it_was(tmp_path):
    with running_server(tmp_path / "server") as server:
        agent = server.operator.enroll("PC-1")
        server.operator.enroll("PC-2").post("/uninstall", {})
        server.stop()
        moved = tmp_path / "elsewhere" / "fleet.db"
        moved.parent.mkdir()
        assert os.listdir(server.database.parent).count("rpa_data.db-wal") == 0

        shutil.move(server.database, moved)
        server.environment["RPA_AGENTS_DB_PATH"] = str(moved)
        server.start_again()

        assert agent.heartbeat().status_code == 200
        totals = server.operator.get("/fleet").json["totals"]
        assert (totals["active"], totals["uninstalled"]) == (1, 1)
        assert not server.database.exists()
