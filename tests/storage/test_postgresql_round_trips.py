"""Statements on PostgreSQL: few round trips, and a transaction's first is one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from itertools import count

import psycopg
import pytest
from psycopg import capabilities, errors

from lea_fleet.storage.postgresql.connections import Connections
from lea_fleet.storage.postgresql.dialect import DIALECT
from lea_fleet.storage.postgresql.errors import may_run_again
from tests.support.api import OPERATOR_TOKEN, Api
from tests.support.postgresql import new_database

pytestmark = pytest.mark.postgresql

_INSERT = (
    "INSERT INTO enrolled_agents (machine_id, enrolled_at) VALUES (:machine_id, 'then')"
    " ON CONFLICT DO NOTHING"
)


@pytest.fixture(scope="module")
def url(postgresql_server):
    with new_database(postgresql_server) as url:
        yield url


@pytest.fixture(params=["libpq 13", "libpq 14", "pooled"])
def session(request, url, monkeypatch):
    """A session that begins in one round trip, or cannot."""
    if request.param == "libpq 13":
        monkeypatch.setattr(capabilities, "has_pipeline", lambda: False)
    with opened(url, busy_timeout=0.1, pooled=request.param == "pooled") as session:
        for machine_id in ("PC-1", "PC-2"):
            session.execute(_INSERT, {"machine_id": machine_id})
        yield session


@pytest.fixture
def other_session(url):
    with opened(url, busy_timeout=0.1, pooled=False) as session:
        yield session


@contextmanager
def opened(url, **options):
    store = Connections(url, schema="public", reuse=False, **options)
    session = store.acquire()
    yield session
    store.discard(session)


@contextmanager
def locked(url, machine_id):
    """Lock a machine in another transaction."""
    with closing(psycopg.connect(url)) as other:
        query = "SELECT 1 FROM enrolled_agents WHERE machine_id = %s FOR UPDATE"
        other.execute(query, [machine_id])
        yield


def begin_and_commit(session, about):
    DIALECT.begin_writing(session, about, True)
    assert session.in_transaction
    session.commit()
    assert not session.in_transaction


def trips(app, request, path):
    """Return the round trips of the last of some requests, by libpq's trace."""
    store = app.extensions["lea_fleet"].store
    for _ in range(5):  # until its statements are prepared
        assert request().status_code in (200, 201)
    session = store.acquire()
    store.release(session)
    pgconn = session.driver.pgconn
    with path.open("w") as trace:
        pgconn.trace(trace.fileno())
        assert request().status_code in (200, 201)
        pgconn.untrace()
    return path.read_text().count("ReadyForQuery")


def test_requests_take_few_round_trips(make_app, url, tmp_path):
    settings = {"LEA_FLEET_DATABASE_URL": url, "LEA_FLEET_HEARTBEAT_INTERVAL": "1h"}
    fresh = make_app(**settings, LEA_FLEET_HEARTBEAT_RESOLUTION="1h")
    written = make_app(**settings, LEA_FLEET_HEARTBEAT_RESOLUTION="0s")
    operator = Api(written.test_client(), OPERATOR_TOKEN)
    installer = operator.installer(max_uses=100)
    token = operator.enroll("PC-0").token
    number = count()

    def heartbeat(app):
        return lambda: Api(app.test_client(), token).post("/heartbeat", {})

    def enroll(caller, with_key):
        new = next(number)
        headers = {"Idempotency-Key": f"key-{new}"} if with_key else {}
        return caller.post("/enroll", {"machine_id": f"NEW-{new}"}, headers=headers)

    requests = {
        "fresh heartbeat": (fresh, heartbeat(fresh)),
        "written heartbeat": (written, heartbeat(written)),
        "enrollment": (written, lambda: enroll(operator, with_key=False)),
        "by an installer": (written, lambda: enroll(installer, with_key=True)),
    }

    path = tmp_path / "trace"
    assert {name: trips(*each, path) for name, each in requests.items()} == {
        "fresh heartbeat": 1,
        "written heartbeat": 2,
        "enrollment": 7,
        "by an installer": 12,
    }


@pytest.mark.parametrize("about", ["PC-1", ("PC-1", "PC-2"), "PC-9", ()])
def test_a_transaction_begins_and_ends(session, about):
    for _ in range(5):  # until its statements are prepared
        begin_and_commit(session, about)


@pytest.mark.parametrize("durable, commit", [(True, "on"), (False, "off")])
def test_a_transaction_waits_for_the_disk_if_it_is_durable(session, durable, commit):
    DIALECT.begin_writing(session, "PC-1", durable)
    assert session.execute("SHOW synchronous_commit").fetchall() == [(commit,)]
    session.rollback()
    assert session.execute("SHOW synchronous_commit").fetchall() == [("on",)]


@pytest.mark.parametrize("about", ["PC-1", ("PC-1", "PC-2")])
def test_a_transaction_locks_its_machines_when_it_begins(session, url, about):
    DIALECT.begin_writing(session, about, True)
    with pytest.raises(errors.LockNotAvailable), closing(psycopg.connect(url)) as other:
        other.execute("SELECT 1 FROM enrolled_agents FOR UPDATE NOWAIT")
    session.rollback()


@pytest.mark.parametrize("about", ["PC-9", " PC-9 "])
def test_a_transaction_about_a_machine_without_a_row_lets_no_other_begin(
    session, other_session, about
):
    DIALECT.begin_writing(session, about, True)
    DIALECT.begin_writing(other_session, "PC-8", True)
    other_session.rollback()
    with pytest.raises(errors.LockNotAvailable):
        DIALECT.begin_writing(other_session, "PC-9", True)
    other_session.rollback()

    session.commit()
    begin_and_commit(other_session, "PC-9")


def test_one_that_waited_for_a_new_machine_has_locked_its_row(
    session, other_session, url
):
    DIALECT.begin_writing(session, "PC-7", True)
    with ThreadPoolExecutor() as pool:
        begun = pool.submit(DIALECT.begin_writing, other_session, "PC-7", True)
        session.execute(_INSERT, {"machine_id": "PC-7"})
        session.commit()
        begun.result(60)

    with pytest.raises(errors.LockNotAvailable), closing(psycopg.connect(url)) as third:
        query = "SELECT 1 FROM enrolled_agents WHERE machine_id = 'PC-7'"
        third.execute(f"{query} FOR UPDATE NOWAIT")
    other_session.execute("DELETE FROM enrolled_agents WHERE machine_id = 'PC-7'")
    other_session.commit()


@pytest.mark.parametrize("about", ["PC-1", ("PC-1", "PC-2")])
def test_a_session_that_waited_in_vain_for_a_lock_can_begin_again(session, url, about):
    for _ in range(5):
        with locked(url, "PC-1"), pytest.raises(errors.LockNotAvailable):
            DIALECT.begin_writing(session, about, True)
        session.rollback()
        begin_and_commit(session, about)


def test_a_connection_that_is_lost_before_it_begins_may_run_again(session, url):
    begin_and_commit(session, "PC-1")
    with psycopg.connect(url, autocommit=True) as admin:
        pid = session.driver.pgconn.backend_pid
        admin.execute("SELECT pg_terminate_backend(%s, 60000)", [pid])
    with pytest.raises(psycopg.OperationalError) as lost:
        DIALECT.begin_writing(session, "PC-1", True)
    assert may_run_again(lost.value)
    assert session.driver.closed
