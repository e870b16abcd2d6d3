"""Transactions: all or nothing, one writer at a time, durable when acknowledged."""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager

import pytest

from lea_fleet import AgentRepository, LeaFleet
from tests.support.fleets import get_db
from tests.support.processes import in_processes

FULL, NORMAL = 2, 1


def transaction(connection, *, durable=True):
    return AgentRepository(connection).transaction(durable=durable)


def snapshot(connection):
    return AgentRepository(connection).snapshot()


@contextmanager
def connected(path):
    with closing(sqlite3.connect(path, isolation_level=None, timeout=30)) as connection:
        yield connection


@pytest.fixture
def path(tmp_path):
    """A database in WAL mode with the number 0 in it."""
    path = tmp_path / "numbers.db"
    with connected(path) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE numbers (number INTEGER)")
        connection.execute("INSERT INTO numbers VALUES (0)")
    return path


@pytest.fixture
def connection(path):
    with connected(path) as connection:
        yield connection


@pytest.fixture
def other(path):
    """Another connection, which does not wait for locks."""
    with closing(sqlite3.connect(path, isolation_level=None, timeout=0)) as other:
        yield other


def number_in(connection):
    return connection.execute("SELECT number FROM numbers").fetchone()[0]


def add_one(connection):
    connection.execute("UPDATE numbers SET number = ?", (number_in(connection) + 1,))


def test_what_is_written_is_committed_at_the_end(connection, other):
    with transaction(connection):
        add_one(connection)
        assert number_in(other) == 0

    assert number_in(other) == 1
    assert not connection.in_transaction


@pytest.mark.parametrize("error", [ValueError, sqlite3.Error, KeyboardInterrupt])
def test_an_error_rolls_everything_back_and_goes_on(connection, other, error):
    with pytest.raises(error), transaction(connection):
        add_one(connection)
        raise error

    assert number_in(connection) == number_in(other) == 0
    assert not connection.in_transaction


def test_a_transaction_within_is_a_part_of_the_outer_one(connection, other):
    with AgentRepository(connection).transaction():
        with AgentRepository(connection).transaction():
            add_one(connection)
        assert connection.in_transaction
        assert number_in(other) == 0

    assert number_in(other) == 1


def test_an_error_outside_takes_back_what_was_written_within(connection, other):
    with pytest.raises(ValueError), AgentRepository(connection).transaction():
        with AgentRepository(connection).transaction():
            add_one(connection)
        raise ValueError

    assert number_in(other) == 0


def test_an_error_within_leaves_the_end_to_the_outer_one(connection, other):
    with AgentRepository(connection).transaction():
        add_one(connection)
        with pytest.raises(ValueError), AgentRepository(connection).transaction():
            raise ValueError
        assert connection.in_transaction

    assert number_in(other) == 1


def test_one_that_writes_is_alone_from_its_beginning(connection, other):
    with transaction(connection):
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")

    other.execute("BEGIN IMMEDIATE")


def test_one_that_cannot_begin_leaves_nothing_behind(connection, other):
    with transaction(connection):
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            with transaction(other):
                raise AssertionError("never entered")
        assert not other.in_transaction

    with transaction(other):
        add_one(other)
    assert number_in(connection) == 1


@pytest.mark.parametrize("levels", [("FULL", "NORMAL"), ("NORMAL", "FULL")])
def test_each_transaction_sets_its_own_synchronous_level(connection, levels):
    for level in levels:
        with transaction(connection, durable=level == "FULL"):
            (found,) = connection.execute("PRAGMA synchronous").fetchone()
            assert found == {"FULL": FULL, "NORMAL": NORMAL}[level]


def test_the_level_is_full_unless_it_is_said(connection):
    connection.execute("PRAGMA synchronous = OFF")
    with transaction(connection):
        assert connection.execute("PRAGMA synchronous").fetchone() == (FULL,)


def test_processes_that_read_and_then_write_lose_nothing(path):
    def add_a_hundred():
        with connected(path) as connection:
            for _ in range(100):
                with transaction(connection):
                    add_one(connection)

    in_processes(*[add_a_hundred] * 4)

    with connected(path) as connection:
        assert number_in(connection) == 400


def test_a_snapshot_is_one_moment(connection, other):
    with snapshot(connection):
        assert number_in(connection) == 0
        add_one(other)
        assert number_in(connection) == 0

    assert number_in(connection) == 1


def test_a_snapshot_ends_with_an_error(connection):
    with pytest.raises(ValueError), snapshot(connection):
        raise ValueError

    assert not connection.in_transaction


# The server's transactions


@pytest.fixture
def statements(app):
    """The statements of the next requests, which reuse one connection."""
    said = []
    with app.app_context():
        get_db().set_trace_callback(said.append)
    return said


def levels(statements):
    """Return the synchronous level of each transaction in *statements*."""
    level, within, found = None, False, []
    for statement in statements:
        if statement.startswith("PRAGMA synchronous = "):
            level = statement.rpartition(" ")[2]
        begins = statement == "BEGIN IMMEDIATE"
        if begins or (not within and statement.startswith("UPDATE")):
            found.append(level)
        within = begins or (within and statement != "COMMIT")
    return found


def test_what_is_acknowledged_is_durable(operator, statements):
    agent = operator.enroll("PC-1")
    assert agent.get("/machines/PC-1").status_code == 200  # the token's first use
    assert agent.uninstall().status_code == 200
    operator.enroll("PC-1")

    assert levels(statements) == ["FULL"] * 4


def test_what_a_host_sets_on_the_connection_weakens_no_commit(app, operator):
    with app.app_context():
        repository = LeaFleet().repository
        connection = repository.connection
        for machine_id in ("PC-1", "PC-2"):
            connection.execute("PRAGMA synchronous = OFF")
            with repository.transaction():
                (found,) = connection.execute("PRAGMA synchronous").fetchone()
                repository.enroll(machine_id)
            assert found == FULL
        connection.execute("PRAGMA synchronous = OFF")
    operator.enroll("PC-3")

    with app.app_context():
        assert get_db().execute("PRAGMA synchronous").fetchone()[0] == FULL


def test_a_heartbeat_is_cheap(operator, the_clock, statements):
    agent = operator.enroll("PC-1")
    assert agent.heartbeat().status_code == 200
    statements.clear()

    assert agent.heartbeat().status_code == 200
    assert levels(statements) == []
    the_clock.advance(seconds=20)
    assert agent.heartbeat().status_code == 200
    assert levels(statements) == ["NORMAL"] * 2  # the machines are counted again, too


def test_an_enrollment_after_a_heartbeat_is_durable(operator, the_clock, statements):
    agent = operator.enroll("PC-1")
    agent.heartbeat()
    the_clock.advance(seconds=20)
    agent.heartbeat()
    statements.clear()

    operator.enroll("PC-2")

    assert levels(statements) == ["FULL"]
