"""Where a host may register the plugin: it works there, or is refused at the start."""

from __future__ import annotations

import pytest
from flask import Blueprint, Flask, session

import lea_fleet
from lea_fleet import ConfigurationError, LeaFleet
from tests.support.api import OPERATOR_TOKEN, PREFIX, Api


@pytest.fixture
def make_host(database):
    """Make hosts, and close at the end what they keep open."""
    made = []

    def make(settings=(), **options):
        app = Flask("host", **options)
        app.config.update(
            RPA_API_TOKEN=OPERATOR_TOKEN, RPA_AGENTS_DB_PATH=database, **dict(settings)
        )
        made.append(app)
        return app

    yield make
    for app in made:
        if "lea_fleet" in app.extensions:
            app.extensions["lea_fleet"].store.close_idle()


def nested(app, **options):
    parent = Blueprint("parent", __name__, **options)
    parent.register_blueprint(lea_fleet.blueprint)
    app.register_blueprint(parent)


# A subdomain


@pytest.mark.parametrize("name", ["rpa", "rpa.paris"])
def test_on_a_subdomain_the_routes_and_the_page_are_there_and_nowhere_else(
    make_host, name
):
    app = make_host({"SERVER_NAME": "example.com"}, subdomain_matching=True)
    LeaFleet(app, subdomain=name)
    there, elsewhere = f"http://{name}.example.com", "http://example.com"
    headers = {"Authorization": f"Bearer {OPERATOR_TOKEN}"}

    client = app.test_client()
    for path in (f"{PREFIX}/fleet", "/fleet"):
        found = client.get(path, base_url=there, headers=headers)
        assert found.status_code == 200
        found = client.get(path, base_url=elsewhere, headers=headers)
        assert found.status_code == 404


def test_a_page_of_the_host_on_another_subdomain_is_not_in_the_way(make_host):
    app = make_host({"SERVER_NAME": "example.com"}, subdomain_matching=True)
    app.add_url_rule("/fleet", "cars", lambda: "cars", subdomain="shop")

    LeaFleet(app, subdomain="rpa")

    client = app.test_client()
    assert client.get("/fleet", base_url="http://shop.example.com").text == "cars"
    page = client.get("/fleet", base_url="http://rpa.example.com")
    assert b"<!doctype html>" in page.data.lower()


@pytest.mark.parametrize(
    ("settings", "options"),
    [
        ({"SERVER_NAME": "example.com"}, {}),
        ({}, {"subdomain_matching": True}),
        ({}, {}),
    ],
    ids=["no matching", "no SERVER_NAME", "neither"],
)
@pytest.mark.parametrize("way", ["option", "nested"])
def test_a_subdomain_that_no_request_reaches_is_refused(
    make_host, settings, options, way
):
    app = make_host(settings, **options)
    ways = {
        "option": lambda: LeaFleet(app, subdomain="rpa"),
        "nested": lambda: nested(app, subdomain="rpa"),
    }

    with pytest.raises(ConfigurationError, match="subdomain_matching.*SERVER_NAME"):
        ways[way]()


# Variables, and hosts


@pytest.mark.parametrize(
    "register",
    [
        lambda app: LeaFleet(app, url_prefix="/<tenant>/agents"),
        lambda app: LeaFleet(app, url_prefix="/api/<int:version>"),
        lambda app: nested(app, url_prefix="/<tenant>"),
        lambda app: LeaFleet(app, subdomain="<tenant>"),
        lambda app: app.register_blueprint(lea_fleet.blueprint, url_prefix="/<x>"),
    ],
    ids=["prefix", "converter", "nested", "subdomain", "blueprint"],
)
def test_a_variable_in_the_prefix_is_refused(make_host, register):
    """Each route was a 500: no view has a parameter for it."""
    app = make_host({"SERVER_NAME": "example.com"}, subdomain_matching=True)

    with pytest.raises(ConfigurationError, match="variables"):
        register(app)


def test_a_variable_in_the_setting_is_refused(make_host):
    app = make_host({"LEA_FLEET_URL_PREFIX": "/<tenant>/agents"})

    with pytest.raises(ConfigurationError, match="variables"):
        LeaFleet(app)


def test_an_application_that_matches_hosts_is_refused(make_host):
    """Each route was a 404."""
    app = make_host(host_matching=True, static_host="example.com")

    with pytest.raises(ConfigurationError, match="host_matching"):
        LeaFleet(app)


# A catch-all of the host


@pytest.mark.parametrize(
    "rule",
    ["/<slug>", "/<string:slug>", "/<string(length=5):slug>", '/<any("fleet"):slug>'],
)
def test_a_catch_all_before_the_page_is_noticed(make_host, rule):
    app = make_host()
    app.add_url_rule(rule, "catch_all", lambda slug: "the host's")

    with pytest.raises(ConfigurationError) as refused:
        LeaFleet(app)

    assert rule in str(refused.value) and "LEA_FLEET_PAGE" in str(refused.value)


@pytest.mark.parametrize(
    ("rule", "settings"),
    [
        ("/<path:slug>", {}),
        ("/<int:slug>", {}),
        ("/<slug>", {"LEA_FLEET_PAGE": "/ops/fleet"}),
        ("/<slug>/<other>", {}),
        ("/<string(length=4):slug>", {}),
    ],
)
def test_a_variable_route_that_leaves_the_page_visible_is_none(
    make_host, rule, settings
):
    app = make_host(settings)
    app.add_url_rule(rule, "catch_all", lambda **values: "the host's")

    LeaFleet(app)

    page = app.test_client().get(settings.get("LEA_FLEET_PAGE", "/fleet"))
    assert b"<!doctype html>" in page.data.lower()


@pytest.mark.parametrize("rule", ["/<slug>", "/<path:slug>"])
def test_a_catch_all_after_the_page_leaves_it_visible(make_host, rule):
    app = make_host()
    LeaFleet(app)
    app.add_url_rule(rule, "catch_all", lambda slug: "the host's")

    client = app.test_client()
    assert b"<!doctype html>" in client.get("/fleet").data.lower()
    assert client.get("/other").text == "the host's"


def test_without_the_page_a_catch_all_is_not_in_the_way(make_host):
    app = make_host({"LEA_FLEET_PAGE": False})
    app.add_url_rule("/<slug>", "catch_all", lambda slug: "the host's")

    LeaFleet(app)

    assert app.test_client().get("/fleet").text == "the host's"


# What a browser may do with answers under a session


@pytest.fixture
def browser(make_host):
    app = make_host({"SECRET_KEY": "of the host"})
    LeaFleet(app).operator_loader(lambda: session.get("user"))

    @app.get("/login")
    def login():
        session["user"] = "zoe"
        return "welcome"

    client = app.test_client()
    client.get("/login")
    return Api(client)


NOT_EMBEDDED = {
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/fleet", 200),
        ("GET", "/fleet?format=csv", 200),
        ("GET", "/openapi.json", 200),
        ("GET", "/fleet?status=x", 400),
        ("GET", "/machines/nobody", 404),
        ("POST", "/enrollment-tokens", 403),
    ],
)
def test_no_page_of_another_site_embeds_an_answer_under_a_session(
    browser, method, path, status
):
    answer = browser.request(method, path)

    assert answer.status_code == status
    assert NOT_EMBEDDED.items() <= dict(answer.headers).items()


def test_programs_with_a_token_are_sent_no_words_for_browsers(browser):
    browser.token = OPERATOR_TOKEN

    assert not NOT_EMBEDDED.keys() & set(browser.get("/fleet").headers.keys())
