"""Random requests to every route: never a 5xx, and every refusal is a problem."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lea_fleet.core.rows import OPERATOR_ROLES
from tests.support.api import PREFIX, Api, assert_problem

CODES = {
    400: {"invalid_json", "invalid_field"},
    401: {"missing_token", "invalid_token", "token_revoked", "agent_uninstalled"},
    403: {"insufficient_scope", "wrong_machine", "machine_blocked"},
    404: {
        *("not_found", "unknown_agent"),
        *("unknown_enrollment_token", "unknown_operator", "unknown_view"),
        "unknown_selection",
    },
    409: {"already_enrolled", "reactivation_refused", "machine_uninstalled"},
    413: {"body_too_large"},
    415: {"unsupported_media_type"},
    429: {"too_many_rotations"},
}

fuzz = settings(
    deadline=None,
    max_examples=30,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
every_role = pytest.mark.parametrize(
    "role", ["anonymous", "stranger", "operator", "installer", "agent", "departed"]
)


@pytest.fixture
def caller(client, operator, engine):
    """Return a function that makes a client of a role, in a fleet as at first."""
    operator.get("/fleet")  # creates the tables

    def of(role):
        engine.empty()
        callers = {
            "anonymous": Api(client),
            "stranger": Api(client, "lea_agent_unknown"),
            "operator": operator,
            "installer": operator.installer(),
            "agent": operator.enroll("PC-1"),
            "departed": operator.enroll("PC-2"),
        }
        callers["departed"].post("/uninstall")
        return callers[role]

    return of


@pytest.fixture
def routes(app):
    """Every method and path of ours, in an order in which uninstalls come last."""
    return sorted(
        (path_of(rule).removeprefix(PREFIX), method)
        for rule in app.url_map.iter_rules()
        if rule.endpoint.startswith("lea_fleet.")
        for method in rule.methods
    )


def path_of(rule):
    return re.sub("<.*?>", "1", rule.rule.replace("<machine_id>", "PC-1"))


def check(response):
    """Assert that a response of our routes is a success or one of the problems."""
    status = response.status_code
    if status in (200, 201):
        return
    assert status in CODES
    if response.request.method != "HEAD":
        code = response.json["code"]
        assert code in CODES[status]
        assert_problem(response, status, code)


# The requests


any_text = st.text(st.characters(), max_size=300)  # including lone surrogates
any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | any_text,
    lambda inner: st.lists(inner) | st.dictionaries(any_text, inner),
    max_leaves=10,
)
machine_ids = st.sampled_from(["PC-1", "PC-2", "PC-3", " PC-1 ", "", ".", "a/b"])
texts = st.sampled_from(["", "\0", "\n", "é" * 255, "x" * 256, "\ud800", "\U0001f600"])
a_value = texts | any_json
near_valid = st.fixed_dictionaries(
    {},
    optional={
        "machine_id": machine_ids | a_value,
        "allow_reactivate": st.booleans() | a_value,
        "force": st.booleans() | a_value,
        "expires": st.sampled_from(["7d", "0s", "never", "99999999d"]) | a_value,
        "max_uses": st.integers() | a_value,
        "role": st.sampled_from(OPERATOR_ROLES) | a_value,
        "enrollment_token": st.integers(0, 3) | a_value,
        **dict.fromkeys(
            ["reason", "hostname", "user_name", "label", "name", "version"], a_value
        ),
    },
)
any_bytes = st.binary(max_size=300)
media_types = st.sampled_from(
    [
        "application/json",
        "application/json; charset=utf-16",
        "application/vnd.x+json",
        "multipart/form-data; boundary=x",
        "application/x-www-form-urlencoded",
        "",
    ]
)
# Header values as a server passes them on (PEP 3333).
any_field = st.text(
    st.characters(max_codepoint=255, exclude_characters="\0\r\n"), max_size=100
)


# The clients and routes


@every_role
@fuzz
@given(body=near_valid | any_json)
def test_any_json(caller, routes, role, body):
    someone = caller(role)
    data = json.dumps(body)

    for path, method in routes:
        check(someone.request(method, path, data=data, content_type="application/json"))


@every_role
@fuzz
@given(data=any_bytes, media_type=media_types)
def test_any_bytes(caller, routes, role, data, media_type):
    someone = caller(role)

    for path, method in routes:
        check(someone.request(method, path, data=data, content_type=media_type))


@every_role
@fuzz
@given(segment=any_bytes, query=any_bytes)
def test_any_path_and_query(caller, routes, role, segment, query):
    someone = caller(role)
    query = query.decode("latin-1")

    for path, method in routes:
        raw = {"QUERY_STRING": query}
        check(someone.request(method, path, environ_overrides=raw))
        # The host answers what is beside our routes, with anything but a redirect.
        raw["PATH_INFO"] = f"{PREFIX}{path}/{segment.decode('latin-1')}"
        response = someone.request(method, path, environ_overrides=raw)
        assert response.status_code < 500
        assert response.location is None


@every_role
@fuzz
@given(segment=any_bytes.filter(lambda found: found and b"/" not in found))
def test_any_machine_in_the_path(caller, role, segment):
    raw = {"PATH_INFO": f"{PREFIX}/machines/{segment.decode('latin-1')}"}

    check(caller(role).get("/", environ_overrides=raw))


@fuzz
@given(
    fields=st.fixed_dictionaries(
        {},
        optional={
            "HTTP_AUTHORIZATION": any_field
            | any_field.map("Bearer {}".format)
            | any_field.map("Bearer lea_agent_{}".format),
            "CONTENT_TYPE": any_field,
            "CONTENT_LENGTH": any_field | st.integers(-1, 100).map(str),
            "HTTP_TRANSFER_ENCODING": any_field | st.just("chunked"),
            "HTTP_CONTENT_ENCODING": any_field,
            "HTTP_ACCEPT": any_field,
            "HTTP_RANGE": any_field,
            "HTTP_IF_NONE_MATCH": any_field,
            "HTTP_COOKIE": any_field,
            "HTTP_IDEMPOTENCY_KEY": any_field,
            "HTTP_SEC_FETCH_SITE": any_field,
        },
    )
)
def test_any_header_fields(caller, routes, fields):
    operator = caller("operator")

    for path, method in routes:
        check(operator.request(method, path, data=b"{}", environ_overrides=fields))


@fuzz
@given(host=any_field)
def test_any_host_name(caller, routes, host):
    """Flask refuses invalid ones before it looks for a route."""
    operator = caller("operator")

    for path, method in routes:
        response = operator.request(
            method, path, data=b"{}", environ_overrides={"HTTP_HOST": host}
        )
        assert response.status_code < 500
        assert response.location is None
