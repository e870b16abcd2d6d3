"""A fleet that has left comes back by --undo only from where it went."""

from __future__ import annotations

import pytest

from lea_fleet.cli import move as command
from lea_fleet.storage.postgresql.move_source import PostgresqlSource
from lea_fleet.storage.postgresql.move_target import PostgresqlTarget
from lea_fleet.storage.sqlite.move_source import SqliteSource
from lea_fleet.storage.sqlite.move_target import SqliteTarget
from tests.support.engines import PostgresqlSchema, SqliteFile
from tests.support.moves import (
    fill_all_tables,
    moved,
    refused,
    rows_of,
    run_move,
    takes_writes,
)
from tests.support.postgresql import new_schema


@pytest.fixture
def filled(sides):
    fill_all_tables(sides[0], 5)
    return sides


@pytest.fixture
def elsewhere(filled, tmp_path, postgresql_admin):
    """A database of the target's engine in which nothing is."""
    there = filled[1]
    if isinstance(there, SqliteFile):
        yield SqliteFile(tmp_path / "elsewhere.db")
        return
    with new_schema(postgresql_admin) as name:
        yield PostgresqlSchema(there.address, name)


def interrupt(here, there, monkeypatch):
    """Let a move end where the source is closed, and clean nothing up."""

    def killed(*arguments):
        raise Killed

    with monkeypatch.context() as patch:
        for owner in SOURCES:
            patch.setattr(owner, "keep", killed)
            patch.setattr(owner, "reopen", lambda side: None)
        for owner in TARGETS:
            patch.setattr(owner, "abandon", lambda side: None)
        with pytest.raises(Killed):
            run_move(here, there)


class Killed(BaseException):
    pass


SOURCES = SqliteSource, PostgresqlSource
TARGETS = SqliteTarget, PostgresqlTarget


def test_it_is_not_taken_back_from_where_it_has_not_gone(filled, elsewhere):
    """Both databases would take writes then."""
    here, there = filled
    moved(here, there)

    error = refused(here, elsewhere, "--undo")

    assert "was moved to" in error and "nothing of that is in" in error
    assert takes_writes(there) and not takes_writes(here)


def test_an_interrupted_move_is_taken_back(filled, elsewhere, monkeypatch):
    here, there = filled
    interrupt(here, there, monkeypatch)
    assert not takes_writes(here)
    assert "nothing of that is in" in refused(here, elsewhere, "--undo")
    assert "was interrupted: run that again" in refused(here, elsewhere)
    assert not takes_writes(here)

    moved(here, there, "--undo")

    assert takes_writes(here)
    moved(here, elsewhere)
    assert rows_of(elsewhere) == rows_of(here)


def test_an_undo_that_was_interrupted_is_ended_by_the_next(filled, monkeypatch):
    here, there = filled
    moved(here, there)
    with monkeypatch.context() as patch:
        for owner in SOURCES:
            patch.setattr(owner, "reopen", fail)
        run_move(here, there, "--undo")
    assert not takes_writes(here) and not takes_writes(there)
    assert "was not moved to" in refused(here, there, "--again")

    moved(here, there, "--undo")

    assert takes_writes(here) and not takes_writes(there)


def fail(side):
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    "step",
    [
        "Copied enrolled_agents",
        "Copied lea_fleet_tokens",
        "Copied changed rows",
        "Copied the last changes",
        "Compared lea_fleet_tokens",
    ],
)
def test_ctrl_c_leaves_the_fleet_in_use(filled, monkeypatch, step):
    here, there = filled
    before = rows_of(here)
    tell = command.tell

    def interrupted(told, rows):
        if told.startswith(step):
            raise KeyboardInterrupt
        tell(told, rows)

    with monkeypatch.context() as patch:
        patch.setattr(command, "tell", interrupted)
        result = run_move(here, there)

    assert result.exit_code == 1
    assert "Aborted!" in result.output
    assert rows_of(here) == before
    assert here.notes() == []
    assert takes_writes(here)
    moved(here, there)


@pytest.mark.parametrize("name", ["set_numbers", "open"])
def test_ctrl_c_in_the_lock_or_at_the_opening_does_so_too(filled, monkeypatch, name):
    here, there = filled
    with monkeypatch.context() as patch:
        for owner in TARGETS:
            patch.setattr(owner, name, lambda *arguments: fail(None))
        run_move(here, there)

    assert takes_writes(here)
    moved(here, there)
