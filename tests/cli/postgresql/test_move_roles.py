"""A role that may only use the tables cannot move a fleet, and is told so."""

from __future__ import annotations

import pytest

from lea_fleet.storage.postgresql.schema import script
from tests.support.engines import PostgresqlSchema
from tests.support.moves import fill_all_tables, refused, rows_of, takes_writes
from tests.support.postgresql import new_role

NEEDS = "A move needs the role that owns the tables, or one that may create them."


@pytest.fixture
def used(postgresql_schema, postgresql_admin):
    """The schema as a role sees it that may use the tables, and not change them."""
    name = postgresql_schema.settings["LEA_FLEET_DATABASE_SCHEMA"]
    with new_role(postgresql_admin, postgresql_schema.address) as (role, url):
        postgresql_admin.execute(script(name, role))
        yield PostgresqlSchema(url.replace(":geheim", ""), name)


def test_away_from_there(used, postgresql_schema, sqlite_file):
    fill_all_tables(postgresql_schema, 3)
    before = rows_of(postgresql_schema)
    sqlite_file.path.parent.mkdir()

    assert NEEDS in refused(used, sqlite_file)

    assert rows_of(postgresql_schema) == before
    assert takes_writes(used)
    assert postgresql_schema.notes() == []
    assert not sqlite_file.exists()


def test_to_there(used, sqlite_file):
    fill_all_tables(sqlite_file, 3)
    before = rows_of(sqlite_file)

    assert NEEDS in refused(sqlite_file, used)

    assert rows_of(sqlite_file) == before
    assert takes_writes(sqlite_file) and takes_writes(used)
