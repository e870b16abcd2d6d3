"""``flask fleet operator …``: tokens of operators with a name, in a shell."""

from __future__ import annotations

import json

import pytest

from lea_fleet.cli.terminal import text_width
from lea_fleet.core.limits import LONGEST_DURATION
from tests.support.api import Api, assert_problem
from tests.support.processes import taken_by_a_script

pytestmark = pytest.mark.usefixtures("begun")


@pytest.fixture
def create(run, client):
    """Make an operator by command; return the client that holds the token."""

    def create(*words, name="Nadia", role="operator"):
        result = run("operator", "create", name, "--role", role, *words)
        assert result.exit_code == 0, result.output
        return Api(client, result.stdout.removesuffix("\n"))

    return create


def listed(operator):
    return operator.get("/operators").json["operators"]


# Made


def test_only_the_token_goes_to_standard_output(run, client):
    result = run("operator", "create", "Nadia, helpdesk", "--role", "operator")

    token = result.stdout.removesuffix("\n")
    assert token.startswith("lea_operator_")
    assert len(token.split()) == 1
    assert token not in result.stderr
    assert "Operator 1, Nadia, helpdesk, operator, expires: " in result.stderr
    assert Api(client, token).enroll("PC-1").heartbeat().status_code == 200


def test_a_script_takes_the_token(client, engine):
    """In a process of its own, with what a shell does."""
    result = taken_by_a_script(engine, "operator", "create", "Zoe", "--role", "viewer")

    token = result.stdout[1:-1]
    assert result.stdout == f"<{token}>"
    assert "It is shown once" in result.stderr
    assert Api(client, token).get("/whoami").json["name"] == "Zoe"


@pytest.mark.parametrize("role", ["viewer", "operator", "admin"])
def test_it_is_what_was_asked_for(create, operator, the_clock, role):
    made = create("--expires", "12h", name="Zoé, the helpdesk's", role=role)

    created_at = the_clock.iso()
    the_clock.advance(hours=12)
    assert_problem(made.get("/fleet"), 401, "token_expired", "ask_operator")
    assert listed(operator) == [
        {
            "id": 1,
            "name": "Zoé, the helpdesk's",
            "role": role,
            "personal": True,
            "created_at": created_at,
            "expires_at": the_clock.iso(),
            "last_used_at": None,
            "revoked_at": None,
            "state": "expired",
        }
    ]


def test_a_token_is_good_for_90_days_and_no_longer(create, the_clock):
    made = create(role="viewer")

    the_clock.advance(days=90, seconds=-1)
    assert made.get("/fleet").status_code == 200
    the_clock.advance(seconds=1)
    assert_problem(made.get("/fleet"), 401, "token_expired", "ask_operator")


def test_one_that_never_expires_has_to_be_asked_for_and_is_warned_of(
    run, operator, the_clock
):
    words = "operator", "create", "Zoe", "--role", "viewer", "--expires"
    assert "Warning" not in run(*words, "36500d").stderr

    for more in ([], ["--json"], ["--dry-run"]):
        result = run(*words, "never", *more)
        assert result.exit_code == 0
        assert result.stderr.startswith("Warning: this token never expires.")
        assert "Warning" not in result.stdout
    the_clock.advance(seconds=LONGEST_DURATION)
    assert [(each["expires_at"], each["state"]) for each in listed(operator)][:2] == [
        (None, "active"),
        (None, "active"),
    ]


def test_a_dry_run_makes_nobody_and_shows_no_token(run, operator):
    for more in ([], ["--json"]):
        words = "create", "Zoe", "--role", "admin", "--dry-run", *more
        result = run("operator", *words)
        assert result.exit_code == 0
        assert "Zoe" in result.stdout and "lea_operator_" not in result.output
    assert listed(operator) == []


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["Zoe"], "Missing option '--role'"),
        (["--role", "viewer"], "Missing argument 'NAME'"),
        (["Zoe", "--role", "root"], "'root' is not one of"),
        (["Zoe", "--role", ""], "'' is not one of"),
        (["Zoe", "Paul", "--role", "viewer"], "unexpected extra argument"),
        (["Zoe", "--role", "viewer", "--expires", "soon"], "7d or never"),
        (["Zoe", "--role", "viewer", "--expires", "0s"], "--expires"),
        (["Zoe", "--role", "viewer", "--expires", "99999d"], "36500 days"),
        (["x" * 256, "--role", "viewer"], "255 characters"),
        (["", "--role", "viewer"], "NAME"),
        ([" \t", "--role", "viewer"], "NAME"),
        (["\udce9", "--role", "viewer"], "NAME"),
    ],
)
def test_what_it_may_not_be(run, operator, words, complaint):
    result = run("operator", "create", *words)

    assert (result.exit_code, result.stdout) == (2, "")
    assert complaint in result.stderr
    assert listed(operator) == []


@pytest.mark.parametrize("name", ["x" * 255, "-", "李 明", "a\x1b[2J"])
def test_a_name_may_be(run, operator, name):
    result = run("operator", "create", "--role", "viewer", "--", name)

    assert result.exit_code == 0
    assert listed(operator)[0]["name"] == name


# Listed


def test_the_table(run, create, the_clock):
    create(name="Nadia, helpdesk")
    create("--expires", "30m", name="Audit 2026", role="viewer")
    admin = create("--expires", "never", name="Zoe", role="admin")
    run("operator", "revoke", "1")
    the_clock.advance(hours=1)
    admin.get("/fleet")
    the_clock.advance(minutes=30)
    admin.get("/fleet")  # its use is written once an hour

    lines = run("operator", "list").output.splitlines()
    assert [" ".join(line.split()) for line in lines] == [
        "ID NAME ROLE CREATED EXPIRES LAST USED STATE",
        "3 Zoe admin 2026-03-02 never 2026-03-02 09:00 active",
        "2 Audit 2026 viewer 2026-03-02 2026-03-02 never expired",
        "1 Nadia, helpdesk operator 2026-03-02 2026-05-31 never revoked",
    ]


def test_without_an_operator_there_is_nobody_to_list(run):
    result = run("operator", "list")

    assert (result.exit_code, result.output) == (0, "No operators.\n")
    assert json.loads(run("operator", "list", "--json").output) == {"operators": []}


@pytest.mark.parametrize("columns", [80, 100, 400])
def test_the_table_fits_the_screen_and_cuts_names_only(
    run, create, monkeypatch, columns
):
    monkeypatch.setenv("COLUMNS", str(columns))
    create(name="李" * 100).get("/fleet")
    create(name="x" * 255)

    heading, *lines = run("operator", "list").output.splitlines()

    assert len(lines) == 2
    assert all(text_width(line) <= columns for line in lines)
    assert ("x" * 255 in lines[0]) is (columns == 400)
    assert "x" * 14 in lines[0]
    state = text_width(heading[: heading.index("STATE")])
    for line in lines:
        assert text_width(line[: line.index("active")]) == state


def test_what_a_name_says_moves_no_cursor_and_hides_nothing(run, create, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr("lea_fleet.cli.consent.is_somebody_there", lambda: True)
    name = "a\x1b[2Jb\nc\x9b\u202egpj.exe\u2028"
    shown = "a\\x1b[2Jb\\nc\\x9b\\u202egpj.exe\\u2028"
    words = "operator", "create", name, "--role", "viewer"

    said = [
        run(*words).stderr,
        run(*words, "--dry-run").stdout,
        run("operator", "list").stdout,
        run("operator", "revoke", "1", input="n\n").stderr,
        run("events").stdout,
    ]

    for output in said:
        assert shown in output
        assert output.replace("\n", "").isprintable()
    assert len(said[2].splitlines()) == 2


def test_json_is_what_the_api_says_in_ascii(run, create, operator):
    create(name="李 明\x1b")
    create("--expires", "never", role="viewer")

    output = run("operator", "list", "--json").output

    assert output.isascii() and "\x1b" not in output
    assert json.loads(output) == operator.get("/operators").json


def test_neither_the_lists_nor_the_database_have_a_token(run, create, engine):
    secret = create().token.removeprefix("lea_operator_")

    assert secret not in run("operator", "list", env={"COLUMNS": "500"}).output
    assert secret not in run("operator", "list", "--json").output
    assert secret not in run("events", "--json").output
    assert secret not in repr(engine.contents())


# Revoked


def test_a_revoked_token_may_do_nothing_more(run, create, operator, the_clock):
    nadia, other = create(), create()
    agent = nadia.enroll("PC-1")

    result = run("operator", "revoke", "1")

    assert (result.exit_code, result.output) == (0, "Operator 1: revoked\n")
    assert_problem(nadia.get("/fleet"), 401, "token_revoked", "ask_operator")
    assert agent.heartbeat().status_code == other.get("/fleet").status_code == 200
    revoked_at = the_clock.iso()
    the_clock.advance(hours=1)
    assert run("operator", "revoke", "1").exit_code == 0
    assert listed(operator)[1]["revoked_at"] == revoked_at


def test_on_a_terminal_it_asks_by_name(run, create, operator, monkeypatch):
    monkeypatch.setattr("lea_fleet.cli.consent.is_somebody_there", lambda: True)
    create(name="Nadia, helpdesk")

    result = run("operator", "revoke", "1", input="n\n")

    assert result.stderr.startswith("Revoke operator 1 (Nadia, helpdesk)? [y/N]: ")
    assert result.exit_code == 1
    assert listed(operator)[0]["state"] == "active"
    assert run("operator", "revoke", "1", "--yes").exit_code == 0
    assert listed(operator)[0]["state"] == "revoked"


def test_once_the_name_is_erased_the_question_has_the_id(run, create, monkeypatch):
    monkeypatch.setattr("lea_fleet.cli.consent.is_somebody_there", lambda: True)
    create(name="nadia@example.com")
    assert run("erase", "--user", "nadia@example.com", "--yes").exit_code == 0

    result = run("operator", "revoke", "1", input="y\n")

    assert result.stderr.startswith("Revoke operator 1? [y/N]: ")
    assert run("operator", "list").output.splitlines()[1].startswith("1   -   ")


def test_a_dry_run_revokes_nobody(run, create):
    nadia = create()

    result = run("operator", "revoke", "1", "--dry-run")

    assert result.exit_code == 0 and "Operator 1: revoked" in result.stdout
    assert nadia.get("/fleet").status_code == 200


def test_an_unknown_one_is_one_line_and_exit_code_1(run):
    result = run("operator", "revoke", "7")

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        "Error: There is no operator 7. List them with: flask fleet operator list\n"
    )


@pytest.mark.parametrize("operator_id", ["0", "-1", "x", "1.0", str(2**63), None])
def test_an_id_that_cannot_be_is_exit_code_2(run, operator_id):
    words = [] if operator_id is None else ["--", operator_id]
    result = run("operator", "revoke", *words)

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("Usage: ")


# As JSON


def test_a_new_one_as_json_is_what_the_api_says(run, client, operator):
    words = "Zo\u00e9", "--role", "viewer", "--json"
    result = run("operator", "create", *words)

    made = json.loads(result.stdout)
    assert result.stdout.isascii() and result.stderr == ""
    assert {"token": made["token"], **listed(operator)[0]} == made
    assert Api(client, made["token"]).get("/fleet").status_code == 200


def test_a_revoked_one_as_json_is_what_the_api_says(run, create, operator):
    create()

    revoked = json.loads(run("operator", "revoke", "1", "--json").output)

    assert revoked == listed(operator)[0]
    assert revoked["state"] == "revoked"


# Who, and beside whom


def test_events_name_the_user_of_the_system_and_the_operator(run, create):
    create(name="Nadia").enroll("PC-1")
    for _ in range(2):
        run("operator", "revoke", "1")

    told = json.loads(run("events", "--json").output)["events"]
    happened = [(each["event"], each["actor"], each["detail"]) for each in told]
    command = {"role": "cli", "os_user": "amelie"}
    nadia = {"role": "operator", "user": "Nadia", "operator": 1}
    about = {"operator": 1, "name": "Nadia", "role": "operator"}
    about["expires_at"] = happened[0][2]["expires_at"]
    assert happened == [
        ("operator_revoked", command, about),
        ("enrolled", {**nadia, "address": "127.0.0.1"}, {"version": None}),
        ("operator_created", command, about),
    ]


def test_a_running_server_and_a_command_see_each_other(run, create, elsewhere):
    elsewhere.enroll("PC-1")  # whose connection stays open
    nadia = Api(elsewhere.client, create().token)

    assert nadia.post("/machines/PC-1/release").status_code == 200
    assert run("operator", "revoke", "1").exit_code == 0
    answer = nadia.post("/machines/PC-1/release")
    assert_problem(answer, 401, "token_revoked", "ask_operator")


@pytest.mark.parametrize(
    "words", [["create", "Zoe", "--role", "admin"], ["revoke", "1"]], ids=" ".join
)
def test_a_locked_database_is_one_line_and_prints_no_token(
    make_app, elsewhere, engine, words
):
    elsewhere.post("/operators", {"name": "Nadia", "role": "viewer"})
    runner = make_app(LEA_FLEET_BUSY_TIMEOUT="0s").test_cli_runner()

    with engine.being_written():
        result = runner.invoke(args=["fleet", "operator", *words])

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"Error: {engine.says_busy}")
    assert result.stderr.count("\n") == 1
    assert [each["state"] for each in listed(elsewhere)] == ["active"]


def test_a_viewer_may_be_made_without_personal_data_and_nobody_else(run, operator):
    operator.enroll("PC-1", user_name="Zoé")
    made = run("operator", "create", "Audit", "--role", "viewer", "--no-personal")
    refused = run("operator", "create", "N", "--role", "admin", "--no-personal")

    viewer = Api(operator.client, made.stdout.strip())
    assert viewer.get("/fleet").json["active"][0]["user_name"] is None
    assert refused.exit_code == 2 and "Only a viewer" in refused.stderr
    assert "viewer, no personal data" in made.stderr
    assert "viewer, no personal data" in run("operator", "list").stdout
