"""Authorization: every route requires a token, which is checked again on writing."""

from __future__ import annotations

import hashlib
import logging
import re

import pytest

from lea_fleet import ConfigurationError, Problem
from lea_fleet.app.database import get_repository
from lea_fleet.auth import guard as auth
from tests.support.api import OPERATOR_TOKEN, PREFIX, Api, assert_problem

UNINSTALLED = (401, "agent_uninstalled")
FORBIDDEN = (403, "insufficient_scope")

# What each role gets if it names its own machine.
MATRIX = {
    ("POST", "/enroll"): ("operator", "installer"),
    ("POST", "/uninstall"): ("operator", "agent", "departed"),
    ("POST", "/heartbeat"): ("operator", "agent"),
    ("GET", "/fleet"): ("operator",),
    ("GET", "/fleet/summary"): ("operator",),
    ("GET", "/events"): ("operator",),
    ("GET", "/alerts"): ("operator",),
    ("GET", "/attention"): ("operator",),
    ("GET", "/duplicates"): ("operator",),
    ("GET", "/machines/PC-1"): ("operator", "agent"),
    ("GET", "/machines/PC-1/events"): ("operator",),
    ("POST", "/machines/PC-1/token"): ("operator", "agent"),
    ("POST", "/machines/PC-1/cut-off"): ("operator",),
    ("POST", "/machines/PC-1/release"): ("operator",),
    ("DELETE", "/machines/PC-1/release"): ("operator",),
    ("POST", "/machines/PC-1/block"): ("operator",),
    ("DELETE", "/machines/PC-1/block"): ("operator",),
    ("GET", "/blocks"): ("operator",),
    ("POST", "/machines/PC-1/retire"): ("operator",),
    ("DELETE", "/machines/PC-1/retire"): ("operator",),
    ("POST", "/machines/PC-1/mute"): ("operator",),
    ("DELETE", "/machines/PC-1/mute"): ("operator",),
    ("POST", "/machines/PC-1/tags"): ("operator",),
    ("GET", "/machines/PC-1/presence"): ("operator",),
    ("POST", "/machines/PC-1/note"): ("operator",),
    ("DELETE", "/machines/PC-1/note"): ("operator",),
    ("GET", "/tags"): ("operator", "viewer"),
    ("POST", "/selections"): ("operator",),
    ("POST", "/selections/1"): ("operator",),
    ("GET", "/selections/1/csv"): ("operator",),
    ("GET", "/refusals"): ("operator",),
    ("POST", "/machines/PC-1/replace"): ("operator",),
    ("GET", "/enrollment-tokens"): ("operator",),
    ("POST", "/enrollment-tokens"): ("operator",),
    ("DELETE", "/enrollment-tokens/1"): ("operator",),
    ("GET", "/installer-kit"): ("operator",),
    ("POST", "/installer-kit"): ("operator",),
    ("GET", "/installer-kit/enroll.sh"): ("operator", "installer"),
    ("GET", "/operators"): ("operator",),
    ("GET", "/whoami"): ("operator",),
    ("POST", "/operators"): ("operator",),
    ("DELETE", "/operators/1"): ("operator",),
    ("GET", "/views"): ("operator",),
    ("POST", "/views"): ("operator",),
    ("PUT", "/views/1"): ("operator",),
    ("DELETE", "/views/1"): ("operator",),
    ("GET", "/openapi.json"): ("operator", "installer", "agent"),
    ("GET", "/metrics"): ("operator", "monitor"),
}


def first_use(engine):
    ((timestamp,),) = engine.execute("SELECT first_used_at FROM lea_fleet_tokens")
    return timestamp


def routes(app):
    return [
        (method, re.sub("<.*?>", "1", rule.rule.replace("<machine_id>", "PC-1")))
        for rule in app.url_map.iter_rules()
        if rule.endpoint.startswith("lea_fleet.")
        for method in rule.methods
    ]


# No token


def test_every_route_answers_401_without_a_token(app, client):
    walked = routes(app)

    assert len(walked) >= 7
    for method, path in walked:
        response = client.open(path, method=method)
        assert response.status_code == 401
        assert response.headers["WWW-Authenticate"] == 'Bearer realm="lea_fleet"'
        if method != "HEAD":
            assert_problem(response, 401, "missing_token", "fix_request")


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        (None, ["No Authorization header field", "WSGIPassAuthorization On", "proxy"]),
        ("", ["no Bearer token", "proxy"]),
        ("Basic b3A6b3A=", ["no Bearer token", "proxy"]),
        ("Bearer", ["no Bearer token", "proxy"]),
    ],
)
@pytest.mark.parametrize("path", ["/fleet", "/nowhere", "/enroll"])
def test_a_token_that_was_lost_on_the_way_is_told_where_to_look(
    anonymous, path, sent, told
):
    headers = {} if sent is None else {"Authorization": sent}

    body = assert_problem(anonymous.get(path, headers=headers), 401, "missing_token")

    for part in (*told, "Authorization: Bearer <token>"):
        assert part in body["detail"]


def test_nothing_is_said_without_a_token(anonymous):
    """It reveals neither whether a machine exists nor what is wrong with the body."""
    assert_problem(anonymous.get("/machines/nobody"), 401, "missing_token")
    assert_problem(anonymous.post("/enroll", data=b"{"), 401, "missing_token")
    large = anonymous.post("/enroll", data=b"x" * 1_000_000)
    assert_problem(large, 401, "missing_token")
    assert_problem(anonymous.request("OPTIONS", "/fleet"), 401, "missing_token")


def test_a_token_in_the_query_is_no_token(anonymous):
    response = anonymous.get("/fleet", query_string={"access_token": OPERATOR_TOKEN})

    assert_problem(response, 401, "missing_token")


# Roles


def test_the_matrix_has_every_route(app):
    found = {(method, path) for method, path in routes(app) if method != "HEAD"}

    assert found == {(method, PREFIX + path) for method, path in MATRIX}


@pytest.mark.parametrize(
    "role", ["operator", "installer", "agent", "departed", "monitor"]
)
@pytest.mark.parametrize(("method", "path"), MATRIX)
def test_what_a_role_may_do(operator, monitor, role, method, path):
    installer = operator.installer()
    agent = operator.enroll("PC-1")
    if role == "departed":
        agent.post("/uninstall")
    callers = {"operator": operator, "installer": installer, "monitor": monitor}
    caller = callers.get(role, agent)
    operator.post("/operators", {"name": "Nadia", "role": "viewer"})
    operator.post("/views", {"name": "Stale"})
    members = {"machine_id": "PC-2" if path == "/enroll" else "PC-1", "for": "1d"}
    members |= {"name": "Zoe", "role": "viewer"}
    members |= {"token": installer.token, "url": "https://rpa.acme.example"}
    operator.post("/selections", {"all": True})
    members |= {"add": ["vip"], "text": "Broken", "filter": {}, "action": "release"}
    if path.endswith("/replace"):
        operator.enroll("PC-2")
        members = {"by": "PC-2", "force": True}
    if path == "/selections":
        members = {"all": True}
    sent = {} if method == "GET" else {"json": members}

    response = caller.request(method, path, **sent)

    if role in MATRIX[method, path]:
        assert response.status_code in (200, 201)
    elif role == "departed":
        assert_problem(response, *UNINSTALLED)
    else:
        assert_problem(response, *FORBIDDEN)


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/uninstall"), ("POST", "/heartbeat"), ("GET", "/machines/{}")],
)
@pytest.mark.parametrize("other", ["PC-2", "nobody", "pc-1", "PC-1 x"])
def test_an_agent_acts_for_its_own_machine_only(operator, method, path, other):
    agent = operator.enroll("PC-1")
    operator.enroll("PC-2")

    if method == "POST":
        response = agent.post(path, {"machine_id": other})
    else:
        response = agent.get(path.format(other))

    assert_problem(response, 403, "wrong_machine", "fix_request")


def test_the_role_is_judged_before_the_body(operator):
    agent = operator.enroll("PC-1")

    assert_problem(agent.post("/enroll", data=b"{"), *FORBIDDEN)


def test_401_and_403_challenge_as_rfc_6750_says(operator, client):
    agent = operator.enroll("PC-1")
    stranger = Api(client, "lea_agent_unknown").get("/fleet")
    forbidden, wrong = agent.get("/fleet"), agent.get("/machines/PC-2")
    agent.post("/uninstall")
    uninstalled = agent.heartbeat()

    for response, error in [
        (stranger, "invalid_token"),
        (uninstalled, "invalid_token"),
        (forbidden, "insufficient_scope"),
        (wrong, "insufficient_scope"),
    ]:
        challenge = response.headers.getlist("WWW-Authenticate")
        assert challenge == [f'Bearer realm="lea_fleet", error="{error}"']


# The states of an agent's token


RENEW = "UPDATE enrolled_agents SET enrolled_at = '2026-03-03T08:00:00+00:00'"
UNINSTALL = (
    "UPDATE enrolled_agents SET status = 'uninstalled',"
    " uninstalled_at = '2026-03-04T08:00:00+00:00'"
)
REVOKE = "UPDATE lea_fleet_tokens SET revoked_at = '2026-03-02T09:00:00+00:00'"


@pytest.mark.parametrize(
    ("happened", "code", "action"),
    [
        ([REVOKE], "token_revoked", "ask_operator"),
        ([RENEW], "token_revoked", "ask_operator"),
        ([REVOKE, UNINSTALL], "agent_uninstalled", "reenroll"),
        ([RENEW, UNINSTALL], "agent_uninstalled", "reenroll"),
        (["DELETE FROM enrolled_agents"], "invalid_token", "ask_operator"),
        (["DELETE FROM lea_fleet_tokens"], "invalid_token", "ask_operator"),
    ],
    ids=[
        "revoked",
        "older server re-enrolled",
        "revoked, then uninstalled",
        "older server re-enrolled and uninstalled",
        "machine deleted",
        "token deleted",
    ],
)
def test_a_token_that_is_good_no_more(
    operator, engine, the_clock, happened, code, action
):
    agent = operator.enroll("PC-1")
    assert agent.heartbeat().status_code == 200
    for statement in happened:
        engine.execute(statement)

    assert_problem(agent.heartbeat(), 401, code, action)
    assert_problem(agent.get("/machines/PC-1"), 401, code, action)
    assert_problem(agent.get("/fleet"), 401, code, action)
    assert_problem(agent.post("/uninstall"), 401, code, action)


def test_a_machine_that_was_deleted_and_enrolled_anew_has_one_token(
    operator, engine, the_clock
):
    first = operator.enroll("PC-1")
    engine.execute("DELETE FROM enrolled_agents")
    the_clock.advance(seconds=1)
    second = operator.enroll("PC-1")

    assert_problem(first.heartbeat(), 401, "token_revoked")
    assert second.heartbeat().status_code == 200


def test_a_repeated_uninstall_ends_with_the_reactivation(operator):
    agent = operator.enroll("PC-1")

    assert agent.post("/uninstall").status_code == 200
    assert agent.post("/uninstall").status_code == 200
    operator.enroll("PC-1")
    assert_problem(agent.post("/uninstall"), 401, "token_revoked")
    operator.uninstall("PC-1")
    assert_problem(agent.post("/uninstall"), 401, "agent_uninstalled")


def test_a_token_that_an_uninstall_revoked_is_dead_whatever_the_host_undoes(
    operator, engine
):
    agent = operator.enroll("PC-1")
    agent.post("/uninstall")
    engine.execute(
        "UPDATE enrolled_agents SET status = 'active', uninstalled_at = NULL"
    )

    assert_problem(agent.heartbeat(), 401, "token_revoked")


def test_a_token_does_not_outlive_an_enrollment_of_the_same_instant(
    operator, engine, the_clock
):
    """The older server uninstalls without revoking, and clocks may stand still."""
    first = operator.enroll("PC-1")
    engine.execute(UNINSTALL)
    second = operator.enroll("PC-1")

    assert_problem(first.heartbeat(), 401, "token_revoked")
    assert second.heartbeat().status_code == 200


def kinds(problem=Problem):
    for kind in problem.__subclasses__():
        yield from kinds(kind)
        if hasattr(kind, "code"):
            yield kind


def test_one_code_alone_ends_an_identity():
    ends = {kind.code: kind.status for kind in kinds() if kind.action == "reenroll"}

    assert ends == {"agent_uninstalled": 401}


def test_a_locked_database_costs_nobody_the_identity(begun, make_app, engine):
    client = make_app(LEA_FLEET_BUSY_TIMEOUT="0s").test_client()
    agent = Api(client, OPERATOR_TOKEN).enroll("PC-1")

    with engine.being_written():
        assert_problem(agent.heartbeat(), 503, "database_busy", "retry")

    assert agent.heartbeat().status_code == 200


# The first use


def test_any_successful_authentication_is_a_use(operator, engine, the_clock):
    agent = operator.enroll("PC-1")
    assert first_use(engine) is None

    assert_problem(agent.get("/fleet"), *FORBIDDEN)

    assert first_use(engine) == the_clock.iso()


@pytest.mark.parametrize("happened", [REVOKE, RENEW, UNINSTALL])
def test_a_token_that_is_refused_was_not_used(operator, engine, happened):
    agent = operator.enroll("PC-1")
    engine.execute(happened)

    assert agent.heartbeat().status_code == 401

    assert first_use(engine) is None


# The header field


@pytest.mark.parametrize(
    "sent",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer    ",
        OPERATOR_TOKEN,
        f"Basic {OPERATOR_TOKEN}",
        f"Token {OPERATOR_TOKEN}",
        f"BearerX {OPERATOR_TOKEN}",
        f"Bearer{OPERATOR_TOKEN}",
        "Basic b3BlcmF0b3I6b3BlcmF0b3I=",
        'Digest username="x"',
        "\xff\xfe",
    ],
)
def test_what_is_no_bearer_token(anonymous, sent):
    response = anonymous.get("/fleet", headers={"Authorization": sent})

    assert_problem(response, 401, "missing_token", "fix_request")


@pytest.mark.parametrize(
    "token",
    [
        OPERATOR_TOKEN[:-1],
        OPERATOR_TOKEN + "x",
        OPERATOR_TOKEN.upper(),
        OPERATOR_TOKEN + "\xff",
        f"{OPERATOR_TOKEN} {OPERATOR_TOKEN}",
        f'"{OPERATOR_TOKEN}"',
        "lea_agent_",
        "lea_agent_unknown",
        "lea_agent_\xff\xfe",
        "lea_enroll_unknown",
        "lea_operator_unknown",
        "\xc3\xa9",
        "\xff",
        "a=b",
        "x" * 10_000,
    ],
)
def test_what_is_nobodys_token(anonymous, token):
    response = anonymous.get("/fleet", headers={"Authorization": f"Bearer {token}"})

    assert_problem(response, 401, "invalid_token", "ask_operator")


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Bearer "])
def test_the_scheme_may_be_written_in_any_case(anonymous, scheme):
    sent = {"Authorization": f"{scheme} {OPERATOR_TOKEN} "}

    assert anonymous.get("/fleet", headers=sent).status_code == 200


@pytest.mark.parametrize(
    "fields",
    [["Bearer", "Bearer"], ["Bearer", "Basic"], ["Basic", "Bearer"]],
    ids=" ".join,
)
def test_two_authorization_fields_let_nobody_in(client, fields):
    headers = [("Authorization", f"{scheme} {OPERATOR_TOKEN}") for scheme in fields]

    response = client.get(f"{PREFIX}/fleet", headers=headers)

    code = "invalid_token" if fields[0] == "Bearer" else "missing_token"
    assert_problem(response, 401, code)


@pytest.mark.parametrize(
    "token",
    [
        "a=b",
        "=a",
        "a==",
        "a=b,c=d",
        "two words",
        "clé-secrète",
        "voilà",
        "Å",
        "秘密",
        "lea_agent_of_the_operator",
        "x" * 4000,
    ],
    ids=ascii,
)
def test_an_operator_token_may_be(make_app, token):
    client = make_app(RPA_API_TOKEN=token).test_client()
    as_wsgi_has_it = token.encode().decode("latin-1")

    assert Api(client, as_wsgi_has_it).get("/fleet").status_code == 200
    almost = Api(client, as_wsgi_has_it[:-1] + "~")
    assert_problem(almost.get("/fleet"), 401, "invalid_token")


def test_an_operator_token_that_is_no_unicode_is_refused_at_the_start(make_app):
    """Such bytes in an environment variable decode to a token that nobody can send."""
    with pytest.raises(ConfigurationError, match="RPA_API_TOKEN"):
        make_app(RPA_API_TOKEN="cl\udce9")


# Stored as a hash


def test_a_token_is_kept_as_sha_256_and_written_nowhere_else(operator, engine, caplog):
    caplog.set_level(logging.DEBUG)
    agent = operator.enroll("PC-1")
    agent.heartbeat()
    agent.get("/fleet")
    operator.get("/fleet")
    agent.post("/uninstall")
    agent.heartbeat()
    operator.enroll("PC-1")

    kept = engine.as_bytes()
    assert hashlib.sha256(agent.token.encode()).hexdigest().encode() in kept
    secret = agent.token.removeprefix("lea_agent_")
    assert len(secret) == 43
    for hidden in (secret, OPERATOR_TOKEN):
        assert hidden.encode() not in kept
        assert hidden not in caplog.text
    answers = [operator.get("/fleet"), operator.get("/machines/PC-1")]
    assert all(secret not in answer.text for answer in answers)


# Checked again where it writes


def test_what_an_agent_or_installer_writes_is_confirmed_in_the_transaction(
    operator, the_clock, monkeypatch
):
    confirm, seen = auth.resolve_token, []

    def note(token):
        unit = get_repository().unit
        seen.append(unit.dialect.in_transaction(unit.session))
        return confirm(token)

    agent = operator.installer().enroll("PC-1")
    agent.heartbeat()
    the_clock.advance(minutes=1)
    monkeypatch.setattr(auth, "resolve_token", note)

    operator.installer().enroll("PC-2")
    agent.heartbeat(version="2")
    agent.post("/machines/PC-1/token", {})
    agent.post("/uninstall")

    assert seen == [True] * 4


# With and without changes, which are written by different statements.
BEATS = pytest.mark.parametrize("said", [{}, {"version": "9"}])


@BEATS
def test_a_heartbeat_that_an_uninstall_overtakes(
    operator, elsewhere, the_clock, before_writing, said
):
    agent = operator.enroll("PC-1")
    agent.heartbeat()
    before_writing(lambda: elsewhere.uninstall("PC-1"))
    the_clock.advance(minutes=5)

    response = agent.heartbeat(**said)

    assert_problem(response, 401, "agent_uninstalled", "reenroll")
    machine = operator.machine("PC-1")
    assert (machine["status"], machine["version"]) == ("uninstalled", None)
    assert machine["last_seen_at"] == machine["enrolled_at"]


@BEATS
def test_a_heartbeat_that_a_new_enrollment_overtakes(
    operator, elsewhere, the_clock, before_writing, said
):
    agent = operator.enroll("PC-1")
    agent.heartbeat()

    def reinstall():
        elsewhere.uninstall("PC-1")
        elsewhere.enroll("PC-1", version="2")

    before_writing(reinstall)
    the_clock.advance(minutes=5)

    assert_problem(agent.heartbeat(**said), 401, "token_revoked", "ask_operator")
    assert operator.machine("PC-1")["version"] == "2"


@BEATS
def test_a_heartbeat_that_a_used_rotation_overtakes(
    operator, elsewhere, the_clock, before_writing, said
):
    agent = operator.enroll("PC-1")
    agent.heartbeat()
    seen = operator.machine("PC-1")["last_seen_at"]

    def rotate():
        token = elsewhere.post("/machines/PC-1/token").json["api_token"]
        Api(elsewhere.client, token).get("/machines/PC-1")

    before_writing(rotate)
    the_clock.advance(minutes=5)

    assert_problem(agent.heartbeat(**said), 401, "token_revoked", "ask_operator")
    assert operator.machine("PC-1")["last_seen_at"] == seen


def test_a_revocation_holds_at_the_very_next_request_at_every_worker(
    operator, elsewhere, the_clock
):
    """No worker caches a token, however recently it was valid."""
    agent = operator.enroll("PC-1")
    there = Api(elsewhere.client, agent.token)
    for _ in range(3):
        assert agent.heartbeat().status_code == 200
        assert there.post("/heartbeat").status_code == 200

    elsewhere.uninstall("PC-1")

    assert_problem(agent.heartbeat(), 401, "agent_uninstalled")
    assert_problem(there.post("/heartbeat"), 401, "agent_uninstalled")


def test_a_heartbeat_whose_machine_is_deleted_meanwhile(
    operator, engine, before_writing
):
    agent = operator.enroll("PC-1")
    delete = "DELETE FROM enrolled_agents"
    before_writing(lambda: engine.execute(delete))

    assert_problem(agent.heartbeat(version="1"), 401, "invalid_token", "ask_operator")


def test_an_uninstall_that_a_new_enrollment_overtakes(
    operator, elsewhere, before_writing
):
    agent = operator.enroll("PC-1")
    agent.heartbeat()

    def reinstall():
        elsewhere.uninstall("PC-1")
        elsewhere.enroll("PC-1")

    before_writing(reinstall)

    assert_problem(agent.post("/uninstall"), 401, "token_revoked", "ask_operator")
    assert operator.machine("PC-1")["status"] == "active"


def test_an_uninstall_that_another_overtakes_repeats_it(
    operator, elsewhere, before_writing
):
    agent = operator.enroll("PC-1")
    agent.heartbeat()
    before_writing(lambda: elsewhere.uninstall("PC-1", reason="first"))

    response = agent.post("/uninstall", {"reason": "second"})

    assert response.json["agent"]["uninstall_reason"] is None  # not its own
    assert operator.machine("PC-1")["uninstall_reason"] == "first"
