"""What the doctor says of the settings, and of tokens that were handed out."""

from __future__ import annotations

import re

import pytest

from lea_fleet import create_app
from lea_fleet.app.setting_values import MAKE_A_TOKEN
from lea_fleet.core.tokens import weakness
from tests.support import docs
from tests.support.api import Api
from tests.cli.doctor.calling import STRONG_TOKEN, call, only, troubles, unchecked

WEAK_TOKENS = [
    "change-me",
    "CHANGE_ME",
    "secret",
    "test",
    "my-secret-token",
    "my-secret-token-please-change",
    "rpa_api_token_2024",
    "changeme-changeme-changeme",
    "supersecretpassword123",
    "12345678901234567890",
    "k7Qz!x9Wp",
    "aaaabbbbccccddddaaaabbbb",
]


@pytest.mark.parametrize("token", WEAK_TOKENS)
def test_an_operators_token_that_can_be_guessed_is_never_printed(
    make_app, fleet, token
):
    app = make_app(RPA_API_TOKEN=token)

    found = only(call(app), "api_token", "fault")

    assert token not in found["detail"]
    assert found["action"] == f"Make a new one: {MAKE_A_TOKEN}"


def test_an_operators_token_of_fewer_than_20_characters_is_a_warning(make_app, fleet):
    short = STRONG_TOKEN[:19]

    found = only(call(make_app(RPA_API_TOKEN=short)), "api_token", "warning")

    assert found["detail"] == "RPA_API_TOKEN is weak: it has fewer than 20 characters"
    assert found["action"] == f"Make a new one: {MAKE_A_TOKEN}"


@pytest.mark.parametrize("token", ["test-secret-password", "metrics-token-12345678"])
def test_a_metrics_token_that_can_be_guessed(make_app, fleet, token):
    app = make_app(RPA_API_TOKEN=STRONG_TOKEN, LEA_FLEET_METRICS_TOKEN=token)

    found = only(call(app), "metrics_token", "warning")

    assert token not in found["detail"] + found["action"]


@pytest.mark.parametrize("token", [f"{STRONG_TOKEN} x", f"{STRONG_TOKEN}é"])
@pytest.mark.parametrize(
    ("check", "key"),
    [("api_token", "RPA_API_TOKEN"), ("metrics_token", "LEA_FLEET_METRICS_TOKEN")],
)
def test_a_token_that_not_every_client_can_send(make_app, fleet, check, key, token):
    app = make_app(**{"RPA_API_TOKEN": STRONG_TOKEN, key: token})

    found = only(call(app), check, "warning")

    assert found["detail"].startswith(f"{key} has characters, such as a blank")
    assert token not in str(found)


def test_the_token_of_the_guides_is_weak():
    """Somebody copies it."""
    pages = (docs.README, docs.REFERENCE, docs.COMMANDS, docs.OPERATIONS)
    text = "".join(page.read_text("utf-8") for page in pages)
    shown = set(re.findall(r"RPA_API_TOKEN=([\w-]+)", text))

    assert "change-me" in shown
    assert [token for token in shown if weakness(token) is None] == []


@pytest.mark.parametrize(
    "token",
    [
        STRONG_TOKEN,
        "3f786850e387550fdab836ed7e6dc881de23001b",
        "0b7bd5ee-4e2c-4f60-a1ad-8d0f0a9c6d13",
        "tractor-Ulm-violet-oyster-fifty",
        "Zm9vYmFyYmF6cXV4Zm9v",
    ],
)
def test_a_token_that_is_not_easily_guessed(token):
    assert weakness(token) is None


def test_strong_tokens_are_no_finding_and_not_printed_either(make_app, fleet):
    app = make_app(
        RPA_API_TOKEN=STRONG_TOKEN, LEA_FLEET_METRICS_TOKEN=STRONG_TOKEN[::-1]
    )

    result = app.test_cli_runner().invoke(args=["fleet", "doctor"])

    assert result.exit_code == 0
    assert STRONG_TOKEN not in result.output
    assert STRONG_TOKEN[::-1] not in result.output


def test_the_token_of_all(make_app, fleet):
    app = make_app(RPA_API_TOKEN=STRONG_TOKEN, LEA_FLEET_ISSUE="shared")

    assert "LEA_FLEET_ISSUE" in only(call(app), "issue", "warning")["action"]


def test_a_silence_after_which_another_may_take_the_place(make_app, fleet):
    app = make_app(RPA_API_TOKEN=STRONG_TOKEN, LEA_FLEET_REENROLL_SILENT_AFTER="30d")

    assert "release" in only(call(app), "reenrolment", "warning")["action"]


@pytest.mark.parametrize("length", ["90s", "90d", "30m"])
def test_the_doctor_shows_how_long_a_silence_is(make_app, fleet, length):
    app = make_app(RPA_API_TOKEN=STRONG_TOKEN, LEA_FLEET_REENROLL_SILENT_AFTER=length)

    found = call(app)

    told = f"LEA_FLEET_REENROLL_SILENT_AFTER is {length}: "
    assert found["reenrolment"]["detail"].startswith(told)
    assert f"LEA_FLEET_REENROLL_SILENT_AFTER={length}, " in found["values"]["detail"]


def test_the_doctor_shows_every_setting_and_no_secret(make_app, fleet, engine):
    found = call(make_app(RPA_API_TOKEN=STRONG_TOKEN))["values"]

    assert found["detail"] == (
        f"RPA_API_TOKEN=set, {engine.shown}, LEA_FLEET_DATABASE_POOLED=False,"
        " LEA_FLEET_URL_PREFIX=/api/v1/agents, LEA_FLEET_PAGE=/fleet,"
        " LEA_FLEET_PUBLIC_URL=not set,"
        " LEA_FLEET_ISSUE=agent, LEA_FLEET_HEARTBEAT_INTERVAL=1m,"
        " LEA_FLEET_HEARTBEAT_RATE=200.0, LEA_FLEET_HEARTBEAT_RESOLUTION=15s,"
        " LEA_FLEET_STALE_AFTER=14d, LEA_FLEET_REENROLL_SILENT_AFTER=never,"
        " LEA_FLEET_PRESENCE_DAYS=30,"
        " LEA_FLEET_BUSY_TIMEOUT=5s, LEA_FLEET_REUSE_CONNECTIONS=True,"
        " LEA_FLEET_METRICS=False, LEA_FLEET_METRICS_TOKEN=not set,"
        " LEA_FLEET_REPORTED_TAGS=not set,"
        " LEA_FLEET_ALERT_AFTER=never, LEA_FLEET_ALERT_SHARE=off,"
        " LEA_FLEET_WEBHOOK_URL=not set, LEA_FLEET_WEBHOOK_SECRET=not set,"
        " LEA_FLEET_WEBHOOK_PERSONAL=False, LEA_FLEET_MAIL_TO=not set,"
        " LEA_FLEET_MAIL_FROM=not set, LEA_FLEET_MAIL_LANGUAGE=en,"
        " LEA_FLEET_SMTP_URL=smtp://localhost,"
        " LEA_FLEET_CORS=False, LEA_FLEET_CSRF_EXEMPT=True"
    )


def test_a_variable_that_looks_like_a_setting(make_app, fleet, monkeypatch):
    monkeypatch.setenv("LEA_FLEET_STALE_AFER", "7d")

    app = make_app(RPA_API_TOKEN=STRONG_TOKEN)
    found = only(call(app), "environment", "warning")
    shown = app.test_cli_runner().invoke(args=["fleet", "doctor"]).output

    assert "did you mean LEA_FLEET_STALE_AFTER?" in found["detail"]
    assert "did you mean LEA_FLEET_STALE_AFTER? It has no effect" in shown


def test_machines_that_would_be_stale_while_heartbeats_are_rare(make_app, fleet, alter):
    """The interval of a large fleet, which agents were told, is longer."""
    app = make_app(RPA_API_TOKEN=STRONG_TOKEN, LEA_FLEET_STALE_AFTER="10m")
    assert call(app)["stale_after"]["level"] == "ok"
    alter("UPDATE lea_fleet_intervals SET seconds = 600")

    found = only(call(app), "stale_after", "warning")

    assert found["detail"] == (
        "LEA_FLEET_STALE_AFTER is 10m; machines are online for 33m, so that none is"
        " ever offline"
    )
    assert found["action"].startswith("Set it to at least 33m")


def make_token(app, *words):
    result = app.test_cli_runner().invoke(args=["fleet", "token", "create", *words])
    assert result.exit_code == 0
    return result.stdout.strip()


def test_enrollment_tokens_that_never_expire(app, fleet):
    token = make_token(app, "--label", "Paris\x1b[2J", "--expires", "never")
    make_token(app, "--label", "Lyon")

    found = only(call(app), "enrollment_tokens", "warning")

    assert found["detail"] == "1 never expire: 1 (Paris\\x1b[2J)"
    assert "flask fleet token revoke ID" in found["action"]
    assert token not in str(found)


def test_an_enrollment_token_that_is_of_no_use_any_more(app, operator, fleet):
    used = make_token(app, "--expires", "never", "--max-uses", "1")
    Api(operator.client, used).enroll("PC-2").heartbeat()
    make_token(app, "--expires", "never")
    app.test_cli_runner().invoke(args=["fleet", "token", "revoke", "2"])

    assert troubles(call(app)) == {}


def test_the_settings_are_checked_without_a_database(tmp_path):
    app = create_app(
        {"RPA_API_TOKEN": "change-me", "RPA_AGENTS_DB_PATH": tmp_path / "none" / "x"}
    )

    found = call(app)

    assert found["api_token"]["level"] == "fault"
    assert "enrollment_tokens" in unchecked(found)
