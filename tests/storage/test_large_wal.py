"""A WAL that grows under a reader that does not end is told, and shrinks afterwards."""

from __future__ import annotations

import logging
import os
import re
import sqlite3
from contextlib import closing

import pytest

from lea_fleet.storage.sqlite import wal_index
from lea_fleet.storage.sqlite.checks import files
from tests.cli.doctor.calling import call
from tests.support.fleets import get_db

pytestmark = pytest.mark.sqlite

LARGE = 20_000_000  # less than in production, so that the tests are fast


@pytest.fixture(autouse=True)
def _large(monkeypatch):
    monkeypatch.setattr(wal_index, "LARGE", LARGE)
    monkeypatch.setattr(files, "LARGE", LARGE)


def grow(app, operator):
    """Write 24 MB into a table of the host's, then have a request commit."""
    with app.app_context():
        db = get_db()
        db.execute("CREATE TABLE IF NOT EXISTS theirs (x)")
        for _ in range(6):
            db.execute("INSERT INTO theirs VALUES (randomblob(4000000))")
    assert operator.post("/machines/PC-0/release").status_code == 200


def wal_size(database):
    return os.stat(f"{database}-wal").st_size


def warnings(caplog):
    return [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]


def test_a_wal_that_is_large_is_told_once_and_shrinks_after_the_reader(
    app, operator, monitor, database, caplog
):
    caplog.set_level(logging.WARNING, "lea_fleet")
    operator.enroll("PC-0")
    for times in (1, 2):
        with closing(sqlite3.connect(database, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM enrolled_agents").fetchone()
            for _ in range(2):
                grow(app, operator)
            assert len(warnings(caplog)) == times
            assert f"{database}-wal has grown to " in warnings(caplog)[-1]
            assert call(app)["log_size"]["level"] == "warning"
            text = monitor.get("/metrics").text
            (shown,) = re.findall(r"^lea_fleet_wal_bytes (\S+)$", text, re.MULTILINE)
            assert float(shown) == wal_size(database)
        for number in range(40):  # a checkpoint is tried again after some pages
            operator.enroll(f"PC-{times}-{number}")
        assert wal_size(database) <= 17_000_000


def test_the_doctor_blames_no_reader_that_is_gone(app, operator, database):
    """An older server's connection does not truncate the file."""
    operator.enroll("PC-0")
    with closing(sqlite3.connect(database, isolation_level=None)) as older:
        with closing(sqlite3.connect(database, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM enrolled_agents").fetchone()
            older.execute("CREATE TABLE theirs (x)")
            for _ in range(6):
                older.execute("INSERT INTO theirs VALUES (randomblob(4000000))")
        assert call(app)["log_size"]["level"] == "warning"
        older.execute("DELETE FROM theirs")
        older.execute("PRAGMA wal_checkpoint").fetchone()
        written_back = call(app)["log_size"]
        older.execute("INSERT INTO theirs VALUES (1)")
        assert wal_size(database) > LARGE

        found = call(app)["log_size"]

    assert written_back["level"] == "ok" and "written back" in written_back["detail"]
    assert found["level"] == "ok" and "in use" in found["detail"]
