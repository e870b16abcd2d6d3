"""The installer kit as a ZIP, and the command: for whom, for which token and server."""

from __future__ import annotations

import io
import logging
import zipfile
from importlib.resources import files

import pytest
from flask import Flask

from lea_fleet import FleetUser, LeaFleet
from lea_fleet.app.installer_kit import setup_command
from tests.support.api import (
    OPERATOR_TOKEN,
    PREFIX,
    Api,
    assert_invalid,
    assert_problem,
)

ADDRESS = "https://rpa.acme.example"
SHIPPED = {path.name for path in files("lea_fleet").joinpath("installer").iterdir()}
FORBIDDEN = (403, "insufficient_scope")


@pytest.fixture
def installer(operator, the_clock):
    return operator.installer(label="Paris", max_uses=1, expires="12h")


@pytest.fixture
def named(operator):
    """Return a function that makes an operator with a role, as a client."""

    def make(role, **members):
        made = operator.post("/operators", {"name": "Nadia", "role": role, **members})
        return Api(operator.client, made.json["token"])

    return make


@pytest.fixture
def addressed(make_app):
    """The operator of a server that knows where machines reach it."""
    app = make_app(LEA_FLEET_PUBLIC_URL=f"{ADDRESS}/base/")
    return Api(app.test_client(), OPERATOR_TOKEN)


def ask(caller, token, url=ADDRESS, **options):
    return caller.post("/installer-kit", {"token": token, "url": url}, **options)


def opened(response):
    """Return the files of the kit in a response by name, without their folder."""
    assert response.status_code == 200, response.text
    with zipfile.ZipFile(io.BytesIO(response.data)) as archive:
        assert archive.testzip() is None
        return {name.split("/")[1]: archive.read(name) for name in archive.namelist()}


def url_in(response):
    """Return the URL of the API in a kit."""
    (line,) = (
        line
        for line in opened(response)["lea-fleet.sh"].decode().splitlines()
        if line.startswith("url=")
    )
    return line.removeprefix("url=")


# The ZIP


def test_it_has_every_file_of_the_kit_and_the_token_in_one_alone(operator, installer):
    kit = opened(ask(operator, installer.token))

    assert kit.keys() == SHIPPED | {"lea-enroll-token.txt"}
    has = [name for name, content in kit.items() if installer.token.encode() in content]
    assert has == ["lea-enroll-token.txt"]
    assert kit["lea-enroll-token.txt"].decode() == f"{installer.token}\n"
    for name in SHIPPED:
        assert b"rpa.example.com/api" not in kit[name]
    assert f'"{ADDRESS}{PREFIX}"' in kit["Example.iss"].decode()


def test_it_is_a_file_to_save_that_no_cache_keeps(operator, installer):
    response = ask(operator, installer.token)

    assert response.mimetype == "application/zip"
    assert response.headers["Cache-Control"] == "no-store"
    offered = response.headers["Content-Disposition"]
    assert offered == "attachment; filename=lea-fleet-kit-1.zip"
    with zipfile.ZipFile(io.BytesIO(response.data)) as archive:
        assert {name.split("/")[0] for name in archive.namelist()} == {
            "lea-fleet-kit-1"
        }
    assert len(response.data) < 200_000


def test_it_is_in_one_folder_with_the_rights_of_each_file(operator, installer):
    with zipfile.ZipFile(io.BytesIO(ask(operator, installer.token).data)) as archive:
        modes = {
            each.filename.split("/")[1]: each.external_attr >> 16
            for each in archive.infolist()
        }

    assert modes["enroll.sh"] == modes["uninstall.sh"] == 0o100755
    assert modes["lea-enroll-token.txt"] == 0o100600
    assert modes["LeaFleet.iss"] == 0o100644


def test_its_token_enrolls(operator, installer, client):
    held = opened(ask(operator, installer.token))["lea-enroll-token.txt"]

    Api(client, held.decode().strip()).enroll("PC-1")


def test_the_server_is_the_one_of_the_setting_unless_another_is_sent(addressed):
    token = addressed.installer().token

    assert url_in(addressed.post("/installer-kit", {"token": token})) == (
        f"{ADDRESS}/base{PREFIX}"
    )
    other = ask(addressed, token, "https://other.example")
    assert url_in(other) == f"https://other.example{PREFIX}"


@pytest.mark.parametrize("url", [None, "", "  "])
def test_no_server_is_guessed_from_the_request(operator, installer, url):
    headers = {"Host": "evil.example", "X-Forwarded-Host": "evil.example"}

    response = ask(operator, installer.token, url, headers=headers)

    assert_invalid(response, "url")
    assert "LEA_FLEET_PUBLIC_URL" in response.json["detail"]


def test_another_host_in_the_request_changes_nothing(addressed):
    body = {"token": addressed.installer().token}
    headers = {"Host": "evil.example", "X-Forwarded-Host": "evil.example"}

    response = addressed.post("/installer-kit", body, headers=headers)

    assert not any(b"evil" in content for content in opened(response).values())


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://127.0.0.1:5000", f"http://127.0.0.1:5000{PREFIX}"),
        ("http://localhost", f"http://localhost{PREFIX}"),
        ("http://[::1]:5000/base", f"http://[::1]:5000/base{PREFIX}"),
        (f"{ADDRESS}:8443{PREFIX}/", f"{ADDRESS}:8443{PREFIX}"),
    ],
)
def test_the_prefix_is_added_unless_it_is_there(operator, installer, url, said):
    assert url_in(ask(operator, installer.token, url)) == said
    shown = operator.get("/installer-kit", query_string={"url": url}).json
    assert shown == {"url": said, "command": setup_command(said)}


HOSTILE = [
    7,
    "rpa.acme.example",
    "ftp://rpa.acme.example",
    "HTTPS://rpa.acme.example",
    "javascript:alert(1)",
    "http://rpa.acme.example",
    "http://localhost.evil.example",
    "http://127.0.0.1.evil.example",
    "http://127.0.0.1@evil.example",
    "https://user@rpa.acme.example",
    "https://user:password@rpa.acme.example",
    "https://rpa.acme.example?a=b",
    "https://rpa.acme.example#a",
    "https://rpa.acme.example:0",
    "https://rpa.acme.example:65536",
    "https://rpa.acme.example/a b",
    "https://rpa.acme.example/$(id)",
    "https://rpa.acme.example/`id`",
    "https://rpa.acme.example/;id",
    "https://rpa.acme.example/'",
    'https://rpa.acme.example/"',
    "https://rpa.acme.example/\\",
    "https://rpa.acme.example/{app}",
    "https://rpa.acme.example\nid",
    "https://zoé.example",
    "https://rpa.acme.example/\u202e",
    "https://rpa.acme.example/\0",
    f"https://{'a' * 260}.example",
]


@pytest.mark.parametrize("url", HOSTILE)
def test_a_hostile_address_makes_no_kit_and_no_command(operator, installer, url):
    assert_invalid(ask(operator, installer.token, url), "url")
    shown = operator.get("/installer-kit", query_string={"url": url})
    assert_invalid(shown, "url")


# The token


@pytest.mark.parametrize("token", [None, "", 7, "lea_enroll_x", "é", "x" * 256, "a\0"])
def test_without_an_enrollment_token_there_is_no_kit(operator, token):
    response = ask(operator, token)

    assert_invalid(response, "token")
    assert b"PK" not in response.data


def test_no_other_token_makes_a_kit(operator, installer, named):
    agent = installer.enroll("PC-1")

    for other in (OPERATOR_TOKEN, agent.token, named("admin").token):
        response = ask(operator, other)
        assert_invalid(response, "token")
        assert "is not an enrollment token" in response.json["detail"]
        assert other not in response.text


@pytest.mark.parametrize("ended", ["expired", "revoked", "used up"])
def test_a_token_that_enrolls_nothing_any_more_makes_no_kit(
    operator, installer, the_clock, ended
):
    assert ask(operator, installer.token).status_code == 200
    if ended == "expired":
        the_clock.advance(hours=12)
    elif ended == "revoked":
        operator.request("DELETE", "/enrollment-tokens/1")
    else:
        installer.enroll("PC-1")

    response = ask(operator, installer.token)

    assert_invalid(response, "token")
    words = {"expired": "has expired", "revoked": "been revoked", "used up": "no uses"}
    assert words[ended] in response.json["detail"]


def test_nothing_is_kept_or_logged_of_a_kit(operator, installer, engine, caplog):
    caplog.set_level(logging.DEBUG)
    before = engine.contents()

    assert ask(operator, installer.token).status_code == 200
    ask(operator, f"{installer.token}x")

    assert engine.contents() == before
    assert installer.token not in caplog.text


# For whom


@pytest.mark.parametrize("role", ["operator", "admin"])
def test_operators_get_it(named, installer, role):
    caller = named(role)

    assert ask(caller, installer.token).status_code == 200
    assert caller.get("/installer-kit").json == {"url": None, "command": None}
    assert caller.get("/installer-kit/enroll.sh").status_code == 200


@pytest.mark.parametrize("personal", [True, False])
def test_a_viewer_gets_neither_kit_nor_command(named, installer, personal):
    viewer = named("viewer", personal=personal)

    assert_problem(ask(viewer, installer.token), *FORBIDDEN)
    assert_problem(viewer.get("/installer-kit"), *FORBIDDEN)
    asked = viewer.get("/installer-kit", query_string={"url": ADDRESS})
    assert_problem(asked, *FORBIDDEN)
    assert_problem(viewer.get("/installer-kit/enroll.sh"), *FORBIDDEN)


def test_an_installer_gets_the_script_and_nothing_else(installer):
    assert_problem(ask(installer, installer.token), *FORBIDDEN)
    assert_problem(installer.get("/installer-kit"), *FORBIDDEN)
    script = installer.get("/installer-kit/enroll.sh")
    assert script.status_code == 200 and script.text.startswith("#!/bin/sh\n")
    assert script.headers["Cache-Control"] == "no-store"
    assert installer.token not in script.text


@pytest.mark.parametrize("ended", ["expired", "revoked"])
def test_an_installer_whose_token_has_ended_gets_no_script(
    operator, installer, the_clock, ended
):
    if ended == "expired":
        the_clock.advance(hours=12)
    else:
        operator.request("DELETE", "/enrollment-tokens/1")

    response = installer.get("/installer-kit/enroll.sh")

    assert_problem(response, 401, f"token_{ended}")


@pytest.fixture
def browser_as(engine):
    """Return a function: a browser in which a user with a role is signed in."""
    made = []

    def browser(role):
        app = Flask("host")
        app.config.update(RPA_API_TOKEN=OPERATOR_TOKEN, **engine.settings)
        LeaFleet(app).operator_loader(lambda: FleetUser("zoe", role))
        made.append(app)
        return Api(app.test_client())

    yield browser
    for app in made:
        app.extensions["lea_fleet"].store.close_idle()


def test_a_session_gets_it_by_the_hosts_own_page_alone(installer, browser_as):
    browser = browser_as("operator")
    same = {"Sec-Fetch-Site": "same-origin"}

    allowed = ask(browser, installer.token, headers=same)
    assert allowed.headers["X-Content-Type-Options"] == "nosniff"
    assert allowed.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert opened(allowed)
    for headers in ({}, {"Sec-Fetch-Site": "cross-site"}):
        refused = ask(browser, installer.token, headers=headers)
        assert refused.status_code in (401, 403)
    viewer = ask(browser_as("viewer"), installer.token, headers=same)
    assert_problem(viewer, *FORBIDDEN)


# The command


def test_the_command_is_for_the_server_of_the_setting(addressed):
    url = f"{ADDRESS}/base{PREFIX}"

    assert addressed.get("/installer-kit").json == {
        "url": url,
        "command": setup_command(url),
    }


def test_a_prefix_that_no_shell_takes_is_told(make_app):
    app = make_app(LEA_FLEET_URL_PREFIX="/é", LEA_FLEET_PUBLIC_URL=ADDRESS)

    response = Api(app.test_client(), OPERATOR_TOKEN, "/é").get("/installer-kit")

    assert_invalid(response, "url")


def test_an_unknown_parameter_is_refused(operator):
    assert_invalid(operator.get("/installer-kit?server=https://a"), "server")
    twice = operator.get("/installer-kit?url=https://a&url=https://b")
    assert_invalid(twice, "url")
