"""``flask fleet enroll`` and ``uninstall``: by hand what installers do."""

from __future__ import annotations

import json

import pytest

from tests.support.api import OPERATOR_TOKEN, Agent, Api, assert_problem
from tests.support.fleets import fill
from tests.support.processes import taken_by_a_script

pytestmark = pytest.mark.usefixtures("begun")

CLI = {"role": "cli", "os_user": "amelie"}
DETAILS = {
    "user_name": "Zoé Lefèvre",
    "user_email": "zoe@example.com",
    "user_id": "u-17",
    "hostname": "COMPTA-3",
    "os_info": "Windows 11",
    "version": "1.4.0",
}


@pytest.fixture
def enroll(run, client):
    """Enroll a machine by command; return the agent that holds its token."""

    def enroll(machine_id="PC-1", *words):
        result = run("enroll", machine_id, "--json", *words)
        assert result.exit_code == 0, result.output
        return Agent(client, json.loads(result.stdout))

    return enroll


def options(details):
    return [f"--{name.replace('_', '-')}={value}" for name, value in details.items()]


def happened(operator, machine_id="PC-1"):
    """Return what happened to a machine, the newest first."""
    return operator.get(f"/machines/{machine_id}/events").json["events"]


def fails(result, exit_code, *complaints):
    """Assert one line of error, and nothing that a script could take."""
    assert (result.exit_code, result.stdout) == (exit_code, "")
    assert isinstance(result.exception, SystemExit)
    last = result.stderr.splitlines()[-1]
    assert last.startswith("Error: ")
    for complaint in complaints:
        assert complaint in last


# Enrolled


def test_only_the_token_goes_to_standard_output(run, client):
    result = run("enroll", "PC-1")

    token = result.stdout.removesuffix("\n")
    assert token.startswith("lea_agent_") and len(token.split()) == 1
    assert result.stderr == "PC-1: enrolled. Its token is shown once.\n"
    assert Api(client, token).post("/heartbeat").status_code == 200


def test_a_script_takes_the_token(client, engine):
    """In a process of its own, with what a shell does."""
    result = taken_by_a_script(engine, "enroll", "PC-1")

    token = result.stdout[1:-1]
    assert result.stdout == f"<{token}>"
    assert Api(client, token).post("/heartbeat").status_code == 200


def test_json_is_what_the_api_says_in_ascii(run, operator):
    output = run("enroll", " PC-1 ", *options(DETAILS), "--json").output

    assert output.isascii()
    told = json.loads(output)
    assert told == {
        "status": "enrolled",
        "machine_id": "PC-1",
        "api_token": told["api_token"],
        "agent": operator.machine(),
    }
    assert {name: told["agent"][name] for name in DETAILS} == DETAILS
    assert happened(operator)[0]["actor"] == CLI


@pytest.mark.parametrize("blank", ["", " ", "\t"])
def test_a_blank_detail_counts_as_absent_as_in_the_api(enroll, operator, blank):
    enroll("PC-1", *options(DETAILS))
    operator.uninstall()

    enroll("PC-1", *options(dict.fromkeys(DETAILS, blank)))

    assert {name: operator.machine()[name] for name in DETAILS} == DETAILS


def test_a_machine_that_was_uninstalled_comes_back_unless_that_is_forbidden(
    run, enroll, operator
):
    old = enroll()
    operator.uninstall()

    fails(run("enroll", "PC-1", "--no-reactivate"), 1, "PC-1 was uninstalled")
    new = enroll()

    assert new.answer["status"] == "reactivated"
    assert new.heartbeat().status_code == 200
    assert_problem(old.heartbeat(), 401, "token_revoked")


def test_an_active_machine_is_refused_unless_it_is_released_or_forced(
    run, enroll, operator
):
    first = enroll()
    first.heartbeat()

    fails(run("enroll", "PC-1"), 1, "PC-1 is active")
    assert first.heartbeat().status_code == 200
    forced = enroll("PC-1", "--force")
    assert forced.answer["status"] == "reenrolled"
    assert_problem(first.heartbeat(), 401, "token_revoked")
    run("release", "PC-1")
    assert enroll().answer["status"] == "reenrolled"
    fails(run("enroll", "PC-1"), 1, "PC-1 is active")
    because = [event["detail"].get("because") for event in happened(operator)]
    assert ("release", "force") == (because[0], because[2])


def test_where_all_share_a_token_it_is_handed_out(make_app, client, engine):
    runner = make_app(LEA_FLEET_ISSUE="shared").test_cli_runner()

    result = runner.invoke(args=["fleet", "enroll", "PC-1"])

    assert (result.exit_code, result.stdout) == (0, f"{OPERATOR_TOKEN}\n")
    assert engine.execute("SELECT 1 FROM lea_fleet_tokens") == []


@pytest.mark.parametrize(
    ("machine_id", "complaint"),
    [
        ("", "must not be blank"),
        (" ", "must not be blank"),
        ("a/b", "MACHINE must not contain a slash"),
        (".", "MACHINE must not be . or .."),
        ("..", "MACHINE must not be . or .."),
        ("a\x1b[2Jb", "MACHINE must not contain control characters"),
        ("a\nb", "MACHINE must not contain control characters"),
        ("a\u2028b", "MACHINE must not contain control characters"),
        ("x" * 129, "MACHINE must have 1 to 128 characters"),
        ("x" * 1_000_000, "must have at most 65536 characters"),
        ("PC-\udc80", "must be Unicode text without NUL"),
        ("PC\0", "must be Unicode text without NUL"),
    ],
)
def test_what_a_new_machine_may_not_be_called(run, operator, machine_id, complaint):
    fails(run("enroll", machine_id), 2, complaint)
    assert operator.get("/fleet").json["totals"]["total"] == 0


@pytest.mark.parametrize("name", DETAILS)
@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ("x" * 256, "must have at most 255 characters"),
        ("\udc80", "must be Unicode text without NUL"),
        ("a\0b", "must be Unicode text without NUL"),
    ],
)
def test_what_a_detail_may_not_be_and_the_api_says_so_too(
    run, operator, name, value, complaint
):
    fails(run("enroll", "PC-1", *options({name: value})), 2, complaint)
    answer = operator.post("/enroll", {"machine_id": "PC-1", name: value})
    assert answer.json["errors"] == [{"field": name, "message": complaint}]
    assert operator.get("/fleet").json["totals"]["total"] == 0


@pytest.mark.parametrize("words", [[], ["PC-1", "PC-2"], ["PC-1", "--forced"]])
def test_one_machine_is_enrolled(run, operator, words):
    fails(run("enroll", *words), 2)
    assert operator.get("/fleet").json["totals"]["total"] == 0


def test_a_machine_that_an_older_server_has_stored_is_taken_as_it_is(
    run, operator, engine, client
):
    fill(engine, [{"machine_id": "a/\x1b[2J", "status": "uninstalled"}])

    result = run("enroll", "a/\x1b[2J")

    assert result.stderr == "a/\\x1b[2J: reactivated. Its token is shown once.\n"
    token = result.stdout.removesuffix("\n")
    assert Api(client, token).post("/heartbeat").status_code == 200


# Uninstalled


def test_an_uninstalled_machine_is_out_and_its_history_says_why(
    run, enroll, operator, the_clock
):
    agent = enroll()
    agent.heartbeat()

    result = run("uninstall", " PC-1 ", "--reason", "given away")

    assert (result.exit_code, result.output) == (0, "PC-1: uninstalled\n")
    assert_problem(agent.heartbeat(), 401, "agent_uninstalled")
    machine = operator.machine()
    assert machine["uninstalled_at"] == the_clock.iso()
    assert machine["uninstall_reason"] == "given away"
    event = happened(operator)[0]
    assert (event["event"], event["actor"]) == ("uninstalled", CLI)
    assert event["detail"] == {"reason": "given away"}


def test_doing_so_again_changes_nothing(run, enroll, operator, the_clock):
    enroll()
    run("uninstall", "PC-1", "--reason", "given away")
    before, events = operator.machine(), happened(operator)
    the_clock.advance(days=1)

    result = run("uninstall", "PC-1", "--reason", "lost")

    assert result.output == "PC-1: uninstalled since 2026-03-02 08:00:00\n"
    assert (result.exit_code, operator.machine()) == (0, before)
    assert happened(operator) == events


def test_several_machines_take_a_yes(run, enroll, operator):
    for machine_id in ("PC-1", "PC-2"):
        enroll(machine_id)

    fails(
        run("uninstall", "PC-1", "PC-2"),
        1,
        "This would change 2 machines. Repeat it with --yes to change all of them.",
    )
    assert operator.get("/fleet").json["totals"]["active"] == 2
    result = run("uninstall", "PC-1", "PC-2", "--yes", "--reason", "closed")
    assert result.output == "PC-1: uninstalled\nPC-2: uninstalled\n"
    for machine_id in ("PC-1", "PC-2"):
        assert operator.machine(machine_id)["uninstall_reason"] == "closed"


def test_one_that_is_named_twice_is_one_machine(run, enroll, operator):
    enroll()

    assert run("uninstall", "PC-1", " PC-1 ", "PC-1").output == "PC-1: uninstalled\n"
    assert [event["event"] for event in happened(operator)] == [
        "uninstalled",
        "enrolled",
    ]


def test_where_one_is_unknown_none_is_uninstalled(run, enroll, operator):
    enroll()

    result = run("uninstall", "PC-1", "nobody", "\x1b[2J", "--yes")

    fails(result, 1, "No machine was uninstalled: nobody, \\x1b[2J have never been")
    assert operator.machine()["status"] == "active"
    fails(run("uninstall", "nobody"), 1, "nobody has never been enrolled.")


def test_where_one_cannot_be_none_is_uninstalled(run, enroll, operator, engine):
    enroll("PC-1")
    enroll("PC-2")
    engine.refuse_rows("lea_fleet_events", "PC-2", "disk full")

    result = run("uninstall", "PC-1", "PC-2", "--yes")

    fails(result, 1, f"{engine.says_unusable}disk full.")
    assert operator.machine("PC-1")["status"] == "active"


def test_an_uninstall_as_json(run, enroll, operator):
    enroll("PC-é")
    enroll("PC-1", "--hostname", "李\x1b")
    run("uninstall", "PC-1")

    output = run("uninstall", "PC-é", "PC-1", "--yes", "--json").output

    assert output.isascii() and "\x1b" not in output
    machines = [operator.machine("PC-é"), operator.machine("PC-1")]
    assert json.loads(output) == {"agents": machines}


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], "Give MACHINE, an option that selects machines"),
        ([""], "must not be blank"),
        (["PC-1", " "], "must not be blank"),
        (["PC-\udc80"], "must be Unicode text without NUL"),
        (["x" * 1_000_000], "must have at most 65536 characters"),
        (["PC-1", "--reason", "x" * 501], "must have at most 500 characters"),
        (["PC-1", "--reason", "\udc80"], "must be Unicode text without NUL"),
        (["PC-1", "--because"], "No such option"),
    ],
)
def test_what_an_uninstall_may_not_say(run, enroll, operator, words, complaint):
    enroll()

    fails(run("uninstall", *words, "--yes"), 2, complaint)
    assert operator.machine()["status"] == "active"


def test_a_blank_reason_is_none_as_in_the_api(run, enroll, operator):
    enroll()

    assert run("uninstall", "PC-1", "--reason", " ").exit_code == 0
    assert operator.machine()["uninstall_reason"] is None


# The database


@pytest.mark.parametrize("words", [["enroll", "PC-2"], ["uninstall", "PC-1"]])
def test_a_locked_database_is_one_line_and_prints_no_token(
    make_app, elsewhere, engine, words
):
    elsewhere.enroll("PC-1")
    runner = make_app(LEA_FLEET_BUSY_TIMEOUT="0s").test_cli_runner()

    with engine.being_written():
        result = runner.invoke(args=["fleet", *words])

    fails(result, 1, engine.says_busy)
    assert result.stderr.count("\n") == 1
    assert elsewhere.get("/fleet").json["totals"]["active"] == 1


def test_where_there_is_no_database_an_uninstall_begins_none(run, engine):
    with engine.missing():
        fails(run("uninstall", "PC-1"), 1, engine.says_absent)
        assert not engine.exists()
