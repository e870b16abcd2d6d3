"""Operators signed in to the host: they may read; only its own pages may write.

The host says who is signed in. A request with an ``Authorization`` header is judged by
that alone. Requests that another site's page may have sent change nothing.
"""

from __future__ import annotations

import pytest
from flask import Flask, session
from werkzeug.exceptions import Forbidden
from werkzeug.local import LocalProxy

from lea_fleet import FleetUser, LeaFleet, blueprint, operator_required
from tests.support.api import OPERATOR_TOKEN, Api, assert_problem

#: The headers that a browser adds to requests from a page of the host.
SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin"}

#: Every route that writes, with a valid body.
WRITES = [
    ("POST", "/enroll", {"machine_id": "PC-2"}),
    ("POST", "/uninstall", {"machine_id": "PC-1"}),
    ("POST", "/heartbeat", {"machine_id": "PC-1", "version": "2"}),
    ("POST", "/machines/PC-1/token", {}),
    ("POST", "/machines/PC-1/cut-off", {}),
    ("POST", "/machines/PC-1/release", {}),
    ("DELETE", "/machines/PC-1/release", {}),
    ("POST", "/machines/PC-1/retire", {}),
    ("DELETE", "/machines/PC-1/retire", {}),
    ("POST", "/machines/PC-1/mute", {"for": "1d"}),
    ("DELETE", "/machines/PC-1/mute", {}),
    ("POST", "/machines/PC-1/tags", {"add": ["vip"]}),
    ("POST", "/machines/PC-1/note", {"text": "Broken"}),
    ("DELETE", "/machines/PC-1/note", {}),
    ("POST", "/selections", {"all": True}),
    ("POST", "/selections/1", {"action": "release"}),
    ("POST", "/machines/PC-1/block", {}),
    ("DELETE", "/machines/PC-1/block", {}),
    ("POST", "/machines/PC-1/replace", {"by": "PC-2", "force": True}),
    ("POST", "/enrollment-tokens", {}),
    ("DELETE", "/enrollment-tokens/1", {}),
    ("POST", "/operators", {"name": "Nadia", "role": "viewer"}),
    ("DELETE", "/operators/1", {}),
    ("POST", "/views", {"name": "Stale", "filters": "presence=stale"}),
    ("PUT", "/views/1", {"name": "Stale", "shared": True}),
    ("DELETE", "/views/1", {}),
]

every_write = pytest.mark.parametrize(("method", "path", "body"), WRITES)


@pytest.fixture
def make_host(engine):
    """Make hosts with sessions, each with its own database."""
    made = []

    def make(name="host", **settings):
        app = Flask(name)
        app.secret_key = "of the host"
        database = engine.beside() if made else engine
        defaults = {"RPA_API_TOKEN": OPERATOR_TOKEN, **database.settings}
        app.config.from_mapping({**defaults, **settings})

        @app.post("/login/<user>")
        def login(user):
            session["user"] = user
            return "welcome"

        made.append(app)
        return app

    yield make
    for app in made:
        app.extensions["lea_fleet"].store.close_idle()


@pytest.fixture
def host(make_host):
    """A host in which all users are operators."""
    app = make_host()
    LeaFleet(app).operator_loader(signed_in)
    return app


def signed_in():
    return session.get("user")


@pytest.fixture
def browser(host):
    return browser_of(host, "zoe")


def browser_of(app, user):
    """Return the browser of a user who has signed in."""
    client = app.test_client()
    assert client.post(f"/login/{user}").text == "welcome"
    return Api(client)


@pytest.fixture
def operator(host):
    """The operator with the shared token, in a fleet with one of each."""
    operator = Api(host.test_client(), OPERATOR_TOKEN)
    operator.enroll("PC-1")
    operator.installer()
    operator.post("/operators", {"name": "Zoe", "role": "viewer"})
    operator.post("/views", {"name": "Silent", "shared": True})
    return operator


def state(operator):
    """Return everything that a write could change."""
    return [
        operator.get(path).json
        for path in (
            "/fleet",
            "/machines/PC-1/events",
            "/enrollment-tokens",
            "/operators",
            "/views",
            "/blocks",
        )
    ]


def admitted(response):
    return response.status_code in (200, 201)


def test_every_route_that_writes_is_listed_here(host):
    writing = [
        rule
        for rule in host.url_map.iter_rules()
        if rule.endpoint.startswith("lea_fleet.") and "GET" not in rule.methods
    ]
    sent = {method for rule in writing for method in rule.methods}
    assert sent <= {"POST", "PUT", "DELETE"}
    assert len(writing) == len(WRITES) + 1  # POST /installer-kit changes nothing


# Who is signed in


def test_a_signed_in_operator_reads_without_a_token(operator, browser):
    for path in ("/fleet", "/machines/PC-1", "/machines/PC-1/events"):
        assert browser.get(path).json == operator.get(path).json
    assert browser.request("HEAD", "/fleet").status_code == 200


@pytest.mark.parametrize(
    "shown",
    [
        {"Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
        {"Origin": "http://localhost"},
        {**SAME_ORIGIN, "Origin": "http://localhost"},
    ],
    ids=str,
)
def test_the_address_bar_a_link_and_the_hosts_page_may_read(browser, shown):
    assert browser.get("/fleet", headers=shown).status_code == 200


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    "shown",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"},
        {"Origin": "https://evil.example"},
        {"Origin": "http://localhost:8080"},
        {"Origin": "http://localhost.evil.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "http://[", "X-Lea-Fleet": "1"},
    ],
    ids=str,
)
def test_no_session_counts_for_a_read_by_a_page_of_another_origin(
    operator, browser, shown, method
):
    for path in ("/fleet", "/machines/PC-1"):
        refused = browser.request(method, path, headers=shown)
        assert refused.status_code == 401
    for headers in (shown, {**shown, "Sec-Fetch-Mode": "no-cors"}):
        assert operator.get("/fleet", headers=headers).status_code == 200


@pytest.mark.parametrize("site", [{}, SAME_ORIGIN])
def test_who_is_not_signed_in_is_nobody(operator, host, site):
    stranger = Api(host.test_client())
    before = state(operator)

    assert_problem(stranger.get("/fleet"), 401, "missing_token", "fix_request")
    for method, path, body in WRITES:
        response = stranger.request(method, path, json=body, headers=site)
        assert_problem(response, 401, "missing_token", "fix_request")
        assert response.headers["WWW-Authenticate"] == 'Bearer realm="lea_fleet"'
    assert state(operator) == before


@pytest.mark.parametrize("nobody", [None, False, "", 0])
def test_a_loader_may_say_no(make_host, nobody):
    app = make_host()
    LeaFleet(app).operator_loader(lambda: nobody)

    response = browser_of(app, "zoe").get("/fleet")

    assert_problem(response, 401, "missing_token", "fix_request")


@pytest.mark.parametrize(("error", "status"), [(ValueError, 500), (Forbidden, 403)])
def test_a_loader_that_raises_lets_nobody_in(make_host, error, status):
    app = make_host()

    def loader():
        raise error

    LeaFleet(app).operator_loader(loader)

    assert browser_of(app, "zoe").get("/fleet").status_code == status


@pytest.mark.parametrize("when", ["before", "after"])
def test_the_loader_may_come_before_the_application_and_after_it(make_host, when):
    app, fleet = make_host(), LeaFleet()
    if when == "after":
        fleet.init_app(app)

    @fleet.operator_loader
    def loader():
        return "zoe"

    if when == "before":
        fleet.init_app(app)

    assert callable(loader) and loader() == "zoe"
    assert Api(app.test_client()).get("/fleet").status_code == 200


def test_without_a_loader_no_session_counts(make_host):
    app = make_host()
    LeaFleet(app)
    browser = browser_of(app, "zoe")

    assert_problem(browser.get("/fleet"), 401, "missing_token")
    write = browser.post("/enroll", {"machine_id": "PC-2"}, headers=SAME_ORIGIN)
    assert_problem(write, 401, "missing_token")


def test_a_plain_blueprint_has_no_loader(make_host):
    app = make_host()
    app.register_blueprint(blueprint)

    assert_problem(browser_of(app, "zoe").get("/fleet"), 401, "missing_token")


def test_two_applications_have_loaders_of_their_own(make_host):
    apps = {name: make_host(name) for name in ("paris", "lyon")}
    for name, app in apps.items():
        LeaFleet(app).operator_loader(only(name))

    for name, app in apps.items():
        for user in apps:
            status = browser_of(app, user).get("/fleet").status_code
            assert status == (200 if user == name else 401)


def only(name):
    return lambda: session.get("user") == name


def test_one_extension_serves_two_applications_with_its_loader(make_host):
    fleet = LeaFleet()
    apps = [make_host("paris"), make_host("lyon")]
    for app in apps:
        fleet.init_app(app)
    fleet.operator_loader(signed_in)

    for app in apps:
        assert browser_of(app, "zoe").get("/fleet").status_code == 200
        assert_problem(Api(app.test_client()).get("/fleet"), 401, "missing_token")


def test_the_loader_is_asked_in_each_request(host, browser):
    assert browser.get("/fleet").status_code == 200
    with browser.client.session_transaction() as cookie:
        cookie.clear()

    assert_problem(browser.get("/fleet"), 401, "missing_token")


# Users who are no operators


@pytest.fixture
def roles(make_host):
    """A host with users of which only some are operators."""
    app = make_host()
    operators = {"zoe"}

    @LeaFleet(app).operator_loader
    def loader():
        user = session.get("user")
        return user and FleetUser(user, "operator" if user in operators else None)

    @app.get("/robots")
    @operator_required
    def robots():
        return "all"

    return app


def test_a_signed_in_user_who_is_no_operator_is_forbidden_what_strangers_lack(roles):
    stranger, clerk = Api(roles.test_client()), browser_of(roles, "clerk")

    for method, path, body in [("GET", "/fleet", None), *WRITES]:
        for headers in ({}, SAME_ORIGIN):
            sent = {"headers": headers, "json": body}
            refused = clerk.request(method, path, **sent)
            assert_problem(refused, 403, "insufficient_scope", "ask_operator")
            unknown = stranger.request(method, path, **sent)
            assert_problem(unknown, 401, "missing_token", "fix_request")
    for path in ("/nowhere", "/enroll", "/openapi.json"):
        assert_problem(clerk.get(path), 403, "insufficient_scope")


def test_a_signed_in_user_with_the_role_is_an_operator_by_name(roles):
    browser = browser_of(roles, "zoe")

    made = browser.post("/enroll", {"machine_id": "PC-1"}, headers=SAME_ORIGIN)
    cross_site = browser.post("/uninstall", {"machine_id": "PC-1"})

    assert made.status_code == 201
    assert_problem(cross_site, 403, "cross_site")
    (event,) = browser.get("/machines/PC-1/events").json["events"]
    assert event["actor"]["user"] == "zoe"


def test_a_token_counts_whoever_is_signed_in_without_the_role(roles):
    clerk = browser_of(roles, "clerk")

    assert Api(clerk.client, OPERATOR_TOKEN).get("/fleet").status_code == 200
    assert_problem(Api(clerk.client, "x").get("/fleet"), 401, "invalid_token")


def test_the_hosts_views_and_the_page_tell_them_apart_too(roles):
    for user, status, signed_in in [("zoe", 200, "operator"), ("clerk", 403, "other")]:
        client = browser_of(roles, user).client
        assert client.get("/robots").status_code == status
        page = client.get("/fleet")
        assert page.status_code == 200
        assert f'data-signed-in="{signed_in}"' in page.text
    assert roles.test_client().get("/robots").status_code == 401


@pytest.mark.parametrize(
    ("name", "role"),
    [("zoe", "root"), ("zoe", ""), ("zoe", True), ("", "operator"), (None, None)],
)
def test_a_user_without_a_name_or_with_another_role_is_an_error(name, role):
    with pytest.raises(ValueError, match="FleetUser"):
        FleetUser(name, role)


# What a page of the host may do


@pytest.mark.parametrize(
    "shown",
    [
        SAME_ORIGIN,
        {"X-Lea-Fleet": "1"},
        {"X-Lea-Fleet": ""},
        {**SAME_ORIGIN, "X-Lea-Fleet": "1"},
    ],
    ids=lambda shown: " and ".join(shown),
)
@every_write
def test_a_page_of_the_host_may_write(operator, browser, method, path, body, shown):
    if path.endswith("/replace"):
        operator.enroll(body["by"])
    browser.post("/selections", {"all": True}, headers=SAME_ORIGIN)

    response = browser.request(method, path, json=body, headers=shown)

    assert admitted(response), response.text


@pytest.mark.parametrize(
    "shown",
    [
        {},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Site": ""},
        {"Sec-Fetch-Site": "Same-Origin"},
        {"Sec-Fetch-Site": "same-origin, cross-site"},
        {"Sec-Fetch-Site": "cross-site", "X-Lea-Fleet": "1"},
        {"Origin": "http://localhost", "Referer": "http://localhost/"},
    ],
    ids=str,
)
@every_write
def test_what_may_come_from_another_site_is_refused(
    operator, browser, method, path, body, shown
):
    before = state(operator)

    response = browser.request(method, path, json=body, headers=shown)

    assert_problem(response, 403, "cross_site", "fix_request")
    assert state(operator) == before


@pytest.mark.parametrize("shown", [SAME_ORIGIN, {"X-Lea-Fleet": "1"}], ids=str)
@pytest.mark.parametrize(
    "sent",
    [
        {"data": {"machine_id": "PC-1"}},
        {"data": {"machine_id": "PC-1"}, "content_type": "multipart/form-data"},
        {"data": b'{"machine_id": "PC-1"}', "content_type": "text/plain"},
        {"data": b'{"machine_id": "PC-1"}'},
        {},
    ],
    ids=["form", "multipart", "text", "no type", "nothing"],
)
@pytest.mark.parametrize(
    ("method", "path"), [(method, path) for method, path, _ in WRITES]
)
def test_what_is_no_json_is_refused(operator, browser, method, path, sent, shown):
    before = state(operator)

    response = browser.request(method, path, headers=shown, **sent)

    assert_problem(response, 403, "cross_site", "fix_request")
    assert state(operator) == before


def test_where_machines_share_the_operators_token_a_session_is_not_handed_it(make_host):
    app = make_host(LEA_FLEET_ISSUE="shared")
    LeaFleet(app).operator_loader(signed_in)
    machine = {"machine_id": "PC-1"}

    response = browser_of(app, "zoe").post("/enroll", machine, headers=SAME_ORIGIN)

    assert_problem(response, 403, "insufficient_scope", "ask_operator")
    assert OPERATOR_TOKEN not in response.text
    operator = Api(app.test_client(), OPERATOR_TOKEN)
    assert_problem(operator.get("/machines/PC-1"), 404, "unknown_agent")
    assert operator.enroll("PC-1").token == OPERATOR_TOKEN


def test_json_may_say_its_charset(operator, browser):
    response = browser.post(
        "/uninstall",
        data=b'{"machine_id": "PC-1"}',
        content_type="application/json; charset=utf-8",
        headers=SAME_ORIGIN,
    )

    assert response.status_code == 200


# A request with its own credential


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ("Bearer wrong", "invalid_token"),
        ("Bearer lea_agent_unknown", "invalid_token"),
        ("Bearer lea_enroll_unknown", "invalid_token"),
        (f"Bearer {OPERATOR_TOKEN}x", "invalid_token"),
        ("Bearer", "missing_token"),
        ("Bearer ", "missing_token"),
        ("Basic em9lOnpvZQ==", "missing_token"),
        ("", "missing_token"),
    ],
)
def test_a_session_rescues_no_authorization(operator, browser, sent, code):
    before = state(operator)
    headers = {**SAME_ORIGIN, "Authorization": sent}

    assert_problem(browser.get("/fleet", headers=headers), 401, code)
    for method, path, body in WRITES:
        response = browser.request(method, path, json=body, headers=headers)
        assert_problem(response, 401, code)
    assert state(operator) == before


def test_a_session_lends_nobody_its_reach(operator, browser):
    """The role of an agent or installer is that of its token, whoever is signed in."""
    agent = operator.enroll("PC-2")
    for holder in (agent, operator.installer()):
        caller = Api(browser.client, holder.token)
        refused = caller.get("/fleet", headers=SAME_ORIGIN)
        assert_problem(refused, 403, "insufficient_scope")
    agent.post("/uninstall")
    departed = Api(browser.client, agent.token).get("/fleet", headers=SAME_ORIGIN)
    assert_problem(departed, 401, "agent_uninstalled")


def test_who_holds_a_token_has_nothing_to_show(operator, host):
    """A program has no cookies that another site could use."""
    agent = operator.enroll("PC-2")
    cross_site = {"Sec-Fetch-Site": "cross-site"}

    for shown in ({}, cross_site):
        assert agent.post("/heartbeat", headers=shown).status_code == 200
        rotation = agent.post("/machines/PC-2/token", headers=shown)
        assert rotation.status_code == 201
        release = operator.request("POST", "/machines/PC-1/release", headers=shown)
        assert release.status_code == 200
    assert agent.post("/uninstall", headers=cross_site).status_code == 200


def test_a_loader_is_not_asked_about_who_holds_a_token(make_host):
    app = make_host()

    def loader():
        raise AssertionError("asked")

    LeaFleet(app).operator_loader(loader)
    operator = Api(app.test_client(), OPERATOR_TOKEN)

    assert operator.enroll("PC-1").heartbeat().status_code == 200


# The actor in events


@pytest.mark.parametrize(
    ("vouched", "actor"),
    [
        ("zoe", {"role": "operator", "user": "zoe", "address": "127.0.0.1"}),
        ("Zoé \x1b[2J", {"role": "operator", "user": "Zoé \x1b[2J"}),
        (True, {"role": "operator"}),
    ],
)
def test_an_event_names_the_user(make_host, vouched, actor):
    app = make_host()
    LeaFleet(app).operator_loader(lambda: vouched)
    browser = Api(app.test_client())

    for method, path, body in [
        ("POST", "/enroll", {"machine_id": "PC-1"}),
        ("POST", "/machines/PC-1/token", {}),
        ("POST", "/machines/PC-1/release", {}),
        ("DELETE", "/machines/PC-1/release", {}),
        ("POST", "/uninstall", {"machine_id": "PC-1"}),
    ]:
        response = browser.request(method, path, json=body, headers=SAME_ORIGIN)
        assert admitted(response), response.text

    events = browser.get("/machines/PC-1/events").json["events"]
    assert len(events) == 5
    for event in events:
        assert event["actor"] == {**actor, "address": "127.0.0.1"}


def test_a_signed_in_operator_is_a_whole_operator(operator, browser):
    """Nothing that an operator may do or see is closed to a signed-in one."""
    assert admitted(
        browser.post(
            "/enroll", {"machine_id": "PC-1", "force": True}, headers=SAME_ORIGIN
        )
    )
    made = browser.post("/enrollment-tokens", {"label": "a"}, headers=SAME_ORIGIN)
    installer = Api(operator.client, made.json["token"])
    assert installer.enroll("PC-3").heartbeat().status_code == 200


@pytest.mark.parametrize(
    ("name", "recorded"),
    [
        (LocalProxy(lambda: "zoe"), "zoe"),
        ("zo\udcff", "zo\\udcff"),
        (FleetUser("zo\udcff", "operator"), "zo\\udcff"),
        (LocalProxy(lambda: FleetUser("zoe", "operator")), "zoe"),
    ],
    ids=["proxy", "surrogate", "user", "proxy of a user"],
)
def test_whatever_text_names_the_operator_is_recorded(make_app, name, recorded):
    """A session may have any JSON, and Flask hands out proxies."""
    app = make_app()
    app.extensions["lea_fleet"].operator_loader = lambda: name
    browser = Api(app.test_client())

    for _ in range(2):  # the second finds the first by the operator's name
        made = browser.post(
            "/enroll",
            {"machine_id": "PC-1"},
            headers={**SAME_ORIGIN, "Idempotency-Key": "first"},
        )
        assert made.status_code == 201

    event, *_ = reversed(browser.get("/machines/PC-1/events").json["events"])
    assert event["actor"]["user"] == recorded


@pytest.mark.parametrize("odd", [1, object(), ["admin"], {"admin": True}, b"admin"])
def test_a_loader_that_returns_anything_else_vouches_for_nobody(make_app, odd):
    """For example an anonymous user, an object that is true in a condition."""
    app = make_app()
    app.extensions["lea_fleet"].operator_loader = lambda: odd

    assert_problem(Api(app.test_client()).get("/fleet"), 401, "missing_token")


def test_one_signed_in_operator_does_not_replay_for_another(make_app):
    app = make_app()
    client, headers = app.test_client(), {"Sec-Fetch-Site": "same-origin"}
    headers["Idempotency-Key"] = "key"

    def enroll(user):
        app.extensions["lea_fleet"].operator_loader = lambda: user
        return Api(client).post("/enroll", {"machine_id": "PC-1"}, headers=headers)

    assert enroll("zoe").status_code == 201
    assert_problem(enroll("amelie"), 409, "already_enrolled")
    assert enroll("zoe").status_code == 201
