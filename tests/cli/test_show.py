"""``flask fleet show``: all that an operator wants to know of one machine."""

from __future__ import annotations

import json

import pytest

from tests.support.api import OPERATOR_TOKEN
from tests.support.fleets import fill

HOSTILE = "a\x1b[2Jb\nc\r\x9b\u202egpj.exe\u2028\x07"
HARMLESS = "a\\x1b[2Jb\\nc\\r\\x9b\\u202egpj.exe\\u2028\\x07"


@pytest.fixture
def show(run):
    """Return what is shown of a machine, by the heading of each line."""

    def show(machine_id="PC-1"):
        facts, _, _ = run("show", machine_id).output.partition("\n\n")
        return {line[:11].rstrip(): line[13:] for line in facts.splitlines()}

    return show


@pytest.fixture
def show_json(run):
    return lambda machine_id="PC-1": json.loads(
        run("show", machine_id, "--json").output
    )


def test_the_screen(run, operator, the_clock, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    agent = operator.installer().enroll(
        "PC-1",
        user_name="Zoé Lefèvre",
        user_email="zoe@example.com",
        user_id="u-17",
        hostname="COMPTA-3",
        os_info="Windows 11",
        version="1.4.0",
    )
    the_clock.advance(minutes=1)
    agent.heartbeat()
    the_clock.advance(minutes=5)
    run("release", "PC-1")

    assert run("show", " PC-1 ").output.splitlines() == [
        "MACHINE      PC-1",
        "PRESENCE     offline",
        "USER         Zoé Lefèvre",
        "E-MAIL       zoe@example.com",
        "USER ID      u-17",
        "HOSTNAME     COMPTA-3",
        "SYSTEM       Windows 11",
        "VERSION      1.4.0",
        "ENROLLED     2026-03-02 08:00:00, 6 min ago",
        "LAST SEEN    2026-03-02 08:01:00, 5 min ago",
        "SEEN ON      1 of the last 30 days",
        "TOKEN        first used 2026-03-02 08:01:00",
        "RELEASED     until 2026-03-03 08:06:00",
        "",
        "AT                   EVENT     MACHINE  BY                     DETAIL",
        "2026-03-02 08:06:00  released  PC-1     cli amelie            "
        " until=2026-03-03T08:06:00.123456+00:00",
        "2026-03-02 08:00:00  enrolled  PC-1     installer 1 127.0.0.1  version=1.4.0",
    ]


def test_a_machine_that_has_left(show, operator, the_clock):
    operator.enroll()
    the_clock.advance(days=2)
    operator.uninstall(reason="moved")

    shown = show()

    assert shown["PRESENCE"] == "uninstalled"
    assert shown["UNINSTALLED"] == "2026-03-04 08:00:00, now"
    assert shown["REASON"] == "moved"
    assert (shown["TOKEN"], shown["RELEASED"]) == ("none", "no")


def test_its_token_from_the_first_to_the_next(
    run, show, show_json, operator, the_clock
):
    agent = operator.enroll()
    issued_at = the_clock.iso()
    never = {"issued_at": issued_at, "first_used_at": None, "rotated_at": None}
    assert (show()["TOKEN"], show_json()["token"]) == ("never used", never)

    the_clock.advance(minutes=1)
    agent.heartbeat()
    used_at = the_clock.iso()
    used = {"issued_at": issued_at, "first_used_at": used_at, "rotated_at": None}
    assert show()["TOKEN"] == "first used 2026-03-02 08:01:00"
    assert show_json()["token"] == used

    the_clock.advance(minutes=1)
    agent.token = run("rotate", "PC-1").stdout.removesuffix("\n")
    rotated_at = the_clock.iso()
    assert show()["TOKEN"] == (
        "first used 2026-03-02 08:01:00; rotated 2026-03-02 08:02:00, the new one not"
        " used yet"
    )
    assert show_json()["token"] == {**used, "rotated_at": rotated_at}

    the_clock.advance(minutes=1)
    agent.heartbeat()
    assert show_json()["token"] == {
        "issued_at": rotated_at,
        "first_used_at": the_clock.iso(),
        "rotated_at": None,
    }


def test_a_machine_of_the_older_server_has_no_token(
    run, show, show_json, operator, engine
):
    operator.enroll("PC-again")
    older = engine.older_server()
    older.enroll("PC-1")
    older.uninstall("PC-again")
    older.enroll("PC-again")

    for machine_id in ("PC-1", "PC-again"):
        assert show(machine_id)["TOKEN"] == "none"
        assert show_json(machine_id)["token"] is None
    run("rotate", "PC-1")
    assert show()["TOKEN"].startswith("rotated ")
    assert show_json()["token"]["issued_at"] is None


def test_what_another_server_has_uninstalled_has_no_token_and_no_release(
    run, show_json, operator, engine
):
    operator.enroll()
    run("release", "PC-1")
    engine.older_server().uninstall("PC-1")

    shown = show_json()

    assert (shown["token"], shown["released_until"]) == (None, None)


def test_a_release_until_it_is_over(run, show, show_json, operator, the_clock):
    operator.enroll()
    assert show_json()["released_until"] is None
    run("release", "PC-1")

    the_clock.advance(hours=23)
    assert show()["RELEASED"] == "until 2026-03-03 08:00:00"
    released = operator.get("/machines/PC-1/events").json["events"][0]
    assert show_json()["released_until"] == released["detail"]["until"]
    the_clock.advance(hours=1)
    assert show()["RELEASED"] == "no"


def test_a_suspected_clone_since_and_until_when(show, show_json, operator, the_clock):
    agent = operator.enroll(hostname="A")
    agent.heartbeat(hostname="B")
    assert "CLONE" not in show()
    assert show_json()["clone"] is None

    the_clock.advance(minutes=1)
    agent.heartbeat(hostname="A")
    reported_at = the_clock.iso()
    the_clock.advance(minutes=1)
    agent.heartbeat(hostname="B")
    the_clock.advance(minutes=3)
    assert show()["CLONE"] == (
        "suspected, reported 2026-03-02 08:01:00: two hostnames alternate,"
        " last 3 min ago"
    )
    clone = show_json()["clone"]
    assert clone["reported_at"] == reported_at < clone["alternated_at"]

    the_clock.advance(days=1)
    assert "CLONE" not in show()


def test_json_is_what_the_api_says_in_ascii_and_never_a_hash(run, operator, engine):
    operator.enroll(hostname="李\x1b", version="é")

    output = run("show", "PC-1", "--json").output

    assert output.isascii() and "\x1b" not in output
    shown = json.loads(output)
    assert shown["agent"] == operator.machine()
    events = operator.get("/machines/PC-1/events").json["events"]
    assert shown["events"] == [{**event, "machine_id": "PC-1"} for event in events]
    (kept,) = engine.execute("SELECT token_hash FROM lea_fleet_tokens")
    assert kept[0] not in output + run("show", "PC-1").output


def test_the_last_five_events_are_shown(run, operator):
    for _ in range(4):
        operator.enroll()
        operator.uninstall()

    _, _, table = run("show", "PC-1").output.partition("\n\n")

    assert len(table.splitlines()) == 1 + 5
    assert len(run("show", "PC-1").output.splitlines()) < 24


def test_what_a_machine_says_moves_no_cursor_and_hides_nothing(run, operator, engine):
    names = ("machine_id", "user_name", "user_email", "user_id", "hostname", "os_info")
    row = dict.fromkeys([*names, "version", "uninstall_reason"], HOSTILE)
    instants = dict.fromkeys(
        ("enrolled_at", "last_seen_at", "uninstalled_at"), "\x1b[2J"
    )
    fill(engine, [{**row, **instants, "status": "gone\x1b"}])

    output = run("show", HOSTILE).output

    assert output.count(HARMLESS) == 8
    assert output.replace("\n", "").isprintable()
    assert output.endswith("\nNo events.\n")


@pytest.mark.parametrize(
    ("machine_id", "exit_code"),
    [
        ("nobody", 1),
        ("\x1b[2J", 1),
        ("", 2),
        (" ", 2),
        ("PC-\udc80", 2),
        ("a\0", 2),
        ("x" * 1_000_000, 2),
    ],
)
@pytest.mark.parametrize("more", [[], ["--json"]])
def test_what_is_no_machine_is_one_line(run, operator, machine_id, exit_code, more):
    operator.enroll()

    result = run("show", machine_id, *more)

    assert (result.exit_code, result.stdout) == (exit_code, "")
    assert result.stderr.splitlines()[-1].startswith("Error: ")
    assert isinstance(result.exception, SystemExit)


def test_a_locked_database_is_one_line(make_app, elsewhere, engine):
    elsewhere.enroll()
    runner = make_app(LEA_FLEET_BUSY_TIMEOUT="0s").test_cli_runner()
    elsewhere.client.application.extensions["lea_fleet"].store.close_idle()

    with engine.being_rewritten():
        result = runner.invoke(args=["fleet", "show", "PC-1"])

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"Error: {engine.says_busy}")
    assert result.stderr.count("\n") == 1
    assert OPERATOR_TOKEN not in result.output
