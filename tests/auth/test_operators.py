"""Operators with a name: what each role may do, and for how long."""

from __future__ import annotations

from datetime import timedelta
from threading import Thread

import pytest

from lea_fleet import FleetUser, operator_required
from lea_fleet.app.database import get_host_repository
from lea_fleet.auth import guard
from lea_fleet.auth.host_routes import authenticate
from lea_fleet.core.tokens import hash_token
from lea_fleet.storage.operators import Operators
from tests.support.api import OPERATOR_TOKEN, PREFIX, Api, assert_problem

ROLES = ("viewer", "operator", "admin")
FORBIDDEN = (403, "insufficient_scope")


@pytest.fixture
def named(operator):
    """Return a function that makes an operator with a role, as a client."""

    def make(role, name="Nadia, helpdesk", **members):
        body = {"name": name, "role": role, **members}
        response = operator.post("/operators", body)
        assert response.status_code == 201, response.text
        return Api(operator.client, response.json["token"])

    return make


def walked(app):
    """Every method and path of ours."""
    return sorted(
        (
            method,
            rule.rule.replace("<machine_id>", "PC-1")
            .replace("<token_id>", "1")
            .replace("<operator_id>", "1")
            .replace("<view_id>", "1")
            .replace("<selection_id>", "1")
            .removeprefix(PREFIX),
        )
        for rule in app.url_map.iter_rules()
        if rule.endpoint.startswith("lea_fleet.")
        for method in rule.methods
        if method != "HEAD"
    )


def admits(role, method, path):
    """The rule: a viewer reads, an operator also writes, an admin makes operators.

    What sets machines up is for those who may enroll them; a viewer also saves views of
    its own. A selection is made by a write, and its maker's alone. When a machine was
    seen, and so its user at work, is for those who work with it.
    """
    if path.startswith("/views"):
        return True
    if path.startswith(("/selections", "/installer-kit")) or "/presence" in path:
        return role != "viewer"
    if path.startswith("/operators"):
        return role == "admin"
    return method == "GET" or role != "viewer"


@pytest.mark.parametrize("role", ROLES)
def test_every_route_admits_a_role_or_not(app, operator, named, role):
    caller = named(role)
    operator.enroll("PC-1")
    operator.enroll("PC-2")

    routes = walked(app)
    assert len(routes) >= 30
    for method, path in routes:
        members = {"machine_id": "PC-1", "by": "PC-2", "for": "1d", "force": True}
        sent = {} if method == "GET" else {"json": members}
        response = caller.request(method, path, **sent)
        if admits(role, method, path):
            assert (response.json or {}).get("code") != FORBIDDEN[1], (method, path)
            assert response.status_code < 500
        else:
            assert_problem(response, *FORBIDDEN)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("ended", ["expired", "revoked"])
def test_no_route_admits_a_token_that_has_ended(
    app, operator, named, the_clock, role, ended
):
    caller = named(role, expires="1d")
    assert caller.get("/fleet").status_code == 200
    if ended == "expired":
        the_clock.advance(days=1)
    else:
        operator.request("DELETE", "/operators/1")

    for method, path in walked(app):
        assert_problem(caller.request(method, path), 401, f"token_{ended}")


def test_no_answer_to_a_viewer_holds_a_secret(app, operator, named):
    """It may ask for all that is read: none of it has any token."""
    viewer, installer = named("viewer"), operator.installer(label="Paris")
    agent = installer.enroll("PC-1", hostname="H", user_email="z@example.com")
    secrets = [OPERATOR_TOKEN, viewer.token, installer.token, agent.token]

    for method, path in walked(app):
        if method == "GET":
            text = viewer.get(path).text
            assert not any(secret in text for secret in secrets), path


@pytest.fixture
def secretive(operator, named):
    """A viewer without personal data, of a fleet with some in every place."""
    installer = operator.installer(label="for ZOE-label")
    details = {
        "user_name": "ZOE Lefevre",
        "user_email": "ZOE@example.com",
        "user_id": "S-1-ZOE",
        "hostname": "PC-OF-ZOE",
    }
    agent = installer.enroll("PC-1", **details)
    agent.heartbeat(hostname="PC2-OF-ZOE", user_name="ZOE L.")
    operator.uninstall("PC-1", reason="ZOE has left")
    operator.post("/machines/PC-1/block", {"reason": "ZOE stole it"})
    installer.post("/enroll", {"machine_id": "PC-1", **details})
    installer.enroll("PC-2", **details)
    operator.post("/machines/PC-2/note", {"text": "ZOE's second"})
    operator.post("/views", {"name": "Of ZOE", "shared": True})
    named("operator", name="ZOE the boss").enroll("PC-3")
    return named("viewer", name="Audit", personal=False)


def test_no_answer_shows_such_a_viewer_personal_data(app, operator, secretive):
    """By any route; and each is there for the operator, so that the test can fail."""
    shown = set()
    for method, path in walked(app):
        if method != "GET" or not admits("viewer", method, path):
            continue
        if path == "/openapi.json":
            continue
        for query in ("", "?format=csv") if path in ("/fleet", "/events") else ("",):
            hidden = secretive.get(path + query)
            assert hidden.status_code == 200
            assert "ZOE" not in hidden.text and "127.0.0.1" not in hidden.text, path
            if "ZOE" in operator.get(path + query).text:
                shown.add(path)

    assert shown == {
        "/fleet",
        "/events",
        "/machines/PC-1",
        "/machines/PC-1/events",
        "/refusals",
        "/blocks",
        "/enrollment-tokens",
        "/views",
    }
    (listed,) = secretive.get("/fleet?machine_id=PC-2").json["active"]
    assert (listed["user_name"], listed["version"]) == (None, None)


@pytest.mark.parametrize(
    "path",
    [
        "/fleet?q=zoe",
        "/fleet?sort=user_name",
        "/fleet?sort=-hostname&format=csv",
        "/events?actor=ZOE+the+boss",
        "/events?actor=127.0.0.1",
    ],
)
def test_such_a_viewer_finds_nobody_by_a_search_either(secretive, path):
    assert_problem(secretive.get(path), *FORBIDDEN)


def test_such_a_viewer_finds_machines_and_events_otherwise(secretive):
    assert secretive.get("/fleet?sort=version&presence=online").status_code == 200
    events = secretive.get("/events?actor=installer&event=enrolled").json["events"]
    assert [event["machine_id"] for event in events] == ["PC-2", "PC-1"]
    assert events[0]["actor"] == {"role": "installer", "enrollment_token": 1}


@pytest.mark.parametrize("role", ["operator", "admin"])
def test_whoever_changes_machines_sees_personal_data(operator, role):
    body = {"name": "N", "role": role, "personal": False}
    assert_problem(operator.post("/operators", body), 400, "invalid_field")


WRITES = [
    ("POST", "/enroll"),
    ("POST", "/uninstall"),
    ("POST", "/machines/PC-1/token"),
    ("POST", "/machines/PC-1/cut-off"),
    ("POST", "/machines/PC-1/release"),
    ("DELETE", "/machines/PC-1/release"),
    ("POST", "/machines/PC-1/block"),
    ("DELETE", "/machines/PC-3/block"),
    ("POST", "/machines/PC-1/mute"),
    ("DELETE", "/machines/PC-1/mute"),
    ("POST", "/machines/PC-1/tags"),
    ("POST", "/machines/PC-1/note"),
    ("DELETE", "/machines/PC-1/note"),
    ("POST", "/selections"),
    ("POST", "/selections/1"),
    ("POST", "/machines/PC-1/retire"),
    ("DELETE", "/machines/PC-1/retire"),
    ("POST", "/machines/PC-1/replace"),
    ("POST", "/enrollment-tokens"),
    ("DELETE", "/enrollment-tokens/1"),
    ("POST", "/operators"),
    ("DELETE", "/operators/1"),
    ("POST", "/views"),
    ("PUT", "/views/1"),
    ("DELETE", "/views/1"),
]


def test_all_that_operators_write_is_listed_here(app):
    reading = {("POST", "/heartbeat")}  # stands for an agent's own
    reading.add(("POST", "/installer-kit"))
    found = {(method, path) for method, path in walked(app) if method != "GET"}
    known = {(method, path.replace("PC-3", "PC-1")) for method, path in WRITES}

    assert found - reading == known


@pytest.mark.parametrize("how", ["revoked", "expired"])
@pytest.mark.parametrize(("method", "path"), WRITES)
def test_nothing_is_written_by_a_token_that_ends_after_the_guard_let_it_pass(
    operator, named, engine, make_app, the_clock, monkeypatch, method, path, how
):
    caller, other = named("admin", expires="10m"), make_app().test_client()
    for name in ("PC-1", "PC-2", "PC-3"):
        operator.enroll(name)
    operator.post("/machines/PC-3/block")
    operator.installer()
    operator.post("/views", {"name": "Stale", "shared": True})
    # Whose use is noted.
    assert caller.post("/selections", {"all": True}).status_code == 201
    opened = guard.get_repository

    def overtaken(*arguments):
        monkeypatch.setattr(guard, "get_repository", opened)
        if how == "revoked":
            gone = Api(other, OPERATOR_TOKEN).request("DELETE", "/operators/1")
            assert gone.json["state"] == "revoked"
        else:
            the_clock.advance(minutes=10)
        before.update(engine.contents())
        return opened(*arguments)

    before = {}
    monkeypatch.setattr(guard, "get_repository", overtaken)
    members = {"machine_id": "PC-1", "by": "PC-2", "for": "1d", "force": True}
    if path == "/enroll":
        members["machine_id"] = "PC-9"
    if path == "/operators":
        members = {"name": "x", "role": "viewer"}
    if path.startswith(("/selections", "/machines/PC-1/tags", "/machines/PC-1/note")):
        members = {"add": ["x"], "text": "x", "action": "release"}
    if path == "/selections":
        members = {"all": True}
    if path.startswith("/views"):
        members = {"name": "x"}

    response = caller.request(method, path, json=members)

    assert_problem(response, 401, f"token_{how}")
    assert before
    noted = dict.fromkeys(("lea_fleet_refused", "lea_fleet_alerts", "sqlite_sequence"))
    assert {**engine.contents(), **noted} == {**before, **noted}


def test_a_revocation_waits_for_what_the_operator_writes(
    app, make_app, operator, named
):
    """It is not over before that is, and nothing is written after it."""
    token_hash = hash_token(named("operator").token.encode())
    other = Api(make_app().test_client(), OPERATOR_TOKEN)
    answers = []
    revoking = Thread(
        target=lambda: answers.append(other.request("DELETE", "/operators/1"))
    )
    with app.app_context():
        unit = get_host_repository().unit
        with unit.transaction():
            operators = Operators(unit)
            assert operators.confirm(token_hash)["state"] == "active"
            revoking.start()
            revoking.join(0.5)
            assert answers == []
            assert operators.find(token_hash)["state"] == "active"
    revoking.join(30)

    assert answers[0].json["state"] == "revoked"


def test_the_history_names_who_did_it(operator, named):
    nadia = named("operator", name="Nadia <b>")
    nadia.enroll("PC-1")
    nadia.uninstall("PC-1")

    actors = [each["actor"] for each in operator.get("/events").json["events"]][:2]
    wanted = {"role": "operator", "user": "Nadia <b>", "operator": 1}
    assert actors == [{**wanted, "address": "127.0.0.1"}] * 2


def test_a_lost_answer_is_repeated_to_the_same_operator_only(named):
    nadia, omar = named("operator"), named("operator")  # of the same name
    for caller in (nadia, nadia):
        key = {"Idempotency-Key": "key-1"}
        body = {"machine_id": "PC-1"}
        assert caller.post("/enroll", body, headers=key).status_code == 201

    response = omar.post("/enroll", body, headers=key)

    assert_problem(response, 409, "already_enrolled")


def test_where_agents_share_the_operators_token_only_its_holder_enrolls(make_app):
    client = make_app(LEA_FLEET_ISSUE="shared").test_client()
    operator = Api(client, OPERATOR_TOKEN)
    made = operator.post("/operators", {"name": "N", "role": "admin"}).json
    named = Api(client, made["token"])

    assert_problem(named.post("/enroll", {"machine_id": "PC-1"}), *FORBIDDEN)
    assert operator.post("/enroll", {"machine_id": "PC-1"}).status_code == 201


def test_the_last_use_is_stored_once_an_hour(operator, named, the_clock, engine):
    viewer = named("viewer")

    def last_used():
        (listed,) = operator.get("/operators").json["operators"]
        return listed["last_used_at"]

    assert last_used() is None
    viewer.get("/fleet")
    first = last_used()
    the_clock.advance(minutes=59)
    viewer.get("/fleet")
    assert last_used() == first
    the_clock.advance(minutes=2)
    viewer.get("/fleet")
    assert last_used() > first


def test_a_busy_database_keeps_no_viewer_from_reading(named, engine):
    """That it was used is then noted the next time."""
    viewer = named("viewer")
    with engine.being_written():
        assert viewer.get("/fleet").status_code == 200


def test_who_asks_is_told_its_role(operator, named):
    assert operator.get("/whoami").json == {
        "name": None,
        "role": "admin",
        "personal": True,
        "expires_at": None,
    }
    audit = named("viewer", name="Audit", expires="never", personal=False)
    assert audit.get("/whoami").json == {
        "name": "Audit",
        "role": "viewer",
        "personal": False,
        "expires_at": None,
    }


@pytest.mark.parametrize(
    "members",
    [
        {"role": "viewer"},
        {"name": "N"},
        {"name": " ", "role": "viewer"},
        {"name": "N", "role": "root"},
        {"name": "N", "role": ["admin"]},
        {"name": "N" * 256, "role": "viewer"},
        {"name": "N", "role": "viewer", "expires": "0d"},
    ],
)
def test_an_operator_needs_a_name_and_a_role(operator, members):
    assert_problem(operator.post("/operators", members), 400, "invalid_field")
    assert operator.get("/operators").json == {"operators": []}


def test_only_the_hash_of_a_token_is_stored(operator, named, engine):
    token = named("viewer").token

    assert token.startswith("lea_operator_")
    assert token.encode() not in engine.as_bytes()
    assert token not in operator.get("/operators").text


def test_a_revocation_is_repeated_without_a_change(operator, named):
    named("viewer")
    first = operator.request("DELETE", "/operators/1").json

    assert first["state"] == "revoked"
    assert operator.request("DELETE", "/operators/1").json == first
    assert_problem(operator.request("DELETE", "/operators/2"), 404, "unknown_operator")
    assert_problem(operator.request("DELETE", "/operators/x"), 404, "not_found")


# The host


@pytest.fixture
def host(make_app):
    """Views of a host, each for a role, and who is signed in to it."""
    app = make_app()
    signed_in = []
    app.extensions["lea_fleet"].operator_loader = lambda: (
        signed_in[0] if signed_in else None
    )
    for role in ROLES:
        app.add_url_rule(
            f"/{role}", role, operator_required(role=role)(lambda: "welcome")
        )
    app.add_url_rule("/plain", "plain", operator_required(lambda: "welcome"))
    return app.test_client(), signed_in


WELCOMED = {
    "viewer": {"viewer"},
    "operator": {"viewer", "operator", "plain"},
    "admin": {"viewer", "operator", "admin", "plain"},
}


def welcomed(client, **headers):
    return {
        name
        for name in (*ROLES, "plain")
        if client.get(f"/{name}", headers=headers).status_code == 200
    }


@pytest.mark.parametrize("role", ROLES)
def test_a_view_of_the_host_asks_for_a_role(host, role):
    client, _ = host
    made = Api(client, OPERATOR_TOKEN).post("/operators", {"name": "N", "role": role})

    token = made.json["token"]
    assert welcomed(client, Authorization=f"Bearer {token}") == WELCOMED[role]


@pytest.mark.parametrize(
    ("user", "role"),
    [
        *((FleetUser("zoe", role), role) for role in ROLES),
        ("zoe", "admin"),
        (True, "admin"),
    ],
)
def test_a_host_says_the_role_of_who_is_signed_in(host, user, role):
    client, signed_in = host
    signed_in.append(user)

    assert welcomed(client) == WELCOMED[role]
    told = client.get(f"{PREFIX}/whoami").json
    assert told["role"] == role


def test_a_viewer_is_nobody_to_a_guard_of_the_host(app, named):
    tokens = {role: named(role).token for role in ROLES}
    with app.test_request_context():
        found = {role: authenticate(token) for role, token in tokens.items()}

    assert found["viewer"] is None
    assert found["operator"].is_operator and not found["operator"].is_admin
    assert found["admin"].is_operator and found["admin"].is_admin


def test_a_view_cannot_ask_for_a_role_that_there_is_not():
    with pytest.raises(ValueError, match="viewer, operator, admin"):
        operator_required(role="root")


# The storage


@pytest.mark.parametrize(
    "changed",
    [
        {"name": ""},
        {"role": "root"},
        {"lifetime": 0},
        {"lifetime": timedelta(days=1_000_000).total_seconds()},
        {"token": "lea_operator_short"},
        {"token": "lea_agent_" + "x" * 43},
    ],
)
def test_the_storage_refuses_what_the_api_would(app, operator, changed):
    operator.get("/fleet")
    values = {"name": "N", "role": "viewer", "lifetime": None, **changed}
    token = values.pop("token", "lea_operator_" + "x" * 43)
    with app.app_context(), pytest.raises(ValueError, match="not valid|made by"):
        Operators(get_host_repository().unit).create(token, **values)
