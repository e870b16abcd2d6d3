"""``flask fleet token …``: installers' tokens in a shell. And help for each command."""

from __future__ import annotations

import errno
import getpass
import json
import os
import shlex

import click
import pytest

from lea_fleet import blueprint
from lea_fleet.cli.terminal import text_width
from lea_fleet.core import clock
from tests.support.api import OPERATOR_TOKEN, Api, assert_problem
from tests.support.processes import taken_by_a_script

pytestmark = pytest.mark.usefixtures("begun")


@pytest.fixture
def create(run, client):
    """Make an enrollment token by command; return the installer that holds it."""

    def create(*words):
        result = run("token", "create", *words)
        assert result.exit_code == 0, result.output
        return Api(client, result.stdout.removesuffix("\n"))

    return create


def listed(operator):
    return operator.get("/enrollment-tokens").json["enrollment_tokens"]


# Made


def test_only_the_token_goes_to_standard_output(run, client):
    result = run("token", "create", "--label", "Paris", "--max-uses", "3")

    token = result.stdout.removesuffix("\n")
    assert token.startswith("lea_enroll_")
    assert len(token.split()) == 1
    assert token not in result.stderr
    assert "3 machines" in result.stderr
    assert Api(client, token).enroll("PC-1").heartbeat().status_code == 200


def test_a_script_takes_the_token(client, engine):
    """In a process of its own, with what a shell does."""
    result = taken_by_a_script(engine, "token", "create")

    token = result.stdout[1:-1]
    assert result.stdout == f"<{token}>"
    assert "It is shown once" in result.stderr
    Api(client, token).enroll("PC-1")


@pytest.mark.parametrize(
    "words",
    [
        ["token", "create"],
        ["token", "create", "--json"],
        ["token", "create", "--dry-run"],
        ["installer", "kit", "--url", "https://rpa.example.com"],
    ],
    ids=" ".join,
)
def test_a_token_that_never_expires_is_warned_of(run, tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    force = ["--force"] if words[0] == "installer" else []
    for expires in ("7d", "36500d"):
        result = run(*words, *force, "--expires", expires)
        assert (result.exit_code, "Warning" in result.stderr) == (0, False)

    result = run(*words, *force, "--expires", "never")

    assert result.exit_code == 0
    assert result.stderr.startswith("Warning: this token never expires.")
    assert "Warning" not in result.stdout


def test_it_is_what_was_asked_for(create, operator, the_clock):
    create("--label", "Zoé, vague 1", "--expires", "12h", "--max-uses", "50")

    created_at = the_clock.iso()
    the_clock.advance(hours=12)
    assert listed(operator) == [
        {
            "id": 1,
            "label": "Zoé, vague 1",
            "created_at": created_at,
            "expires_at": the_clock.iso(),
            "max_uses": 50,
            "uses": 0,
            "revoked_at": None,
            "tags": [],
            "state": "expired",
        }
    ]


def test_by_default_it_is_good_for_a_week_and_a_hundred_machines(
    create, operator, the_clock
):
    create()
    the_clock.advance(days=7)

    (token,) = listed(operator)
    assert (token["expires_at"], token["max_uses"]) == (the_clock.iso(), 100)
    assert token["label"] == ""


def test_one_that_never_expires_has_to_be_asked_for(create, operator, the_clock):
    installer = create("--expires", "never")
    the_clock.advance(days=9999)

    assert listed(operator)[0]["expires_at"] is None
    assert installer.enroll("PC-1")


def test_what_it_is_good_for_is_said(run, the_clock):
    week = run("token", "create").stderr
    ever = run("token", "create", "--expires", "never").stderr

    the_clock.advance(days=7)
    assert the_clock.iso() in week
    assert "never" in ever and "never" not in week


def test_it_enrolls_and_nothing_else(create):
    installer = create("--max-uses", "1")

    assert_problem(installer.get("/fleet"), 403, "insufficient_scope")
    installer.enroll("PC-1")
    response = installer.post("/enroll", {"machine_id": "PC-2"})
    assert_problem(response, 403, "enrollment_token_exhausted")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--expires", "soon"], "7d or never"),
        (["--expires", ""], "7d or never"),
        (["--expires", "7"], "7d or never"),
        (["--expires", "-1d"], "7d or never"),
        (["--expires", "0s"], "--expires"),
        (["--expires", "99999d"], "36500 days"),
        (["--expires"], "requires an argument"),
        (["--max-uses", "0"], "1<=x<=1000000"),
        (["--max-uses", "1000001"], "1<=x<=1000000"),
        (["--max-uses", "many"], "not a valid integer"),
        (["--max-uses", "1.5"], "not a valid integer"),
        (["--label", "x" * 256], "255 characters"),
        (["--label", " "], "--label"),
        (["--label", "\udce9"], "--label"),
        (["Paris"], "unexpected extra argument"),
    ],
)
def test_what_it_may_not_be(run, operator, words, complaint):
    result = run("token", "create", *words)

    assert (result.exit_code, result.stdout) == (2, "")
    assert complaint in result.stderr
    assert listed(operator) == []


@pytest.mark.parametrize("label", ["x" * 255, "-", "李 明", "a\x1b[2J"])
def test_a_label_may_be(create, operator, label):
    create(f"--label={label}")

    assert listed(operator)[0]["label"] == label


# Listed


def test_the_table(run, create, the_clock):
    create("--label", "Paris", "--max-uses", "2").enroll("PC-1")
    the_clock.advance(hours=1)
    create("--expires", "never").enroll("PC-2")
    create("--label", "Lyon", "--expires", "30m", "--tag", "vip")
    create("--label", "Nice", "--max-uses", "1").enroll("PC-3")
    run("token", "revoke", "1")
    the_clock.advance(minutes=30)

    assert run("token", "list").output.splitlines() == [
        "ID  LABEL  CREATED              EXPIRES              USES   STATE    TAGS",
        "4   Nice   2026-03-02 09:00:00  2026-03-09 09:00:00  1/1    used_up  -",
        "3   Lyon   2026-03-02 09:00:00  2026-03-02 09:30:00  0/100  expired  vip",
        "2   -      2026-03-02 09:00:00  never                1/100  active   -",
        "1   Paris  2026-03-02 08:00:00  2026-03-09 08:00:00  1/2    revoked  -",
    ]


def test_without_a_token_there_is_nothing_to_list(run):
    result = run("token", "list")

    assert (result.exit_code, result.output) == (0, "No enrollment tokens.\n")
    assert json.loads(run("token", "list", "--json").output) == {
        "enrollment_tokens": []
    }


@pytest.mark.parametrize("columns", [80, 100, 400])
def test_the_table_fits_the_screen(run, create, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    create("--label", "李" * 100, "--max-uses", "1000000")
    create("--label", "x" * 255)

    heading, *lines = run("token", "list").output.splitlines()

    assert len(lines) == 2
    assert all(text_width(line) <= columns for line in lines)
    assert ("x" * 255 in lines[0]) is (columns == 400)
    state = text_width(heading[: heading.index("STATE")])
    for line in lines:
        assert text_width(line[: line.index("active")]) == state


def test_what_a_label_says_moves_no_cursor_and_hides_nothing(run, create, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    create("--label", "a\x1b[2Jb\nc\x9b\u202egpj.exe\u2028")

    output = run("token", "list").output

    assert "a\\x1b[2Jb\\nc\\x9b\\u202egpj.exe\\u2028" in output
    assert len(output.splitlines()) == 2
    assert output.replace("\n", "").isprintable()


def test_json_is_what_the_api_says_in_ascii(run, create, operator):
    create("--label", "李 明\x1b")
    create("--expires", "never")

    output = run("token", "list", "--json").output

    assert output.isascii() and "\x1b" not in output
    assert json.loads(output) == operator.get("/enrollment-tokens").json


def test_neither_list_tells_a_token(run, create):
    secret = create().token.removeprefix("lea_enroll_")

    assert secret not in run("token", "list", env={"COLUMNS": "500"}).output
    assert secret not in run("token", "list", "--json").output


# Revoked


def test_a_revoked_token_enrolls_nobody_and_machines_keep_theirs(
    run, create, operator, the_clock
):
    installer = create()
    agent = installer.enroll("PC-1")

    result = run("token", "revoke", "1")

    assert (result.exit_code, result.output) == (0, "Enrollment token 1: revoked\n")
    response = installer.post("/enroll", {"machine_id": "PC-2"})
    assert_problem(response, 401, "token_revoked")
    assert agent.heartbeat().status_code == 200
    revoked_at = the_clock.iso()
    the_clock.advance(hours=1)
    assert run("token", "revoke", "1").exit_code == 0
    assert listed(operator)[0]["revoked_at"] == revoked_at


def test_an_unknown_one_is_one_line_and_exit_code_1(run):
    result = run("token", "revoke", "7")

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        "Error: There is no enrollment token 7."
        " List them with: flask fleet token list\n"
    )


@pytest.mark.parametrize("token_id", ["0", "-1", "x", "1.0", str(2**63), None])
def test_an_id_that_cannot_be_is_exit_code_2(run, token_id):
    result = run("token", "revoke", *([] if token_id is None else ["--", token_id]))

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("Usage: ")


# As JSON


def test_a_new_token_as_json_is_what_the_api_says(run, client, operator):
    result = run("token", "create", "--label", "Zo\u00e9", "--max-uses", "1", "--json")

    made = json.loads(result.stdout)
    assert result.stdout.isascii() and result.stderr == ""
    assert (made.pop("url"), made.pop("command")) == (None, None)
    assert {"token": made["token"], **listed(operator)[0]} == made
    Api(client, made["token"]).enroll("PC-1")


# The command that enrolls a machine


URL = "https://rpa.acme.example"


def test_the_command_is_on_standard_error_and_the_token_alone_on_output(run, operator):
    result = run("token", "create", "--url", URL)

    token = result.stdout.removesuffix("\n")
    shown = operator.get("/installer-kit", query_string={"url": URL}).json
    assert token.startswith("lea_enroll_") and "\n" not in token
    assert result.stderr.endswith(f"\n\n{shown['command']}\n")
    assert "flask fleet installer" in result.stderr
    assert token not in result.stderr


def test_the_command_is_for_the_server_of_the_setting(make_app, begun):
    app = make_app(LEA_FLEET_PUBLIC_URL=URL)
    args = ["fleet", "token", "create", "--json"]

    made = json.loads(app.test_cli_runner().invoke(args=args).stdout)

    shown = Api(app.test_client(), OPERATOR_TOKEN).get("/installer-kit").json
    assert {"url": made["url"], "command": made["command"]} == shown
    assert made["url"].startswith(URL) and made["token"] not in made["command"]


def test_without_an_address_it_says_how_the_command_is_shown(run):
    result = run("token", "create")

    assert "sudo" not in result.stderr
    for word in ("--url", "LEA_FLEET_PUBLIC_URL", "flask fleet installer"):
        assert word in result.stderr


def test_a_dry_run_shows_no_command(run):
    result = run("token", "create", "--url", URL, "--dry-run")

    assert result.exit_code == 0 and "sudo" not in result.output


def test_an_address_that_is_not_valid_makes_no_token(run, operator):
    result = run("token", "create", "--url", "https://rpa.acme.example/$(id)")

    assert result.exit_code == 2 and "--url" in result.stderr
    assert not listed(operator)


def test_a_revoked_token_as_json_is_what_the_api_says(run, create, operator):
    create()

    revoked = json.loads(run("token", "revoke", "1", "--json").output)

    assert revoked == listed(operator)[0]
    assert revoked["state"] == "revoked"


# Who, and beside whom


def happened(app):
    """Return what the commands left behind: each event, and who did it."""
    output = app.test_cli_runner().invoke(args=["fleet", "events", "--json"]).output
    return [(event["event"], event["actor"]) for event in json.loads(output)["events"]]


def test_events_name_the_user_of_the_system(app, run, create):
    create("--label", "Paris")
    run("token", "revoke", "1")
    run("token", "revoke", "1")

    actor = {"role": "cli", "os_user": "amelie"}
    assert happened(app) == [
        ("enrollment_token_revoked", actor),
        ("enrollment_token_created", actor),
    ]


@pytest.mark.parametrize("error", [KeyError, OSError])
def test_a_user_of_no_name_may_work_too(app, create, monkeypatch, error):
    def nobody():
        raise error

    monkeypatch.setattr(getpass, "getuser", nobody)
    create()

    actor = {"role": "cli", "os_user": "unknown"}
    assert happened(app) == [("enrollment_token_created", actor)]


def test_a_running_server_and_a_command_see_each_other(run, create, elsewhere):
    elsewhere.enroll("PC-1")  # whose connection stays open
    installer = Api(elsewhere.client, create("--max-uses", "2").token)

    assert installer.enroll("PC-2").heartbeat().status_code == 200
    assert "1/2" in run("token", "list").output
    assert run("token", "revoke", "1").exit_code == 0
    response = installer.post("/enroll", {"machine_id": "PC-3"})
    assert_problem(response, 401, "token_revoked")


@pytest.mark.parametrize("words", [["token", "create"], ["token", "revoke", "1"]])
def test_a_locked_database_is_one_line_and_prints_no_token(
    make_app, elsewhere, engine, words
):
    elsewhere.installer()
    runner = make_app(LEA_FLEET_BUSY_TIMEOUT="0s").test_cli_runner()

    with engine.being_written():
        result = runner.invoke(args=["fleet", *words])

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"Error: {engine.says_busy}")
    assert result.stderr.count("\n") == 1
    assert [token["state"] for token in listed(elsewhere)] == ["active"]


@pytest.mark.parametrize("words", [["token", "list"], ["token", "revoke", "1"]])
def test_a_database_that_was_moved_away_is_not_begun_anew(run, create, engine, words):
    create()

    with engine.missing():
        result = run(*words)
        assert not engine.exists()

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"Error: {engine.says_absent}")


def test_a_disk_that_is_full_is_one_line_and_exit_code_1(run, monkeypatch):
    def full(*args, **options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(click, "echo", full)

    result = run("token", "create")

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.splitlines()[-1].startswith("Error: The output cannot be")


# Help


def commands(group, *words):
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, *words, name)
        else:
            yield (*words, name), command


COMMANDS = dict(commands(blueprint.cli))

every_command = pytest.mark.parametrize("words", COMMANDS, ids=" ".join)


def test_the_commands():
    assert {" ".join(words) for words in COMMANDS} == {
        "doctor",
        "list",
        "backup",
        "prune",
        "erase",
        "export",
        "show",
        "events",
        "summary",
        "enroll",
        "edit",
        "uninstall",
        "block",
        "unblock",
        "blocked",
        "retire",
        "mute",
        "unmute",
        "refused",
        "release",
        "replace",
        "rotate",
        "cut-off",
        "token create",
        "token list",
        "token revoke",
        "operator create",
        "operator list",
        "operator revoke",
        "view create",
        "view list",
        "view delete",
        "tag",
        "untag",
        "note",
        "installer",
        "import",
        "openapi",
        "schema",
        "move",
        "notify",
    }


def example(result):
    (line,) = [line for line in result.output.splitlines() if "Example:" in line]
    command = line.partition("Example: ")[2].partition(" >")[0]  # the shell's part
    return shlex.split(command)


@every_command
def test_every_command_says_what_it_does_and_gives_an_example(run, words):
    result = run(*words, "--help")

    assert result.exit_code == 0
    assert example(result)[: 2 + len(words)] == ["flask", "fleet", *words]
    assert all(len(line) <= 80 for line in result.output.splitlines())


@every_command
def test_every_option_says_what_it_is_for(words):
    for parameter in COMMANDS[words].params:
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.name


@every_command
def test_every_command_prints_json(words):
    (option,) = [
        found
        for found in COMMANDS[words].params
        if isinstance(found, click.Option) and "--json" in found.opts
    ]
    assert option.is_flag


@every_command
def test_no_command_acts_on_several_machines_without_a_yes(words):
    names = {name for found in COMMANDS[words].params for name in found.opts}
    several = [found for found in COMMANDS[words].params if found.nargs == -1]

    if several or "--without-token" in names:
        assert "--yes" in names


@pytest.fixture
def assert_example_runs(run, operator, create, tmp_path, monkeypatch, engine):
    monkeypatch.chdir(tmp_path)
    operator.enroll("PC-COMPTA-01", user_email="zoe@example.com")
    yesterday = clock.before(clock.now(), 86400)
    engine.execute("UPDATE enrolled_agents SET last_seen_at = ?", yesterday)
    operator.enroll("PC-COMPTA-03")
    (tmp_path / "machines.csv").write_text("machine_id\nPC-COMPTA-02\n")
    for number in range(3):
        create()
        run("operator", "create", "Nadia", "--role", "viewer")
        run("view", "create", f"View {number}")

    def assert_example_runs(words):
        result = run(*example(run(*words, "--help"))[2:])
        assert result.exit_code == 0, result.output

    return assert_example_runs


#: That of a move needs another database.
MOST = [words for words in COMMANDS if words not in (("backup",), ("move",))]


@pytest.mark.parametrize("words", MOST, ids=" ".join)
def test_every_example_runs(assert_example_runs, words):
    assert_example_runs(words)


@pytest.mark.sqlite
def test_the_example_of_a_backup_runs(assert_example_runs):
    assert_example_runs(("backup",))


def test_the_groups_list_their_commands(run):
    for words, command in COMMANDS.items():
        line = command.get_short_help_str()[:20]
        assert line and line in run(*words[:-1], "--help").output
