"""The declarations of the alerts."""

from __future__ import annotations

import pytest

from lea_fleet.core.alerts import ALERTS, require_alert, type_of_event
from lea_fleet.core.events import EVENTS


@pytest.mark.parametrize(
    "event, type",
    [
        ("enrolled", "machine.enrolled"),
        ("suspected_clone", "machine.suspected_clone"),
        ("enrollment_token_created", "enrollment_token.created"),
        ("pruned", "fleet.pruned"),
        ("of_a_later_version", "machine.of_a_later_version"),
    ],
)
def test_the_type_of_a_message_says_what_its_event_is_about(event, type):
    assert type_of_event(event) == type


def test_no_alert_has_the_type_of_an_event():
    assert not ALERTS.keys() & set(map(type_of_event, EVENTS))


def test_an_alert_that_is_not_declared_is_refused():
    with pytest.raises(ValueError, match="not a declared alert"):
        require_alert("machine.sad", {})
    with pytest.raises(ValueError, match="declares no member hostname"):
        require_alert("machine.silent", {"hostname": "A"})
