"""Settings: their sources, their valid values, and the errors for other values."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
from flask import Flask

from lea_fleet import ConfigurationError, LeaFleet, blueprint, create_app
from lea_fleet.app.setting_values import MAKE_A_TOKEN
from lea_fleet.app.default_settings import default_rule
from lea_fleet.app.settings import Settings, setting_keys
from lea_fleet.core.clock import duration_text, parse_duration
from tests.support import docs
from tests.support.api import OPERATOR_TOKEN, Api

STRONG = "Kp3vXz9QmW7rT2yNbL5d"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER_SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"


def load(**config):
    return Settings.load({"RPA_API_TOKEN": "secret", **config})


def test_the_defaults():
    assert load() == Settings(
        api_token="secret",
        database=Path("data/databases/rpa_data.db").absolute(),
        database_url=None,
        database_schema="public",
        database_pooled=False,
        url_prefix="/api/v1/agents",
        page="/fleet",
        public_url=None,
        issue="agent",
        heartbeat_interval=60,
        heartbeat_rate=200,
        heartbeat_resolution=15,
        stale_after=14 * 86400,
        reenroll_silent_after=None,
        presence_days=30,
        busy_timeout=5,
        reuse_connections=True,
        metrics=False,
        metrics_token=None,
        reported_tags=(),
        alert_after=None,
        alert_share=None,
        webhook_urls=(),
        webhook_secrets=(),
        webhook_personal=False,
        mail_to=(),
        mail_from=None,
        mail_language="en",
        smtp_url="smtp://localhost",
        cors=False,
        csrf_exempt=True,
    )


@pytest.mark.parametrize("blank", [None, "", "  \n"])
def test_without_an_operator_token_the_application_does_not_start(blank):
    with pytest.raises(ConfigurationError, match="RPA_API_TOKEN.*token_urlsafe"):
        create_app({"RPA_API_TOKEN": blank})


#: For each setting: as the environment writes it, and as it is used.
IN_THE_ENVIRONMENT = {
    "RPA_API_TOKEN": ("from the environment\n", "from the environment"),
    "RPA_AGENTS_DB_PATH": ("other.db", Path("other.db").absolute()),
    "LEA_FLEET_DATABASE_URL": (
        "postgresql://lea@db1,db2/rpa?sslmode=require",
        "postgresql://lea@db1,db2/rpa?sslmode=require",
    ),
    "LEA_FLEET_DATABASE_SCHEMA": ("fleet", "fleet"),
    "LEA_FLEET_DATABASE_POOLED": ("true", True),
    "LEA_FLEET_URL_PREFIX": ("/rpa", "/rpa"),
    "LEA_FLEET_PAGE": ("False", None),
    "LEA_FLEET_PUBLIC_URL": ("https://rpa.acme.example/\n", "https://rpa.acme.example"),
    "LEA_FLEET_ISSUE": ("shared", "shared"),
    "LEA_FLEET_HEARTBEAT_INTERVAL": ("2m", 120),
    "LEA_FLEET_HEARTBEAT_RATE": ("50", 50),
    "LEA_FLEET_HEARTBEAT_RESOLUTION": ("1s", 1),
    "LEA_FLEET_STALE_AFTER": ("30d", 30 * 86400),
    "LEA_FLEET_REENROLL_SILENT_AFTER": ("90d", 90 * 86400),
    "LEA_FLEET_PRESENCE_DAYS": (" 366 ", 366),
    "LEA_FLEET_BUSY_TIMEOUT": ("9s", 9),
    "LEA_FLEET_REUSE_CONNECTIONS": ("FALSE", False),
    "LEA_FLEET_METRICS": ("true", True),
    "LEA_FLEET_METRICS_TOKEN": ("1234567890123456", "1234567890123456"),
    "LEA_FLEET_REPORTED_TAGS": ("Site, team", ("site", "team")),
    "LEA_FLEET_ALERT_AFTER": ("3d", 3 * 86400),
    "LEA_FLEET_ALERT_SHARE": ("0.3", 0.3),
    "LEA_FLEET_WEBHOOK_URL": (
        "https://a.example/x,y\thttp://127.0.0.1:1/",
        ("https://a.example/x,y", "http://127.0.0.1:1/"),
    ),
    "LEA_FLEET_WEBHOOK_SECRET": (f"{SECRET} {OTHER_SECRET}", (SECRET, OTHER_SECRET)),
    "LEA_FLEET_WEBHOOK_PERSONAL": ("true", True),
    "LEA_FLEET_MAIL_TO": ("a+x@b.example, c@[::1]", ("a+x@b.example", "c@[::1]")),
    "LEA_FLEET_MAIL_FROM": ("lea@b.example", "lea@b.example"),
    "LEA_FLEET_MAIL_LANGUAGE": ("fr", "fr"),
    "LEA_FLEET_SMTP_URL": ("smtp://mail:25", "smtp://mail:25"),
    "LEA_FLEET_CORS": ("true", True),
    "LEA_FLEET_CSRF_EXEMPT": ("false", False),
}


#: What else has to be set.
_NEEDED = {
    "RPA_API_TOKEN": {"RPA_API_TOKEN": None},
    "LEA_FLEET_WEBHOOK_URL": {"LEA_FLEET_WEBHOOK_SECRET": SECRET},
}


def a_host(**config):
    """Return the settings that a host with a factory of its own comes to."""
    app = Flask("host")
    app.config.from_mapping({"RPA_API_TOKEN": STRONG, **config})
    LeaFleet(app)
    return app.extensions["lea_fleet"].settings


def alone(**config):
    return (
        create_app({"RPA_API_TOKEN": STRONG, **config}).extensions["lea_fleet"].settings
    )


def value_of(settings, key):
    (one,) = (each for each in fields(Settings) if each.metadata["key"] == key)
    return getattr(settings, one.name)


def test_there_is_a_case_for_every_setting():
    assert list(IN_THE_ENVIRONMENT) == setting_keys()


@pytest.mark.parametrize("settings", [a_host, alone])
@pytest.mark.parametrize("prefix", ["", "FLASK_"])
@pytest.mark.parametrize("key", IN_THE_ENVIRONMENT)
def test_every_setting_may_be_in_the_environment(monkeypatch, settings, prefix, key):
    written, used = IN_THE_ENVIRONMENT[key]
    monkeypatch.setenv(prefix + key, written)

    given = _NEEDED.get(key, {})
    assert value_of(settings(**given), key) == used


@pytest.mark.parametrize("settings", [a_host, alone])
def test_the_config_comes_before_the_environment(monkeypatch, settings):
    for key, (written, _) in IN_THE_ENVIRONMENT.items():
        monkeypatch.setenv(key, written)

    found = settings(RPA_AGENTS_DB_PATH="config.db", LEA_FLEET_STALE_AFTER="7d")

    assert found.api_token == STRONG
    assert found.database == Path("config.db").absolute()
    assert found.stale_after == 7 * 86400


@pytest.mark.parametrize("settings", [a_host, alone])
def test_the_variable_with_flasks_prefix_comes_first(monkeypatch, settings):
    monkeypatch.setenv("LEA_FLEET_STALE_AFTER", "7d")
    monkeypatch.setenv("FLASK_LEA_FLEET_STALE_AFTER", "8d")

    assert settings().stale_after == 8 * 86400


def test_a_page_and_metrics_that_the_environment_asks_for_are_there(
    monkeypatch, engine
):
    for name, value in engine.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("LEA_FLEET_PAGE", "/park")
    monkeypatch.setenv("LEA_FLEET_METRICS", "true")
    app = Flask("host")
    app.config["RPA_API_TOKEN"] = STRONG
    app.register_blueprint(blueprint)

    operator = Api(app.test_client(), STRONG)
    assert operator.client.get("/park").status_code == 200
    assert operator.get("/metrics").status_code == 200
    app.extensions["lea_fleet"].store.close_idle()


def test_metrics_that_the_environment_turns_off_are_not_there(monkeypatch):
    monkeypatch.setenv("LEA_FLEET_METRICS", "False")

    rules = {
        rule.rule for rule in create_app({"RPA_API_TOKEN": STRONG}).url_map.iter_rules()
    }
    assert "/api/v1/agents/metrics" not in rules


def test_the_presence_of_a_repository_without_an_application_is_the_default(
    monkeypatch,
):
    monkeypatch.setenv("LEA_FLEET_STALE_AFTER", "no duration")
    default_rule.cache_clear()

    assert default_rule().stale_after == 14 * 86400


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
    monkeypatch.setenv("FLASK_LEA_FLEET_BUSY_TIMEOUT", "2s")
    monkeypatch.setenv("FLASK_LEA_FLEET_REUSE_CONNECTIONS", "false")

    settings = create_app().extensions["lea_fleet"].settings

    assert settings.stale_after == 30 * 86400
    assert settings.busy_timeout == 2
    assert settings.reuse_connections is False


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("30s", 30), ("15m", 900), ("12h", 43200), ("7d", 604800), ("never", None)]
    + [(90, 90), (0.5, 0.5), (" 1d ", 86400), ("0s", 0)],
)
def test_durations(written, seconds):
    settings = load(LEA_FLEET_REENROLL_SILENT_AFTER=written)

    assert settings.reenroll_silent_after == seconds


#: The settings that are durations.
DURATIONS = [
    key
    for key, (written, _) in IN_THE_ENVIRONMENT.items()
    if written[-1:] in "smhd" and written[:1].isdigit()
]


@pytest.mark.parametrize("key", DURATIONS)
@pytest.mark.parametrize("number", ["90", "14", "2.5", "1e3", " 90 ", "0"])
@pytest.mark.parametrize("prefix", ["", "FLASK_", "RPA_", "MY_HOST_"])
def test_a_number_without_a_unit_is_refused_in_the_environment(
    monkeypatch, key, number, prefix
):
    """As text, or as the number that from_prefixed_env() makes of it."""
    monkeypatch.setenv(prefix + key, number)
    app = Flask("host")
    app.config["RPA_API_TOKEN"] = STRONG
    app.config.from_prefixed_env(prefix.rstrip("_") or "FLASK")

    with pytest.raises(ConfigurationError, match=f"^{prefix}{key} must be a duration"):
        LeaFleet(app)


@pytest.mark.parametrize(
    "token", ["31415926535897932384", "1e400", "0.123456789012345678"]
)
@pytest.mark.parametrize("prefix", ["FLASK_", "MY_HOST_"])
def test_a_token_that_looks_like_a_number_is_read_as_it_is_written(
    monkeypatch, token, prefix
):
    """from_prefixed_env() makes a number of it, which a float may not equal."""
    monkeypatch.setenv(f"{prefix}RPA_API_TOKEN", token)
    app = Flask("host")
    app.config.from_prefixed_env(prefix.rstrip("_"))

    LeaFleet(app)

    assert app.extensions["lea_fleet"].settings.api_token == token


def test_a_number_that_the_host_sets_is_seconds(monkeypatch):
    monkeypatch.setenv("LEA_FLEET_STALE_AFTER", "14")

    assert a_host(LEA_FLEET_STALE_AFTER=900).stale_after == 900


@pytest.mark.parametrize("settings", [a_host, alone])
@pytest.mark.parametrize("length", [0, 60, "1m", "197s", "0s"])
def test_machines_are_not_stale_before_they_are_offline(settings, length):
    with pytest.raises(ConfigurationError, match="LEA_FLEET_STALE_AFTER must .* 198s"):
        settings(LEA_FLEET_STALE_AFTER=length)

    assert settings(LEA_FLEET_STALE_AFTER="198s").stale_after == 198
    assert (
        settings(
            LEA_FLEET_STALE_AFTER="1m",
            LEA_FLEET_HEARTBEAT_INTERVAL="10s",
            LEA_FLEET_HEARTBEAT_RESOLUTION="1s",
        ).stale_after
        == 60
    )


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "never"), (0, "0s"), (0.5, "0.5s"), (90, "90s"), (7776000, "90d")]
    + [(1800, "30m"), (86400, "1d"), (90000, "25h"), (86401, "86401s")],
)
def test_a_duration_is_shown_with_its_unit(seconds, text):
    assert duration_text(seconds) == text
    assert parse_duration(text) == seconds


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
        ("RPA_AGENTS_DB_PATH", "sqlite:///data/rpa.db"),
        ("RPA_AGENTS_DB_PATH", ""),
        ("LEA_FLEET_DATABASE_URL", "mysql://db/rpa"),
        ("LEA_FLEET_DATABASE_URL", ""),
        ("LEA_FLEET_DATABASE_SCHEMA", "Fleet"),
        ("LEA_FLEET_DATABASE_SCHEMA", 'a"b'),
        ("LEA_FLEET_DATABASE_SCHEMA", "pg_fleet"),
        ("LEA_FLEET_DATABASE_SCHEMA", "a" * 64),
        ("LEA_FLEET_DATABASE_POOLED", "yes"),
        ("LEA_FLEET_URL_PREFIX", "no/slash"),
        ("LEA_FLEET_URL_PREFIX", "/"),
        ("LEA_FLEET_PAGE", "fleet"),
        ("LEA_FLEET_PAGE", "/"),
        ("LEA_FLEET_PAGE", "/a//b"),
        ("LEA_FLEET_PAGE", "/<name>"),
        ("LEA_FLEET_PAGE", "/é"),
        ("LEA_FLEET_PAGE", ""),
        ("LEA_FLEET_PAGE", 1),
        ("LEA_FLEET_PUBLIC_URL", ""),
        ("LEA_FLEET_PUBLIC_URL", 1),
        ("LEA_FLEET_PUBLIC_URL", "rpa.acme.example"),
        ("LEA_FLEET_PUBLIC_URL", "http://rpa.acme.example"),
        ("LEA_FLEET_PUBLIC_URL", "https://user@rpa.acme.example"),
        ("LEA_FLEET_PUBLIC_URL", "https://rpa.acme.example?a=b"),
        ("LEA_FLEET_PUBLIC_URL", "https://rpa.acme.example#a"),
        ("LEA_FLEET_PUBLIC_URL", "https://$(id)"),
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
        ("LEA_FLEET_PRESENCE_DAYS", "30d"),
        ("LEA_FLEET_PRESENCE_DAYS", 367),
        ("LEA_FLEET_PRESENCE_DAYS", -1),
        ("LEA_FLEET_PRESENCE_DAYS", True),
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
        ("LEA_FLEET_METRICS_TOKEN", "lea_operator_0123456789"),
        ("LEA_FLEET_ALERT_AFTER", 0),
        ("LEA_FLEET_ALERT_SHARE", "30%"),
        ("LEA_FLEET_ALERT_SHARE", 0),
        ("LEA_FLEET_ALERT_SHARE", 1),
        ("LEA_FLEET_WEBHOOK_URL", ""),
        ("LEA_FLEET_WEBHOOK_URL", "hooks.example.com"),
        ("LEA_FLEET_WEBHOOK_URL", "http://hooks.example.com/"),
        ("LEA_FLEET_WEBHOOK_URL", "http://127.0.0.1.example.com/"),
        ("LEA_FLEET_WEBHOOK_URL", "ftp://localhost/"),
        ("LEA_FLEET_WEBHOOK_URL", "file:///etc/passwd"),
        ("LEA_FLEET_WEBHOOK_URL", "https://user:pa55@hooks.example.com/"),
        ("LEA_FLEET_WEBHOOK_URL", "https://hooks.example.com:http/"),
        ("LEA_FLEET_WEBHOOK_URL", "https://[::1/"),
        ("LEA_FLEET_WEBHOOK_URL", "https:///x"),
        ("LEA_FLEET_WEBHOOK_URL", "https://hooks.example.com/é"),
        ("LEA_FLEET_WEBHOOK_SECRET", SECRET.removeprefix("whsec_")),
        ("LEA_FLEET_WEBHOOK_SECRET", "whsec_c2hvcnQ="),
        ("LEA_FLEET_WEBHOOK_SECRET", f"whsec_{'a' * 4 * 22}"),
        ("LEA_FLEET_WEBHOOK_SECRET", "whsec_no base64!"),
        ("LEA_FLEET_WEBHOOK_SECRET", f"{SECRET} {SECRET} {OTHER_SECRET}"),
        ("LEA_FLEET_WEBHOOK_PERSONAL", "yes"),
        ("LEA_FLEET_MAIL_TO", "example.com"),
        ("LEA_FLEET_MAIL_TO", "It <it@example.com>"),
        ("LEA_FLEET_MAIL_TO", '"it@example.com'),
        ("LEA_FLEET_MAIL_TO", "(it@example.com"),
        ("LEA_FLEET_MAIL_TO", "it:duty@example.com"),
        ("LEA_FLEET_MAIL_TO", "zoé@example.com"),
        ("LEA_FLEET_MAIL_FROM", "a@b.example\nBcc: c@d.example"),
        ("LEA_FLEET_MAIL_LANGUAGE", "de"),
        ("LEA_FLEET_SMTP_URL", "mail.example.com"),
        ("LEA_FLEET_SMTP_URL", "http://mail.example.com"),
        ("LEA_FLEET_SMTP_URL", "smtp://mail.example.com/x"),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_name(key, value):
    with pytest.raises(ConfigurationError, match=f"^{key} "):
        load(**{key: value})


@pytest.mark.parametrize(
    ("given", "needed"),
    [
        ({"LEA_FLEET_WEBHOOK_URL": "https://a.example/"}, "LEA_FLEET_WEBHOOK_SECRET"),
    ],
)
def test_what_is_to_be_told_needs_a_way(given, needed):
    with pytest.raises(ConfigurationError, match=f"needs {needed}"):
        load(**given)


def test_no_error_shows_the_path_of_a_webhook_or_a_secret():
    for key, value in {
        "LEA_FLEET_WEBHOOK_URL": "http://hooks.example.com/pa55",
        "LEA_FLEET_WEBHOOK_SECRET": "whsec_pa55",
        "LEA_FLEET_SMTP_URL": "http://lea:pa55@mail.example.com",
    }.items():
        with pytest.raises(ConfigurationError) as refused:
            load(**{key: value})
        assert "pa55" not in str(refused.value)

    settings = load(
        LEA_FLEET_WEBHOOK_URL="https://hooks.example.com/pa55",
        LEA_FLEET_WEBHOOK_SECRET=SECRET,
        LEA_FLEET_MAIL_TO="it@a.example",
        LEA_FLEET_SMTP_URL="smtp://lea:pa55@mail.example.com",
    )
    for shown in (repr(settings), repr(settings.shown()), repr(vars(settings))):
        assert "pa55" not in shown
        assert SECRET not in shown


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


def test_a_representation_says_of_a_token_only_whether_it_is_set():
    shown = repr(load(LEA_FLEET_METRICS_TOKEN="of the metrics alone"))

    assert "secret" not in shown and "of the metrics" not in shown
    assert "RPA_API_TOKEN=set, " in shown and "LEA_FLEET_METRICS_TOKEN=set, " in shown
    assert "LEA_FLEET_METRICS_TOKEN=not set, " in repr(load())
    assert "LEA_FLEET_STALE_AFTER=14d, " in repr(load())


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://rpa:pa55@db.example.com:5432/fleet?x=pa55", "db.example.com"),
        ("postgresql://rpa:p@55@db.example.com/fleet", ""),
        ("postgresql://rpa:p/a55@db.example.com/fleet", ""),
        ("postgresql://[::1]:5432/pa55", "[::1]"),
    ],
)
def test_of_a_url_an_error_shows_scheme_and_host_only(url, shown):
    with pytest.raises(ConfigurationError) as refused:
        load(RPA_AGENTS_DB_PATH=url)

    assert str(refused.value).endswith(f"not a URL (postgresql://{shown})")


def test_a_misspelt_variable_is_a_warning_at_the_start(monkeypatch, caplog):
    monkeypatch.setenv("LEA_FLEET_STALE_AFER", "7d")
    monkeypatch.setenv("FLASK_LEA_FLEET_QQQQ", "7d")
    monkeypatch.setenv("LEA_FLEET_MOVE_TO", "postgresql://db/rpa")  # of a command
    for name in ("PORT", "SERVICE_HOST", "SERVICE_PORT_HTTP", "PORT_80_TCP_ADDR"):
        monkeypatch.setenv(f"LEA_FLEET_{name}", "10.0.0.7")

    a_host()

    assert [record.getMessage() for record in caplog.records] == [
        "In the environment, LEA_FLEET_QQQQ is not a setting of lea_fleet.",
        "In the environment, LEA_FLEET_STALE_AFER is not a setting of lea_fleet;"
        " did you mean LEA_FLEET_STALE_AFTER?",
    ]


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
