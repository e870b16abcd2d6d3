"""Without a temporary folder: memory where that will do, else a fault that names it."""

from __future__ import annotations

import tempfile
from contextlib import closing

import pytest

from lea_fleet.core import temporary
from lea_fleet.storage.sqlite import temporary as sqlite_temporary
from tests.cli.doctor.calling import call
from tests.support.api import assert_problem
from tests.support.fleets import fill

#: Enough machines for a listing of more than a megabyte.
MACHINES = 4000


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    """Leave neither Python nor SQLite a folder for temporary files."""
    missing = str(tmp_path / "missing")
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: [missing])
    monkeypatch.setattr(sqlite_temporary, "_FOLDERS", (missing,))
    monkeypatch.setenv("TMPDIR", missing)
    return missing


@pytest.fixture
def many(operator, engine, app):
    operator.get("/fleet")
    fill(engine, [{"machine_id": f"PC-{number}"} for number in range(MACHINES)])
    app.extensions["lea_fleet"].store.close_idle()


@pytest.mark.parametrize("query", ["", "?sort=user_name", "?format=csv", "?q=PC"])
def test_a_listing_uses_memory(many, nowhere, operator, query):
    response = operator.get(f"/fleet{query}")

    assert response.status_code == 200, response.text
    assert response.text.count("PC-") == MACHINES


def test_sqlite_sorts_in_memory(many, nowhere, app):
    with closing(app.extensions["lea_fleet"].store.acquire()) as connection:
        (kept,) = connection.execute("PRAGMA temp_store").fetchone()
    assert kept == 2  # MEMORY


def test_with_a_folder_it_sorts_there(many, app, monkeypatch, tmp_path):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with closing(app.extensions["lea_fleet"].store.acquire()) as connection:
        (kept,) = connection.execute("PRAGMA temp_store").fetchone()
    assert kept == 0  # as SQLite was built


def test_one_that_is_too_large_is_a_503_that_names_the_folder(
    many, nowhere, operator, monkeypatch
):
    monkeypatch.setattr(temporary, "MOST_IN_MEMORY", 500_000)

    problem = assert_problem(operator.get("/fleet"), 503, "database_unavailable")

    assert nowhere in problem["detail"] and "TMPDIR" in problem["detail"]
    assert "too large for memory" in problem["detail"]
    assert operator.get("/fleet?limit=50").status_code == 200


def test_a_folder_that_can_no_longer_be_written_is_named_too(
    many, operator, monkeypatch
):
    monkeypatch.setattr(tempfile, "tempdir", "/proc/self/gone")
    monkeypatch.setattr(temporary, "MOST_IN_MEMORY", 500_000)

    problem = assert_problem(operator.get("/fleet"), 503, "database_unavailable")
    assert "/proc/self/gone cannot be written" in problem["detail"]


@pytest.mark.usefixtures("begun")
def test_an_import_uses_memory(nowhere, run, tmp_path):
    table = tmp_path / "machines.csv"
    table.write_text("machine_id\nPC-1\n")

    result = run("import", table)

    assert result.exit_code == 0, result.output
    assert "       1 imported " in result.stdout


@pytest.mark.usefixtures("begun")
def test_one_that_is_too_large_is_one_line_that_names_the_folder(
    nowhere, run, tmp_path, monkeypatch
):
    monkeypatch.setattr(temporary, "MOST_IN_MEMORY", 5)
    table = tmp_path / "machines.csv"
    table.write_text("machine_id\nPC-1\n")

    result = run("import", table)

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"Error: {table} cannot be read: ")
    assert nowhere in result.stderr and result.stderr.count("\n") == 1


def test_the_doctor_says_so(nowhere, app, operator):
    operator.get("/fleet")
    found = call(app)["temporary_folder"]

    assert found["level"] == "warning" and nowhere in found["detail"]
    assert "TMPDIR" in found["action"]


def test_the_doctor_sees_what_sqlite_alone_lacks(app, operator, monkeypatch):
    monkeypatch.setattr(sqlite_temporary, "_FOLDERS", ())
    for name in ("TMPDIR", "SQLITE_TMPDIR"):
        monkeypatch.delenv(name, raising=False)
    operator.get("/fleet")

    assert call(app)["temporary_folder"]["detail"].startswith("SQLite finds no folder")


def test_with_one_all_is_well(app, operator):
    operator.get("/fleet")

    assert call(app)["temporary_folder"]["level"] == "ok"


def test_a_small_file_never_asks_for_a_folder(monkeypatch):
    monkeypatch.setattr(temporary, "no_temporary_folder", None)  # cannot be called

    with temporary.TemporaryFile(max_size=10) as file:
        file.write(b"0123456789")


def test_a_folder_that_is_missing_is_looked_for_once(monkeypatch):
    asked = []
    monkeypatch.setattr(
        temporary, "no_temporary_folder", lambda: asked.append(1) or "there is none"
    )

    with temporary.TemporaryFile(max_size=10) as file:
        for _ in range(100):
            file.write(b"0123456789")

    assert len(asked) == 1


def test_memory_is_full_at_its_bound(nowhere, monkeypatch):
    monkeypatch.setattr(temporary, "MOST_IN_MEMORY", 10)
    with temporary.TemporaryFile(max_size=5) as file:
        file.write(b"0123456789")
        with pytest.raises(OSError, match="too large for memory"):
            file.write(b"x")
        with pytest.raises(OSError):  # a server that would send it as a file
            file.fileno()
