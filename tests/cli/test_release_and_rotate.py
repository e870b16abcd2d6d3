"""``flask fleet events``, ``release`` and ``rotate``: about one machine, in a shell."""

from __future__ import annotations

import json

import click
import pytest

from lea_fleet import agent_released
from lea_fleet.cli.terminal import text_width
from tests.support.api import OPERATOR_TOKEN, Agent, Api, assert_problem

CLI = {"role": "cli", "os_user": "amelie"}
UNKNOWN = "has never been enrolled. List the machines with: flask fleet list"


@pytest.fixture
def agent(operator):
    enrolled = operator.enroll("PC-1")
    enrolled.heartbeat()
    return enrolled


def add_older(engine, *machine_ids):
    """Put machines into the table as the older server does."""
    for machine_id in machine_ids:
        engine.insert(
            "enrolled_agents",
            machine_id=machine_id,
            enrolled_at="2026-03-02T07:15:02+00:00",
        )


def revoke(engine, machine_id):
    """Revoke a machine's tokens behind everybody's back."""
    engine.execute(
        "UPDATE lea_fleet_tokens SET revoked_at = issued_at WHERE machine_id = ?",
        machine_id,
    )


def happened(operator, machine_id="PC-1"):
    """Return what happened to a machine, the newest first, and who did it."""
    page = operator.get(f"/machines/{machine_id}/events").json["events"]
    return [(event["event"], event["actor"]) for event in page]


def refused(operator, machine_id="PC-1"):
    response = operator.installer().post("/enroll", {"machine_id": machine_id})
    return response.status_code == 409


def fails(result, message):
    """Assert exit code 1 and *message*, and nothing that a script could take."""
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", message)


# What happened


def test_the_table(run, operator, monkeypatch, the_clock):
    monkeypatch.setenv("COLUMNS", "150")
    installer = operator.installer(label="Paris", expires="never", max_uses=1)
    the_clock.advance(seconds=1)
    agent = installer.enroll("PC-1", hostname="A", version="1.4")
    agent.heartbeat(hostname="B")
    the_clock.advance(minutes=5)
    run("release", "PC-1")
    agent.post("/uninstall", {"reason": "moved, to Lyon"})

    assert run("events").output.splitlines() == [
        "AT                   EVENT                     MACHINE"
        "  BY                     DETAIL",
        "2026-03-02 08:05:01  uninstalled               PC-1   "
        "  agent 127.0.0.1        reason=moved, to Lyon",
        "2026-03-02 08:05:01  released                  PC-1   "
        "  cli amelie             until=2026-03-03T08:05:01.123456+00:00",
        "2026-03-02 08:00:01  identity_changed          PC-1   "
        '  agent 127.0.0.1        before={"hostname": "A"}, after={"hostname": "B"}',
        "2026-03-02 08:00:01  enrolled                  PC-1   "
        "  installer 1 127.0.0.1  version=1.4",
        "2026-03-02 08:00:00  enrollment_token_created  -      "
        "  operator 127.0.0.1     enrollment_token=1, label=Paris, max_uses=1",
    ]


@pytest.mark.parametrize(
    ("since", "found"),
    [
        ("1d", ["PC-3"]),
        ("2d", ["PC-3", "PC-2"]),
        (" 36500d ", ["PC-3", "PC-2", "PC-1"]),
        ("2026-03-03", ["PC-3", "PC-2"]),
        ("2026-03-03T08:00:00.123456", ["PC-3", "PC-2"]),
        ("2026-03-03T08:00:01Z", ["PC-3"]),
        ("2026-03-03T10:00:00.123456+02:00", ["PC-3", "PC-2"]),
        ("2026-03-03T10:00:01+02:00", ["PC-3"]),
        ("2027-01-01", []),
    ],
)
def test_events_since_a_time_or_for_a_duration(run, operator, the_clock, since, found):
    for number in (1, 2, 3):
        operator.enroll(f"PC-{number}")
        the_clock.advance(days=1)

    result = run("events", "--json", "--since", since)
    told = json.loads(result.stdout)["events"]
    assert [event["machine_id"] for event in told] == found
    assert result.stderr == ""
    result = run("events", "PC-2", "--json", "--since", since)
    told = json.loads(result.stdout)["events"]
    assert [event["machine_id"] for event in told] == [m for m in found if m == "PC-2"]


def test_events_since_a_time_that_are_not_all_shown_are_told_of(run, operator):
    for number in (1, 2, 3):
        operator.enroll(f"PC-{number}")
    words = ("events", "--since", "1d", "--limit")

    assert "Only the newest 2 events since then" in run(*words, "2").stderr
    assert run(*words, "3").stderr == ""


@pytest.mark.parametrize(
    "since", ["", "yesterday", "14", "never", "0s", "2026-13-01", "36501d", "-1d"]
)
def test_a_time_that_is_none_is_a_wrong_option(run, operator, since):
    operator.enroll("PC-1")
    result = run("events", "--since", since)

    assert (result.exit_code, result.stdout) == (2, "")
    assert "must be a duration such as 7d, or a date" in result.stderr


def test_events_are_of_the_machine_that_is_named_or_of_all(run, operator):
    operator.enroll("PC-1")
    operator.enroll("PC-2")
    operator.installer()
    operator.uninstall("PC-1")

    def kinds(*words):
        events = json.loads(run("events", "--json", *words).output)["events"]
        return [(event["event"], event["machine_id"]) for event in events]

    assert kinds("PC-1") == [("uninstalled", "PC-1"), ("enrolled", "PC-1")]
    assert kinds("PC-2") == [("enrolled", "PC-2")]
    assert kinds() == [
        ("uninstalled", "PC-1"),
        ("enrollment_token_created", None),
        ("enrolled", "PC-2"),
        ("enrolled", "PC-1"),
    ]


def test_a_machine_may_be_named_as_it_was_when_it_was_enrolled(run, agent):
    """Its id was trimmed then."""
    assert run("events", " PC-1 ").output == run("events", "PC-1").output
    assert run("release", " PC-1 ").exit_code == 0
    assert run("rotate", " PC-1 ").exit_code == 0


def test_json_is_complete_and_in_ascii(run, operator):
    operator.enroll("PC-1", hostname="A")
    heartbeat = {"machine_id": "PC-1", "hostname": "李\x1b"}
    operator.post("/heartbeat", heartbeat)
    operator.uninstall("PC-1", reason="é" * 500)

    output = run("events", "PC-1", "--json").output

    assert output.isascii() and "\x1b" not in output
    shown = operator.get("/machines/PC-1/events").json["events"]
    assert json.loads(output) == {
        "events": [{**event, "machine_id": "PC-1"} for event in shown]
    }


def test_without_an_event_a_line_says_so(run, operator, engine):
    operator.get("/fleet")
    add_older(engine, "PC-1")

    assert run("events").output == run("events", "PC-1").output == "No events.\n"


def test_by_default_there_are_fifty_events_and_as_many_as_asked_for(run, operator):
    for _ in range(26):
        operator.enroll("PC-1")
        operator.uninstall("PC-1")

    def count(*words):
        return len(run("events", "PC-1", *words).output.splitlines()) - 1

    assert count() == 50
    assert count("--limit", "3") == 3
    assert count("--limit", "10000") == 52
    newest = json.loads(run("events", "--limit", "1", "--json").output)["events"]
    assert [event["event"] for event in newest] == ["uninstalled"]


@pytest.mark.parametrize("limit", ["0", "-1", "10001", "many", "1.5", ""])
def test_a_limit_that_cannot_be_is_exit_code_2(run, agent, limit):
    result = run("events", f"--limit={limit}")

    assert (result.exit_code, result.stdout) == (2, "")
    assert "--limit" in result.stderr


@pytest.mark.parametrize("columns", [120, 2000])
def test_the_table_fits_the_screen(run, operator, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    operator.installer(label="李" * 255)
    operator.enroll("x" * 38, hostname="é" * 255)
    operator.post("/heartbeat", {"machine_id": "x" * 38, "hostname": "B"})
    operator.uninstall("x" * 38, reason="r" * 500)

    heading, *lines = run("events").output.splitlines()

    assert len(lines) == 4
    assert all(text_width(line) <= columns for line in lines)
    assert ("r" * 500 in lines[0]) is (columns == 2000)
    by = text_width(heading[: heading.index("BY")])
    assert {text_width(line[: line.index("operat")]) for line in lines} == {by}


HOSTILE = "a\x1b[2Jb\nc\r\x9b\u202egpj.exe\u2028\x07"
HARMLESS = "a\\x1b[2Jb\\nc\\r\\x9b\\u202egpj.exe\\u2028\\x07"


def test_what_comes_from_outside_moves_no_cursor_and_hides_nothing(
    run, operator, engine, monkeypatch
):
    monkeypatch.setenv("COLUMNS", "2000")
    operator.installer(label=HOSTILE)
    operator.enroll("PC-1", version=HOSTILE, hostname=HOSTILE)
    operator.post("/heartbeat", {"machine_id": "PC-1", "hostname": "B"})
    operator.uninstall("PC-1", reason=HOSTILE)
    add_older(engine, HOSTILE)
    operator.uninstall(HOSTILE)

    output = run("events").output

    assert len(output.splitlines()) == 1 + 5
    assert output.replace("\n", "").isprintable()
    assert f"reason={HARMLESS}" in output
    assert f"label={HARMLESS}" in output
    assert f"version={HARMLESS}" in output
    assert output.splitlines()[1].split()[3] == HARMLESS.split()[0]


def test_the_user_of_the_system_moves_no_cursor_either(run, agent, monkeypatch):
    monkeypatch.setenv("LOGNAME", "a\x1b[2J\udce9")
    assert run("release", "PC-1").exit_code == 0

    assert "cli a\\x1b[2J\\udce9" in run("events", "PC-1").output


def test_a_released_name_moves_no_cursor(run, operator, engine):
    operator.get("/fleet")
    add_older(engine, HOSTILE)

    for words in (["release", HOSTILE], ["release", HOSTILE, "--cancel"]):
        result = run(*words)
        assert result.stdout.startswith(f"{HARMLESS}: ")
        assert len(result.stdout.splitlines()) == 1
    released = run("release", "--without-token")
    assert released.stdout.startswith(f"{HARMLESS}: released until")


# A release


def test_a_released_machine_may_be_enrolled_once_more(run, operator, agent, the_clock):
    result = run("release", "PC-1")

    assert result.exit_code == 0
    the_clock.advance(hours=24)
    assert result.stdout == f"PC-1: released until {the_clock.iso()}\n"
    the_clock.advance(seconds=-1)
    assert agent.heartbeat().status_code == 200
    again = operator.installer().enroll("PC-1")
    assert again.answer["status"] == "reenrolled"
    assert_problem(agent.heartbeat(), 401, "token_revoked")
    assert refused(operator)
    assert happened(operator)[1] == ("released", CLI)


def test_a_release_may_be_taken_back(run, operator, agent):
    run("release", "PC-1")

    for _ in range(2):
        result = run("release", "PC-1", "--cancel")
        assert (result.exit_code, result.output) == (0, "PC-1: not released\n")
    assert refused(operator)
    assert [event for event, _ in happened(operator)] == [
        "release_cancelled",
        "released",
        "enrolled",
    ]
    assert happened(operator)[0] == ("release_cancelled", CLI)


def test_the_machines_of_an_older_server_are_released_together(run, operator, engine):
    """Those alone that are active and have no token that is good."""
    held = operator.enroll("PC-held")
    for machine_id in ("PC-gone", "PC-again", "PC-revoked"):
        operator.enroll(machine_id)
    operator.uninstall("PC-gone")
    older = engine.older_server()
    older.uninstall("PC-again")
    older.enroll("PC-again")
    older.enroll("PC-old")
    revoke(engine, "PC-revoked")

    result = run("release", "--without-token", "--yes")

    released = ["PC-again", "PC-revoked", "PC-old"]
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert [line.partition(":")[0] for line in lines] == released
    installer = operator.installer()
    for machine_id in released:
        assert installer.enroll(machine_id).heartbeat().status_code == 200
    assert refused(operator, "PC-held")
    assert held.heartbeat().status_code == 200
    again = run("release", "--without-token", "--yes")
    assert (again.exit_code, again.output) == (0, "Every active machine has a token.\n")


@pytest.mark.sqlite
def test_what_no_request_can_name_is_left_alone(run, operator, engine):
    operator.get("/fleet")
    add_older(engine, b"blob", "PC-1")

    result = run("release", "--without-token", "--yes")

    assert (result.exit_code, result.output.count("\n")) == (0, 1)
    assert result.output.startswith("PC-1: released until ")


def test_they_may_be_taken_back_together(run, operator, engine):
    operator.get("/fleet")
    add_older(engine, "PC-1", "PC-2")
    run("release", "--without-token", "--yes")

    result = run("release", "--without-token", "--yes", "--cancel")

    assert result.output == "PC-1: not released\nPC-2: not released\n"
    assert refused(operator, "PC-1") and refused(operator, "PC-2")


def test_all_are_released_or_none(run, operator, engine, monkeypatch):
    operator.get("/fleet")
    add_older(engine, "PC-1", "PC-2")
    engine.refuse_rows("lea_fleet_releases", "PC-2", "disk full")

    result = run("release", "--without-token", "--yes")

    fails(result, f"Error: {engine.says_unusable}disk full.\n")
    assert refused(operator, "PC-1")


def test_no_answer_ends_before_it_is_so_and_nobody_waits_for_a_slow_screen(
    run, operator, engine, monkeypatch
):
    operator.get("/fleet")
    add_older(engine, *(f"PC-{n:03}" for n in range(100)))
    echo, said = click.echo, []

    def write_meanwhile(text, **options):
        said.append(
            (len(text), len(engine.execute("SELECT 1 FROM lea_fleet_releases")))
        )
        if text.endswith("\n"):
            engine.execute("UPDATE enrolled_agents SET version = '2'")
        echo(text, **options)

    monkeypatch.setattr(click, "echo", write_meanwhile)
    result = run("release", "--without-token", "--yes")

    assert result.stdout.count("\n") == 100
    assert said == [(1000, 0), (len(result.stdout) - 1000, 100)]


@pytest.mark.parametrize("cancel", [[], ["--cancel"]])
def test_several_are_released_only_after_a_yes(run, operator, engine, cancel):
    operator.get("/fleet")
    add_older(engine, "PC-1", "PC-2")

    fails(
        run("release", "--without-token", *cancel),
        "Error: This would change 2 machines. Repeat it with --yes to change all of"
        " them.\n",
    )
    assert refused(operator, "PC-1") and refused(operator, "PC-2")
    assert (
        json.loads(run("events", "--json", "--limit", "1").output)["events"][0]["event"]
        == "enrollment_token_created"
    )  # of refused(): the last that happened


def test_a_release_as_json(run, operator, engine, the_clock):
    operator.get("/fleet")
    add_older(engine, "PC-1", "PC-\u00e9")
    released_until = operator.post("/machines/PC-1/release").json["released_until"]

    result = run("release", "--without-token", "--yes", "--json")

    assert result.output.isascii()
    agents = [
        {"machine_id": "PC-1", "released_until": released_until},
        {"machine_id": "PC-\u00e9", "released_until": released_until},
    ]
    assert json.loads(result.output) == {"agents": agents, "machines": agents}
    cancelled = json.loads(run("release", " PC-1 ", "--cancel", "--json").output)
    assert cancelled["agents"] == [{"machine_id": "PC-1", "released_until": None}]
    operator.enroll("PC-1", force=True)
    operator.enroll("PC-\u00e9", force=True)
    none = json.loads(run("release", "--without-token", "--json").output)
    assert none == {"agents": [], "machines": []}


@pytest.mark.parametrize("words", [[], ["PC-1", "--without-token"], ["PC-1", "PC-2"]])
def test_one_machine_is_named_or_those_without_a_token(run, operator, agent, words):
    result = run("release", *words)

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("Usage: ")
    assert refused(operator)


# A rotation


def use(agent, result):
    """Return the agent with the token that a command has printed."""
    assert result.exit_code == 0, result.output
    token = result.stdout.removesuffix("\n")
    return Agent(agent.client, {"machine_id": agent.machine_id, "api_token": token})


def test_only_the_token_goes_to_standard_output(run, agent):
    for words in (["rotate", "PC-1"], ["rotate", "PC-1", "--now"]):
        result = run(*words)

        token = result.stdout.removesuffix("\n")
        assert token.startswith("lea_agent_")
        assert len(token.split()) == 1
        assert result.stderr == "PC-1: rotated. Its token is shown once.\n"


@pytest.mark.parametrize("now", [[], ["--now"]])
def test_a_rotation_as_json_is_what_the_api_says(run, agent, now):
    result = run("rotate", " PC-1 ", "--json", *now)

    answer = json.loads(result.stdout)
    assert answer == {"machine_id": "PC-1", "api_token": answer["api_token"]}
    assert (result.stderr, result.exit_code) == ("", 0)
    assert Agent(agent.client, answer).heartbeat().status_code == 200


def test_both_tokens_are_good_until_the_new_one_is_used(run, operator, agent):
    new = use(agent, run("rotate", "PC-1"))

    assert agent.heartbeat().status_code == 200
    assert new.heartbeat().status_code == 200
    assert_problem(agent.heartbeat(), 401, "token_revoked", "ask_operator")
    assert happened(operator)[1] == ("token_rotated", CLI)


def test_a_second_rotation_replaces_the_pending_one(run, agent):
    lost = use(agent, run("rotate", "PC-1"))
    found = use(agent, run("rotate", "PC-1"))

    assert_problem(lost.heartbeat(), 401, "token_revoked")
    assert agent.heartbeat().status_code == 200
    assert found.heartbeat().status_code == 200


def test_now_ends_the_present_token_at_once(run, operator, agent):
    pending = use(agent, run("rotate", "PC-1"))
    new = use(agent, run("rotate", "PC-1", "--now"))

    for dead in (agent, pending):
        assert_problem(dead.heartbeat(), 401, "token_revoked", "ask_operator")
    assert new.heartbeat().status_code == 200
    assert happened(operator)[:2] == [("token_rotated", CLI), ("token_revoked", CLI)]


@pytest.mark.parametrize("now", [[], ["--now"]])
def test_a_machine_of_the_older_server_is_given_its_first_token(
    run, operator, engine, client, now
):
    operator.get("/fleet")
    add_older(engine, "PC-1")

    token = run("rotate", "PC-1", *now).stdout.removesuffix("\n")

    assert Api(client, token).post("/heartbeat").status_code == 200
    assert [event for event, _ in happened(operator)] == ["token_rotated"]


# Where it does not go


on_one_machine = pytest.mark.parametrize(
    "words",
    [
        ["events"],
        ["events", "--json"],
        ["release"],
        ["release", "--cancel"],
        ["rotate"],
        ["rotate", "--now"],
    ],
    ids=" ".join,
)


@on_one_machine
@pytest.mark.parametrize("machine", ["nobody", "pc-1", "\x1b[2J"])
def test_an_unknown_machine_is_one_line_and_exit_code_1(run, agent, words, machine):
    shown = machine.replace("\x1b", "\\x1b")
    meant = machine == "pc-1"
    near = (
        f"{UNKNOWN.partition('.')[0]}. Did you mean PC-1?"
        if meant
        else f"{UNKNOWN} --status all"
    )
    fails(run(*words, machine), f"Error: {shown} {near}\n")


@on_one_machine
def test_a_variable_that_was_left_empty_names_no_machine_and_never_all(
    run, operator, agent, engine, words
):
    """As in a script: flask fleet release "$PC"."""
    add_older(engine, "PC-old")

    for blank in ("", " "):
        result = run(*words, blank)
        assert (result.exit_code, result.stdout) == (2, "")
    assert refused(operator, "PC-old")


@on_one_machine
def test_a_name_that_is_no_text_is_exit_code_2(run, agent, words):
    """Bytes on the command line that are no UTF-8 come as a lone surrogate."""
    result = run(*words, "PC-\udce9")

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("Usage: ")


@pytest.mark.parametrize("words", [["release"], ["rotate"], ["rotate", "--now"]])
def test_an_uninstalled_machine_has_no_token_and_needs_no_release(
    run, operator, agent, words
):
    operator.uninstall("PC-1")

    result = run(*words, "PC-1")

    remedy = "Enroll it with: flask fleet enroll PC-1"
    fails(result, f"Error: PC-1 is uninstalled. {remedy}\n")
    assert run("events", "PC-1").exit_code == 0
    assert run("release", "PC-1", "--cancel").exit_code == 0


@pytest.mark.parametrize("words", [[], ["PC-1", "PC-2"], ["PC-1", "--later"]])
def test_a_rotation_is_of_one_machine(run, agent, words):
    result = run("rotate", *words)

    assert (result.exit_code, result.stdout) == (2, "")
    assert agent.heartbeat().status_code == 200


@pytest.mark.parametrize("words", [["release"], ["rotate"], ["rotate", "--now"]])
def test_a_locked_database_is_one_line_and_changes_nothing(
    make_app, elsewhere, engine, words
):
    agent = elsewhere.enroll("PC-1")
    agent.heartbeat()
    runner = make_app(LEA_FLEET_BUSY_TIMEOUT="0s").test_cli_runner()

    with engine.being_written():
        result = runner.invoke(args=["fleet", *words, "PC-1"])

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"Error: {engine.says_busy}")
    assert result.stderr.count("\n") == 1
    assert agent.heartbeat().status_code == 200
    assert [event for event, _ in happened(elsewhere)] == ["enrolled"]


@on_one_machine
def test_a_database_that_was_moved_away_is_not_begun_anew(run, agent, engine, words):
    with engine.missing():
        result = run(*words, "PC-1")
        assert not engine.exists()

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"Error: {engine.says_absent}")


# Beside a server


def test_a_running_server_and_a_command_see_each_other(run, elsewhere):
    agent = elsewhere.enroll("PC-1")
    agent.heartbeat()  # the server's connection stays open

    new = use(agent, run("rotate", "PC-1", "--now"))
    assert_problem(agent.heartbeat(), 401, "token_revoked")
    assert new.heartbeat().status_code == 200
    assert run("release", "PC-1").exit_code == 0
    assert elsewhere.installer().enroll("PC-1").answer["status"] == "reenrolled"
    assert "reenrolled" in run("events", "PC-1").output


def test_a_command_tells_the_listeners_of_its_own_process_only(
    app, run, make_app, elsewhere
):
    elsewhere.enroll("PC-1")
    heard = []

    def receive(sender, machine_id, event):
        heard.append((sender, machine_id, event["actor"]))

    with agent_released.connected_to(receive):
        run("release", "PC-1")

    assert heard == [(app, "PC-1", CLI)]


def test_a_command_needs_no_credential(app, agent):
    assert app.config["RPA_API_TOKEN"] == OPERATOR_TOKEN
    for words in (["events"], ["release", "PC-1"], ["rotate", "PC-1"]):
        result = app.test_cli_runner().invoke(args=["fleet", *words], input="")
        assert result.exit_code == 0
        assert OPERATOR_TOKEN not in result.output
