"""The PostgreSQL servers that the tests start."""

from __future__ import annotations

import psycopg
import pytest

from tests.support.postgresql import Server, Unavailable


@pytest.fixture
def primary(postgresql_server):
    with Server(durable=True, wal_level="replica") as server:
        yield server.start()


def test_what_a_killed_primary_acknowledged_is_on_its_promoted_standby(primary):
    with primary.standby() as standby:
        with primary.connect() as connection:
            connection.execute("CREATE TABLE acknowledged AS SELECT 1 AS id")
        primary.kill()
        with pytest.raises(psycopg.OperationalError):
            primary.connect()
        standby.promote()
        with standby.connect() as connection:
            connection.execute("INSERT INTO acknowledged VALUES (2)")
            found = connection.execute("SELECT count(*) FROM acknowledged").fetchone()
        assert found == (2,)


def test_a_killed_server_starts_again_on_its_port_with_its_data(primary):
    port = primary.port
    with primary.connect() as connection:
        connection.execute("CREATE TABLE acknowledged AS SELECT 1 AS id")
    primary.kill()
    primary.start()
    assert primary.port == port
    with primary.connect() as connection:
        assert connection.execute("SELECT id FROM acknowledged").fetchone() == (1,)


def test_a_stopped_server_starts_again_on_its_port(primary):
    port = primary.port
    primary.stop()
    with pytest.raises(psycopg.OperationalError):
        primary.connect()
    assert primary.start().port == port
    primary.connect().close()


def test_a_server_that_does_not_start_says_why(postgresql_server):
    with Server(shared_buffers="too much") as server:
        with pytest.raises(Unavailable, match="shared_buffers"):
            server.start()
