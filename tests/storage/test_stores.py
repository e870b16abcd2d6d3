"""Stores: a connection for each application context, opened on first use and reused.

None is used after a fork, and none is left in a transaction. Who waits too long for
another writer is told to come again.
"""

from __future__ import annotations

import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest

from lea_fleet import create_app
from lea_fleet.app.database import get_repository
from tests.support.api import OPERATOR_TOKEN, Api, assert_problem
from tests.support.fleets import ask, get_db
from tests.support.processes import beside, in_processes, open_descriptors


def session():
    return get_repository().unit.session


def session_of(app):
    """Return the session of an application context that has ended."""
    with app.app_context():
        return session()


def operator_of(app):
    return Api(app.test_client(), OPERATOR_TOKEN)


def machines(operator):
    return sorted(agent["machine_id"] for agent in ask(operator)["active"])


# From opening to closing


def test_a_context_has_one_connection(app):
    with app.app_context():
        assert get_db() is get_db()


def test_two_contexts_at_once_have_two(app):
    with app.app_context():
        outer = get_db()
        with app.app_context():
            assert get_db() is not outer
        assert get_db() is outer


def test_the_next_context_is_given_the_same_one(app):
    assert session_of(app) is session_of(app)


def test_the_connection_is_no_longer_yours_after_the_context(make_app, engine):
    with make_app(LEA_FLEET_REUSE_CONNECTIONS=False).app_context():
        connection = get_db()

    with pytest.raises(engine.errors, match="closed"):
        connection.execute("SELECT 1")


def test_what_a_context_left_open_is_rolled_back(app, operator, elsewhere, engine):
    operator.enroll("PC-1")
    with app.app_context():
        get_db().execute(engine.begin)
        get_db().execute(f"DELETE FROM {engine.qualified('enrolled_agents')}")

    assert machines(operator) == ["PC-1"]
    elsewhere.enroll("PC-1", force=True)  # which nobody locks any more
    with app.app_context():
        unit = get_repository().unit
        assert not unit.dialect.in_transaction(unit.session)


def test_a_connection_that_was_closed_by_its_user_is_not_given_again(app, engine):
    with app.app_context():
        get_db().close()

    assert engine.is_open(session_of(app))


def test_the_connections_go_with_the_application(engine):
    app = create_app({"RPA_API_TOKEN": OPERATOR_TOKEN, **engine.settings})
    connection = session_of(app)
    assert engine.is_open(connection)

    del app
    gc.collect()

    assert not engine.is_open(connection)


@pytest.mark.parametrize(
    ("method", "path", "token", "body", "status"),
    [
        ("GET", "/fleet", None, None, 401),
        ("GET", "/fleet", "unknown", None, 401),
        ("POST", "/enroll", "lea_unknown", "{}", 401),
        ("POST", "/enroll", OPERATOR_TOKEN, "no JSON", 400),
        ("POST", "/uninstall", OPERATOR_TOKEN, "{}", 400),
        ("POST", "/enroll", OPERATOR_TOKEN, " " * 100_000, 413),
        ("GET", "/nowhere", OPERATOR_TOKEN, None, 404),
    ],
)
def test_a_request_that_needs_no_database_makes_none(
    client, engine, method, path, token, body, status
):
    response = Api(client, token).request(
        method, path, data=body, content_type="application/json"
    )

    assert response.status_code == status
    assert not engine.exists()


def test_two_applications_with_two_databases_do_not_see_each_other(make_app, engine):
    first_app, second_app = make_app(), make_app(**engine.beside().settings)
    first, second = operator_of(first_app), operator_of(second_app)

    agent = first.enroll("PC-1")
    second.enroll("PC-2")

    assert (machines(first), machines(second)) == (["PC-1"], ["PC-2"])
    stranger = Api(second_app.test_client(), agent.token)
    assert_problem(stranger.get("/machines/PC-1"), 401, "invalid_token")
    with first_app.app_context():
        outer = get_db()
        with second_app.app_context():
            assert get_db() is not outer


# After a fork


def test_nothing_idle_is_open_when_a_process_forks(app, engine):
    """In the child, SQLite would take the parent's locks for its own.

    PostgreSQL would get what both of them send on one connection.
    """
    connection = session_of(app)

    def in_the_child():
        return engine.is_open(connection), engine.is_open(session_of(app))

    assert in_processes(in_the_child) == [(False, True)]
    assert engine.is_open(session_of(app))


def test_what_a_child_writes_outlives_the_connections_of_the_parent(app, operator):
    """SQLite deletes the WAL when what it knows as the last connection is closed."""
    operator.enroll("PC-1")

    def child(ready, over):
        operator.enroll("PC-2")
        ready.set()
        over.wait()
        operator.enroll("PC-3")

    with beside(child):
        assert machines(operator) == ["PC-1", "PC-2"]
        app.extensions["lea_fleet"].store.close_idle()

    assert machines(operator) == ["PC-1", "PC-2", "PC-3"]


def test_a_child_drops_no_lock_of_its_parent(app, operator, hasty):
    operator.enroll("PC-1")

    def in_the_child():
        return hasty.uninstall("PC-1").json["code"], machines(operator)

    with app.app_context(), get_repository().transaction(about="PC-1"):
        assert in_processes(in_the_child) == [("database_busy", ["PC-1"])]
        assert_problem(hasty.uninstall("PC-1"), 503, "database_busy")

    assert hasty.uninstall("PC-1").status_code == 200


def test_a_context_that_was_forked_opens_its_own(app):
    with app.app_context():
        connection = get_db()

        def in_the_child():
            return get_db() is connection

        assert in_processes(in_the_child) == [False]
        assert get_db() is connection


def test_a_context_that_ends_in_the_child_does_not_give_the_connection_back(
    app, engine
):
    context = app.app_context()
    context.push()
    connection = session()

    def in_the_child():
        context.pop()
        return session_of(app) is connection, engine.is_open(connection)

    assert in_processes(in_the_child) == [(False, True)]
    context.pop()
    assert session_of(app) is connection


def test_a_context_that_ends_in_the_child_leaves_the_transaction_to_the_parent(
    app, operator
):
    context = app.app_context()
    context.push()
    repository = get_repository()

    with repository.transaction(about="PC-1"):
        repository.enroll("PC-1")
        assert in_processes(context.pop) == [None]
        repository.uninstall("PC-1")

    context.pop()
    assert operator.machine("PC-1")["status"] == "uninstalled"


def test_an_inherited_connection_is_never_closed(app, engine):
    """SQLite forbids closing it, also by the garbage collector.

    For PostgreSQL, it would be the end of the parent's.
    """
    context = app.app_context()
    context.push()
    connection = weakref.ref(session())

    def in_the_child():
        context.pop()
        gc.collect()
        return engine.is_open(connection())

    assert in_processes(in_the_child) == [True]
    context.pop()


def test_forked_servers_write_to_the_same_fleet(app, operator):
    operator.enroll("PC-0")

    def server(name):
        def enroll_some():
            return [operator.enroll(f"PC-{name}{n}").token for n in range(10)]

        return enroll_some

    tokens = in_processes(*map(server, "abcd"))

    assert len({token for some in tokens for token in some}) == 40
    assert len(machines(operator)) == 41
    for token in tokens[0]:
        assert Api(app.test_client(), token).post("/heartbeat").status_code == 200


# Many connections, for a long time


def test_more_threads_than_are_kept_idle(app, engine):
    count = 20
    together = threading.Barrier(count)

    def session_in_a_thread(_):
        with app.app_context():
            connection = session()
            together.wait(30)
            return connection

    with ThreadPoolExecutor(count) as pool:
        used = set(pool.map(session_in_a_thread, range(count)))

    assert len(used) == count
    assert 0 < sum(map(engine.is_open, used)) < count


def test_threads_that_enroll_at_once(app):
    def enroll(number):
        return operator_of(app).enroll(f"PC-{number}").heartbeat().status_code

    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(enroll, range(64))) == {200}

    assert operator_of(app).get("/fleet").json["totals"]["active"] == 64


@pytest.mark.parametrize("reuse", [True, False])
def test_descriptors_do_not_pile_up(make_app, reuse):
    operator = operator_of(make_app(LEA_FLEET_REUSE_CONNECTIONS=reuse))

    def some_requests(number):
        agent = operator.enroll(f"PC-{number}")
        assert agent.heartbeat().status_code == 200
        assert agent.get("/fleet").status_code == 403
        assert operator.post("/enroll", {"machine_id": " "}).status_code == 400
        assert operator.uninstall("PC-unknown").status_code == 404
        assert operator.get("/fleet").status_code == 200

    some_requests(0)
    before = open_descriptors()
    for number in range(1, 60):
        some_requests(number)

    assert open_descriptors() <= before


# Another writer


@pytest.fixture
def hasty(make_app):
    """An operator of a server that does not wait long for a lock."""
    return operator_of(make_app(LEA_FLEET_BUSY_TIMEOUT=0.05))


@pytest.fixture
def silent_agent(hasty, the_clock):
    """An agent whose next heartbeat has to be written."""
    agent = hasty.enroll("PC-1")
    assert agent.heartbeat().status_code == 200
    the_clock.advance(seconds=20)
    return agent


def test_a_writer_that_waits_too_long_is_told_to_come_again(
    hasty, silent_agent, engine
):
    writes = [
        lambda: hasty.post("/enroll", {"machine_id": "PC-2"}),
        lambda: hasty.uninstall("PC-1"),
        silent_agent.heartbeat,
        silent_agent.uninstall,
    ]
    with engine.being_written():
        for write in writes:
            assert_problem(write(), 503, "database_busy", "retry")

    assert machines(hasty) == ["PC-1"]
    assert [write().status_code for write in writes] == [201, 200, 401, 200]


def test_the_first_use_of_a_token_waits_for_the_writer_too(hasty, engine):
    agent = hasty.enroll("PC-1")
    with engine.being_written():
        assert_problem(agent.get("/machines/PC-1"), 503, "database_busy", "retry")

    assert agent.get("/machines/PC-1").status_code == 200


@pytest.mark.parametrize("idle", [True, False])
def test_readers_do_not_wait_for_a_writer(hasty, silent_agent, engine, idle):
    assert silent_agent.heartbeat().status_code == 200
    if not idle:  # opening a new connection writes nothing either
        app = hasty.client.application
        app.extensions["lea_fleet"].store.close_idle()

    with engine.being_written():
        assert machines(hasty) == ["PC-1"]
        assert hasty.machine("PC-1")["presence"] == "online"
        assert silent_agent.get("/machines/PC-1").status_code == 200
        assert silent_agent.heartbeat().status_code == 200


def test_an_agent_is_not_told_the_place_of_a_busy_database(hasty, silent_agent, engine):
    with engine.being_written():
        told = assert_problem(hasty.uninstall("PC-1"), 503, "database_busy")
        untold = assert_problem(silent_agent.heartbeat(), 503, "database_busy")

    assert engine.place in told["detail"]
    assert engine.place not in untold["detail"]


def test_a_writer_waits_for_another_one_to_end(operator, engine, before_writing):
    operator.enroll("PC-1")
    waiting = threading.Event()
    before_writing(waiting.set)
    with ThreadPoolExecutor() as pool:
        with engine.being_written():
            answer = pool.submit(operator.uninstall, "PC-1")
            assert waiting.wait(30)
        assert answer.result().status_code == 200
