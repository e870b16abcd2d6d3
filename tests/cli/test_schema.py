"""``flask fleet schema``: the SQL of the tables, and keys that are stored in them."""

from __future__ import annotations

import json

import pytest


def test_the_sql_makes_the_tables_and_is_safe_to_run_twice(run, engine):
    for _ in range(2):
        engine.run_script(run("schema", "--sql").stdout)

    checks = json.loads(run("doctor", "--json").stdout)["checks"]
    (found,) = [check for check in checks if check["check"] == "tables"]
    assert (found["level"], found["detail"]) == ("ok", "all there")


def test_it_makes_no_database(run, engine):
    assert run("schema", "--sql").exit_code == 0
    assert not engine.exists()


def test_json_has_the_same_sql(run):
    printed = json.loads(run("schema", "--sql", "--json").stdout)

    assert printed == {"sql": run("schema", "--sql").stdout}


@pytest.mark.sqlite
def test_sqlite_has_no_roles(run):
    result = run("schema", "--sql", "--role", "lea")

    assert (result.exit_code, result.stdout) == (2, "")
    assert "SQLite has no roles" in result.stderr


def test_one_of_the_two_is_to_be_given(run):
    assert run("schema").exit_code == 2
    assert run("schema", "--sql", "--rewrite-keys").exit_code == 2
    assert run("schema", "--rewrite-keys", "--role", "lea").exit_code == 2


def test_where_no_keys_are_wrong_none_are_rewritten(run, operator):
    operator.enroll("PC-1")

    assert run("schema", "--rewrite-keys").stdout == (
        "Rewrote the search keys of 0 machines.\n"
    )
    assert json.loads(run("schema", "--rewrite-keys", "--json").stdout) == {
        "rewritten": 0
    }
