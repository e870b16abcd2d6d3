"""Values that PostgreSQL cannot store as they are stop a move, unless accepted."""

from __future__ import annotations

import csv

import pytest

from lea_fleet.storage.sqlite.move_source import SqliteSource
from tests.support.moves import (
    fill_all_tables,
    moved,
    refused,
    rows_of,
    run_move,
    takes_writes,
)

#: A value in SQL, a column of machines, the reason, and what is stored instead.
VALUES = [
    ("'a' || char(0) || 'b'", "user_name", "contains NUL", "a\ufffdb"),
    ("CAST(x'41ff42' AS TEXT)", "hostname", "is not UTF-8", "A\ufffdB"),
    ("CAST(x'eda080' AS TEXT)", "os_info", "is not UTF-8", "\ufffd\ufffd\ufffd"),
    ("x'5a6fc3a9'", "user_email", "is binary", "Zoé"),
    ("x'ff'", "user_id", "is binary", "\ufffd"),
    ("CAST(x'ff00' AS TEXT)", "version", "contains NUL", "\ufffd\ufffd"),
]

#: What is stored in these columns, byte for byte.
STORED = f"""SELECT {', '.join(
    f"typeof({column}), hex({column})" for _, column, _, _ in VALUES
)} FROM enrolled_agents"""


@pytest.fixture
def source(sqlite_file):
    fill_all_tables(sqlite_file, 3)
    return sqlite_file


def spoil(source):
    given = ", ".join(f"{column} = {value}" for value, column, _, _ in VALUES)
    source.execute(f"UPDATE enrolled_agents SET {given} WHERE id = 4")


def read(path):
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file, delimiter=";"))


def test_each_is_listed_and_stops_the_move(source, postgresql_schema, tmp_path):
    spoil(source)
    before = source.execute(STORED)
    errors = tmp_path / "errors.csv"

    error = refused(source, postgresql_schema, "--errors", str(errors))

    assert f"{len(VALUES)} values cannot be stored as they are" in error
    listed = read(errors)
    assert {each["column"]: each["reason"] for each in listed} == {
        column: reason for _, column, reason, _ in VALUES
    }
    assert {(each["table"], each["row"]) for each in listed} == {
        ("enrolled_agents", "4")
    }
    assert source.execute(STORED) == before
    assert takes_writes(source)
    assert not any(rows_of(postgresql_schema).values())


def test_accepted_ones_are_stored_with_a_replacement(source, postgresql_schema):
    """Both digests are those of what is stored."""
    spoil(source)

    report = moved(source, postgresql_schema, "--accept-errors")

    stored = "SELECT {} FROM enrolled_agents WHERE id = 4"
    for _, column, _, instead in VALUES:
        assert postgresql_schema.execute(stored.format(column)) == [(instead,)]
    assert report["tables"]["enrolled_agents"]["rows"] == 3


def test_a_dry_run_lists_them_too(source, postgresql_schema, tmp_path):
    spoil(source)
    errors = tmp_path / "errors.csv"

    result = run_move(source, postgresql_schema, "--dry-run", "--errors", str(errors))

    assert result.exit_code == 0, result.output
    assert len(read(errors)) == len(VALUES)
    assert f"{len(VALUES)} values cannot be stored" in result.stderr


@pytest.mark.parametrize("value", ["'many'", "x'01'", "1.5"])
def test_what_is_not_a_whole_number_is_such_a_value(source, postgresql_schema, value):
    source.execute(f"UPDATE lea_fleet_enrollment_tokens SET uses = {value}")

    assert "3 values cannot be stored" in refused(source, postgresql_schema)

    moved(source, postgresql_schema, "--accept-errors")
    uses = postgresql_schema.execute("SELECT uses FROM lea_fleet_enrollment_tokens")
    assert uses == [(int(float(value)) if value == "1.5" else 0,)] * 3


@pytest.mark.parametrize("accept", [True, False])
def test_what_is_written_during_the_move_is_checked_too(
    source, postgresql_schema, monkeypatch, accept
):
    begin = SqliteSource.take_noted

    def late(side):
        monkeypatch.setattr(SqliteSource, "take_noted", begin)
        spoil(source)
        return begin(side)

    monkeypatch.setattr(SqliteSource, "take_noted", late)

    if accept:
        moved(source, postgresql_schema, "--accept-errors")
    else:
        assert "cannot be stored" in refused(source, postgresql_schema)
        assert takes_writes(source)


def test_no_value_of_a_file_is_a_formula_in_the_list(
    source, postgresql_schema, tmp_path
):
    source.execute("UPDATE lea_fleet_releases SET machine_id = '=1+' || machine_id")
    source.execute("UPDATE lea_fleet_releases SET enrolled_at = x'ff'")
    errors = tmp_path / "errors.csv"

    refused(source, postgresql_schema, "--errors", str(errors))

    assert not any(each["row"].startswith("=") for each in read(errors))
