"""The writers of one process take their turns in order of arrival.

Only the first of them asks SQLite for the file's lock, and one deadline covers the
queue and the lock.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import partial

import pytest

from lea_fleet.core.problems import DatabaseUnavailable
from lea_fleet.storage.sqlite import transactions
from lea_fleet.storage.sqlite.connections import Connections
from lea_fleet.storage.sqlite.dialect import DIALECT
from lea_fleet.storage.sqlite.purge import vacuum
from lea_fleet.storage.sqlite.transactions import transaction
from tests.support.fleets import get_db
from tests.support.processes import in_processes

pytestmark = pytest.mark.sqlite

LONG = 60  # seconds: more than a test takes
SHORT = 0.2


@pytest.fixture
def open_store(tmp_path):
    """Return a function that opens a store whose writers wait for so many seconds."""
    stores = []

    def open_it(busy_timeout):
        store = Connections(
            tmp_path / "fleet.db", busy_timeout=busy_timeout, reuse=True
        )
        stores.append(store)
        return store

    yield open_it
    for store in stores:
        for connection in list(store._open):
            store.discard(connection)


@contextmanager
def locked(store):
    """Keep the file's lock in a connection that is not in the queue."""
    with closing(sqlite3.connect(store.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.rollback()


def arrive(store, count):
    """Wait until so many threads stand in the queue."""
    deadline = time.monotonic() + LONG
    while len(store.queue._waiting) < count:
        assert time.monotonic() < deadline
        time.sleep(0.001)


def note_attempts(connection, attempted):
    """Call *attempted* whenever *connection* asks for the write lock."""

    def trace(statement):
        if statement.startswith(("BEGIN", "UPDATE")):
            attempted()

    connection.set_trace_callback(trace)


def write(connection):
    with transaction(connection):
        pass


def note(connection):
    """Write with a single statement."""
    statement = "UPDATE enrolled_agents SET last_seen_at = :now WHERE id = :id"
    DIALECT.write_once(connection, statement, {"now": "", "id": 0})


@pytest.mark.parametrize("how", [write, note])
def test_writers_take_their_turns_in_order_of_arrival(open_store, how):
    store, served = open_store(LONG), []
    connections = [store.acquire() for _ in range(6)]
    first, *others = connections

    for number, connection in enumerate(others):
        note_attempts(connection, lambda number=number: served.append(number))
    with ThreadPoolExecutor(5) as pool, transaction(first):
        for number, connection in enumerate(others):
            pool.submit(how, connection)
            arrive(store, number + 1)
    assert served == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("how", [write, note])
def test_only_the_first_in_the_queue_asks_for_the_lock(open_store, how):
    store, asked = open_store(LONG), set()
    connections = [store.acquire() for _ in range(4)]

    for number, connection in enumerate(connections):
        note_attempts(connection, partial(asked.add, number))
    with ThreadPoolExecutor(4) as pool:
        with locked(store):
            waiting = [pool.submit(how, connection) for connection in connections]
            arrive(store, 3)
            time.sleep(20 * transactions._PAUSE)
            assert len(asked) == 1
        for each in waiting:
            each.result()
    assert len(asked) == 4


@pytest.mark.parametrize("how", [write, note])
def test_one_deadline_covers_the_queue_and_the_lock(open_store, monkeypatch, how):
    now, store = [0.0], open_store(10)
    monkeypatch.setattr(transactions, "monotonic", lambda: now[0])
    monkeypatch.setattr(transactions, "sleep", lambda _: now.append(now.pop() + 1))
    connection = store.acquire()
    entered = store.queue.enter

    def enter_late(patience):
        now[0] += 8
        return entered(patience)

    monkeypatch.setattr(store.queue, "enter", enter_late)
    with locked(store), pytest.raises(sqlite3.OperationalError, match="locked"):
        how(connection)
    assert now == [10.0]


@pytest.mark.parametrize("how", [write, note])
def test_a_writer_gives_up_at_the_busy_timeout_and_leaves_the_queue(open_store, how):
    store = open_store(SHORT)
    first, second = store.acquire(), store.acquire()
    with ThreadPoolExecutor(1) as pool, transaction(first):
        failed = pool.submit(how, second).exception()
    assert isinstance(failed, sqlite3.OperationalError) and "locked" in str(failed)
    assert not store.queue._waiting
    how(second)


def test_a_thread_does_not_wait_for_its_own_turn(open_store):
    store = open_store(SHORT)
    first, second = store.acquire(), store.acquire()
    with transaction(first):
        with pytest.raises(sqlite3.OperationalError, match="database is locked$"):
            write(second)
        assert first.has_turn and not second.has_turn
    write(second)
    assert store.queue._owner is None


def test_a_turn_ends_with_its_transaction_however_that_ends(open_store):
    store = open_store(SHORT)
    connection = store.acquire()
    with pytest.raises(ZeroDivisionError), transaction(connection):
        1 / 0
    assert store.queue._owner is None
    with locked(store), pytest.raises(sqlite3.OperationalError):
        write(connection)
    assert store.queue._owner is None
    with transaction(connection):
        connection.execute("ROLLBACK")  # as a host's code might
    assert store.queue._owner is None
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        DIALECT.write_once(connection, "UPDATE missing SET id = 1", {})
    assert store.queue._owner is None
    DIALECT.begin_writing(connection, (), True)
    store.release(connection)
    assert store.queue._owner is None
    DIALECT.begin_writing(connection := store.acquire(), (), True)
    store.discard(connection)
    assert store.queue._owner is None


def test_a_commit_to_a_file_that_is_gone_ends_the_turn(open_store):
    store = open_store(SHORT)
    connection = store.acquire()
    with pytest.raises(DatabaseUnavailable), transaction(connection):
        store.path.rename(store.path.with_suffix(".away"))
    assert store.queue._owner is None


def test_a_child_process_does_not_wait_for_the_threads_of_its_parent(open_store):
    store = open_store(SHORT)
    connection = store.acquire()

    def in_the_child():
        return store.queue._owner

    DIALECT.begin_writing(connection, (), True)
    assert store.queue._owner is not None
    assert in_processes(in_the_child) == [None]
    connection.rollback()


def test_a_vacuum_waits_for_its_turn(open_store):
    store, done = open_store(LONG), []
    first, second = store.acquire(), store.acquire()

    def rewrite():
        vacuum(second, store.path)
        done.append(True)

    with transaction(first):
        thread = threading.Thread(target=rewrite)
        thread.start()
        arrive(store, 1)
        assert not done
    thread.join()
    assert done and store.queue._owner is None


def test_a_hosts_own_statement_waits_for_the_lock_as_sqlite_does(app):
    app.extensions["lea_fleet"].store._busy_timeout = 7
    with app.app_context():
        connection = get_db()
        wait = connection.execute("PRAGMA busy_timeout").fetchone()[0]
        assert wait == 7000
        write(connection)
        assert connection.execute("PRAGMA busy_timeout").fetchone()[0] == 7000
    with closing(app.extensions["lea_fleet"].store.acquire()) as connection:
        write(connection)
        assert connection.execute("PRAGMA busy_timeout").fetchone()[0] == 0


def test_after_many_turns_another_process_gets_the_lock(open_store, monkeypatch):
    slept, store = [], open_store(LONG)
    monkeypatch.setattr(transactions, "sleep", slept.append)
    connections = [store.acquire() for _ in range(transactions._TURNS + 1)]
    first, *others = connections
    with ThreadPoolExecutor(len(others)) as pool, transaction(first):
        for number, connection in enumerate(others):
            pool.submit(write, connection)
            arrive(store, number + 1)
    assert slept == [2 * transactions._PAUSE]
