"""Bad input is answered by a problem that names the fault, and changes nothing."""

from __future__ import annotations

import gzip
import io

import flask
import pytest

from lea_fleet.storage.agent_tokens import AgentTokens
from tests.support.api import (
    OPERATOR_TOKEN,
    PREFIX,
    Api,
    assert_invalid,
    assert_problem,
)

WRITING = ["/enroll", "/heartbeat", "/uninstall"]
DETAILS = ["user_name", "user_email", "user_id", "hostname", "os_info", "version"]
TEXTS = {
    "/enroll": ["machine_id", *DETAILS],
    "/heartbeat": ["machine_id", *DETAILS],
    "/uninstall": ["machine_id", "reason"],
}
LIMIT = 64 * 1024
JSON = "application/json"
VALID = b'{"machine_id": "PC-1"}'

every_writing_route = pytest.mark.parametrize("path", WRITING)
every_text_field = pytest.mark.parametrize(
    ("path", "field"), [(path, field) for path in WRITING for field in TEXTS[path]]
)


@pytest.fixture
def unchanged(operator, engine):
    """A fleet of one machine, which the test must leave unchanged.

    But for what tells an operator of a refused enrollment.
    """
    telling = {"lea_fleet_refused", "lea_fleet_alerts", "sqlite_sequence"}

    def fleet():
        found = engine.contents()
        return {table: found[table] for table in found.keys() - telling}

    operator.enroll("PC-1", hostname="H-1")
    before = fleet()
    yield
    assert fleet() == before


def padded(size, body=VALID):
    """Pad *body* to *size* bytes."""
    return body.ljust(size)


def with_member(value):
    """Return a body that is valid except for the text of one member."""
    return b'{"machine_id": "PC-1", "x": %s}' % value


def test_these_routes_write(app):
    rules = {rule.rule for rule in app.url_map.iter_rules() if "POST" in rule.methods}

    assert {PREFIX + path for path in WRITING} < rules


# The body


@every_writing_route
@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"null", id="null"),
        pytest.param(b"[" + VALID + b"]", id="list"),
        pytest.param(b'"PC-1"', id="text"),
        pytest.param(b"5", id="number"),
        pytest.param(b"  ", id="blank"),
        pytest.param(b"machine_id=PC-1", id="form"),
        pytest.param(VALID[:-1], id="unfinished"),
        pytest.param(VALID + b"}", id="rest"),
        pytest.param(b'{"machine_id": "PC-\xff"}', id="latin-1"),
        pytest.param(VALID.decode().encode("utf-16"), id="utf-16"),
        pytest.param(b'{"machine_id": "PC-\n1"}', id="line break"),
        pytest.param(with_member(b"NaN"), id="NaN"),
        pytest.param(with_member(b"Infinity"), id="Infinity"),
        pytest.param(with_member(b"-Infinity"), id="-Infinity"),
        pytest.param(with_member(b"9" * 5000), id="5000 digits"),
        pytest.param(with_member(b"[" * 10_000), id="10000 brackets"),
        pytest.param(with_member(b"[" * 30_000 + b"]" * 30_000), id="30000 pairs"),
        pytest.param(b'{"machine_id": "PC-1", "machine_id": "PC-1"}', id="twice"),
        pytest.param(with_member(b'{"a": 1, "a": 2}'), id="twice within"),
    ],
)
def test_a_body_that_is_no_json_object(operator, unchanged, path, body):
    response = operator.post(path, data=body, content_type=JSON)

    assert_problem(response, 400, "invalid_json", "fix_request")


@every_writing_route
def test_10000_nested_brackets(operator, unchanged, path):
    body = b"[" * 10_000 + b"]" * 10_000

    response = operator.post(path, data=body, content_type=JSON)

    assert_problem(response, 400, "invalid_json", "fix_request")


@pytest.mark.parametrize(
    "content_type",
    [JSON, f"{JSON}; charset=utf-8", "Application/JSON", "application/x+json"],
)
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_json_in_utf_8_is_read_with_or_without_a_mark(operator, content_type, mark):
    body = mark + '{"machine_id": "PC-é"}'.encode()

    response = operator.post("/enroll", data=body, content_type=content_type)

    assert response.json["machine_id"] == "PC-é"


@every_writing_route
@pytest.mark.parametrize(
    "content_type",
    [None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"],
)
def test_a_body_that_is_not_called_json(operator, unchanged, path, content_type):
    response = operator.post(path, data=VALID, content_type=content_type)

    assert_problem(response, 415, "unsupported_media_type", "fix_request")


@every_writing_route
@pytest.mark.parametrize("content_type", [None, JSON, "text/plain"])
def test_no_body_is_an_empty_object(operator, unchanged, path, content_type):
    response = operator.post(path, data=b"", content_type=content_type)

    assert_invalid(response, "machine_id")


@every_writing_route
@pytest.mark.parametrize("server_says", [{}, {"wsgi.input_terminated": True}])
def test_a_body_that_breaks_off(operator, unchanged, path, server_says):
    """Also if the server completes the truncated body itself."""
    announced = {"CONTENT_LENGTH": str(len(VALID) + 1), **server_says}

    response = operator.post(
        path, data=VALID, content_type=JSON, environ_overrides=announced
    )

    assert_problem(response, 400, "invalid_json", "fix_request")


# Its length


@every_writing_route
@pytest.mark.parametrize("size", [LIMIT + 1, 1_000_000])
def test_a_body_that_is_too_large(operator, unchanged, path, size):
    response = operator.post(path, data=padded(size), content_type=JSON)

    body = assert_problem(response, 413, "body_too_large", "fix_request")
    assert body["limit"] == LIMIT


def test_a_body_of_the_very_limit(operator):
    response = operator.post("/enroll", data=padded(LIMIT), content_type=JSON)

    assert response.status_code == 201


class Unread(io.RawIOBase):
    def readinto(self, buffer):
        raise AssertionError("the body was read")


@every_writing_route
def test_a_huge_body_is_refused_unread(operator, unchanged, path):
    response = operator.post(
        path,
        content_type=JSON,
        environ_overrides={"CONTENT_LENGTH": "100000000", "wsgi.input": Unread()},
    )

    assert_problem(response, 413, "body_too_large")


CHUNKED = {
    "CONTENT_LENGTH": "",
    "HTTP_TRANSFER_ENCODING": "chunked",
    "wsgi.input_terminated": True,
}


@pytest.mark.parametrize("size", [100, LIMIT])
def test_a_body_may_come_in_chunks(operator, size):
    response = operator.post(
        "/enroll", data=padded(size), content_type=JSON, environ_overrides=CHUNKED
    )

    assert response.status_code == 201


@every_writing_route
@pytest.mark.parametrize("size", [LIMIT + 1, 1_000_000])
def test_chunks_that_are_too_large_together(operator, unchanged, path, size):
    response = operator.post(
        path, data=padded(size), content_type=JSON, environ_overrides=CHUNKED
    )

    assert_problem(response, 413, "body_too_large")


@pytest.mark.parametrize("hosts_limit", [10, 10 * LIMIT])
def test_the_limit_is_ours_whatever_the_hosts_is(make_app, hosts_limit):
    app = make_app(MAX_CONTENT_LENGTH=hosts_limit)
    operator = Api(app.test_client(), OPERATOR_TOKEN)

    too_large = operator.post("/enroll", data=padded(LIMIT + 1), content_type=JSON)

    assert_problem(too_large, 413, "body_too_large")
    operator.enroll("PC-1")


# Its coding


@every_writing_route
@pytest.mark.parametrize(
    "field",
    [{"Content-Encoding": c} for c in ("gzip", "GZIP", "br", "gzip, identity")]
    + [{"Transfer-Encoding": "gzip, chunked"}],
    ids=str,
)
@pytest.mark.parametrize("sent", [gzip.compress(VALID), VALID], ids=["is", "labelled"])
def test_a_compressed_body_is_another_media_type(
    operator, unchanged, path, field, sent
):
    response = operator.post(path, data=sent, content_type=JSON, headers=field)

    body = assert_problem(response, 415, "unsupported_media_type", "fix_request")
    assert list(field)[0] in body["detail"]
    assert response.headers["Accept-Encoding"] == "identity"
    assert response.headers["Accept"] == JSON


@pytest.mark.parametrize("coding", ["identity", "Identity", ""])
def test_a_body_may_say_that_it_has_no_coding(operator, coding):
    headers = {"Content-Encoding": coding}

    response = operator.post("/enroll", data=VALID, content_type=JSON, headers=headers)

    assert response.status_code == 201


# A host that has read the body before us


@pytest.fixture(
    params=[
        lambda: flask.request.get_data(),
        lambda: flask.request.get_json(silent=True),
        lambda: flask.request.form,
        lambda: flask.request.values,
    ],
    ids=["data", "json", "form", "values"],
)
def nosy_host(request, app):
    """A host that reads every body before the view, in one of the possible ways."""
    look = request.param

    @app.before_request
    def look_and_say_nothing():
        look()


@pytest.mark.usefixtures("nosy_host")
def test_a_body_that_the_host_has_read(operator):
    operator.enroll("PC-1", hostname="H-1")

    assert operator.machine("PC-1")["hostname"] == "H-1"
    large = operator.post("/heartbeat", data=padded(LIMIT + 1), content_type=JSON)
    assert_problem(large, 413, "body_too_large")
    broken = operator.post("/heartbeat", data=VALID[:-1], content_type=JSON)
    assert_problem(broken, 400, "invalid_json")


@pytest.mark.usefixtures("nosy_host")
@pytest.mark.parametrize("sent", [{}, CHUNKED], ids=["length", "chunked"])
def test_a_form_that_the_host_has_read_is_no_empty_body(operator, sent):
    agent = operator.enroll("PC-1")

    response = agent.post(
        "/uninstall", data={"reason": "moved"}, environ_overrides=sent
    )

    assert_problem(response, 415, "unsupported_media_type")
    assert operator.machine("PC-1")["status"] == "active"


# The members


@every_text_field
@pytest.mark.parametrize(
    "value", [True, 0, -(2**63) - 1, 10**400, 1.5, [], ["PC-1"], {}], ids=str
)
def test_another_type_where_text_belongs(operator, unchanged, path, field, value):
    response = operator.post(path, {"machine_id": "PC-1", field: value})

    assert assert_invalid(response, field)[0]["message"] == "must be a string"


@every_text_field
@pytest.mark.parametrize("text", ["\ud800", "PC\udfff-1", "PC-1\0"], ids=ascii)
def test_text_that_cannot_be_stored(operator, unchanged, path, field, text):
    response = operator.post(path, {"machine_id": "PC-1", field: text})

    assert_invalid(response, field)


@pytest.mark.parametrize("stored", ["\uffff", "\ufffd", "\U0010ffff"], ids=ascii)
def test_an_id_that_cannot_be_stored_is_no_other_machines(operator, stored):
    operator.enroll(stored)

    assert_problem(operator.post("/machines/%00/release"), 404, "unknown_agent")
    assert operator.get("/fleet?machine_id=%00").json["totals"]["total"] == 0


@pytest.mark.parametrize("value", [0, 1, "true", "", [], {}], ids=repr)
def test_another_type_where_true_or_false_belongs(operator, unchanged, value):
    response = operator.post(
        "/enroll", {"machine_id": "PC-2", "allow_reactivate": value}
    )

    errors = assert_invalid(response, "allow_reactivate")
    assert errors[0]["message"] == "must be true or false"


@pytest.mark.parametrize("field", DETAILS)
def test_an_enrolled_detail_has_at_most_255_characters(operator, unchanged, field):
    members = {"machine_id": "PC-1", field: "😀" * 256}

    assert_invalid(operator.post("/enroll", members), field)


@pytest.mark.parametrize("field", DETAILS)
def test_a_detail_may_have_255_characters(operator, field):
    operator.enroll("PC-1", **{field: "😀" * 255})

    assert operator.machine("PC-1")[field] == "😀" * 255


@every_writing_route
@pytest.mark.parametrize("machine_id", [None, "", " ", "\t\r\n", "\u3000"], ids=ascii)
def test_a_blank_machine_id(operator, unchanged, path, machine_id):
    response = operator.post(path, {"machine_id": machine_id})

    assert_invalid(response, "machine_id")


@pytest.mark.parametrize("machine_id", ["x" * 129, "PC\n1", "PC/1", ".."])
def test_a_machine_id_that_cannot_be_new_is_unknown_elsewhere(
    operator, unchanged, machine_id
):
    members = {"machine_id": machine_id}

    assert_invalid(operator.post("/enroll", members), "machine_id")
    assert_problem(operator.post("/heartbeat", members), 404, "unknown_agent")
    assert_problem(operator.post("/uninstall", members), 404, "unknown_agent")


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/enroll", [*TEXTS["/enroll"], "allow_reactivate"]),
        ("/heartbeat", TEXTS["/heartbeat"]),
        ("/uninstall", TEXTS["/uninstall"]),
    ],
)
def test_all_faults_are_named_at_once(operator, unchanged, path, fields):
    response = operator.post(path, dict.fromkeys(fields, []))

    errors = assert_invalid(response, *fields)
    for error in errors:
        assert f"{error['field']} {error['message']}" in response.json["detail"]


@pytest.mark.parametrize("value", [b"9" * 4000, b"1e999", b"-1e-999", b"[[[]]]"])
def test_a_member_that_nobody_asked_for_may_hold_anything(operator, value):
    response = operator.post("/enroll", data=with_member(value), content_type=JSON)

    assert response.status_code == 201


# The query


@pytest.mark.parametrize("query", ["\xff=1", "machine_id=\xff", "é"])
def test_a_query_in_raw_bytes_that_are_not_utf_8(operator, query):
    """Some servers pass the query on as the raw bytes that they received."""
    response = operator.get("/fleet", environ_overrides={"QUERY_STRING": query})

    assert_problem(response, 400, "invalid_field", "fix_request")


# All or nothing


def test_an_enrollment_whose_token_cannot_be_kept_leaves_nothing(
    operator, engine, unchanged, monkeypatch
):
    def fail(*args):
        raise engine.fault

    monkeypatch.setattr(AgentTokens, "add", fail)

    response = operator.post("/enroll", {"machine_id": "PC-2"})

    assert_problem(response, 503, "database_unavailable", "retry")
