"""A host with Flask-CORS: pages of other origins call lea_fleet if the host says so."""

from __future__ import annotations

import re

import pytest
from flask import Blueprint, Flask, session
from flask_cors import CORS

import lea_fleet
from lea_fleet import LeaFleet, operator_required
from tests.support.api import OPERATOR_TOKEN, Api, assert_problem

ORIGIN = "https://dashboard.example.com"
ALLOWED = "Access-Control-Allow-Origin"


@pytest.fixture
def make_host(database):
    """Make a host with Flask-CORS, which permits pages of ORIGIN everything."""
    made = []

    def make(*, first="fleet", nested=False, **settings):
        app = Flask("host")
        app.secret_key = "of the host"
        app.config.update(
            RPA_API_TOKEN=OPERATOR_TOKEN, RPA_AGENTS_DB_PATH=database, **settings
        )
        if first == "cors":
            CORS(app, origins=[ORIGIN], supports_credentials=True)
        fleet = LeaFleet()
        if nested:
            parent = Blueprint("parent", __name__, url_prefix="/api/v1")
            parent.register_blueprint(lea_fleet.blueprint, url_prefix="/agents")
            app.register_blueprint(parent)
        else:
            fleet.init_app(app)
        if first == "fleet":
            CORS(app, origins=[ORIGIN], supports_credentials=True)
        fleet.operator_loader(lambda: session.get("user"))

        @app.get("/login")
        def login():
            session["user"] = "zoe"
            return "welcome"

        @app.get("/robots")
        @operator_required
        def robots():
            return {"robots": []}

        made.append(app)
        return app

    yield make
    for app in made:
        app.extensions["lea_fleet"].store.close_idle()


def preflight(app, path, method):
    asks = {"Origin": ORIGIN, "Access-Control-Request-Method": method}
    asks["Access-Control-Request-Headers"] = "authorization, content-type"
    return app.test_client().options(path, headers=asks)


def routes(app):
    """Return a path of each of our routes, and its method."""
    return [
        (re.sub("<[^>]*>", "1", rule.rule), way)
        for rule in app.url_map.iter_rules()
        if "lea_fleet." in rule.endpoint
        for way in rule.methods - {"OPTIONS", "HEAD"}
    ]


@pytest.mark.parametrize("first", ["cors", "fleet"])
@pytest.mark.parametrize("nested", [True, False], ids=["nested", "plain"])
def test_with_cors_every_route_answers_a_preflight_as_the_hosts_do(
    make_host, first, nested
):
    app = make_host(first=first, nested=nested, LEA_FLEET_CORS=True)

    assert len(routes(app)) > 10
    for path, method in [("/robots", "GET"), *routes(app)]:
        answer = preflight(app, path, method)
        assert (answer.status_code, answer.data) == (200, b""), path
        assert answer.headers[ALLOWED] == ORIGIN
        assert method in answer.headers["Access-Control-Allow-Methods"]
        assert method in answer.allow


def test_with_cors_a_page_of_another_origin_works_with_a_token(make_host):
    app = make_host(LEA_FLEET_CORS=True)
    operator = Api(app.test_client(), OPERATOR_TOKEN)
    shown = {"Origin": ORIGIN, "Sec-Fetch-Site": "cross-site"}

    made = operator.post("/enroll", {"machine_id": "PC-1"}, headers=shown)
    refused = operator.post("/enroll", {"machine_id": "PC-1"}, headers=shown)
    stranger = Api(app.test_client(), "wrong").get("/fleet", headers=shown)

    assert made.status_code == 201
    assert_problem(refused, 409, "already_enrolled")
    assert_problem(stranger, 401, "invalid_token")
    for answer in (made, refused, stranger):  # else the page cannot read why
        assert answer.headers[ALLOWED] == ORIGIN


@pytest.mark.parametrize("setting", [{}, {"LEA_FLEET_CORS": False}], ids=str)
def test_without_cors_no_options_is_answered_without_a_token(make_host, setting):
    app = make_host(**setting)

    assert preflight(app, "/robots", "GET").status_code == 200
    for path, method in routes(app):
        assert preflight(app, path, method).status_code in (401, 405)


@pytest.mark.parametrize(
    "shown",
    [
        {"Origin": ORIGIN, "Sec-Fetch-Site": "cross-site"},
        {"Origin": ORIGIN, "Sec-Fetch-Site": "same-site"},
        {"Origin": ORIGIN},
        {"Origin": ORIGIN, "X-Lea-Fleet": "1"},
        {"Origin": "null", "X-Lea-Fleet": "1"},
    ],
    ids=str,
)
def test_with_cors_a_session_counts_for_no_page_of_another_origin(make_host, shown):
    app = make_host(LEA_FLEET_CORS=True)
    operator = Api(app.test_client(), OPERATOR_TOKEN)
    operator.enroll("PC-1")
    browser = Api(app.test_client())
    browser.client.get("/login")

    for path in ("/fleet", "/machines/PC-1", "/enrollment-tokens"):
        assert_problem(browser.get(path, headers=shown), 401, "missing_token")
    written = browser.post("/uninstall", {"machine_id": "PC-1"}, headers=shown)
    assert_problem(written, 403, "cross_site", "fix_request")
    assert browser.client.get("/robots", headers=shown).status_code == 401
    assert operator.machine("PC-1")["status"] == "active"
    assert browser.get("/fleet").status_code == 200


def test_with_cors_an_own_page_without_sec_fetch_site_may_write(make_host):
    app = make_host(LEA_FLEET_CORS=True)
    browser = Api(app.test_client())
    browser.client.get("/login")
    shown = {"Origin": "http://localhost", "X-Lea-Fleet": "1"}

    assert (
        browser.post("/enroll", {"machine_id": "PC-1"}, headers=shown).status_code
        == 201
    )
