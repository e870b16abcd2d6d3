"""The host's own routes, for agents or operators, with its own error pages."""

from __future__ import annotations


import pytest
from flask import Flask, request, session

from lea_fleet import (
    LeaFleet,
    Principal,
    agent_required,
    current_agent,
    operator_required,
)
from lea_fleet.auth import host_routes as access
from tests.support.api import OPERATOR_TOKEN, PREFIX, Api

SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def make_host(engine):
    """Make a host with routes for agents, for operators and for everybody."""
    made = []

    def make(*pages, **settings):
        app = Flask("host")
        app.secret_key = "of the host"
        defaults = {"RPA_API_TOKEN": OPERATOR_TOKEN, **engine.settings}
        app.config.from_mapping({**defaults, **settings})
        fleet = LeaFleet(app)
        fleet.operator_loader(lambda: session.get("user"))
        add_routes(app, engine)
        for code in pages:
            app.register_error_handler(code, page)
        made.append(app)
        return app

    yield make
    for app in made:
        app.extensions["lea_fleet"].store.close_idle()


def add_routes(app, engine):
    @app.get("/mine/<int:number>")
    @agent_required
    def mine(number):
        return {"number": number, "agent": dict(current_agent)}

    @app.route("/all", methods=["GET", "POST"])
    @operator_required
    def everything():
        return {"answer": request.method}

    @app.get("/operators/agent")
    @operator_required
    def operators_agent():
        return dict(current_agent)

    @app.get("/fault/<who>")
    @agent_required
    def fault(who):
        raise {"host": ValueError, "database": engine.busy}[who]

    @app.get("/anyone")
    def anyone():
        return {"agent": dict(current_agent)}

    @app.post("/login")
    def login():
        session["user"] = "zoe"
        return "welcome"


def page(error):
    """A page of the host, which passes on what it was given."""
    headers = {
        name: value for name, value in error.get_headers() if name != "Content-Type"
    }
    return {"page": error.code}, error.code, headers


@pytest.fixture
def host(make_host):
    """A host whose error pages are Flask's."""
    return make_host()


@pytest.fixture
def operator(host):
    return Api(host.test_client(), OPERATOR_TOKEN)


@pytest.fixture
def agent(operator):
    return own(operator.enroll("PC-1", hostname="A"))


def own(caller):
    """Address a caller's requests to the host's own routes."""
    return Api(caller.client, caller.token, prefix="")


@pytest.fixture
def callers(operator, agent):
    """One caller of each role, by role."""
    installer = operator.installer()
    departed = operator.enroll("PC-2")
    departed.post("/uninstall")
    replaced = operator.enroll("PC-3")
    operator.enroll("PC-3", force=True)
    strangers = {
        "nobody": None,
        "wrong": "wrong",
        "unknown": "lea_agent_unknown",
        "a=b": "a=b",
        "not ASCII": "\xff",
    }
    return {
        "operator": own(operator),
        "agent": agent,
        "installer": own(installer),
        "departed": own(departed),
        "replaced": own(replaced),
        **{name: Api(operator.client, strangers[name], "") for name in strangers},
    }


# Agents


def test_an_agent_finds_itself(agent, operator):
    response = agent.get("/mine/7")

    assert response.status_code == 200
    assert response.json == {"number": 7, "agent": operator.machine("PC-1")}


def test_each_agent_finds_itself(operator):
    agents = [own(operator.enroll(name)) for name in ("PC-1", "PC-2", "PC-1 ß")]

    found = [agent.get("/mine/1").json["agent"]["machine_id"] for agent in agents * 2]

    assert found == ["PC-1", "PC-2", "PC-1 ß"] * 2


REFUSED = ["installer", "departed", "replaced", "nobody", "wrong", "unknown", "a=b"]


@pytest.mark.parametrize("role", [*REFUSED, "not ASCII"])
@pytest.mark.parametrize("path", ["/mine/1", "/all"])
def test_whose_token_is_good_for_neither_is_unauthorized(callers, path, role):
    response = callers[role].get(path)

    assert response.status_code == 401
    (challenge,) = response.headers.getlist("WWW-Authenticate")
    assert challenge.startswith("Bearer realm=")


def test_the_challenge_is_that_of_the_fleets_own_routes(operator):
    own_route = Api(operator.client, prefix="").get("/mine/1")
    fleets = Api(operator.client).get("/fleet")

    assert own_route.headers["WWW-Authenticate"] == fleets.headers["WWW-Authenticate"]


def test_an_operator_is_no_agent_and_an_agent_no_operator(callers):
    assert callers["operator"].get("/mine/1").status_code == 403
    assert callers["agent"].get("/all").status_code == 403


def test_any_authentication_is_a_use(operator, agent):
    """As on the fleet's routes, the first use of a new token revokes the old one."""
    rotated = operator.post("/machines/PC-1/token", {}).json["api_token"]
    assert agent.get("/mine/1").status_code == 200

    assert Api(agent.client, rotated, "").get("/mine/1").status_code == 200
    assert agent.get("/mine/1").status_code == 401


def test_an_agent_is_let_in_no_longer_than_it_is_enrolled(operator, agent):
    assert agent.get("/mine/1").status_code == 200
    operator.uninstall("PC-1")

    assert agent.get("/mine/1").status_code == 401


def test_an_agent_whose_row_was_deleted_in_between_is_unauthorized(agent, monkeypatch):
    gone = Principal("agent", "gone")
    monkeypatch.setattr(access, "resolve_token", lambda token: gone)

    assert agent.get("/mine/1").status_code == 401


def test_a_session_makes_no_agent(host, agent):
    agent.post("/login")
    agent.token = None

    assert agent.get("/mine/1", headers=SAME_ORIGIN).status_code == 401


# current_agent


def test_no_other_view_has_a_current_agent(host, operator, agent):
    host.testing = True  # faults go through to here
    assert agent.get("/mine/1").status_code == 200

    with pytest.raises(RuntimeError, match="agent_required"):
        agent.get("/anyone")
    with pytest.raises(RuntimeError, match="agent_required"):
        own(operator).get("/operators/agent")


def test_outside_a_request_there_is_none_either(host):
    with host.app_context(), pytest.raises(RuntimeError, match="agent_required"):
        current_agent["machine_id"]
    with pytest.raises(RuntimeError):
        current_agent["machine_id"]


# Operators


def test_an_operator_is_let_in_by_the_token(operator):
    assert own(operator).get("/all").json == {"answer": "GET"}
    assert own(operator).post("/all").json == {"answer": "POST"}


@pytest.fixture
def browser(operator):
    """The browser of someone who has signed in to the host."""
    browser = Api(operator.client, prefix="")
    assert browser.post("/login").status_code == 200
    return browser


def test_an_operator_is_let_in_by_a_session(browser):
    assert browser.get("/all").status_code == 200
    for shown in (SAME_ORIGIN, {"X-Lea-Fleet": "1"}):
        assert browser.post("/all", {}, headers=shown).status_code == 200


@pytest.mark.parametrize(
    ("shown", "sent"),
    [
        ({}, {"body": {}}),
        ({"Sec-Fetch-Site": "cross-site"}, {"body": {}}),
        ({"Sec-Fetch-Site": "same-site"}, {"body": {}}),
        ({"Sec-Fetch-Site": "none"}, {"body": {}}),
        ({"Sec-Fetch-Site": "cross-site", "X-Lea-Fleet": "1"}, {"body": {}}),
        (SAME_ORIGIN, {"data": {"a": "form"}}),
        (SAME_ORIGIN, {}),
    ],
)
def test_a_session_writes_from_the_hosts_own_pages_only(browser, shown, sent):
    assert browser.post("/all", headers=shown, **sent).status_code == 403


@pytest.mark.parametrize("sent", ["Bearer wrong", "Bearer", "Basic em9lOnpvZQ==", ""])
def test_a_session_rescues_no_authorization(browser, sent):
    headers = {**SAME_ORIGIN, "Authorization": sent}

    assert browser.get("/all", headers=headers).status_code == 401
    assert browser.post("/all", {}, headers=headers).status_code == 401


def test_a_session_lends_an_agent_nothing(browser, agent):
    browser.token = agent.token

    assert browser.get("/all", headers=SAME_ORIGIN).status_code == 403


# The host's own error pages


@pytest.fixture
def with_pages(make_host):
    return make_host(401, 403, 503)


@pytest.mark.parametrize(
    ("role", "path", "code"),
    [
        ("nobody", "/mine/1", 401),
        ("wrong", "/mine/1", 401),
        ("operator", "/mine/1", 403),
        ("nobody", "/all", 401),
        ("agent", "/all", 403),
    ],
)
def test_who_is_refused_sees_the_hosts_own_page(with_pages, callers, role, path, code):
    caller = Api(with_pages.test_client(), callers[role].token, prefix="")

    response = caller.get(path)

    assert (response.status_code, response.json) == (code, {"page": code})
    assert ("WWW-Authenticate" in response.headers) is (code == 401)


def test_a_page_for_what_another_site_sent_is_the_hosts_too(with_pages):
    browser = Api(with_pages.test_client(), prefix="")
    browser.post("/login")

    response = browser.post("/all", {}, headers={"Sec-Fetch-Site": "cross-site"})

    assert (response.status_code, response.json) == (403, {"page": 403})


# An unusable database


@pytest.fixture
def without_database(agent, engine):
    with engine.missing():
        yield


def test_without_a_database_an_agent_is_told_to_come_again(
    agent, without_database, engine
):
    response = agent.get("/mine/1")

    assert response.status_code == 503
    assert response.headers["Retry-After"] == "30"
    assert response.mimetype == "text/html"
    assert engine.place not in response.text


def test_the_page_for_it_is_the_hosts_too(with_pages, agent, engine):
    moved = Api(with_pages.test_client(), agent.token, prefix="")
    assert moved.get("/mine/1").status_code == 200
    with engine.missing():
        response = moved.get("/mine/1")

    assert (response.status_code, response.json) == (503, {"page": 503})
    assert response.headers["Retry-After"] == "30"


def test_an_operator_needs_no_database(operator, browser, without_database):
    assert own(operator).get("/all").status_code == 200
    browser.token = None
    assert browser.get("/all").status_code == 200


def test_a_database_that_is_locked_costs_nobody_the_identity(begun, make_host, engine):
    app = make_host(LEA_FLEET_BUSY_TIMEOUT="0s")
    agent = own(Api(app.test_client(), OPERATOR_TOKEN).enroll("PC-1"))

    with engine.being_written():
        response = agent.get("/mine/1")  # the first use of its token is a write

    assert response.status_code == 503
    assert response.headers["Retry-After"] == "2"
    assert agent.get("/mine/1").status_code == 200


def test_a_broken_database_is_a_503_as_well(agent, engine):
    engine.execute("DROP TABLE lea_fleet_tokens")

    assert agent.get("/mine/1").status_code == 503


@pytest.mark.parametrize("who", ["host", "database"])
def test_a_fault_of_the_view_stays_the_views(host, agent, engine, who):
    host.testing = True

    with pytest.raises(ValueError if who == "host" else engine.errors):
        agent.get(f"/fault/{who}")


# The decorators


def test_a_view_keeps_its_name_and_its_text():
    def view():
        """What it does."""

    for decorator in (agent_required, operator_required):
        guarded = decorator(view)
        assert (guarded.__name__, guarded.__doc__) == ("view", "What it does.")


def test_the_fleets_own_routes_do_not_change(operator, agent):
    assert operator.get("/fleet").status_code == 200
    heartbeat = agent.post(f"{PREFIX}/heartbeat")
    assert heartbeat.status_code == 200
    assert Api(agent.client).get("/fleet").mimetype == "application/problem+json"
