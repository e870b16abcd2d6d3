"""Debian's pgbouncer in transaction mode, between lea_fleet and PostgreSQL.

Each transaction may run on another connection to the server, of which there are two.
Skipped without pgbouncer (``apt-get install pgbouncer``); with
LEA_REQUIRE_PGBOUNCER=1 they fail.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest

from tests.support import docs
from tests.support.api import OPERATOR_TOKEN, Api, assert_problem
from tests.support.load import DEADLINE, assert_nothing_was_lost, load, wait_for_more
from tests.support.postgresql import WAITS_FOR_LOCK, new_folder, server_user
from tests.support.server import running_server, wait_until_it_listens

PGBOUNCER = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")

pytestmark = pytest.mark.skipif(
    PGBOUNCER is None and not os.environ.get("LEA_REQUIRE_PGBOUNCER"),
    reason="no pgbouncer",
)

CONFIGURATION = """
[databases]
* = host=127.0.0.1 port={server} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 2
"""

#: What pgbouncer sends itself, when a client gets another one's connection.
OWN = re.compile(r"^SET (application_name|client_encoding|DateStyle|TimeZone)=")

#: What outlasts a transaction, and what a session needs that is always the same.
OUTLASTS = re.compile(
    r"^(SET (?!LOCAL)|RESET|PREPARE|DEALLOCATE|LISTEN|DISCARD|LOAD)"
    r"|pg_(try_)?advisory_lock|WITH HOLD|set_config\([^()]*false\)|CREATE TEMP"
)


@pytest.fixture(scope="module")
def server(start_postgresql):
    """A PostgreSQL server that logs each statement."""
    return start_postgresql(log_statement="all", log_line_prefix="")


@pytest.fixture(scope="module")
def pooler(server):
    """The URL of pgbouncer, up to the name of the database."""
    folder, port = new_folder(), docs.free_port()
    configuration = folder / "pgbouncer.ini"
    configuration.write_text(CONFIGURATION.format(server=server.port, port=port))
    user = server_user()
    command = [PGBOUNCER, configuration, *([] if user is None else ["-u", user])]
    with (folder / "log").open("w") as log:
        pgbouncer = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        wait_until_it_listens(pgbouncer, port)
        yield f"postgresql://postgres@127.0.0.1:{port}/"
    finally:
        pgbouncer.terminate()
        pgbouncer.wait()
        shutil.rmtree(folder)


@pytest.fixture
def pooled(pooler, server):
    """The settings of an application that uses a database of its own by pgbouncer."""
    name = f"fleet{next(numbers)}"
    with server.connect() as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return {
        "LEA_FLEET_DATABASE_URL": f"{pooler}{name}",
        "LEA_FLEET_DATABASE_POOLED": "true",
    }


numbers = count()


@pytest.fixture
def app(make_app, pooled):
    return make_app(**pooled)


@pytest.fixture
def hasty(make_app, pooled):
    """The operator at a server that waits only briefly for a lock."""
    app = make_app(
        **pooled, LEA_FLEET_BUSY_TIMEOUT="0.2s", LEA_FLEET_HEARTBEAT_RESOLUTION="0s"
    )
    return Api(app.test_client(), OPERATOR_TOKEN)


@pytest.fixture
def direct(app, server):
    """A connection to the server itself."""
    name = app.config["LEA_FLEET_DATABASE_URL"].rpartition("/")[2]
    with server.connect(name) as connection:
        yield connection


def test_8_clients_share_2_connections(tmp_path, pooled, server):
    with running_server(tmp_path, "-w", "2", "--threads", "4", **pooled) as gunicorn:
        with load(gunicorn) as clients:
            wait_for_more(clients, 20)
            with server.connect() as connection:
                ours = "FROM pg_stat_activity WHERE application_name = 'lea_fleet'"
                count = connection.execute(f"SELECT count(*) {ours}").fetchone()

        assert count == (2,)
        assert {status for client in clients for status in client.answers} == {200, 201}
        assert_nothing_was_lost(gunicorn, clients)


def test_nothing_of_a_session_is_relied_upon(run, operator, server, tmp_path):
    """Not by any request nor command, of which none fails."""
    logged = len(server.log)
    agent = operator.installer(label="setup").enroll("PC-1", user_name="Zoé")
    for version in "12345":  # psycopg would prepare it by then
        assert agent.heartbeat(version=version).status_code == 200
    assert operator.post("/machines/PC-1/token", {}).status_code == 201
    assert operator.post("/machines/PC-1/release", {}).status_code == 200
    for path in (
        "/fleet",
        "/fleet?q=zoe&limit=1",
        "/fleet?format=csv",
        "/machines/PC-1",
    ):
        assert operator.get(path).status_code == 200
    assert agent.post("/uninstall").status_code == 200
    machines = tmp_path / "machines.csv"
    machines.write_text("machine_id\n" + "".join(f"PC-a{n}\n" for n in range(1200)))
    for words in (
        ["import", machines, "--yes"],
        ["list", "--csv"],
        ["summary"],
        ["events", "PC-1"],
        ["export", "--user", "zoe@example.com"],
        ["erase", "PC-1", "--yes"],
        ["prune", "--silent-for", "1d", "--yes"],
        ["prune", "--events-older-than", "90d", "--yes"],
    ):
        result = run(*words)
        assert result.exit_code == (1 if words[0] == "export" else 0), result.output

    statements = statements_in(server.log[logged:])
    assert len(statements) > 100
    assert [each for each in statements if OUTLASTS.search(each)] == []


def statements_in(log):
    """Return the statements that a client has sent."""
    found = re.findall(r"^LOG:  (?:statement|execute (\S+)): (.*)", log, re.MULTILINE)
    assert {name for name, _ in found} <= {"", "<unnamed>"}
    return [text for _, text in found if not OWN.search(text)]


def test_a_machine_that_is_locked_is_busy_after_the_timeout(hasty, direct):
    agent = hasty.enroll("PC-1")
    assert agent.heartbeat().status_code == 200
    waiting = [
        lambda: hasty.uninstall("PC-1"),
        lambda: agent.heartbeat(version="2"),
        agent.heartbeat,
    ]
    with ThreadPoolExecutor() as pool, direct.transaction():
        direct.execute("SELECT 1 FROM enrolled_agents FOR UPDATE")
        answers = [pool.submit(call).result(DEADLINE) for call in waiting]
        for answer in answers:
            assert_problem(answer, 503, "database_busy", "retry")


def test_rows_may_be_read_in_batches_outside_of_a_transaction_too(app):
    """While others use the connections to the server."""
    store = app.extensions["lea_fleet"].store
    sessions = [store.acquire() for _ in range(2)]
    reading, other = sessions
    numbers = "SELECT generate_series(1, 5) ORDER BY 1"
    batches = store.dialect.batches(reading, numbers, {}, 2)

    assert next(batches) == [(1,), (2,)]
    store.dialect.begin_reading(other)
    assert [*batches] == [[(3,), (4,)], [(5,)]]
    for session in sessions:
        store.release(session)


def test_a_request_whose_server_connection_ends_is_run_again(operator, direct, server):
    operator.enroll("PC-1")
    with ThreadPoolExecutor() as pool:
        with direct.transaction():
            direct.execute("SELECT 1 FROM enrolled_agents FOR UPDATE")
            answer = pool.submit(operator.uninstall, "PC-1")
            server.wait_for(WAITS_FOR_LOCK)
            assert server.terminate(WAITS_FOR_LOCK) == 1
            server.wait_for(WAITS_FOR_LOCK)
        assert answer.result(DEADLINE).status_code == 200


def test_a_pooler_that_is_not_expected_is_named_with_its_setting(make_app, pooled):
    app = make_app(**{**pooled, "LEA_FLEET_DATABASE_POOLED": False})
    operator = Api(app.test_client(), OPERATOR_TOKEN)

    answer = operator.get("/fleet")
    found = app.test_cli_runner().invoke(args=["fleet", "doctor"]).output

    assert_problem(answer, 503, "database_unavailable")
    assert "LEA_FLEET_DATABASE_POOLED" in answer.json["detail"]
    (reachable,) = [line for line in found.splitlines() if " reachable: " in line]
    assert reachable.startswith("fault") and "LEA_FLEET_DATABASE_POOLED" in reachable
