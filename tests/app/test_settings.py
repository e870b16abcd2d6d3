"""Settings: their sources, their valid values, and the errors for other values."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from flask import Flask

from lea_fleet import ConfigurationError, LeaFleet, create_app
from lea_fleet.app.settings import MAKE_A_TOKEN, Settings, setting_keys
from tests.support import docs
from tests.support.api import OPERATOR_TOKEN, Api

STRONG = "Kp3vXz9QmW7rT2yNbL5d"


def load(**config):
    return Settings.load({"RPA_API_TOKEN": "secret", **config})


def test_the_defaults():
    assert load() == Settings(
        api_token="secret",
        database=Path("data/databases/rpa_data.db").absolute(),
        url_prefix="/api/v1/agents",
        page="/fleet",
        issue="agent",
        heartbeat_interval=60,
        heartbeat_rate=200,
        heartbeat_resolution=15,
        stale_after=14 * 86400,
        reenroll_silent_after=None,
        busy_timeout=5,
        reuse_connections=True,
        metrics=False,
        metrics_token=None,
        cors=False,
        csrf_exempt=True,
    )


@pytest.mark.parametrize("blank", [None, "", "  \n"])
def test_without_an_operator_token_the_application_does_not_start(blank):
    with pytest.raises(ConfigurationError, match="RPA_API_TOKEN.*token_urlsafe"):
        create_app({"RPA_API_TOKEN": blank})


def test_the_hosts_settings_come_from_config_else_from_the_environment(monkeypatch):
    monkeypatch.setenv("RPA_API_TOKEN", "from the environment\n")
    monkeypatch.setenv("RPA_AGENTS_DB_PATH", "environment.db")

    settings = Settings.load({})
    assert settings.api_token == "from the environment"
    assert settings.database == Path("environment.db").absolute()

    settings = load(RPA_AGENTS_DB_PATH="config.db")
    assert settings.api_token == "secret"
    assert settings.database == Path("config.db").absolute()


def test_a_relative_database_stays_where_it_was_when_the_server_moves(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    app = create_app({"RPA_API_TOKEN": OPERATOR_TOKEN, "RPA_AGENTS_DB_PATH": "a/b.db"})
    monkeypatch.chdir("/")

    Api(app.test_client(), OPERATOR_TOKEN).enroll("PC-1")

    assert (tmp_path / "a" / "b.db").exists()
    app.extensions["lea_fleet"].store.close_idle()


def test_the_standalone_application_takes_settings_the_flask_way(monkeypatch):
    monkeypatch.setenv("RPA_API_TOKEN", "secret")
    monkeypatch.setenv("FLASK_LEA_FLEET_STALE_AFTER", "30d")
    monkeypatch.setenv("FLASK_LEA_FLEET_BUSY_TIMEOUT", "2.5")
    monkeypatch.setenv("FLASK_LEA_FLEET_REUSE_CONNECTIONS", "false")

    settings = create_app().extensions["lea_fleet"].settings

    assert settings.stale_after == 30 * 86400
    assert settings.busy_timeout == 2.5
    assert settings.reuse_connections is False


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("30s", 30), ("15m", 900), ("12h", 43200), ("7d", 604800), ("never", None)]
    + [(90, 90), (0.5, 0.5), (" 1d ", 86400), ("0s", 0)],
)
def test_durations(written, seconds):
    assert load(LEA_FLEET_STALE_AFTER=written).stale_after == seconds


@pytest.mark.parametrize(
    "wrong",
    ["", "7", "d", "7w", "-1d", "1.5d", "٣d", "1d2h", True, [], -1, 1e99, "999999999d"]
    + [float("nan"), float("inf")],
)
def test_what_is_no_duration(wrong):
    with pytest.raises(ConfigurationError, match="LEA_FLEET_STALE_AFTER must be"):
        load(LEA_FLEET_STALE_AFTER=wrong)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("RPA_API_TOKEN", 12345),
        ("RPA_AGENTS_DB_PATH", ":memory:"),
        ("RPA_AGENTS_DB_PATH", "file:rpa_data.db?mode=ro"),
        ("RPA_AGENTS_DB_PATH", "a\0b"),
        ("RPA_AGENTS_DB_PATH", ""),
        ("LEA_FLEET_URL_PREFIX", "no/slash"),
        ("LEA_FLEET_URL_PREFIX", "/"),
        ("LEA_FLEET_PAGE", "fleet"),
        ("LEA_FLEET_PAGE", "/"),
        ("LEA_FLEET_PAGE", "/a//b"),
        ("LEA_FLEET_PAGE", "/<name>"),
        ("LEA_FLEET_PAGE", "/é"),
        ("LEA_FLEET_PAGE", ""),
        ("LEA_FLEET_PAGE", 1),
        ("LEA_FLEET_ISSUE", "both"),
        ("LEA_FLEET_HEARTBEAT_INTERVAL", "never"),
        ("LEA_FLEET_HEARTBEAT_INTERVAL", 0),
        ("LEA_FLEET_HEARTBEAT_INTERVAL", 1.5),
        ("LEA_FLEET_HEARTBEAT_RATE", "200/s"),
        ("LEA_FLEET_HEARTBEAT_RATE", 0),
        ("LEA_FLEET_HEARTBEAT_RATE", float("inf")),
        ("LEA_FLEET_HEARTBEAT_RATE", True),
        ("LEA_FLEET_HEARTBEAT_RESOLUTION", "never"),
        ("LEA_FLEET_HEARTBEAT_RESOLUTION", "61s"),
        ("LEA_FLEET_BUSY_TIMEOUT", "never"),
        ("LEA_FLEET_BUSY_TIMEOUT", "2h"),
        ("LEA_FLEET_REUSE_CONNECTIONS", "yes"),
        ("LEA_FLEET_METRICS", "/metrics"),
        ("LEA_FLEET_CSRF_EXEMPT", "views"),
        ("LEA_FLEET_CORS", "https://app.example.com"),
        ("LEA_FLEET_METRICS_TOKEN", ""),
        ("LEA_FLEET_METRICS_TOKEN", " " * 20),
        ("LEA_FLEET_METRICS_TOKEN", "15 characters.."),
        ("LEA_FLEET_METRICS_TOKEN", 1234567890123456),
        ("LEA_FLEET_METRICS_TOKEN", "with a line end\nin it"),
        ("LEA_FLEET_METRICS_TOKEN", "lea_agent_0123456789"),
        ("LEA_FLEET_METRICS_TOKEN", "lea_enroll_0123456789"),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_name(key, value):
    with pytest.raises(ConfigurationError, match=f"^{key} "):
        load(**{key: value})


def test_a_misspelt_setting_is_refused_with_the_one_that_is_meant():
    with pytest.raises(ConfigurationError, match="did you mean LEA_FLEET_STALE_AFTER"):
        load(LEA_FLEET_STALE_AFER="7d")
    with pytest.raises(ConfigurationError, match="is not a setting of lea_fleet.$"):
        load(LEA_FLEET_QQQQ="7d")


def test_a_refused_application_is_left_as_it_was():
    bare = Flask("bare")
    with pytest.raises(ConfigurationError):
        LeaFleet(bare)
    assert not bare.blueprints and not bare.extensions


def test_no_token_is_in_a_representation():
    shown = repr(load(LEA_FLEET_METRICS_TOKEN="of the metrics alone"))

    assert "secret" not in shown and "of the metrics" not in shown


def test_the_operators_token_is_not_the_one_of_the_metrics():
    shared = "one-token-for-everything"
    with pytest.raises(ConfigurationError, match="LEA_FLEET_METRICS_TOKEN must not be"):
        load(RPA_API_TOKEN=shared, LEA_FLEET_METRICS_TOKEN=f" {shared}\n")


def test_every_setting_is_named_in_the_docstring_of_init_app():
    assert all(key in LeaFleet.init_app.__doc__ for key in setting_keys())


# A weak token


def warnings_of(command, token, tmp_path):
    """Return what a process says on standard error about the token *token*."""
    done = subprocess.run(
        [sys.executable, *command],
        env=docs.environment(
            RPA_API_TOKEN=token, RPA_AGENTS_DB_PATH=str(tmp_path / "a.db")
        ),
        capture_output=True,
        encoding="utf-8",
    )
    assert token not in done.stderr
    return [line for line in done.stderr.splitlines() if "RPA_API_TOKEN" in line]


START = ["-c", "import lea_fleet; lea_fleet.create_app()"]
START_A_HOST = [
    "-c",
    "import flask, lea_fleet; lea_fleet.LeaFleet(flask.Flask('host'))",
]


@pytest.mark.parametrize("start", [START, START_A_HOST], ids=["alone", "host"])
@pytest.mark.parametrize("token", ["change-me", "k7Qz!x9Wp", STRONG[:19], "a" * 40])
def test_a_weak_token_is_a_warning_at_the_start(token, start, tmp_path):
    (line,) = warnings_of(start, token, tmp_path)

    assert "RPA_API_TOKEN is weak: it " in line and MAKE_A_TOKEN in line


@pytest.mark.parametrize("token", [STRONG[:20], STRONG])
def test_a_strong_token_is_no_warning(token, tmp_path):
    assert warnings_of(START, token, tmp_path) == []


def test_a_command_says_nothing_of_a_weak_token(tmp_path):
    words = ["-m", "flask", "--app", "lea_fleet", "fleet"]
    for command in ("list", "summary", "--help"):
        assert warnings_of([*words, command], "change-me", tmp_path) == []


def test_flask_run_is_a_server_that_says_it(tmp_path):
    """It ends at once, since its port is not valid on this address."""
    run = ["-m", "flask", "--app", "lea_fleet", "run", "--host", "192.0.2.1"]

    assert len(warnings_of(run, "change-me", tmp_path)) == 1
