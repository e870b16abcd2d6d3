"""``flask fleet schema`` on SQLite: the tables of the file, and no stored keys."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

import pytest

from lea_fleet.storage.sqlite.schema import is_complete


@pytest.mark.sqlite
def test_the_sql_makes_the_tables_and_is_safe_to_run_twice(run):
    with closing(sqlite3.connect(":memory:")) as connection:
        for _ in range(2):
            connection.executescript(run("schema", "--sql").stdout)

        assert is_complete(connection)


def test_it_makes_no_database(run, database):
    assert run("schema", "--sql").exit_code == 0
    assert not database.exists()


def test_json_has_the_same_sql(run):
    printed = json.loads(run("schema", "--sql", "--json").stdout)

    assert printed == {"sql": run("schema", "--sql").stdout}


@pytest.mark.sqlite
def test_there_are_no_roles(run):
    result = run("schema", "--sql", "--role", "lea")

    assert (result.exit_code, result.stdout) == (2, "")
    assert "SQLite has no roles" in result.stderr


def test_one_of_the_two_is_to_be_given(run):
    assert run("schema").exit_code == 2
    assert run("schema", "--sql", "--rewrite-keys").exit_code == 2
    assert run("schema", "--rewrite-keys", "--role", "lea").exit_code == 2


def test_there_are_no_keys_to_rewrite(run, operator):
    operator.enroll("PC-1")

    assert run("schema", "--rewrite-keys").stdout == (
        "Rewrote the search keys of 0 machines.\n"
    )
    assert json.loads(run("schema", "--rewrite-keys", "--json").stdout) == {
        "rewritten": 0
    }
