"""The operator's page as a browser receives it: its address, headers and files."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from flask import Flask, session
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client

import lea_fleet
from lea_fleet import ConfigurationError, LeaFleet
from lea_fleet.core.listing import ACTIVE_PRESENCES, PRESENCES
from lea_fleet.page import assets as files
from tests.support.api import OPERATOR_TOKEN, PREFIX
from tests.support.docs import ROOT

STATIC = ROOT / "lea_fleet" / "page" / "static"

POLICY = {
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "form-action 'none'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
}


class Page(HTMLParser):
    """The parts of the page's markup that the tests look at."""

    def __init__(self, text):
        super().__init__()
        self.links = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        assert not any(name == "style" or name.startswith("on") for name in found)
        if tag == "html":
            self.api, self.signed_in = found["data-api"], found["data-signed-in"]
        self.links += [found[name] for name in ("href", "src") if name in found]


def page_of(client, address="/fleet"):
    response = client.get(address)
    assert response.status_code == 200, response.text
    return Page(response.text)


@pytest.fixture
def make_host(engine):
    """Make hosts that have not registered lea_fleet yet."""
    made = []

    def make(**settings):
        app = Flask("host")
        app.secret_key = "of the host"
        app.config.update(RPA_API_TOKEN=OPERATOR_TOKEN, **engine.settings)
        app.config.update(settings)
        made.append(app)
        return app

    yield make
    for app in made:
        if "lea_fleet" in app.extensions:
            app.extensions["lea_fleet"].store.close_idle()


def test_anybody_gets_the_page_and_all_that_it_loads(client, engine):
    page = page_of(client)

    assert (page.api, page.signed_in) == (PREFIX, "nobody")
    assert len(page.links) > 4
    for link in page.links:
        assert client.get(link).status_code == 200
    assert not engine.exists()  # no data was requested


def test_it_may_load_from_its_own_server_only(client):
    for address in ("/fleet", *page_of(client).links):
        headers = client.get(address).headers
        assert set(headers["Content-Security-Policy"].split("; ")) == POLICY
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"


def test_every_file_is_sent_as_what_it_is_and_kept_for_ever(client):
    folder = page_of(client).links[-1].rpartition("/")[0]
    kinds = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}

    for path in STATIC.iterdir():
        response = client.get(f"{folder}/{path.name}")
        assert response.data == path.read_bytes()
        assert response.mimetype == kinds[path.suffix[1:]]
        assert "immutable" in response.headers["Cache-Control"]
        assert response.headers["ETag"]


def test_the_page_itself_is_asked_for_each_time_and_sent_when_it_is_new(client):
    first = client.get("/fleet")
    assert first.headers["Cache-Control"] == "private, no-cache"

    again = client.get("/fleet", headers={"If-None-Match": first.headers["ETag"]})

    assert (again.status_code, again.data) == (304, b"")
    assert "Content-Security-Policy" in again.headers


def test_another_content_has_another_address(monkeypatch):
    files.current_version.cache_clear()
    before = files.current_version()
    monkeypatch.setattr(files, "assets", lambda: {"main.js": b"other"})
    files.current_version.cache_clear()

    assert files.current_version() != before
    monkeypatch.undo()
    files.current_version.cache_clear()


@pytest.mark.parametrize(
    "path",
    ["/fleet/", "/fleet/assets", "/fleet/assets/0/main.js", "//fleet"]
    + ["/fleet/assets/{version}/page.html", "/fleet/assets/{version}/../routes.py"]
    + ["/fleet/assets/{version}/nothing.js", "/fleet/assets/{version}/%2e%2e%2fx.js"],
)
def test_what_is_no_file_of_the_page_is_the_hosts_404(make_host, path):
    app = make_host()
    app.register_error_handler(404, lambda error: ("the host's 404", 404))
    LeaFleet(app)

    response = app.test_client().get(path.format(version=files.current_version()))

    assert (response.status_code, response.text) == (404, "the host's 404")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_it_can_only_be_read(client, method):
    assert client.open("/fleet", method=method).status_code == 405
    head = client.head("/fleet")
    assert (head.status_code, head.data) == (200, b"")
    assert head.headers["ETag"] == client.get("/fleet").headers["ETag"]


# Its address


@pytest.mark.parametrize(
    ("said", "address"),
    [("/ops/it-fleet", "/ops/it-fleet"), ("/park/", "/park"), (True, "/fleet")],
)
def test_it_is_moved_by_a_setting(make_app, said, address):
    client = make_app(LEA_FLEET_PAGE=said).test_client()

    links = page_of(client, address).links
    assert all(link.startswith(f"{address}/") for link in links)
    assert address == "/fleet" or client.get("/fleet").status_code == 404


def test_it_is_turned_off_by_a_setting(make_app):
    app = make_app(LEA_FLEET_PAGE=False)

    assert app.test_client().get("/fleet").status_code == 404
    assert "lea_fleet_page" not in app.blueprints


def test_the_environment_moves_it_and_turns_it_off(make_app, monkeypatch):
    monkeypatch.setenv("FLASK_LEA_FLEET_PAGE", "/park")
    assert page_of(make_app().test_client(), "/park")
    monkeypatch.setenv("FLASK_LEA_FLEET_PAGE", "false")
    assert make_app().test_client().get("/fleet").status_code == 404


@pytest.mark.parametrize("said", [None, False, "/park", True])
def test_a_bare_blueprint_has_one_where_that_is_asked_for(make_host, said):
    app = make_host(LEA_FLEET_PAGE=said)
    app.register_blueprint(lea_fleet.blueprint, url_prefix="/rpa/agents")

    client, address = app.test_client(), "/park" if said == "/park" else "/fleet"

    assert client.get(address).status_code == (200 if said else 404)
    if said:
        assert page_of(client, address).api == "/rpa/agents"


def test_it_knows_the_prefix_that_the_registration_gave(make_host):
    app = make_host(LEA_FLEET_URL_PREFIX="/setting")
    LeaFleet(app, url_prefix="/rpa/&é")

    assert page_of(app.test_client()).api == "/rpa/%26%C3%A9"


def test_it_knows_where_the_host_is_mounted(make_host):
    app = make_host()
    LeaFleet(app)
    mounted = DispatcherMiddleware(Flask("front"), {"/tenant a": app})
    client = Client(mounted)

    page = page_of(client, "/tenant a/fleet")

    assert page.api == f"/tenant%20a{PREFIX}"
    for link in page.links:
        assert client.get(link).status_code == 200


# The host's own


@pytest.mark.parametrize("rule", ["/fleet", "/fleet/"])
def test_a_taken_address_is_an_early_error_that_says_what_to_do(make_host, rule):
    app = make_host()
    app.get(rule)(lambda: "the host's own")

    with pytest.raises(ConfigurationError, match="/fleet.*LEA_FLEET_PAGE"):
        LeaFleet(app)

    assert not app.blueprints and not app.extensions
    app.config["LEA_FLEET_PAGE"] = "/park"
    LeaFleet(app)
    assert app.test_client().get(rule).text == "the host's own"
    assert page_of(app.test_client(), "/park")


def test_an_address_that_the_api_takes_is_an_error_too(make_host):
    with pytest.raises(ConfigurationError, match="lea_fleet.fleet.*LEA_FLEET_PAGE"):
        LeaFleet(make_host(LEA_FLEET_PAGE=f"{PREFIX}/fleet"))
    with pytest.raises(ConfigurationError, match="lea_fleet.fleet.*LEA_FLEET_PAGE"):
        LeaFleet(make_host(), url_prefix="/")


def test_a_page_that_the_host_declares_later_is_the_hosts(make_host):
    app = make_host()
    LeaFleet(app)
    app.get("/fleet")(lambda: "the host's own")

    assert app.test_client().get("/fleet").text == "the host's own"


def test_other_methods_and_pages_beside_it_are_no_conflict(make_host):
    app = make_host()
    app.post("/fleet", endpoint="a")(lambda: "posted")
    app.get("/fleet/map", endpoint="b")(lambda: "a map")
    app.get("/<path:anything>", endpoint="c")(lambda anything: "the host's own")
    LeaFleet(app)
    client = app.test_client()

    assert page_of(client)
    assert client.get("/fleet/map").text == "a map"
    assert client.get("/else/where").text == "the host's own"


def test_a_guard_of_the_hosts_stands_before_it(make_host):
    app = make_host()
    LeaFleet(app)
    app.before_request(lambda: None if session.get("user") else ("log in first", 401))
    client = app.test_client()

    assert client.get("/fleet").text == "log in first"
    with client.session_transaction() as cookie:
        cookie["user"] = "zoe"
    assert page_of(client)


def test_it_does_not_ask_for_a_token_where_the_host_knows_the_operator(make_host):
    app = make_host()
    LeaFleet(app).operator_loader(lambda: session.get("user"))
    client = app.test_client()

    assert page_of(client).signed_in == "nobody"
    with client.session_transaction() as cookie:
        cookie["user"] = "zoe"
    assert page_of(client).signed_in == "operator"
    assert "zoe" not in client.get("/fleet").text


def test_the_page_knows_every_presence():
    """By name, by color, as a filter and, but for uninstalled, in the strip."""
    read = {file.name: file.read_text("utf-8") for file in STATIC.iterdir()}
    for name in PRESENCES:
        for language in ("en.js", "fr.js"):
            assert f'"presence.{name}":' in read[language]
            assert f'"presence.{name}.means":' in read[language]
        assert f".dot.{name} {{" in read["base.css"]
        assert f'"{name}"' in read["filters.js"]
    for name in ACTIVE_PRESENCES:
        assert f'"{name}"' in read["strip.js"]
        assert (
            f'"strip.{name}":' in read["en.js"] and f'"strip.{name}":' in read["fr.js"]
        )
