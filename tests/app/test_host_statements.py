"""A host's own statements on the connection of the repository."""

from __future__ import annotations

import pytest

from lea_fleet.app.database import get_host_repository

INSERT = "INSERT INTO {} VALUES ('PC-1')"


@pytest.fixture
def repository(app):
    with app.app_context():
        yield get_host_repository()


@pytest.fixture
def notes(repository, engine):
    """The name of a table of the host's."""
    repository.count_by_status()  # which creates our tables
    with engine.connected() as host:
        host.execute("CREATE TABLE notes (machine_id TEXT)")
    return engine.qualified("notes")


@pytest.fixture
def noted(notes, engine):
    """Return how many rows the table has, as another program sees it."""

    def count():
        with engine.connected() as other:
            return other.execute("SELECT count(*) FROM notes").fetchone()[0]

    return count


def test_outside_of_a_transaction_each_is_committed_by_itself(repository, notes, noted):
    repository.connection.execute(INSERT.format(notes))

    assert noted() == 1


def test_they_are_part_of_the_repositorys_transaction(repository, notes, noted):
    with repository.transaction("PC-1"):
        repository.enroll("PC-1")
        repository.connection.execute(INSERT.format(notes))
        assert noted() == 0

    assert noted() == 1 and repository.get("PC-1")


def test_they_are_rolled_back_with_it(repository, notes, noted):
    with pytest.raises(ZeroDivisionError), repository.transaction("PC-1"):
        repository.enroll("PC-1")
        repository.connection.execute(INSERT.format(notes))
        1 / 0

    assert noted() == 0 and repository.get("PC-1") is None


def test_an_error_is_the_drivers_own(repository, engine):
    with pytest.raises(engine.errors):
        repository.connection.execute("SELECT 1 FROM no_such_table")
