"""A checkpoint of the WAL runs in one process at a time, so that none loses a commit.

SQLite before 3.51.3 may otherwise lose one: see lea_fleet/storage/sqlite/checkpoint.py.
"""

from __future__ import annotations

import errno
import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from lea_fleet.core.problems import DatabaseUnavailable
from lea_fleet.storage.sqlite import checkpoint, connections, wal_index
from lea_fleet.storage.sqlite.connections import Connections
from lea_fleet.storage.sqlite.files import place_of
from lea_fleet.storage.sqlite.purge import empty_wal
from lea_fleet.storage.sqlite.transactions import begin_writing
from tests.support.processes import in_processes

pytestmark = pytest.mark.sqlite

PAGES, PAGES_MORE = 20, 10


@pytest.fixture(autouse=True)
def _early(monkeypatch):
    monkeypatch.setattr(wal_index, "WAL_PAGES", PAGES)
    monkeypatch.setattr(wal_index, "_PAGES_MORE", PAGES_MORE)


@pytest.fixture
def store(tmp_path):
    store = Connections(tmp_path / "fleet.db", busy_timeout=10, reuse=True)
    yield store
    store.close_idle()


@pytest.fixture
def connection(store):
    connection = store.acquire()
    connection.execute("CREATE TABLE theirs (x)")
    yield connection
    store.release(connection)


def write(connection, pages=1):
    """Commit a transaction that writes some more *pages* than that to the WAL."""
    begin_writing(connection)
    values = {"x": bytes(4000 * pages)}
    connection.execute("INSERT INTO theirs VALUES (:x)", values)
    connection.commit()


def frames(connection):
    return wal_index.frames_of(connection.files.shm)


def checkpoints(connection):
    """Return a list to which each checkpoint of *connection* is added."""
    made = []

    def trace(statement):
        if "wal_checkpoint" in statement:
            made.append(statement)

    connection.set_trace_callback(trace)
    return made


def test_sqlite_itself_makes_no_checkpoint_after_a_commit(connection):
    (pages,) = connection.execute("PRAGMA wal_autocheckpoint").fetchone()
    assert pages == 0


def test_where_the_index_cannot_be_read_sqlite_makes_them(tmp_path, monkeypatch):
    monkeypatch.setattr(wal_index, "_LISTS", {})
    monkeypatch.setattr(wal_index, "_found", {})
    store = Connections(tmp_path / "fleet.db", busy_timeout=1, reuse=True)
    connection = store.acquire()
    (pages,) = connection.execute("PRAGMA wal_autocheckpoint").fetchone()
    connection.close()
    assert pages == 2000


def test_a_wal_of_many_pages_is_written_into_the_database(connection):
    made = checkpoints(connection)
    for _ in range(10 * PAGES):
        write(connection)
        # Until the first one is made it has our tables, which are many pages.
        assert len(made) < 2 or frames(connection).written < 2 * PAGES
    assert len(made) >= 5


def test_a_heartbeat_makes_the_checkpoint_that_is_due(app, operator):
    agent = operator.enroll("PC-1", hostname="A")
    store = app.extensions["lea_fleet"].store
    connection = store.acquire()
    made = checkpoints(connection)
    store.release(connection)
    state = app.extensions["lea_fleet"]
    state.rule = replace(state.rule, resolution=0)  # each heartbeat is written
    for _ in range(3 * PAGES):
        assert agent.heartbeat().status_code == 200
    assert made


def test_writers_need_not_wait_for_a_checkpoint(connection, store):
    wrote = []

    def trace(statement):
        if "wal_checkpoint" in statement:
            with closing(sqlite3.connect(store.path, timeout=0)) as other, other:
                other.execute("INSERT INTO theirs VALUES (1)")
            wrote.append(statement)

    connection.set_trace_callback(trace)
    write(connection, PAGES)
    assert len(wrote) == 1


def test_only_one_process_makes_a_checkpoint_at_a_time(connection):
    made = checkpoints(connection)
    with checkpoint.locked(connection.place.wal, 0) as has_lock:
        assert has_lock
        write(connection, PAGES)
    assert not made
    write(connection)
    assert not made  # tried again only after some more pages
    write(connection, PAGES_MORE)
    assert made


def test_a_command_that_empties_the_wal_is_alone_too(connection):
    others = []

    def trace(statement):
        if "wal_checkpoint" in statement:
            with checkpoint.locked(connection.place.wal, 0) as has_lock:
                others.append(has_lock)

    connection.set_trace_callback(trace)
    write(connection)
    assert empty_wal(connection, 0)
    assert others and not any(others)


def test_a_connection_is_opened_alone(store, monkeypatch):
    """It makes a WAL, which must not be while another process saves a removed one."""
    others, connect = [], sqlite3.connect

    def look(name, **options):
        if name != ":memory:":  # which the first look at a schema opens
            with checkpoint.locked(place_of(store.path).folder, 0) as has_lock:
                others.append(has_lock)
        return connect(name, **options)

    monkeypatch.setattr(sqlite3, "connect", look)
    store.acquire().close()
    assert others == [False]


def test_a_wal_that_was_removed_is_saved_alone(store, monkeypatch):
    others, save = [], connections.save_removed_wal

    def look(connection, place, *arguments):
        with checkpoint.locked(place.folder, 0) as has_lock:
            others.append(has_lock)
        save(connection, place, *arguments)

    monkeypatch.setattr(connections, "save_removed_wal", look)
    store.release(store.acquire())
    for ending in ("-wal", "-shm"):
        store.path.with_name(f"fleet.db{ending}").unlink()
    store.acquire().close()
    assert others == [False]


def test_whoever_reads_the_folder_but_not_the_database_delays_no_checkpoint(connection):
    made = checkpoints(connection)
    with checkpoint.locked(connection.place.folder, 0):
        write(connection, PAGES)
    assert made


def test_nor_do_they_delay_a_connection_where_others_are_open(
    store, connection, monkeypatch
):
    waited, wait = [], checkpoint.tries

    def note(patience, pause):
        waited.append(patience)
        return wait(patience, pause)

    monkeypatch.setattr(checkpoint, "tries", note)
    with checkpoint.locked(connection.place.folder, 0):
        other = store.acquire()
    assert waited == [0, 0.1]
    assert other.execute("PRAGMA wal_autocheckpoint").fetchone()[0] == 0
    store.release(other)


def test_a_file_system_without_such_locks_has_its_checkpoints(connection, monkeypatch):
    def fail(*arguments):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(checkpoint.fcntl, "flock", fail)
    made = checkpoints(connection)
    write(connection, PAGES)
    assert made


def test_no_checkpoint_begins_where_all_is_saved(connection):
    """Another process may have saved it meanwhile; a commit may begin the WAL anew."""
    write(connection, PAGES)
    assert frames(connection).saved == frames(connection).written
    made = checkpoints(connection)
    checkpoint.checkpoint(connection, connection.place, connection.files)
    assert not made


def test_a_wal_that_was_removed_is_not_written_into_the_database(connection, store):
    made = checkpoints(connection)
    store.path.with_name("fleet.db-wal").unlink()
    with pytest.raises(DatabaseUnavailable):
        write(connection, PAGES)
    checkpoint.checkpoint(connection, connection.place, connection.files)
    assert not made


def test_a_reader_in_the_way_does_not_make_each_commit_try(connection, store):
    made = checkpoints(connection)
    with closing(sqlite3.connect(store.path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM theirs").fetchone()
        for _ in range(10 * PAGES_MORE):
            write(connection)
        assert 5 <= len(made) <= 30


def test_a_checkpoint_that_fails_does_not_fail_the_commit(connection, monkeypatch):
    def fail(shm):
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(checkpoint, "frames_of", fail)
    write(connection, PAGES)
    assert frames(connection).saved == 0


def test_what_three_processes_write_beside_each_other_is_all_there(tmp_path):
    path = tmp_path / "fleet.db"

    def writer(number):
        def work():
            store = Connections(path, busy_timeout=60, reuse=True)
            connection = store.acquire()
            begin_writing(connection)
            connection.execute("CREATE TABLE IF NOT EXISTS theirs (x)")
            connection.commit()
            for count in range(300):
                begin_writing(connection)
                value = f"{number}-{count}"
                connection.execute("INSERT INTO theirs VALUES (:x)", {"x": value})
                connection.commit()
            store.release(connection)
            store.close_idle()

        return work

    in_processes(*(writer(number) for number in range(3)))
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        (count,) = connection.execute("SELECT count(DISTINCT x) FROM theirs").fetchone()
    assert count == 900
