"""``flask fleet installer``: the kit, for one server, all of it or nothing."""

from __future__ import annotations

import json
import os
import stat
from importlib.resources import files

import pytest
from flask import Blueprint, Flask

from lea_fleet import LeaFleet, blueprint
from lea_fleet.cli import installer_kit as kit
from tests.support.api import OPERATOR_TOKEN, Api

pytestmark = pytest.mark.usefixtures("begun")

URL = "https://rpa.acme.example"
SHIPPED = {path.name for path in files("lea_fleet").joinpath("installer").iterdir()}
TOKEN_FILE = "lea-enroll-token.txt"


@pytest.fixture
def write(app, tmp_path):
    """Write the kit into a folder that is new, for the server at URL."""

    def write(*words, folder=tmp_path / "new" / "kit", url=URL, app=app):
        words = ["fleet", "installer", str(folder), "--url", url, *words]
        return app.test_cli_runner().invoke(args=words)

    return write


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "new" / "kit"


def assert_refused(result, exit_code, *words):
    """It failed in so many words, and without a traceback."""
    assert result.exit_code == exit_code, result.output
    assert isinstance(result.exception, SystemExit)
    for word in words:
        assert word in result.stderr
    assert result.stdout == ""


def listed(operator):
    return operator.get("/enrollment-tokens").json["enrollment_tokens"]


# Written


def test_every_file_of_the_kit_is_there_and_a_token_that_enrolls(write, folder, client):
    result = write()

    assert result.exit_code == 0, result.output
    assert set(os.listdir(folder)) == SHIPPED | {TOKEN_FILE}
    token = (folder / TOKEN_FILE).read_text().removesuffix("\n")
    assert Api(client, token).enroll("PC-1").heartbeat().status_code == 200


def test_it_says_what_it_wrote_and_what_to_do_next_but_not_the_token(write, folder):
    result = write("--max-uses", "3")

    for word in (str(folder), URL, *SHIPPED, TOKEN_FILE, "3 machines", "enroll.sh"):
        assert word in result.stdout
    assert result.stderr == ""
    assert (folder / TOKEN_FILE).read_text().strip() not in result.stdout


def test_as_json_it_says_what_it_wrote_but_not_the_token(write, folder, operator):
    result = write("--json")

    token = (folder / TOKEN_FILE).read_text().strip()
    assert result.output.isascii() and token not in result.output
    assert json.loads(result.output) == {
        "folder": str(folder),
        "url": f"{URL}/api/v1/agents",
        "files": [*sorted(SHIPPED), TOKEN_FILE],
        "enrollment_token": listed(operator)[0],
    }


def test_the_token_is_in_its_own_file_only_and_nobody_elses_to_read(write, folder):
    write()

    token = (folder / TOKEN_FILE).read_text().strip()
    assert [path.name for path in folder.iterdir() if token in path.read_text()] == [
        TOKEN_FILE
    ]
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert modes.pop(TOKEN_FILE) == 0o600
    for name, mode in modes.items():
        program = (folder / name).read_bytes().startswith(b"#!")
        assert mode & 0o707 == (0o700 if program else 0o600)
    assert modes["enroll.sh"] & modes["uninstall.sh"] & 0o100


def test_the_address_is_wherever_it_belongs_and_no_placeholder_is_left(write, folder):
    write()

    address = f"{URL}/api/v1/agents"
    for name in SHIPPED:
        shipped = files("lea_fleet").joinpath("installer", name).read_text("utf-8")
        placed = shipped.count("https://rpa.example.com/api/v1/agents")
        text = (folder / name).read_text("utf-8")
        assert text.count(address) == placed
        assert "rpa.example.com/api" not in text
    assert f"url={address}\n" in (folder / "lea-fleet.sh").read_text("utf-8")


def test_the_token_is_as_good_as_one_made_by_token_create(write, app, operator):
    runner = app.test_cli_runner()
    write("--token-label", "Zoé, vague 1", "--expires", "12h", "--max-uses", "50")
    words = ["--label", "Zoé, vague 1", "--expires", "12h", "--max-uses", "50"]
    runner.invoke(args=["fleet", "token", "create", *words])
    write("--force")
    runner.invoke(args=["fleet", "token", "create"])

    def essence(token):
        return token["label"], token["max_uses"], token["expires_at"] is not None

    plain, defaults, other, asked = map(essence, listed(operator))
    assert plain == defaults == ("", 100, True)
    assert other == asked == ("Zoé, vague 1", 50, True)


# The address


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("https://rpa.acme.example/", "https://rpa.acme.example/api/v1/agents"),
        ("https://acme.example/base", "https://acme.example/base/api/v1/agents"),
        ("https://a/api/v1/agents", "https://a/api/v1/agents"),
        ("https://a/base/api/v1/agents/", "https://a/base/api/v1/agents"),
        ("https://10.0.0.7:8443", "https://10.0.0.7:8443/api/v1/agents"),
        ("https://[2001:db8::7]:8443", "https://[2001:db8::7]:8443/api/v1/agents"),
    ],
)
def test_the_prefix_is_added_unless_it_is_there(write, folder, given, address):
    assert write(url=given).exit_code == 0
    assert f"url={address}\n" in (folder / "lea-fleet.sh").read_text("utf-8")


def directly(app):
    LeaFleet(app, url_prefix="/fleet/v1")


def nested(app):
    parent = Blueprint("rpa", __name__, url_prefix="/fleet/v1")
    parent.register_blueprint(blueprint)
    app.register_blueprint(parent)


@pytest.mark.parametrize("register", [directly, nested])
def test_the_prefix_is_the_one_that_the_routes_have(write, folder, engine, register):
    app = Flask("host")
    app.config.update(RPA_API_TOKEN=OPERATOR_TOKEN, **engine.settings)
    register(app)

    result = write(app=app)

    assert result.exit_code == 0, result.output
    assert f"url={URL}/fleet/v1\n" in (folder / "lea-fleet.sh").read_text("utf-8")
    token = (folder / TOKEN_FILE).read_text().strip()
    Api(app.test_client(), token, "/fleet/v1").enroll("PC-1")
    app.extensions["lea_fleet"].store.close_idle()


@pytest.mark.parametrize(
    "url",
    [
        "rpa.acme.example",
        "ftp://rpa.acme.example",
        "HTTPS://rpa.acme.example",
        "https://",
        "https:///base",
        "https://user@host",
        "https://host:port",
        "https://host:",
        "https://host:0",
        "https://host:00000",
        "https://host:65536",
        "https://host:99999/base",
        "https://[::1]:70000",
        "https://host/a b",
        "https://host/a//b",
        "https://host/'quote'",
        'https://host/"quote"',
        "https://host/{app}",
        "https://host/$(id)",
        "https://host/;id",
        "https://host/a?b=c",
        "https://host/#a",
        "https://host/\n",
        "https://zoé.example",
    ],
)
def test_an_address_that_cannot_be_is_a_wrong_option(write, folder, operator, url):
    assert_refused(write(url=url), 2, "--url")
    assert not folder.parent.exists() and not listed(operator)


def test_without_an_address_there_is_no_kit(app, folder, operator):
    result = app.test_cli_runner().invoke(args=["fleet", "installer", str(folder)])

    assert_refused(result, 2, "--url", "LEA_FLEET_PUBLIC_URL")
    assert not folder.exists() and not listed(operator)


def test_the_address_is_the_one_of_the_setting_unless_it_is_given(
    make_app, write, folder
):
    app = make_app(LEA_FLEET_PUBLIC_URL="https://rpa.acme.example/base")
    runner = app.test_cli_runner()

    result = runner.invoke(args=["fleet", "installer", str(folder)])
    assert result.exit_code == 0, result.output
    set_there = "url=https://rpa.acme.example/base/api/v1/agents\n"
    assert set_there in (folder / "lea-fleet.sh").read_text("utf-8")

    assert write("--force", app=app, url="https://other.example").exit_code == 0
    given = "url=https://other.example/api/v1/agents\n"
    assert given in (folder / "lea-fleet.sh").read_text("utf-8")


@pytest.mark.parametrize(
    ("url", "warned"),
    [
        ("http://rpa.acme.example", True),
        ("http://localhost.acme.example", True),
        ("http://127.0.0.1:5000", False),
        ("http://localhost:5000/base", False),
        ("http://[::1]:5000", False),
        ("http://localhost", False),
        ("https://rpa.acme.example", False),
    ],
)
def test_it_warns_of_tokens_that_others_can_read_on_their_way(write, url, warned):
    result = write(url=url)

    assert result.exit_code == 0
    assert ("Use https" in result.stderr) is warned


# All or nothing


def test_nothing_is_overwritten_unless_it_is_forced(write, folder, operator):
    folder.mkdir(parents=True)
    (folder / "enroll.sh").write_text("mine")
    (folder / "notes").write_text("mine")

    assert_refused(write(), 1, "enroll.sh", "--force")
    assert set(os.listdir(folder)) == {"enroll.sh", "notes"}
    assert not listed(operator)

    assert write("--force").exit_code == 0
    assert (folder / "enroll.sh").read_text() != "mine"
    assert (folder / "notes").read_text() == "mine"


def test_a_folder_in_the_way_is_never_replaced(write, folder, operator):
    (folder / "uninstall.sh").mkdir(parents=True)

    assert_refused(write("--force"), 1, "uninstall.sh")
    assert os.listdir(folder) == ["uninstall.sh"]
    assert not listed(operator)


def test_a_folder_that_cannot_be_written_makes_no_token(write, tmp_path, operator):
    (tmp_path / "file").write_text("")

    assert_refused(write(folder=tmp_path / "file" / "kit"), 1, "cannot be written")
    assert not listed(operator)


def test_a_disk_that_fills_up_leaves_nothing_and_no_token(
    write, folder, operator, monkeypatch
):
    def full(path, content):
        path.touch()
        if path.name == TOKEN_FILE:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(kit, "_write", full)

    assert_refused(write(), 1, "No space left on device")
    assert not folder.exists() and not listed(operator)


def test_a_database_that_is_locked_leaves_no_file(
    begun, make_app, write, folder, engine
):
    app = make_app(LEA_FLEET_BUSY_TIMEOUT="0s")
    Api(app.test_client(), OPERATOR_TOKEN).installer()

    with engine.being_written():
        result = write(app=app)

    assert_refused(result, 1, engine.says_busy)
    assert not folder.exists()
