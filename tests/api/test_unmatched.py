"""404 and 405 below the prefix are problems of ours; the host's routes go first."""

from __future__ import annotations

import pytest
from flask import Blueprint, Flask, abort, request

import lea_fleet
from lea_fleet import LeaFleet
from tests.support.api import OPERATOR_TOKEN, PREFIX, Api, assert_problem

#: Paths that no route has.
NOWHERE = [
    "",
    "/",
    "/nowhere",
    "/nowhere/at/all",
    "/fleet/",
    "//fleet",
    "/fleet//",
    "///",
    "/machines/",
    "/machines/a%2Fb",
    "/machines/PC-1/nothing",
    "/x%0Ay",
    "/..",
]

#: Methods that a path does not have, with those that it has.
OTHER_METHODS = [
    ("GET", "/enroll", "POST"),
    ("PUT", "/fleet", "GET, HEAD"),
    ("OPTIONS", "/fleet", "GET, HEAD"),
    ("TRACE", "/fleet", "GET, HEAD"),
    ("PROPFIND", "/fleet", "GET, HEAD"),
    ("ANY-NAME", "/heartbeat", "POST"),
    ("PATCH", "/machines/PC-1", "GET, HEAD"),
    ("GET", "/machines/PC-1/release", "DELETE, POST"),
    ("PUT", "/enrollment-tokens", "GET, HEAD, POST"),
]


@pytest.fixture
def make_host(engine):
    """Make a host with routes and pages of its own, also below the prefix."""
    made = []

    def make(register=LeaFleet, prefix=PREFIX):
        app = Flask("host", static_folder=None)
        app.config.update(RPA_API_TOKEN=OPERATOR_TOKEN, **engine.settings)
        made.append(app)
        register(app)
        app.get(f"{prefix}/robots", endpoint="robots")(lambda: "robots")
        app.get(f"{prefix}/files/", endpoint="files")(lambda: "files")
        app.get(f"{prefix}/docs/<path:page>", endpoint="docs")(lambda page: page)
        for code in (404, 405):
            app.register_error_handler(code, lambda error: ("the host's", error.code))
        return app

    yield make
    for app in made:
        if "lea_fleet" in app.extensions:
            app.extensions["lea_fleet"].store.close_idle()


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "ANY-NAME"])
@pytest.mark.parametrize("path", NOWHERE)
def test_a_path_that_no_route_has_is_our_404(operator, anonymous, method, path):
    response = operator.request(method, path)

    assert_problem(response, 404, "not_found", "ask_operator")
    assert "Allow" not in response.headers
    assert_problem(anonymous.request(method, path), 401, "missing_token")


@pytest.mark.parametrize(("method", "path", "allowed"), OTHER_METHODS)
def test_a_method_that_a_path_lacks_is_our_405(
    operator, anonymous, method, path, allowed
):
    response = operator.request(method, path)

    assert_problem(response, 405, "method_not_allowed", "ask_operator")
    assert response.headers["Allow"] == allowed
    assert_problem(anonymous.request(method, path), 401, "missing_token")


def test_a_head_request_has_the_status_alone(operator):
    assert operator.request("HEAD", "/nowhere").status_code == 404
    assert operator.request("HEAD", "/enroll").status_code == 405


def test_every_role_is_told_and_a_departed_agent_that_it_has_left(
    operator, monitor, client
):
    agent = operator.enroll("PC-1")
    for caller in (operator.installer(), agent, monitor):
        assert_problem(caller.get("/nowhere"), 404, "not_found")
        assert_problem(caller.get("/enroll"), 405, "method_not_allowed")
    agent.post("/uninstall")
    for path in ("/nowhere", "/enroll"):
        assert_problem(agent.get(path), 401, "agent_uninstalled")
        stranger = Api(client, "lea_agent_unknown")
        assert_problem(stranger.get(path), 401, "invalid_token")


def test_the_hosts_routes_and_pages_below_the_prefix_stay_the_hosts(make_host):
    without, with_fleet = make_host(register=lambda app: None), make_host()

    for method, path in [
        ("GET", "/robots"),
        ("POST", "/robots"),
        ("OPTIONS", "/robots"),
        ("GET", "/files/"),
        ("GET", "/files"),
        ("DELETE", "/files/"),
        ("GET", "/docs/a/b"),
        ("PUT", "/docs/a/b"),
        ("OPTIONS", "/docs/a/b"),
    ]:
        answers = []
        for app in (without, with_fleet):
            response = Api(app.test_client()).request(method, path)
            allowed = sorted(response.headers.get("Allow", "").split(", "))
            answers.append(
                (response.status_code, response.text, response.location, allowed)
            )
        assert answers[0] == answers[1], (method, path)


def test_the_hosts_guard_refuses_what_only_the_host_has_below_the_prefix(make_host):
    """Another method of its own route, though the guard lets our blueprint pass."""
    app = make_host()
    seen = []

    @app.before_request
    def guard():
        seen.append((request.endpoint, request.blueprint, request.view_args))
        if app.blueprints.get(request.blueprint) is not lea_fleet.blueprint:
            abort(401)

    stranger = Api(app.test_client())
    for method, path in [
        ("POST", "/robots"),
        ("DELETE", "/files/"),
        ("PUT", "/docs/a"),
    ]:
        refused = stranger.request(method, path)
        assert (refused.status_code, refused.mimetype) == (401, "text/html")
    assert seen == 3 * [(None, None, None)]
    assert_problem(stranger.get("/nowhere"), 401, "missing_token")
    assert_problem(stranger.request("PUT", "/fleet"), 401, "missing_token")


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_catch_all_of_the_host_below_the_prefix_goes_first(engine, when):
    app = Flask("host")
    app.config.update(RPA_API_TOKEN=OPERATOR_TOKEN, **engine.settings)

    def register():
        app.get(f"{PREFIX}/<path:rest>")(lambda rest: "the host's")

    steps = [register, lambda: LeaFleet(app)]
    for step in steps if when == "before" else reversed(steps):
        step()

    operator = Api(app.test_client(), OPERATOR_TOKEN)
    assert operator.get("/nowhere").text == "the host's"
    assert operator.get("/fleet").json["active"] == []
    app.extensions["lea_fleet"].store.close_idle()


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_catch_all_of_the_whole_host_is_not_below_the_prefix(engine, when):
    app = Flask("host")
    app.config.update(RPA_API_TOKEN=OPERATOR_TOKEN, **engine.settings)

    def register():
        app.get("/<path:page>")(lambda page: "the host's")

    steps = [register, lambda: LeaFleet(app)]
    for step in steps if when == "before" else reversed(steps):
        step()

    operator = Api(app.test_client(), OPERATOR_TOKEN)
    for path in ("", "/nowhere"):
        assert_problem(operator.get(path), 404, "not_found")
    assert app.test_client().get("/api/v1/nowhere").text == "the host's"
    app.extensions["lea_fleet"].store.close_idle()


def test_a_method_that_the_host_adds_to_a_route_of_ours_is_named_with_it(make_host):
    app = make_host()
    app.put(f"{PREFIX}/fleet")(lambda: "the host's")
    operator = Api(app.test_client(), OPERATOR_TOKEN)

    refused = operator.request("DELETE", "/fleet")

    assert_problem(refused, 405, "method_not_allowed")
    assert refused.headers["Allow"] == "GET, HEAD, OPTIONS, PUT"
    assert operator.request("PUT", "/fleet").text == "the host's"


@pytest.mark.parametrize("path", ["/", "/nowhere", "/api/v1", "/api/v1/agentsx"])
def test_what_is_not_below_the_prefix_is_the_hosts(make_host, path):
    response = make_host().test_client().get(path)

    assert (response.status_code, response.text) == (404, "the host's")


@pytest.mark.parametrize("address", [PREFIX, f"{PREFIX}/page"])
def test_a_method_that_a_page_below_the_prefix_lacks_is_our_405(make_host, address):
    def register(app):
        app.config["LEA_FLEET_PAGE"] = address
        LeaFleet(app)

    app = make_host(register)
    stranger = Api(app.test_client(), prefix=address)
    operator = Api(app.test_client(), OPERATOR_TOKEN, address)

    assert stranger.get("").mimetype == "text/html"
    for method in ("POST", "OPTIONS"):
        assert_problem(stranger.request(method, ""), 401, "missing_token")
        refused = operator.request(method, "")
        assert_problem(refused, 405, "method_not_allowed", "ask_operator")
        assert refused.headers["Allow"] == "GET, HEAD"


def nested(app):
    parent = Blueprint("parent", __name__, url_prefix="/parent")
    parent.register_blueprint(lea_fleet.blueprint, url_prefix="/lea")
    app.register_blueprint(parent)


@pytest.mark.parametrize(
    ("register", "prefix"),
    [
        (lambda app: app.register_blueprint(lea_fleet.blueprint), PREFIX),
        (lambda app: LeaFleet(app, url_prefix="/lea/"), "/lea"),
        (lambda app: LeaFleet(app, url_prefix="/lea", name="other"), "/lea"),
        (nested, "/parent/lea"),
    ],
    ids=["blueprint", "option", "name", "nested"],
)
def test_it_holds_however_the_plugin_is_registered(make_host, register, prefix):
    app = make_host(register, prefix)
    operator = Api(app.test_client(), OPERATOR_TOKEN, prefix)

    for path in ("", "/", "/nowhere"):
        assert_problem(operator.get(path), 404, "not_found")
    assert_problem(operator.get("/enroll"), 405, "method_not_allowed")
    robots = operator.post("/robots")
    assert (robots.status_code, robots.text) == (405, "the host's")


def test_with_an_empty_prefix_every_other_path_is_the_hosts(make_host):
    app = make_host(
        lambda app: app.register_blueprint(lea_fleet.blueprint, url_prefix="/"), ""
    )
    operator = Api(app.test_client(), OPERATOR_TOKEN, "")

    assert operator.get("/enrollment-tokens").status_code == 200
    for path in ("/nowhere", "/enroll/"):
        assert operator.get(path).text == "the host's"
