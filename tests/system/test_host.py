"""An existing host: nothing of it changes, and agents may use its routes on request."""

from __future__ import annotations

import sqlite3
from copy import deepcopy

import pytest
from flask import Blueprint, Flask, request

import lea_fleet
from lea_fleet import ConfigurationError, LeaFleet
from tests.support.api import OPERATOR_TOKEN, PREFIX, Api, assert_problem
from tests.support.host import make_host

HOST_REQUESTS = [
    ("GET", "/health", {}),
    ("GET", "/api/v1/workflows", {}),
    ("POST", "/api/v1/workflows", {"data": b"x" * 999}),
    ("POST", "/api/v1/workflows", {"data": b"x" * 1001}),
    ("PUT", "/api/v1/workflows", {}),
    ("OPTIONS", "/api/v1/workflows", {}),
    ("GET", "/api/v1//workflows", {}),
    ("GET", "/api/v1/agents/catalogue", {}),
    ("POST", "/api/v1/agents/catalogue", {}),
    ("OPTIONS", "/api/v1/agents/catalogue", {}),
    ("GET", "/nowhere", {}),
    ("GET", "/boom", {}),
]


@pytest.fixture
def host(database):
    return make_host(database, OPERATOR_TOKEN)


@pytest.fixture
def release():
    """Close what the applications of a test keep open."""
    apps = []
    yield apps.append
    for app in apps:
        app.extensions["lea_fleet"].store.close_idle()


def answers(app, token):
    """Return the responses of *app* to requests that are not for lea_fleet."""
    client = app.test_client()
    headers = {"Authorization": f"Bearer {token}"}
    found = []
    for method, path, options in HOST_REQUESTS:
        response = client.open(path, method=method, headers=headers, **options)
        found.append((method, path, response.status, response.data, response.location))
    return found


def tables(database):
    connection = sqlite3.connect(database)
    schema = connection.execute(
        "SELECT type, name, sql FROM sqlite_master"
        " WHERE tbl_name NOT LIKE 'lea_fleet%' AND tbl_name <> 'enrolled_agents'"
        " AND name NOT LIKE 'sqlite%'"
    ).fetchall()
    rows = connection.execute("SELECT * FROM workflows").fetchall()
    version = connection.execute("PRAGMA user_version").fetchone()
    connection.close()
    return schema, rows, version


@pytest.mark.parametrize("token", [OPERATOR_TOKEN, "wrong"])
def test_the_hosts_routes_pages_guard_and_tables_stay_as_they_were(
    host, database, tmp_path, token, release
):
    before = make_host(tmp_path / "before" / "rpa_data.db", OPERATOR_TOKEN)
    handlers, config = deepcopy(host.error_handler_spec[None]), dict(host.config)
    schema = tables(database)

    LeaFleet(host)
    release(host)
    Api(host.test_client(), OPERATOR_TOKEN).enroll("PC-1").heartbeat()

    assert answers(host, token) == answers(before, token)
    assert host.error_handler_spec[None] == handlers
    assert dict(host.config) == config
    assert tables(database) == schema


def test_the_hosts_json_limits_and_error_pages_do_not_reach_into_ours(host, release):
    LeaFleet(host)
    release(host)
    operator = Api(host.test_client(), OPERATOR_TOKEN)

    longer_than_the_hosts_limit = "x" * 2000
    operator.enroll("PC-1", unknown=longer_than_the_hosts_limit)
    assert operator.machine("PC-1")["machine_id"] == "PC-1"
    big = operator.post("/enroll", data=b" " * 70_000, content_type="application/json")
    assert_problem(big, 413, "body_too_large")
    plain = operator.post("/enroll", data="x", content_type="text/plain")
    assert_problem(plain, 415, "unsupported_media_type")
    assert_problem(operator.post("/enroll", {}), 400, "invalid_field")
    assert_problem(operator.get("/machines/nobody"), 404, "unknown_agent")
    again = operator.post("/enroll", {"machine_id": "PC-1"})
    assert_problem(again, 409, "already_enrolled")


def test_a_database_fault_is_our_503_whatever_the_hosts_pages_are(
    host, database, release
):
    LeaFleet(host)
    release(host)
    database.write_text("no database at all, and long enough to be looked at " * 100)

    response = Api(host.test_client(), OPERATOR_TOKEN).get("/fleet")

    assert_problem(response, 503, "database_unavailable", "retry")


# A guard that compares every request's token with the shared one


@pytest.fixture
def guarded(database, release):
    """A host whose guard asks lea_fleet, as the README shows."""
    app = Flask("guarded")
    app.config.update(RPA_API_TOKEN=OPERATOR_TOKEN, RPA_AGENTS_DB_PATH=database)
    fleet = LeaFleet(app)

    @app.before_request
    def require_token():
        if request.blueprint == lea_fleet.blueprint.name:
            return None
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if fleet.authenticate(token) is None:
            return {"error": "unauthorized"}, 401
        return None

    @app.get("/whoami")
    def whoami():
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        principal = fleet.authenticate(token)
        return {"role": principal.role, "machine_id": principal.machine_id}

    app.register_error_handler(503, lambda error: ("the host's 503", 503))
    release(app)
    return app


@pytest.fixture
def guarded_operator(guarded):
    return Api(guarded.test_client(), OPERATOR_TOKEN, prefix="")


def test_a_host_learns_who_is_calling(guarded_operator, guarded):
    agent = Api(guarded.test_client(), OPERATOR_TOKEN).enroll("PC-1")
    agent.prefix = ""

    operator_is = {"role": "operator", "machine_id": None}
    assert guarded_operator.get("/whoami").json == operator_is
    assert agent.get("/whoami").json == {"role": "agent", "machine_id": "PC-1"}


@pytest.mark.parametrize("token", [None, "wrong", "lea_agent_wrong", "é", "a=b", ""])
def test_a_host_keeps_its_own_answer_for_strangers(guarded, token):
    response = Api(guarded.test_client(), token, prefix="").get("/whoami")

    assert (response.status_code, response.json) == (401, {"error": "unauthorized"})


def test_an_uninstalled_agent_is_a_stranger_to_the_host_and_known_to_us(guarded):
    operator = Api(guarded.test_client(), OPERATOR_TOKEN)
    agent = operator.enroll("PC-1")
    operator.uninstall("PC-1")

    assert_problem(agent.heartbeat(), 401, "agent_uninstalled", "reenroll")
    assert agent.post("/uninstall").status_code == 200
    agent.prefix = ""
    assert agent.get("/whoami").json == {"error": "unauthorized"}


def test_a_host_that_cannot_ask_the_database_answers_its_own_503(guarded, database):
    agent = Api(guarded.test_client(), OPERATOR_TOKEN).enroll("PC-1")
    agent.prefix = ""
    database.rename(database.with_suffix(".away"))

    response = agent.get("/whoami")

    assert (response.status_code, response.text) == (503, "the host's 503")


# Ways to register it


def test_a_plain_blueprint_is_the_same_plugin(database, release):
    app = Flask("plain")
    app.config.update(RPA_API_TOKEN=OPERATOR_TOKEN, RPA_AGENTS_DB_PATH=database)
    app.register_blueprint(lea_fleet.blueprint, url_prefix="/v2/lea")
    release(app)

    operator = Api(app.test_client(), OPERATOR_TOKEN, prefix="/v2/lea")
    agent = operator.enroll("PC-1")

    assert agent.heartbeat().status_code == 200
    assert app.test_client().get(f"{PREFIX}/fleet").status_code == 404
    with app.app_context():
        fleet = LeaFleet()
        assert fleet.repository.get("PC-1")["status"] == "active"
        assert fleet.authenticate(agent.token).machine_id == "PC-1"
    assert "PC-1" in app.test_cli_runner().invoke(args=["fleet", "list"]).output


def test_a_blueprint_of_the_hosts_may_carry_it(database, release):
    app = Flask("nested")
    app.config.update(RPA_API_TOKEN=OPERATOR_TOKEN, RPA_AGENTS_DB_PATH=database)
    parent = Blueprint("parent", __name__, url_prefix="/parent")
    parent.register_blueprint(lea_fleet.blueprint, url_prefix="/lea")
    app.register_blueprint(parent)
    release(app)

    operator = Api(app.test_client(), OPERATOR_TOKEN, prefix="/parent/lea")

    assert operator.enroll("PC-1").heartbeat().status_code == 200
    assert_problem(operator.post("/heartbeat"), 400, "invalid_field")


def test_the_prefix_may_be_a_setting_or_an_option(make_app, database, release):
    configured = make_app(LEA_FLEET_URL_PREFIX="/lea/")
    assert Api(configured.test_client(), OPERATOR_TOKEN, "/lea").enroll("PC-1")

    app = Flask("option")
    app.config.update(RPA_API_TOKEN=OPERATOR_TOKEN, RPA_AGENTS_DB_PATH=database)
    app.config["LEA_FLEET_URL_PREFIX"] = "/lea"
    LeaFleet(app, url_prefix="/option")
    release(app)
    assert Api(app.test_client(), OPERATOR_TOKEN, "/option").machine("PC-1")


def test_two_applications_in_one_process_do_not_see_each_other(make_app, tmp_path):
    one = Api(make_app().test_client(), OPERATOR_TOKEN)
    other_app = make_app(RPA_AGENTS_DB_PATH=tmp_path / "b.db", RPA_API_TOKEN="other")
    other = Api(other_app.test_client(), "other")

    agent = one.enroll("PC-1")
    other.enroll("PC-2")

    assert [a["machine_id"] for a in one.get("/fleet").json["active"]] == ["PC-1"]
    assert [a["machine_id"] for a in other.get("/fleet").json["active"]] == ["PC-2"]
    stranger = Api(other_app.test_client(), agent.token)
    assert_problem(stranger.post("/heartbeat"), 401, "invalid_token")
    stranger.token = OPERATOR_TOKEN
    assert_problem(stranger.get("/fleet"), 401, "invalid_token")


@pytest.mark.parametrize("again", ["extension", "blueprint", "another name"])
def test_a_second_registration_is_refused_with_what_to_do(app, again):
    ways = {
        "extension": lambda: LeaFleet(app),
        "blueprint": lambda: app.register_blueprint(lea_fleet.blueprint),
        "another name": lambda: app.register_blueprint(
            lea_fleet.blueprint, name="another", url_prefix="/another"
        ),
    }

    with pytest.raises(ConfigurationError, match="Keep one of"):
        ways[again]()


def test_a_hosts_own_fleet_command_is_not_taken_over(database, release):
    app = Flask("commands")
    app.config.update(RPA_API_TOKEN=OPERATOR_TOKEN, RPA_AGENTS_DB_PATH=database)
    app.cli.command("fleet")(lambda: print("the host's own"))

    with pytest.raises(ConfigurationError, match="cli_group"):
        LeaFleet(app)

    assert app.test_cli_runner().invoke(args=["fleet"]).output == "the host's own\n"
    LeaFleet(app, cli_group="lea")
    release(app)
    Api(app.test_client(), OPERATOR_TOKEN).get("/fleet")  # begins the database
    listed = app.test_cli_runner().invoke(args=["lea", "list"])
    assert listed.exit_code == 0, listed.output


def test_without_a_registration_the_calls_say_so():
    with Flask("bare").app_context(), pytest.raises(RuntimeError, match="LeaFleet"):
        LeaFleet().repository
