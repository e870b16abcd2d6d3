"""Which commands begin a database, and where; which one the others say they read."""

from __future__ import annotations

import json
import os
import shutil

import click
import pytest

from lea_fleet import create_app
from tests.support.api import OPERATOR_TOKEN, Api
from tests.support.commands_page import commands

#: Each command that reads or changes what is there, with arguments.
ON_WHAT_IS_THERE = {
    "list": "list",
    "list as CSV": "list --csv",
    "show": "show PC-1",
    "events": "events",
    "events of a machine": "events PC-1",
    "summary": "summary",
    "uninstall": "uninstall PC-1",
    "replace": "replace PC-1 PC-2",
    "release": "release PC-1",
    "release many": "release --without-token --yes",
    "edit": "edit PC-1 --version 2",
    "rotate": "rotate PC-1",
    "cut-off": "cut-off PC-1",
    "prune": "prune --silent-for 1d",
    "prune with yes": "prune --uninstalled-for 1d --yes --vacuum",
    "erase": "erase PC-1",
    "erase a person": "erase --user zoe@example.com --yes",
    "export": "export --user zoe@example.com",
    "backup": "backup copy.db",
    "token list": "token list",
    "token revoke": "token revoke 1",
    "operator list": "operator list",
    "operator revoke": "operator revoke 1",
    "list of a view": "list --view Stale",
    "view list": "view list",
    "view delete": "view delete 1",
    "move": "move --to postgresql://127.0.0.1:1/none",
    "notify": "notify",
    "block": "block PC-1",
    "unblock": "unblock PC-1",
    "blocked": "blocked",
    "tag": "tag PC-1 vip",
    "tag many": "tag vip --all --yes",
    "untag": "untag PC-1 vip",
    "note": "note PC-1 --text Broken",
    "mute": "mute PC-1 --for 1d",
    "unmute": "unmute PC-1",
    "retire": "retire PC-1",
    "refused": "refused",
    "notify by a test": "notify --test",
}
BEGINNING = {
    "enroll": "enroll PC-1",
    "import": "import machines.csv --yes",
    "installer": "installer kit --url https://rpa.example.com",
    "token create": "token create",
    "operator create": "operator create Nadia --role viewer",
    "view create": "view create Stale",
}
#: Those that work without a database, and make none either.
WITHOUT = {"doctor": "doctor", "openapi": "openapi", "schema": "schema --sql"}
#: Those that print a listing, and what would be in one.
LISTING = [
    "list",
    "list --csv",
    "list --json",
    "show PC-1",
    "events",
    "summary --json",
    "token list",
    "operator list",
    "view list",
    "export --user zoe@example.com",
    "backup copy.db",
    "erase PC-1",
    "prune --silent-for 1d",
    "import machines.csv --dry-run",
]
DEFAULT = os.path.join("data", "databases", "rpa_data.db")

each_on_what_is_there = pytest.mark.parametrize("words", ON_WHAT_IS_THERE.values())
each_beginning = pytest.mark.parametrize("words", BEGINNING.values())


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder in which commands are started: there is a CSV file, and no more."""
    where = tmp_path / "elsewhere"
    where.mkdir()
    monkeypatch.chdir(where)
    (where / "machines.csv").write_text("machine_id\nPC-1\nPC-2\n")
    return where


@pytest.fixture
def flask(folder):
    """Run ``flask fleet`` with *words*, as its own program, with these settings."""
    made = []

    def run(words, **settings):
        app = create_app({"RPA_API_TOKEN": OPERATOR_TOKEN, **settings})
        made.append(app)
        return app.test_cli_runner().invoke(args=["fleet", *words.split()])

    yield run
    for app in made:
        app.extensions["lea_fleet"].store.close_idle()


# On each engine


@pytest.mark.parametrize(
    "words", [words for words in ON_WHAT_IS_THERE.values() if "backup" not in words]
)
def test_where_there_is_no_fleet_no_command_begins_one(run, engine, folder, words):
    result = run(*words.split())

    assert (result.exit_code, result.stdout) == (1, "")
    last = result.stderr.splitlines()[-1]
    assert last.startswith(f"Error: {engine.says_absent}")
    assert all(key in last for key in engine.environment)
    assert not engine.exists()


@each_beginning
def test_those_that_begin_one_say_so_once(run, engine, folder, words):
    first = run(*words.split(), "--create")
    assert first.exit_code == 0, first.output
    assert f"{engine.says_begun}\n" in first.stderr
    assert "Began" not in first.stdout
    assert engine.exists()

    shutil.rmtree(folder / "kit", ignore_errors=True)
    assert "Began" not in run(*words.split(), "--create").stderr


@each_beginning
def test_a_dry_run_of_these_begins_none(run, engine, folder, words):
    result = run(*words.removesuffix(" --yes").split(), "--dry-run")

    assert (result.exit_code, result.stderr) == (0, f"{engine.says_absent} yet.\n")
    assert result.stdout.startswith("Dry run; ")
    assert not engine.exists()


# In a file: by its path


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def refused(result, path, *texts):
    assert (result.exit_code, result.stdout) == (1, "")
    last = result.stderr.splitlines()[-1]
    assert last.startswith(f"Error: There is no database at {path}")
    assert all(text in last for text in texts), last


def test_every_command_is_in_one_of_the_lists():
    app = create_app({"RPA_API_TOKEN": OPERATOR_TOKEN})
    group = app.cli.commands["fleet"]
    names = {
        name.removeprefix("fleet ")
        for name in commands(group, "fleet")
        if not isinstance(_found(group, name), click.Group)
    }

    assert names <= ON_WHAT_IS_THERE.keys() | BEGINNING.keys() | WITHOUT.keys()


def _found(group, name):
    for word in name.split()[1:]:
        group = group.commands[word]
    return group


@each_on_what_is_there
def test_in_a_folder_without_one_no_command_makes_a_database(flask, folder, words):
    before = files(folder)

    refused(
        flask(words),
        folder / DEFAULT,
        "nor its folder",
        "the default path",
        "RPA_AGENTS_DB_PATH",
    )
    assert files(folder) == before


@each_on_what_is_there
@pytest.mark.parametrize("typed", ["missing/fleet.db", "fleet.db", "empty.db"])
def test_nor_does_one_after_a_typing_error(flask, folder, typed, words):
    (folder / "empty.db").touch()
    before = files(folder)

    refused(flask(words, RPA_AGENTS_DB_PATH=typed), folder / typed)
    assert files(folder) == before
    assert (folder / "empty.db").stat().st_size == 0


@pytest.mark.parametrize("words", WITHOUT.values())
@pytest.mark.parametrize("typed", ["missing/fleet.db", "fleet.db", None])
def test_nor_does_one_that_needs_none(flask, folder, typed, words):
    before = files(folder)

    flask(words, RPA_AGENTS_DB_PATH=typed)

    assert files(folder) == before


def test_a_database_that_disappears_meanwhile_is_not_made_again(
    flask, folder, monkeypatch
):
    flask("enroll PC-1", RPA_AGENTS_DB_PATH="fleet.db")
    looked = os.stat

    def moved(path, *args, **options):
        found = looked(path, *args, **options)
        if str(path) == str(folder / "fleet.db"):
            monkeypatch.setattr(os, "stat", looked)
            os.rename(path, folder / "away.db")
        return found

    monkeypatch.setattr(os, "stat", moved)
    result = flask("list", RPA_AGENTS_DB_PATH="fleet.db")

    assert (result.exit_code, result.stdout) == (1, "")
    assert str(folder / "fleet.db") in result.stderr
    assert not (folder / "fleet.db").exists()


@each_beginning
def test_at_the_default_path_one_begins_only_with_create(flask, folder, words):
    before = files(folder)

    refused(flask(words), folder / DEFAULT, "the default path", "--create")
    (folder / "data" / "databases").mkdir(parents=True)
    refused(flask(words), folder / DEFAULT, "the default path", "--create")
    shutil.rmtree(folder / "data")
    assert files(folder) == before

    begun = flask(f"{words} --create")
    assert begun.exit_code == 0, begun.output
    assert f"Began a new database at {folder / DEFAULT}.\n" in begun.stderr
    assert (folder / DEFAULT).exists()


@each_beginning
def test_nor_does_one_begin_without_it_in_a_folder_that_is_missing(
    flask, folder, words
):
    before = files(folder)
    path = folder / "typed" / "wrong.db"

    refused(flask(words, RPA_AGENTS_DB_PATH=path), path, "nor its folder", "--create")
    assert files(folder) == before

    begun = flask(f"{words} --create", RPA_AGENTS_DB_PATH=path)
    assert begun.exit_code == 0, begun.output
    assert f"Began a new database at {path}.\n" in begun.stderr
    assert path.exists()


@each_beginning
def test_nor_where_a_link_leads_to_a_folder_that_is_missing(flask, folder, words):
    """As where the disk that it leads to is not mounted."""
    (folder / "fleet.db").symlink_to(folder / "disk" / "fleet.db")
    path, before = folder / "fleet.db", files(folder)

    refused(flask(words, RPA_AGENTS_DB_PATH=path), path, "nor its folder", "--create")
    assert files(folder) == before
    assert not (folder / "disk").exists()


@each_beginning
@pytest.mark.parametrize("empty", [False, True])
def test_a_configured_path_in_a_folder_that_is_there_begins_one_and_says_so(
    flask, folder, words, empty
):
    path = folder / "fleet.db"
    if empty:
        path.touch()

    first = flask(words, RPA_AGENTS_DB_PATH="fleet.db")
    assert first.exit_code == 0, first.output
    assert f"Began a new database at {path}.\n" in first.stderr
    assert "Began" not in first.stdout

    shutil.rmtree(folder / "kit", ignore_errors=True)
    again = flask(f"{words} --create", RPA_AGENTS_DB_PATH="fleet.db")
    assert "Began" not in again.stderr


def test_a_token_is_never_of_another_database_than_the_servers(flask, folder, make_app):
    server = make_app().test_client()
    Api(server, OPERATOR_TOKEN).enroll("PC-1")

    assert flask("token create").exit_code == 1
    assert flask("token create", RPA_AGENTS_DB_PATH="data/rpa_data.bd").exit_code == 1


@pytest.mark.parametrize("words", LISTING)
def test_a_listing_at_the_default_path_names_its_database(flask, folder, words):
    flask("enroll PC-1 --user-email zoe@example.com --create")

    result = flask(words)

    assert result.exit_code == 0, result.output
    assert result.stderr.count(f"Database: {folder / DEFAULT} (the default)\n") == 1
    assert DEFAULT not in result.stdout
    if "--json" in words:
        json.loads(result.stdout)


@pytest.mark.parametrize("words", LISTING)
def test_one_at_a_configured_path_does_not(flask, folder, words):
    flask("enroll PC-1 --user-email zoe@example.com", RPA_AGENTS_DB_PATH="fleet.db")

    result = flask(words, RPA_AGENTS_DB_PATH="fleet.db")

    assert result.exit_code == 0, result.output
    assert "fleet.db" not in result.stderr


def test_the_default_path_is_the_default_also_where_it_is_written_out(flask, folder):
    flask("enroll PC-1 --create", RPA_AGENTS_DB_PATH=DEFAULT)

    named = flask("list", RPA_AGENTS_DB_PATH=DEFAULT).stderr
    assert named == f"Database: {folder / DEFAULT} (the default)\n"
    assert flask("list", RPA_AGENTS_DB_PATH=folder / DEFAULT).stderr == ""


def test_a_dry_run_says_that_there_is_no_database_yet(flask, folder):
    before = files(folder)

    result = flask("import machines.csv --dry-run")

    assert result.exit_code == 0
    assert "       2 imported " in result.stdout
    assert result.stderr == f"There is no database at {folder / DEFAULT} yet.\n"
    assert files(folder) == before


def test_the_server_begins_its_database_as_before(folder):
    app = create_app({"RPA_API_TOKEN": OPERATOR_TOKEN})

    assert Api(app.test_client(), OPERATOR_TOKEN).enroll("PC-1").token
    assert (folder / DEFAULT).exists()
    app.extensions["lea_fleet"].store.close_idle()
