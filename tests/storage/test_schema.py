"""The schema: missing parts are created, and nothing else is written.

A table of the host with one of our names is never used; the error names it.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager

import pytest

from lea_fleet import create_app
from lea_fleet.storage.sqlite.schema import ensure_schema
from tests.support.api import OPERATOR_TOKEN, Api, assert_problem
from tests.support.processes import in_processes

pytestmark = pytest.mark.sqlite

TABLES = {"enrolled_agents", "lea_fleet_tokens"}


@contextmanager
def connected(database):
    """The host's connection to its file; each statement is committed at once."""
    database.parent.mkdir(exist_ok=True)
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        yield connection


def objects(database):
    """Return every table, index, view and trigger with its SQL."""
    with connected(database) as connection:
        return connection.execute(
            "SELECT type, name, sql FROM sqlite_master ORDER BY name"
        ).fetchall()


def names(database):
    return {name for _, name, _ in objects(database)}


def first_request(database, **settings):
    """Send a new server its first request, which needs the schema."""
    settings.update(RPA_API_TOKEN=OPERATOR_TOKEN, RPA_AGENTS_DB_PATH=database)
    app = create_app(settings)
    response = Api(app.test_client(), OPERATOR_TOKEN).get("/fleet")
    app.extensions["lea_fleet"].store.close_idle()
    return response


@pytest.mark.parametrize("existing", [False, True], ids=["no file", "an empty file"])
def test_the_schema_is_made_where_there_is_none(operator, database, existing):
    if existing:
        database.parent.mkdir()
        database.touch()

    operator.enroll("PC-1").heartbeat()

    assert TABLES <= names(database)


def test_the_database_is_in_wal_mode(operator, database):
    operator.get("/fleet")

    with connected(database) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


@pytest.mark.parametrize(
    "dropped",
    [
        "TABLE lea_fleet_tokens",
        "TABLE enrolled_agents",
        "INDEX idx_enrolled_agents_status",
        "INDEX idx_enrolled_agents_machine",
        "INDEX lea_fleet_tokens_machine",
    ],
)
def test_what_is_missing_is_made_again(database, dropped):
    first_request(database)
    complete = objects(database)
    with connected(database) as host:
        host.execute(f"DROP {dropped}")

    assert first_request(database).status_code == 200

    assert objects(database) == complete


def test_nothing_is_written_where_nothing_is_missing(database):
    first_request(database)
    with connected(database) as host:
        host.execute("SELECT 1 FROM enrolled_agents")
        before = [host.execute(f"PRAGMA {p}").fetchone() for p in VERSIONS]

        assert first_request(database).status_code == 200

        after = [host.execute(f"PRAGMA {p}").fetchone() for p in VERSIONS]
    assert after == before


#: Pragmas that count the changes of other connections and of the schema.
VERSIONS = ("data_version", "schema_version")


def test_a_complete_schema_is_found_while_another_one_writes(database):
    first_request(database)
    with connected(database) as host:
        host.execute("BEGIN IMMEDIATE")
        response = first_request(database)

    assert response.status_code == 200


THEIRS = {
    "table": "CREATE TABLE {name} (id INTEGER PRIMARY KEY, secret TEXT)",
    "view": "CREATE VIEW {name} AS SELECT 1 AS id, 'x' AS secret",
    "index": "CREATE INDEX {name} ON workflows (secret)",
}


@pytest.mark.parametrize("kind", THEIRS)
@pytest.mark.parametrize(
    "name", ["lea_fleet_tokens", "LEA_FLEET_TOKENS", "enrolled_agents"]
)
def test_what_bears_our_name_and_is_not_ours_is_left_alone(database, name, kind):
    with connected(database) as host:
        host.execute("CREATE TABLE workflows (id INTEGER PRIMARY KEY, secret TEXT)")
        host.execute(THEIRS[kind].format(name=name))
        before = list(host.iterdump())

    problem = assert_problem(first_request(database), 503, "database_unavailable")

    assert name.lower() in problem["detail"].lower()
    with connected(database) as host:
        assert list(host.iterdump()) == before


def test_a_table_of_ours_that_lacks_a_column_is_left_alone(database):
    first_request(database)
    with connected(database) as host:
        host.execute("ALTER TABLE enrolled_agents RENAME COLUMN os_info TO system")
    before = objects(database)

    problem = assert_problem(first_request(database), 503, "database_unavailable")

    assert "enrolled_agents" in problem["detail"]
    assert "os_info" in problem["detail"]
    assert objects(database) == before


def test_a_table_with_columns_of_the_hosts_is_used(operator, database):
    first_request(database)
    with connected(database) as host:
        host.execute("ALTER TABLE enrolled_agents ADD COLUMN site TEXT DEFAULT 'Lyon'")

    agent = operator.enroll("PC-1")

    assert agent.heartbeat().status_code == 200
    with connected(database) as host:
        row = host.execute("SELECT site FROM enrolled_agents").fetchone()
    assert row == ("Lyon",)


def test_a_table_that_was_made_in_another_way_is_not_missing(database):
    """An additional index or no AUTOINCREMENT: no reason to write or to wait."""
    first_request(database)
    with connected(database) as host:
        columns = [row[1] for row in host.execute("PRAGMA table_info(enrolled_agents)")]
    database.unlink()
    with connected(database) as host:
        columns.remove("id")
        names = ", ".join(columns)
        host.execute("PRAGMA journal_mode = WAL")
        host.execute(f"CREATE TABLE enrolled_agents (id INTEGER PRIMARY KEY, {names})")
        host.execute("CREATE UNIQUE INDEX one_each ON enrolled_agents(machine_id)")
    first_request(database)

    with connected(database) as host:
        host.execute("BEGIN IMMEDIATE")
        response = first_request(database, LEA_FLEET_BUSY_TIMEOUT=0)

    assert response.status_code == 200


def test_names_of_another_case_are_the_same_names(database):
    first_request(database)
    with connected(database) as host:
        host.execute("ALTER TABLE enrolled_agents RENAME TO other")
        host.execute("ALTER TABLE other RENAME TO Enrolled_Agents")
        host.execute("ALTER TABLE Enrolled_Agents RENAME COLUMN os_info TO OS_Info")
    before = objects(database)

    assert first_request(database).status_code == 200

    assert objects(database) == before


def test_a_broken_view_of_the_hosts_does_not_matter(database):
    with connected(database) as host:
        host.execute("CREATE VIEW broken AS SELECT * FROM nowhere")

    assert first_request(database).status_code == 200


def test_eight_processes_make_the_schema_at_once(database):
    def first_enrollment(number):
        def enroll():
            app = create_app(
                {"RPA_API_TOKEN": OPERATOR_TOKEN, "RPA_AGENTS_DB_PATH": database}
            )
            operator = Api(app.test_client(), OPERATOR_TOKEN)
            response = operator.post("/enroll", {"machine_id": f"PC-{number}"})
            app.extensions["lea_fleet"].store.close_idle()
            return response.status_code

        return enroll

    statuses = in_processes(*map(first_enrollment, range(8)))

    assert statuses == [201] * 8
    assert first_request(database).json["totals"]["active"] == 8


def test_a_schema_is_made_whole_or_not_at_all(database, monkeypatch):
    broken = ["CREATE TABLE lea_fleet_tokens (id)", "CREATE NONSENSE"]
    with connected(database) as connection:
        ensure_schema(connection)
        connection.execute("DROP TABLE lea_fleet_tokens")
        before = objects(database)
        monkeypatch.setattr(
            "lea_fleet.storage.sqlite.schema._statements", lambda: broken
        )

        with pytest.raises(sqlite3.OperationalError, match="NONSENSE"):
            ensure_schema(connection)

    assert objects(database) == before


@pytest.mark.parametrize("version", [(3, 34, 1), (3, 7, 17)])
def test_an_old_sqlite_is_refused_when_the_plugin_is_registered(monkeypatch, version):
    monkeypatch.setattr(sqlite3, "sqlite_version_info", version)
    monkeypatch.setattr(sqlite3, "sqlite_version", ".".join(map(str, version)))

    with pytest.raises(RuntimeError, match=rf"3\.35.*{version[0]}\.{version[1]}"):
        create_app({"RPA_API_TOKEN": OPERATOR_TOKEN})


@pytest.mark.parametrize("version", [(3, 35, 0), (3, 45, 3), (4, 0, 0)])
def test_a_newer_sqlite_is_not(monkeypatch, version):
    monkeypatch.setattr(sqlite3, "sqlite_version_info", version)

    create_app({"RPA_API_TOKEN": OPERATOR_TOKEN})
