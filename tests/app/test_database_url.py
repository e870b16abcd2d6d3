"""The URL of PostgreSQL: refused in one line where it is wrong; its password unseen."""

from __future__ import annotations

import builtins
import logging
import traceback

import psycopg
import pytest
from flask import Flask
from psycopg import conninfo

from lea_fleet import LeaFleet, create_app
from lea_fleet.app.engine import open_administration
from lea_fleet.app.settings import ConfigurationError
from lea_fleet.core.problems import DatabaseUnavailable
from lea_fleet.storage.postgresql.address import place_of, refuse_url
from tests.support.api import OPERATOR_TOKEN

WRONG = [
    "postgresql://zoe:ge@heim@db1/rpa",
    "postgresql://zoe:ge/heim@db1/rpa",
    "postgresql://zoe:geheim%zz@db1/rpa",
    "postgresql://zoe:geheim@[::1/rpa",
    "postgresql://zoe:geheim@db1:port/rpa",
    "postgresql://zoe:geheim@db1/rpa?no_such=1",
    "postgresql://zoe:geheim@db1:0/rpa",
    "postgresql://zoe:geheim@db1:5432,db2:65536/rpa",
    "mysql://zoe:geheim@db1/rpa",
]


def made(url, **settings):
    return create_app(
        {"RPA_API_TOKEN": OPERATOR_TOKEN, "LEA_FLEET_DATABASE_URL": url, **settings}
    )


def _acquire(state):
    state.store.acquire()


def _look(state):
    open_administration(state.settings).exists()


@pytest.mark.parametrize("url", WRONG)
def test_a_wrong_url_is_an_error_at_start_that_quotes_nothing_of_it(url):
    with pytest.raises(ConfigurationError) as caught:
        made(url)

    said = "".join(traceback.format_exception(caught.value))
    assert "LEA_FLEET_DATABASE_URL" in str(caught.value)
    assert "\n" not in caught.value.format_message()
    assert not any(word in said for word in ("heim", "zoe", "ge@", "ge/"))


@pytest.mark.parametrize("quoted", ["« {} »", "„{}“", "»{}«", "‘{}’", "「{}」"])
def test_an_error_of_libpq_quotes_nothing_in_any_language(monkeypatch, quoted):
    def refuse(url):
        raise psycopg.ProgrammingError(f"jeton mal formé : {quoted.format('ge%heim')}")

    monkeypatch.setattr(conninfo, "conninfo_to_dict", refuse)

    with pytest.raises(ValueError, match=r"\Ais not valid: jeton mal formé\Z"):
        refuse_url("postgresql://zoe:ge%heim@db1/rpa")


@pytest.mark.parametrize(
    ("url", "environment", "named"),
    [
        ("postgresql://zoe:geheim@db1/rpa", {}, "PostgreSQL rpa at db1:5432"),
        ("postgresql://", {}, "PostgreSQL the default database at localhost:5432"),
        (
            "postgresql://",
            {"PGHOST": "db1,db2", "PGPORT": "6000", "PGDATABASE": "rpa"},
            "PostgreSQL rpa at db1,db2:6000",
        ),
        ("postgresql://db3/", {"PGDATABASE": "rpa"}, "PostgreSQL rpa at db3:5432"),
        (
            "postgresql://?service=fleet",
            {"PGHOST": "db1", "PGDATABASE": "other"},
            "PostgreSQL of the service fleet",
        ),
        (
            "postgresql:///rpa?service=fleet",
            {},
            "PostgreSQL rpa of the service fleet",
        ),
    ],
)
def test_the_database_is_named_as_libpq_finds_it(monkeypatch, url, environment, named):
    monkeypatch.setenv("PGPASSWORD", "geheim")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert place_of(url) == named


def test_the_command_of_a_backup_has_the_service(tmp_path):
    app = made("postgresql://zoe:geheim@/rpa?service=fleet")

    result = app.test_cli_runner().invoke(args=["fleet", "backup", "to.dump"])

    assert result.stderr.rstrip().endswith("-d 'service=fleet dbname=rpa'")


def test_without_psycopg_the_error_names_the_extra(monkeypatch):
    import_module = builtins.__import__

    def without(name, *args, **options):
        if "psycopg" in name or "postgresql" in name:
            raise ModuleNotFoundError("No module named 'psycopg'")
        return import_module(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", without)

    with pytest.raises(ConfigurationError, match=r"lea-fleet\[postgresql\]"):
        made("postgresql://zoe:geheim@db1/rpa")


def test_nothing_that_shows_the_settings_shows_the_password():
    app = made("postgresql://zoe:geheim@db1/rpa", LEA_FLEET_METRICS=True)
    state = app.extensions["lea_fleet"]

    shown = f"{state} {state.settings} {state.store} {vars(state.settings)}"

    assert "geheim" not in shown and "zoe" not in shown
    assert "postgresql://db1" in shown


@pytest.mark.parametrize("source", ["config", "environment"])
@pytest.mark.parametrize("url", [*WRONG, "host=db1 password=geheim"])
def test_the_locals_where_a_wrong_url_was_found_do_not_show_it(
    monkeypatch, url, source
):
    app = Flask("host")
    app.config["RPA_API_TOKEN"] = OPERATOR_TOKEN
    if source == "config":
        app.config["LEA_FLEET_DATABASE_URL"] = url
    else:
        monkeypatch.setenv("LEA_FLEET_DATABASE_URL", url)

    with pytest.raises(ConfigurationError) as caught:
        LeaFleet(app)

    assert "heim" not in str(locals_of(caught.value))


def locals_of(error):
    """Return the locals of the frames of ours in the traceback of *error*."""
    found = traceback.TracebackException.from_exception(error, capture_locals=True)
    frames = [frame for frame in found.stack if "/lea_fleet/" in frame.filename]
    assert frames
    return [frame.locals for frame in frames]


@pytest.mark.parametrize("use", [_acquire, _look], ids=["request", "command"])
def test_the_locals_of_a_traceback_do_not_show_the_password(use):
    app = made("postgresql://zoe:geheim@127.0.0.1:1/rpa")

    with pytest.raises(DatabaseUnavailable) as caught:
        use(app.extensions["lea_fleet"])

    assert "geheim" not in str(locals_of(caught.value))


def test_of_two_databases_the_url_wins_and_the_start_says_so(tmp_path, caplog):
    path = tmp_path / "rpa.db"

    with caplog.at_level(logging.WARNING, "lea_fleet"):
        app = made("postgresql://zoe:geheim@db1/rpa", RPA_AGENTS_DB_PATH=path)

    (line,) = [line for line in caplog.messages if "RPA_AGENTS_DB_PATH" in line]
    assert "LEA_FLEET_DATABASE_URL" in line and "geheim" not in line
    assert "PostgreSQL rpa at db1" in repr(app.extensions["lea_fleet"].store)


def test_one_database_is_not_mentioned(caplog):
    with caplog.at_level(logging.WARNING, "lea_fleet"):
        made("postgresql://db1/rpa")

    assert not [line for line in caplog.messages if "RPA_AGENTS_DB_PATH" in line]
