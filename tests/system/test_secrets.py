"""No token and no Idempotency-Key is stored or logged: only their SHA-256.

One long scenario runs on a real file with everything logged. Then the file, its WAL,
its shared memory and every log record are searched. SQLite's secure_delete is off, so
that a secret that was stored only for a moment is found as well.
"""

from __future__ import annotations

import hashlib
import logging
import sqlite3
from contextlib import closing

import pytest

from lea_fleet import agent_enrolled
from lea_fleet.storage.agent_tokens import AgentTokens
from lea_fleet.storage.sqlite import opening
from tests.support.api import (
    MONITOR_TOKEN,
    OPERATOR_TOKEN,
    Agent,
    Api,
    assert_invalid,
    assert_problem,
)
from tests.support.fleets import get_db
from tests.support.server import running_server

KEYS = ["key-of-the-first-enrollment", "key-of-the-second-enrollment"]


@pytest.fixture(autouse=True)
def nothing_is_wiped(monkeypatch):
    """Turn off secure_delete, which is on by default in some builds of SQLite."""
    ensure_schema = opening.ensure_schema

    def prepare(connection):
        assert connection.execute("PRAGMA secure_delete = OFF").fetchone()[0] == 0
        ensure_schema(connection)

    monkeypatch.setattr(opening, "ensure_schema", prepare)


@pytest.fixture
def app(make_app):
    return make_app(
        LEA_FLEET_BUSY_TIMEOUT="0s",
        LEA_FLEET_METRICS=True,
        LEA_FLEET_METRICS_TOKEN=MONITOR_TOKEN,
    )


@pytest.fixture
def records():
    """Every record of every logger, from DEBUG on."""
    found = []
    handler = logging.Handler(logging.DEBUG)
    handler.emit = found.append
    loggers = [logging.getLogger(name) for name in logging.root.manager.loggerDict]
    before = [(logger, logger.level) for logger in (logging.root, *loggers)]
    for logger, _ in before:
        logger.setLevel(logging.DEBUG)
    logging.root.addHandler(handler)
    yield found
    logging.root.removeHandler(handler)
    for logger, level in before:
        logger.setLevel(level)


def written(record):
    """Return everything that a handler may write of a record."""
    with_traceback = logging.Formatter().format(record)
    return f"{with_traceback}\n{vars(record)!r}"


def assert_hidden(secrets, text):
    """Assert that *text* has none of *secrets*, nor the random part of a token."""
    for secret in secrets:
        core = secret.removeprefix("lea_agent_").removeprefix("lea_enroll_")
        assert len(core) > 20
        assert core not in text


def kept(database):
    """Return the contents of the database and of the files beside it, by name."""
    paths = [path for path in database.parent.iterdir() if path.is_file()]
    return {path.name: path.read_bytes().decode("latin-1") for path in paths}


# The scenario


@pytest.fixture
def secrets(records, app, operator):
    """Do everything that involves tokens; return the secrets."""
    story = [OPERATOR_TOKEN, MONITOR_TOKEN, *KEYS]
    agent = enroll(operator, story)
    agent = rotate(operator, agent, story)
    leave_and_return(operator, agent, story)
    use_the_shell(app, operator, story)
    assert Api(operator.client, MONITOR_TOKEN).get("/metrics").status_code == 200
    assert len(set(story)) == 4 + 3 + 2 + 3 + 3
    return story


def enroll(operator, story):
    """An installer has to ask twice for the response, and a signal receiver fails."""
    installer = operator.installer(label="Paris")
    with agent_enrolled.connected_to(fail):
        lost = enrolled(installer, KEYS[0])
    agent = enrolled(installer, KEYS[0])
    assert_problem(lost.heartbeat(), 401, "token_revoked")
    story += [installer.token, lost.token, agent.token]
    return agent


def fail(*args, **options):
    raise RuntimeError("a fault")


def enrolled(caller, key):
    body, headers = {"machine_id": "PC-1"}, {"Idempotency-Key": key}
    response = caller.post("/enroll", body, headers=headers)
    assert response.status_code == 201, response.text
    return Agent(caller.client, response.json)


def rotate(operator, agent, story):
    """The agent rotates its token, which is lost, and gets one from the operator."""
    agent.heartbeat(hostname="A")
    for caller in (agent, operator):
        response = caller.post("/machines/PC-1/token", {})
        new = Agent(agent.client, response.json)
        story.append(new.token)
        assert agent.heartbeat(hostname="B").status_code == 200
    assert new.heartbeat().status_code == 200
    assert_problem(agent.heartbeat(), 401, "token_revoked")
    return new


def leave_and_return(operator, agent, story):
    """The machine is released and enrolled, uninstalled twice, and enrolled again."""
    for method in ("POST", "DELETE", "POST"):
        operator.request(method, "/machines/PC-1/release")
    installer = operator.installer()
    again = installer.enroll("PC-1")
    assert_problem(agent.heartbeat(), 401, "token_revoked")
    for _ in range(2):
        assert again.post("/uninstall", {"reason": "moved"}).status_code == 200
    assert_problem(again.heartbeat(), 401, "agent_uninstalled")
    back = enrolled(operator, KEYS[1])
    story += [installer.token, again.token, back.token]


def use_the_shell(app, operator, story):
    runner = app.test_cli_runner()
    for words in (["token", "create"], ["rotate", "PC-1"], ["rotate", "PC-1", "--now"]):
        result = runner.invoke(args=["fleet", *words])
        token = result.stdout.strip()
        story.append(token)
        assert token not in result.stderr
        Api(operator.client, token).get("/machines/PC-1")
    for words in (["events"], ["token", "list", "--json"], ["token", "revoke", "1"]):
        result = runner.invoke(args=["fleet", *words])
        assert result.exit_code == 0
        assert_hidden(story, result.output)


def mislay(operator, secret):
    """Secrets are sent where they do not belong, and are refused."""
    stranger = Api(operator.client)
    query = {"access_token": secret, "machine_id": secret}
    assert stranger.get("/fleet", query_string=query).status_code == 401
    for sent in (secret, f"Basic {secret}", f"Token {secret}", f"Bearer {secret} x"):
        response = stranger.get("/fleet", headers={"Authorization": sent})
        assert response.status_code == 401
    assert stranger.get("/fleet", headers={"Cookie": secret}).status_code == 401

    assert_invalid(operator.get("/fleet", query_string={secret: 1}), secret)
    assert_problem(operator.get(f"/machines/{secret}"), 404, "unknown_agent")
    assert_problem(operator.uninstall(secret), 404, "unknown_agent")
    for sent in (secret, f'{{"{secret}": 1, "{secret}": 2}}'):
        no_json = operator.post("/enroll", data=sent, content_type="application/json")
        assert_problem(no_json, 400, "invalid_json")
    text = operator.post("/enroll", data=secret, content_type=f"text/{secret}")
    assert_problem(text, 415, "unsupported_media_type")
    assert_invalid(operator.post("/enroll", {"machine_id": f"{secret}/"}), "machine_id")
    late = {"headers": {"Idempotency-Key": secret}}
    again = operator.post("/enroll", {"machine_id": "PC-1"}, **late)
    assert_problem(again, 409, "already_enrolled")


def break_down(operator, database, monkeypatch):
    """Take away what an enrollment needs, one thing after the other."""

    def enroll():
        headers = {"Idempotency-Key": KEYS[0]}
        return operator.post("/enroll", {"machine_id": "PC-9"}, headers=headers)

    with closing(sqlite3.connect(database, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        assert_problem(enroll(), 503, "database_busy")
    with monkeypatch.context() as failing:
        failing.setattr(AgentTokens, "add", fail)
        assert enroll().status_code == 500
    database.rename(database.with_suffix(".away"))
    assert_problem(enroll(), 503, "database_unavailable")
    database.with_suffix(".away").rename(database)


# The search


def test_what_was_deleted_would_be_found(app, operator, database):
    """Otherwise, the search below would prove nothing."""
    operator.enroll("PC-1")
    with app.app_context():
        connection = get_db()
        insert = "INSERT INTO enrolled_agents (machine_id, enrolled_at) VALUES (?, '')"
        connection.execute(insert, ("deleted",))
        connection.execute("DELETE FROM enrolled_agents WHERE enrolled_at = ''")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    assert "deleted" in kept(database)[database.name]
    assert kept(database)[f"{database.name}-wal"] == ""


def test_of_no_secret_is_more_kept_than_the_sha_256(app, operator, secrets, database):
    names = {f"{database.name}{suffix}" for suffix in ("", "-wal", "-shm")}
    for secret in secrets:
        mislay(operator, secret)

    beside = kept(database)
    assert beside.keys() == names and all(beside.values())
    with app.app_context():
        db = get_db()
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        stored = {
            row[0] for row in db.execute("SELECT token_hash FROM lea_fleet_tokens")
        }
    alone = kept(database)[database.name]

    for found in (*beside.values(), alone):
        assert_hidden(secrets, found)
    hashes = {secret: hashlib.sha256(secret.encode()).hexdigest() for secret in secrets}
    agents = {
        hash for secret, hash in hashes.items() if secret.startswith("lea_agent_")
    }
    assert len(agents & stored) > 3  # the oldest dead ones are pruned
    for secret in set(secrets) - {OPERATOR_TOKEN, MONITOR_TOKEN, KEYS[0]}:
        assert hashes[secret] in alone or hashes[secret] in agents - stored


def test_no_secret_is_logged(operator, secrets, records, database, monkeypatch):
    for secret in secrets:
        mislay(operator, secret)
    break_down(operator, database, monkeypatch)

    log = "\n".join(map(written, records))

    assert_hidden(secrets, log)
    for event in (
        "enrolled machine_id=PC-1 by=installer",
        "token_rotated machine_id=PC-1 by=cli",
        "A receiver of agent-enrolled has failed",
        "database_busy: ",
        "Exception on /api/v1/agents/enroll [POST]",
        "database_unavailable: ",
    ):
        assert event in log


def test_no_answer_but_the_one_that_hands_it_out_tells_a_token(operator, secrets):
    for path in (
        "/fleet",
        "/machines/PC-1",
        "/machines/PC-1/events?limit=500",
        "/enrollment-tokens",
        "/metrics",
    ):
        response = operator.get(path)
        assert response.status_code == 200
        assert_hidden(secrets, response.text)


def test_no_secret_is_in_the_log_of_a_server(tmp_path):
    """With its debug log, and with each request in it."""
    options = ("--log-level", "debug", "--access-logfile", "-", "--capture-output")
    story = [OPERATOR_TOKEN, *KEYS]

    with running_server(tmp_path, *options) as server:
        agent = enroll(server.operator, story)
        agent = rotate(server.operator, agent, story)
        leave_and_return(server.operator, agent, story)

    assert '"POST /api/v1/agents/enroll HTTP/1.1" 201' in server.log
    assert_hidden(story, server.log)


def test_no_secret_is_shown_by_what_a_debugger_prints(app):
    assert_hidden([OPERATOR_TOKEN, MONITOR_TOKEN], repr(app.extensions["lea_fleet"]))
