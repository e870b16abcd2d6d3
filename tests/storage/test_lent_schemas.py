"""What tests of PostgreSQL hand on is as if it were new."""

from __future__ import annotations

import pytest

from tests.support.lent_schemas import LentSchemas

pytestmark = pytest.mark.postgresql

ADD = (
    "INSERT INTO {}.lea_fleet_views"
    " (owner, shared, name, filters, columns, created_at, updated_at)"
    " VALUES ('operator', false, 'Stale', '', '', '', '') RETURNING id"
)


@pytest.fixture
def lent(postgresql_admin):
    return LentSchemas(postgresql_admin)


def test_the_next_test_finds_no_row_and_the_first_id(lent, postgresql_admin):
    with lent.lend() as first:
        oid = f"SELECT '{first}'::regnamespace::oid"
        (made,) = postgresql_admin.execute(oid).fetchone()
        begun = postgresql_admin.execute(ADD.format(first)).fetchone()
    with lent.lend() as second:
        oid = f"SELECT '{second}'::regnamespace::oid"
        assert postgresql_admin.execute(oid).fetchone() == (made,)
        assert second != first
        rows = f"SELECT * FROM {second}.lea_fleet_views"
        assert postgresql_admin.execute(rows).fetchall() == []
        assert postgresql_admin.execute(ADD.format(second)).fetchone() == begun
        postgresql_admin.execute(f"DROP SCHEMA {second} CASCADE")


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE {}.lea_fleet_blocks ADD COLUMN color text",
        "ALTER TABLE {}.lea_fleet_blocks DROP COLUMN reason",
        "ALTER TABLE {}.lea_fleet_blocks RENAME COLUMN reason TO why",
        "ALTER TABLE {}.lea_fleet_blocks ALTER COLUMN reason TYPE varchar",
        "ALTER TABLE {}.lea_fleet_blocks ALTER COLUMN reason SET NOT NULL",
        "CREATE INDEX another ON {}.lea_fleet_blocks (reason)",
        "GRANT SELECT ON {}.lea_fleet_blocks TO PUBLIC",
        "GRANT USAGE ON SCHEMA {} TO PUBLIC",
        "DROP TABLE {}.lea_fleet_blocks",
        "DROP SCHEMA {} CASCADE",
        "CREATE FUNCTION {}.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    ],
)
def test_a_schema_that_a_test_has_changed_is_not_handed_on(
    lent, postgresql_admin, change
):
    with lent.lend() as name:
        postgresql_admin.execute(change.format(name))

    assert lent.free == []
    found = f"SELECT to_regnamespace('{name}')"
    assert postgresql_admin.execute(found).fetchone() == (None,)
