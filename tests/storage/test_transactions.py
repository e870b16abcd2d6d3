"""Transactions: all or nothing, one writer at a time, durable when acknowledged."""

from __future__ import annotations

import sqlite3

import pytest

from lea_fleet import AgentRepository, FleetFilter, LeaFleet
from tests.support.fleets import fill, get_db
from tests.support.processes import in_processes

FULL, NORMAL = 2, 1


def transaction(connection, *, durable=True):
    return AgentRepository(connection).transaction(durable=durable)


def is_open(connection):
    """Return whether a transaction is open."""
    unit = AgentRepository(connection).unit
    return unit.dialect.in_transaction(unit.session)


def snapshot(connection):
    return AgentRepository(connection).snapshot()


@pytest.fixture
def numbers(engine):
    """The database with a table of the host's, in which is the number 0."""
    engine.make_tables()
    engine.execute("CREATE TABLE numbers (number INTEGER)")
    engine.execute("INSERT INTO numbers VALUES (0)")
    return engine


@pytest.fixture
def connection(numbers):
    with numbers.opened_by_host() as connection:
        yield connection


@pytest.fixture
def other(numbers):
    """Another connection."""
    with numbers.opened_by_host() as other:
        yield other


def number_in(connection):
    return connection.execute("SELECT number FROM numbers").fetchone()[0]


def add_one(connection):
    connection.execute(f"UPDATE numbers SET number = {number_in(connection) + 1}")


def test_what_is_written_is_committed_at_the_end(connection, other):
    with transaction(connection):
        add_one(connection)
        assert number_in(other) == 0

    assert number_in(other) == 1
    assert not is_open(connection)


@pytest.mark.parametrize("error", [ValueError(), None, KeyboardInterrupt()], ids=str)
def test_an_error_rolls_everything_back_and_goes_on(connection, other, engine, error):
    error = error or engine.fault
    with pytest.raises(type(error)), transaction(connection):
        add_one(connection)
        raise error

    assert number_in(connection) == number_in(other) == 0
    assert not is_open(connection)


def test_a_transaction_within_is_a_part_of_the_outer_one(connection, other):
    with AgentRepository(connection).transaction():
        with AgentRepository(connection).transaction():
            add_one(connection)
        assert is_open(connection)
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
        assert is_open(connection)

    assert number_in(other) == 1


@pytest.mark.sqlite
def test_one_that_writes_is_alone_from_its_beginning(connection, other):
    other.execute("PRAGMA busy_timeout = 0")
    with transaction(connection):
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")

    other.execute("BEGIN IMMEDIATE")


@pytest.mark.sqlite
def test_one_that_cannot_begin_leaves_nothing_behind(connection, other):
    other.execute("PRAGMA busy_timeout = 0")
    with transaction(connection):
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            with transaction(other):
                raise AssertionError("never entered")
        assert not other.in_transaction

    with transaction(other):
        add_one(other)
    assert number_in(connection) == 1


@pytest.mark.sqlite
@pytest.mark.parametrize("levels", [("FULL", "NORMAL"), ("NORMAL", "FULL")])
def test_each_transaction_sets_its_own_synchronous_level(connection, levels):
    for level in levels:
        with transaction(connection, durable=level == "FULL"):
            (found,) = connection.execute("PRAGMA synchronous").fetchone()
            assert found == {"FULL": FULL, "NORMAL": NORMAL}[level]


@pytest.mark.sqlite
def test_the_level_is_full_unless_it_is_said(connection):
    connection.execute("PRAGMA synchronous = OFF")
    with transaction(connection):
        assert connection.execute("PRAGMA synchronous").fetchone() == (FULL,)


def test_processes_that_read_and_then_write_about_a_machine_lose_nothing(engine):
    fill(engine, [{"machine_id": "PC-1", "version": "0"}])

    def add_a_hundred():
        with engine.opened_by_host() as connection:
            repository = AgentRepository(connection)
            for _ in range(100):
                with repository.transaction(about="PC-1"):
                    version = int(repository.require("PC-1")["version"]) + 1
                    set_version = f"UPDATE enrolled_agents SET version = '{version}'"
                    connection.execute(set_version)

    in_processes(*[add_a_hundred] * 4)

    assert engine.execute("SELECT version FROM enrolled_agents") == [("400",)]


def test_a_snapshot_is_one_moment(connection, other):
    with snapshot(connection):
        assert number_in(connection) == 0
        add_one(other)
        assert number_in(connection) == 0

    assert number_in(connection) == 1


def test_a_page_may_be_read_within_a_transaction_which_stays_whole(repository):
    with pytest.raises(ValueError), repository.transaction():
        assert repository.listing.page(FleetFilter(), limit=1).agents == []
        repository.enroll("PC-1")
        assert len(repository.listing.page(FleetFilter(), limit=1).agents) == 1
        raise ValueError

    assert repository.get("PC-1") is None


def test_a_page_may_be_read_within_a_snapshot_which_goes_on(repository, elsewhere):
    with repository.snapshot():
        repository.listing.page(FleetFilter(), limit=1)
        elsewhere.enroll("PC-1")
        assert repository.count_by_status()["active"] == 0

    assert repository.count_by_status()["active"] == 1


@pytest.fixture
def repository(app):
    with app.app_context():
        yield LeaFleet().repository


def test_a_snapshot_ends_with_an_error(connection):
    with pytest.raises(ValueError), snapshot(connection):
        raise ValueError

    assert not is_open(connection)


# The server's transactions, on SQLite


@pytest.fixture
def statements(app, database):
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


@pytest.mark.sqlite
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
