"""What commands say on PostgreSQL that they need not say on SQLite."""

from __future__ import annotations

import json
import shlex
import subprocess
from types import SimpleNamespace

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from lea_fleet.storage import attempts, batches
from lea_fleet.storage.postgresql import schema as schemas
from lea_fleet.storage.postgresql.address import place_of
from lea_fleet.storage.postgresql.session import Session
from tests.cli.doctor.calling import STRONG_TOKEN
from tests.support.api import Api
from tests.support.docs import environment
from tests.support.postgresql import new_database

pytestmark = pytest.mark.postgresql


@pytest.fixture
def operator(app):
    return Api(app.test_client(), STRONG_TOKEN)


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    monkeypatch.setattr(batches, "_PAUSE", 0)


def fails(result, *words):
    """Assert exit code 1 and one line with *words*."""
    assert (result.exit_code, result.stdout) == (1, "")
    (line,) = result.stderr.splitlines()
    assert "geheim" not in line
    for word in words:
        assert word in line


def tables(admin, schema):
    return schemas.look(admin, schema).tables


# Where tables are missing


def test_a_dry_run_says_what_a_newer_version_needs_first(run, admin, schema, operator):
    operator.enroll("PC-1")
    admin.execute(f"DROP TABLE {schema}.lea_fleet_pruned")

    fails(run("enroll", "PC-2", "--dry-run"), "lacks lea_fleet_pruned")

    assert "lea_fleet_pruned" not in tables(admin, schema)


def test_a_dry_run_behind_a_pooler_needs_the_tables(make_app):
    app = make_app(LEA_FLEET_DATABASE_POOLED=True)

    result = app.test_cli_runner().invoke(args="fleet enroll PC-1 --dry-run".split())

    assert result.exit_code == 1 and "LEA_FLEET_DATABASE_POOLED" in result.stderr


def test_a_server_that_is_away_is_one_line(make_app):
    app = make_app(LEA_FLEET_DATABASE_URL="postgresql://zoe:geheim@127.0.0.1:1/rpa")

    result = app.test_cli_runner().invoke(args=["fleet", "list"])

    fails(result, "PostgreSQL rpa at 127.0.0.1:1 cannot be used")
    assert "zoe" not in result.stderr


@pytest.mark.parametrize("words", [["list"], ["enroll", "PC-1", "--dry-run"]], ids=str)
def test_a_database_in_another_encoding_is_one_line(make_app, postgresql_server, words):
    with new_database(postgresql_server, "ENCODING 'LATIN1' LOCALE 'C'") as url:
        app = make_app(LEA_FLEET_DATABASE_URL=url)
        result = app.test_cli_runner().invoke(args=["fleet", *words])

    fails(result, place_of(url), "the encoding LATIN1", "needs UTF8")


@pytest.mark.parametrize("words", ["token create", "enroll PC-1", "import m.csv --yes"])
def test_a_role_that_may_not_create_is_told_what_to_do(
    as_role, words, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    tmp_path.joinpath("m.csv").write_text("machine_id\nPC-1\n")

    fails(as_role(*words.split()), "permission denied", "flask fleet schema --sql")


# Backup and erasure


def test_a_backup_is_made_by_pg_dump(run, operator, schema, tmp_path):
    operator.enroll("PC-1")
    file = tmp_path / "to night.dump"

    fails(run("backup", str(file)), "pg_dump -Fc", f"-n {schema}")

    assert not file.exists()


def test_the_command_of_a_backup_names_neither_user_nor_password(as_role, role):
    result = as_role("backup", "a b.dump")

    fails(result, "-f 'a b.dump'")
    assert role[0] not in result.stderr
    words = shlex.split(result.stderr.partition("makes the backup: ")[2])
    assert words[0] == "pg_dump" and words[-2] == "-d"
    assert conninfo_to_dict(words[-1]).keys() == {
        "host",
        "port",
        "dbname",
    }


def test_what_is_erased_is_in_no_table_and_vacuum_runs(run, operator, admin, schema):
    operator.enroll("PC-1", user_email="zoe@example.com")

    result = run("erase", "--user", "zoe@example.com", "--yes", "--vacuum", "--json")

    assert result.exit_code == 0
    printed = json.loads(result.stdout)
    assert (printed["wal_emptied"], printed["vacuumed"]) == (None, True)
    assert "backups" in printed["may_remain_in"]
    for table in tables(admin, schema):
        rows = admin.execute(f"SELECT * FROM {schema}.{table}").fetchall()
        assert "zoe@example.com" not in str(rows)


def test_vacuum_by_a_role_that_does_not_own_the_tables(
    as_role, app, operator, admin, role
):
    operator.enroll("PC-1", user_email="zoe@example.com")
    run = app.test_cli_runner().invoke
    admin.execute(run(args=["fleet", "schema", "--sql", "--role", role[0]]).output)

    result = as_role("erase", "PC-1", "--yes", "--vacuum")

    assert result.exit_code == 1
    assert "not all tables could be vacuumed" in result.stderr
    assert "enrolled_agents" in result.stderr and ".;" not in result.stderr
    assert "Erased from 1 of enrolled_agents" in result.stdout


def test_what_a_server_tells_in_another_language_is_one_line(
    monkeypatch, run, operator
):
    """Translations may have several lines."""
    told = SimpleNamespace(
        severity_nonlocalized="WARNING", message_primary="ignore « t »\n  --- seul"
    )
    monkeypatch.setattr(
        psycopg.Connection, "add_notice_handler", lambda self, tell: tell(told)
    )
    operator.enroll("PC-1", hostname="H")

    result = run("erase", "PC-1", "--yes", "--vacuum")

    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1].endswith("ignore « t » --- seul.")


# Conflicts


@pytest.fixture
def conflicts(monkeypatch):
    """Let statements that record an event fail for another's sake, so many times."""
    monkeypatch.setattr(attempts, "PAUSES", (0, 0))
    left = []

    def execute(session, statement, *values):
        if left and statement.startswith("INSERT INTO lea_fleet_events"):
            raise left.pop()("deadlock detected")
        return original(session, statement, *values)

    original = Session.execute
    monkeypatch.setattr(Session, "execute", execute)
    return left


@pytest.fixture
def late_conflicts(monkeypatch):
    """Let transactions that write fail at their end, so many times."""
    monkeypatch.setattr(attempts, "PAUSES", (0, 0))
    left = []

    def commit(session):
        (read_only,) = session.driver.execute("SHOW transaction_read_only").fetchone()
        if left and read_only == "off":
            session.rollback()
            raise left.pop()("deadlock detected")
        return original(session)

    original = Session.commit
    monkeypatch.setattr(Session, "commit", commit)
    return left


def events_of(run, name):
    """Return the machines with an event of that name, the newest first."""
    found = json.loads(run("events", "--json").stdout)["events"]
    return [event["machine_id"] for event in found if event["event"] == name]


KINDS = [
    psycopg.errors.SerializationFailure,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.UniqueViolation,
]


@pytest.mark.parametrize("kind", KINDS)
def test_an_import_counts_nothing_twice(run, operator, late_conflicts, tmp_path, kind):
    operator.enroll("PC-1")
    file = tmp_path / "m.csv"
    file.write_text("machine_id\nPC-2\nPC-3\nPC-2\n")
    late_conflicts += [kind, kind]

    result = run("import", str(file), "--yes", "--json")

    counts = json.loads(result.stdout)
    assert not late_conflicts
    assert (counts["imported"], counts["refused"], counts["lines"]) == (2, 1, 3)
    assert events_of(run, "imported") == ["PC-3", "PC-2"]


def test_a_prune_counts_nothing_twice(run, operator, late_conflicts, the_clock):
    for number in range(3):
        operator.enroll(f"PC-{number}")
    the_clock.advance(days=2)
    late_conflicts += KINDS[:2]

    result = run("prune", "--silent-for", "1d", "--yes", "--json")

    assert len(json.loads(result.stdout)["agents"]) == 3
    assert not late_conflicts
    assert sorted(events_of(run, "uninstalled")) == ["PC-0", "PC-1", "PC-2"]


def test_an_erasure_counts_nothing_twice(run, operator, late_conflicts):
    for number in range(3):
        operator.enroll(f"PC-{number}", user_email="zoe@example.com")
    late_conflicts += KINDS[:2]

    result = run("erase", "--user", "zoe@example.com", "--yes", "--json")

    assert json.loads(result.stdout)["rows"] == {"enrolled_agents": 3}
    assert len(json.loads(result.stdout)["agents"]) == 3
    assert not late_conflicts


def test_a_command_prints_and_records_once(run, operator, conflicts):
    operator.enroll("PC-1")
    conflicts += KINDS[:2]

    result = run("release", "PC-1")

    assert result.exit_code == 0 and not conflicts
    assert result.stdout.count("PC-1: released") == 1
    assert events_of(run, "released") == ["PC-1"]


def test_what_was_printed_before_a_commit_that_failed_is_not_printed_again(
    run, operator, late_conflicts
):
    operator.enroll("PC-1")
    late_conflicts += KINDS[:1]

    result = run("release", "PC-1")

    assert result.exit_code == 1 and result.stdout.count("PC-1: released") == 1
    assert not result.stdout.endswith("\n")  # who reads whole lines reads nothing
    assert "Not done" in result.stderr
    assert events_of(run, "released") == []


@pytest.mark.parametrize("words", ["rotate PC-1", "erase PC-1 --yes", "uninstall PC-1"])
def test_after_three_attempts_it_is_busy_in_one_line(run, operator, conflicts, words):
    operator.enroll("PC-1", user_email="zoe@example.com")
    conflicts += KINDS

    result = run(*words.split())

    assert (result.exit_code, conflicts) == (1, [])
    assert result.stderr.splitlines()[-1].startswith("Error: PostgreSQL postgres at")
    assert " is busy: " in result.stderr


def test_imports_in_opposite_order_at_once(operator, engine, tmp_path):
    """Each inserts what the other one has just inserted: a deadlock."""
    operator.enroll("PC-0")
    machines = [f"M-{number}" for number in range(800)]
    variables = environment(RPA_API_TOKEN=STRONG_TOKEN, **engine.environment)
    started = []
    for name, lines in (("a.csv", machines), ("b.csv", machines[::-1])):
        tmp_path.joinpath(name).write_text("\n".join(["machine_id", *lines]))
        words = ["flask", "--app", "lea_fleet", "fleet", "import", name, "--json"]
        started.append(
            subprocess.Popen(
                [*words, "--yes"],
                cwd=tmp_path,
                env=variables,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        )

    told = [process.communicate() for process in started]

    assert [errors for _, errors in told] == [b"", b""]
    counts = [json.loads(output) for output, _ in told]
    assert sum(count["imported"] for count in counts) == 800
    assert [count["lines"] for count in counts] == [800, 800]
    assert operator.get("/fleet").json["totals"]["pending"] == 800


# Completion


@pytest.mark.parametrize(
    "wrong",
    ["postgresql://zoe:geheim@127.0.0.1:1/rpa", "postgresql://zoe:ge@heim@h/rpa"],
)
def test_completion_without_a_server_prints_nothing(tmp_path, wrong):
    typed = ["flask", "--app", "lea_fleet", "fleet", "show", "PC"]
    done = subprocess.run(
        ["flask"],
        cwd=tmp_path,
        env=environment(
            _FLASK_COMPLETE="bash_complete",
            COMP_WORDS=shlex.join(typed),
            COMP_CWORD=str(len(typed) - 1),
            LEA_FLEET_DATABASE_URL=wrong,
        ),
        capture_output=True,
        timeout=60,
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, b"\n", b"")
