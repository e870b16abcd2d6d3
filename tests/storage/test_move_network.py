"""The network to PostgreSQL breaks during a move: the source works again afterwards.

Or it is closed, and the other side has the fleet.
"""

from __future__ import annotations

import urllib.parse

import pytest

from lea_fleet.storage import move
from lea_fleet.storage.postgresql.direct import PatientConnection
from lea_fleet.storage.postgresql.move_source import PostgresqlSource
from lea_fleet.storage.postgresql.move_target import PostgresqlTarget
from tests.support.broken_network import network_to
from tests.support.engines import PostgresqlSchema
from tests.support.moves import (
    fill_all_tables,
    moved,
    refused,
    rows_of,
    takes_writes,
)

#: When the network breaks: before a method of the side in PostgreSQL is called, and
#: which call it is, in both directions.
TO_POSTGRESQL = {
    "at the beginning": ("begin", 1),
    "before a table is copied": ("fill", 5),
    "in the lock": ("set_numbers", 1),
    "while it is compared": ("snapshot", 1),
    "at the opening": ("open", 1),
}
TO_A_FILE = {
    "at the beginning": ("begin_noting", 1),
    "before the first snapshot": ("snapshot", 1),
    "before the last snapshot": ("snapshot", 3),
    "before it is closed": ("close", 1),
    "before the fingerprints are kept": ("keep", 1),
}


@pytest.fixture
def far(postgresql_schema):
    """The schema as seen through a network that breaks; ``far.network`` is that."""
    url = urllib.parse.urlsplit(postgresql_schema.address)
    with network_to(url.port) as network:
        netloc = url.netloc.replace(str(url.port), str(network.port))
        far = PostgresqlSchema(
            url._replace(netloc=netloc).geturl(),
            postgresql_schema.settings["LEA_FLEET_DATABASE_SCHEMA"],
        )
        far.network = network
        yield far


def let_break(monkeypatch, owner, name, number, how):
    """Break the network before the *number*-th call of a method.

    Nobody waits for long that it is mended.
    """
    monkeypatch.setattr(PatientConnection, "patience", 2.0)
    monkeypatch.setattr(move, "LONGEST_LOCK", 1.0)
    method, calls = getattr(owner, name), []

    def called(*args, **options):
        calls.append(name)
        if len(calls) == number:
            how()
        return method(*args, **options)

    monkeypatch.setattr(owner, name, called)


@pytest.mark.parametrize(
    ("when", "how"),
    [
        *((when, "cut") for when in TO_POSTGRESQL),
        ("before a table is copied", "stall"),
        ("in the lock", "stall"),
        ("in the lock", "lose_answers"),
        ("at the opening", "stall"),
        ("at the opening", "lose_answers"),
    ],
)
def test_a_network_to_the_target_that_breaks(
    sqlite_file, postgresql_schema, far, monkeypatch, when, how
):
    fill_all_tables(sqlite_file)
    before = rows_of(sqlite_file)
    name, number = TO_POSTGRESQL[when]
    with monkeypatch.context() as patch:
        let_break(patch, PostgresqlTarget, name, number, getattr(far.network, how))
        refused(sqlite_file, far)

    assert rows_of(sqlite_file) == before
    assert sqlite_file.notes() == []
    is_opening = when == "at the opening"
    is_opened = is_opening and takes_writes(postgresql_schema)
    assert is_opening or takes_writes(sqlite_file)
    assert not (is_opened and takes_writes(sqlite_file))
    far.network.mend()
    if is_opened:
        assert "was moved to" in refused(sqlite_file, far)
    else:
        moved(sqlite_file, far)
    assert rows_of(postgresql_schema) == before
    assert takes_writes(postgresql_schema) and not takes_writes(sqlite_file)


@pytest.mark.parametrize(
    ("when", "how"),
    [
        *((when, "cut") for when in TO_A_FILE),
        ("before the first snapshot", "stall"),
        ("before it is closed", "stall"),
        ("before it is closed", "lose_answers"),
        ("before the fingerprints are kept", "lose_answers"),
    ],
)
def test_a_network_to_the_source_that_breaks(
    sqlite_file, postgresql_schema, far, monkeypatch, when, how
):
    """The server itself ends the lock of a command that it cannot reach."""
    fill_all_tables(postgresql_schema)
    before = rows_of(postgresql_schema)
    sqlite_file.path.parent.mkdir()
    name, number = TO_A_FILE[when]
    with monkeypatch.context() as patch:
        let_break(patch, PostgresqlSource, name, number, getattr(far.network, how))
        refused(far, sqlite_file)

    assert rows_of(postgresql_schema) == before
    assert not sqlite_file.exists()
    far.network.mend()
    moved(far, sqlite_file)
    assert rows_of(sqlite_file) == before
    assert takes_writes(sqlite_file) and not takes_writes(postgresql_schema)
    assert postgresql_schema.notes() == []


def test_a_network_that_breaks_for_a_moment_leaves_the_source_in_use(
    sqlite_file, postgresql_schema, far, monkeypatch
):
    """Also after it was closed."""
    fill_all_tables(postgresql_schema)
    sqlite_file.path.parent.mkdir()
    with monkeypatch.context() as patch:
        let_break(patch, PostgresqlSource, "keep", 1, far.network.cut)
        refused(far, sqlite_file)

    assert takes_writes(postgresql_schema)
    assert postgresql_schema.notes() == []
