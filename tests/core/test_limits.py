"""The documents promise each limit as the number that the program uses."""

from __future__ import annotations

import pytest

from lea_fleet.cli import register_commands
from lea_fleet.cli.command import FleetGroup
from lea_fleet.core import limits
from lea_fleet.core.clock import parse_lifetime
from tests.api.test_openapi import DOCUMENT
from tests.support import docs

SCHEMAS = DOCUMENT["components"]["schemas"]
DAY = 86400


def parameter(path, name):
    parameters = DOCUMENT["paths"][path]["get"]["parameters"]
    (found,) = [each for each in parameters if each.get("name") == name]
    return found["schema"]


def lengths(node, name):
    """Yield the maxLength of every member with that name in the OpenAPI document."""
    for key, value in node.items() if isinstance(node, dict) else enumerate(node):
        if key == name and isinstance(value, dict):
            schema = value
            if "$ref" in schema:
                schema = SCHEMAS[schema["$ref"].rpartition("/")[2]]
            if "maxLength" in schema:
                yield schema["maxLength"]
        if isinstance(value, (dict, list)):
            yield from lengths(value, name)


@pytest.mark.parametrize(
    ("name", "longest"),
    [
        ("hostname", limits.LONGEST_DETAIL),
        ("label", limits.LONGEST_DETAIL),
        ("reason", limits.LONGEST_REASON),
    ],
)
def test_the_openapi_document_has_the_length_of_every_text(name, longest):
    assert set(lengths(SCHEMAS, name)) == {longest}


@pytest.mark.parametrize(
    ("path", "name", "most", "default"),
    [
        ("/fleet", "limit", limits.MOST_MACHINES, None),
        ("/fleet/summary", "days", limits.MOST_DAYS, limits.DEFAULT_DAYS),
        (
            "/machines/{machine_id}/events",
            "limit",
            limits.MOST_EVENTS,
            limits.DEFAULT_EVENTS,
        ),
        ("/machines/{machine_id}/events", "cursor", limits.LARGEST_ID, None),
        ("/alerts", "limit", limits.MOST_EVENTS, limits.DEFAULT_EVENTS),
        ("/alerts", "cursor", limits.LARGEST_ID, None),
        ("/events", "limit", limits.MOST_EVENTS, None),
        ("/events", "cursor", limits.LARGEST_ID, None),
    ],
)
def test_the_openapi_document_has_the_bounds_of_a_page(path, name, most, default):
    schema = parameter(path, name)

    assert (schema["maximum"], schema.get("default")) == (most, default)


def test_the_openapi_document_has_the_bounds_of_an_enrollment_token():
    (schema,) = [
        schema["properties"]["max_uses"]
        for schema in SCHEMAS.values()
        if "maximum" in schema.get("properties", {}).get("max_uses", {})
    ]
    assert schema["maximum"] == limits.MOST_ENROLLMENT_TOKEN_USES
    assert schema["default"] == limits.ENROLLMENT_TOKEN_USES


def test_the_id_of_an_enrollment_token_is_bounded_as_it_is_documented(operator):
    operations = DOCUMENT["paths"]["/enrollment-tokens/{token_id}"]
    (parameter,) = operations["delete"]["parameters"]
    assert parameter["schema"]["maximum"] == limits.LARGEST_ID
    for token_id, code in [
        (limits.LARGEST_ID, "unknown_enrollment_token"),
        (limits.LARGEST_ID + 1, "not_found"),
    ]:
        refused = operator.request("DELETE", f"/enrollment-tokens/{token_id}")
        assert refused.json["code"] == code


@pytest.mark.parametrize(
    "promise",
    [
        f"of at most {limits.LONGEST_BODY // 1024} KiB",
        f"is removed; 1 to {limits.LONGEST_MACHINE_ID} characters",
        f"Strings of at most {limits.LONGEST_DETAIL} characters",
        f"A description, at most {limits.LONGEST_DETAIL} characters",
        f"Idempotency-Key, of 1 to {limits.LONGEST_KEY} characters",
        f"A reason of at most {limits.LONGEST_REASON} characters",
        f"events, {limits.DEFAULT_EVENTS} by default and at most {limits.MOST_EVENTS};",
        f"alerts, {limits.DEFAULT_EVENTS} by default and at most {limits.MOST_EVENTS};",
        f"The alerts of the last {limits.ALERTS_KEPT // 3600} hours",
        f"counted among the next {limits.MOST_WAITING:,} events and alerts",
        f"events, at most {limits.MOST_EVENTS}. Default: {limits.DEFAULT_EVENTS}, and",
        f"without limit returns {limits.DEFAULT_MACHINES} machines",
        f"today: {limits.DEFAULT_DAYS} by default and at most {limits.MOST_DAYS}.",
        f"at most {limits.MOST_ENROLLMENT_TOKEN_USES:,}."
        f" Default: {limits.ENROLLMENT_TOKEN_USES}.",
        f"re-enrolled once within {limits.RELEASE_LIFETIME // 3600} hours",
        f"the same key within {limits.REPLAY_LIFETIME // 3600} hours",
        f"Only the first {limits.LONGEST_SORTED} characters are compared",
        f"The {limits.MOST_VERSIONS} most frequent versions",
        f"An agent may cause {limits.AGENT_EVENTS} identity_changed",
        f"one more every {limits.BUDGET_PERIOD // limits.AGENT_EVENTS // 60} minutes",
        f"deletes old ones, of {limits.SHORTEST_EVENT_RETENTION // DAY} days at least",
        f"the newest {limits.MOST_DEAD_TOKENS} of an enrollment are kept",
        f"the newest {limits.MOST_FORMER_VALUES} of each name",
    ],
)
def test_the_reference_promises_it(promise):
    text = " ".join(docs.parse(docs.REFERENCE).astext().split())

    assert promise in text


def test_the_commands_have_the_defaults_and_bounds_of_the_routes():
    fleet = FleetGroup("fleet")
    register_commands(fleet)

    def option(command, name):
        found = fleet
        for word in command.split():
            found = found.commands[word]
        (param,) = [each for each in found.params if each.name == name]
        return param.type, param.default

    days, events = option("summary", "days"), option("events", "limit")
    expires, uses = (option("token create", name) for name in ("expires", "max_uses"))

    assert (days[0].max, days[1]) == (limits.MOST_DAYS, limits.DEFAULT_DAYS)
    assert events[1] == limits.DEFAULT_EVENTS
    assert parse_lifetime(expires[1]) == limits.ENROLLMENT_TOKEN_LIFETIME == 7 * DAY
    assert uses[0].max == limits.MOST_ENROLLMENT_TOKEN_USES
    assert uses[1] == limits.ENROLLMENT_TOKEN_USES
