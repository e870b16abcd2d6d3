"""``flask fleet refused`` and ``release --refused``: a roll-out that was refused."""

from __future__ import annotations

import csv
import io
import json

import pytest

from lea_fleet.cli.refused import REMEDIES
from lea_fleet.core.refused import CODES

WAVE = [f"PC-{number:02}" for number in range(1, 13)]


@pytest.fixture
def roll_out(operator, the_clock):
    """Let twelve PCs be set up anew in the night; return their installer."""
    agents = {machine_id: operator.enroll(machine_id) for machine_id in WAVE}
    agents["PC-ALIVE"] = operator.enroll("PC-ALIVE")
    the_clock.advance(days=3)
    installer = operator.installer(label="Paris", max_uses=50)
    for machine_id in agents:
        response = enroll(installer, machine_id, hostname=machine_id)
        assert response.status_code == 409
    the_clock.advance(hours=8)
    assert agents["PC-ALIVE"].heartbeat().status_code == 200
    return installer


def enroll(caller, machine_id, **members):
    return caller.post("/enroll", {"machine_id": machine_id, **members})


def listed(run, *words):
    result = run("refused", "--json", *words)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)["refusals"]


# The whole path


def test_the_pcs_of_last_nights_roll_out_are_released_by_one_command(
    run, operator, roll_out, the_clock
):
    result = run("release", "--refused", "--since", "12h", "--yes")
    assert result.exit_code == 0, result.output
    until = "2026-03-06T16:00:00.123456+00:00"
    assert sorted(result.stdout.splitlines()) == [
        *(f"{pc}: released until {until} for enrollment token 1" for pc in WAVE),
        "PC-ALIVE: still alive, heard 2026-03-05 16:00:00; not released",
    ]

    other = operator.installer()
    for machine_id in WAVE:
        assert enroll(other, machine_id).status_code == 409
        assert enroll(roll_out, machine_id).json["status"] == "reenrolled"
        assert enroll(roll_out, machine_id).status_code == 409
    assert enroll(roll_out, "PC-ALIVE").status_code == 409


def test_a_roll_out_that_was_let_through_is_no_longer_refused(run, roll_out):
    run("release", "--refused", "--yes")
    for machine_id in WAVE:
        enroll(roll_out, machine_id)

    assert [row["machine_id"] for row in listed(run)] == ["PC-ALIVE"]
    result = run("release", "--refused", "--yes")
    assert result.stdout == (
        "PC-ALIVE: still alive, heard 2026-03-05 16:00:00; not released\n"
    )


# Releases


def test_such_a_release_is_for_no_other_credential(run, operator, roll_out):
    run("release", "--refused", "--yes")

    other = operator.installer()
    for caller in (operator, other):
        assert enroll(caller, "PC-01").json["code"] == "already_enrolled"
    assert run("enroll", "PC-01").exit_code == 1
    assert enroll(roll_out, "PC-01").status_code == 201


def test_one_for_the_operators_token_is_for_that_alone(run, operator):
    installer = operator.installer()
    operator.enroll("PC-1")
    assert enroll(operator, "PC-1").status_code == 409

    result = run("release", "--refused", "--token", "0")
    assert "for the operator's token" in result.stdout
    assert enroll(installer, "PC-1").status_code == 409
    assert enroll(operator, "PC-1").json["status"] == "reenrolled"


def test_a_machine_that_was_refused_with_two_tokens_is_released_for_the_last(
    run, operator, the_clock
):
    operator.enroll("PC-1")
    first, second = operator.installer(), operator.installer()
    for installer in (first, second):
        the_clock.advance(minutes=1)
        enroll(installer, "PC-1")

    for _ in range(2):  # the second time, nothing is left to do
        assert run("release", "--refused", "--yes").exit_code == 0
    assert enroll(first, "PC-1").status_code == 409
    assert enroll(second, "PC-1").status_code == 201


def test_a_release_for_one_token_leaves_one_for_all_as_it_is(run, operator, roll_out):
    released = operator.post("/machines/PC-01/release").json
    assert run("release", "--refused", "--yes").exit_code == 0
    assert operator.post("/machines/PC-02/release").status_code == 200

    other = operator.installer()
    for machine_id in ("PC-01", "PC-02"):
        assert enroll(other, machine_id).status_code == 201
    assert released["released_until"]


def test_the_release_is_shown_with_its_token(run, roll_out):
    run("release", "--refused", "--yes")

    assert (
        "RELEASED     until 2026-03-06 16:00:00, for enrollment token 1 only"
        in run("show", "PC-01").stdout
    )
    shown = json.loads(run("show", "PC-01", "--json").stdout)
    assert shown["released_for"] == 1
    assert [row["code"] for row in shown["refusals"]] == ["already_enrolled"]
    assert shown["events"][0]["detail"] == {
        "until": "2026-03-06T16:00:00.123456+00:00",
        "enrollment_token": 1,
    }


def test_one_machine_shows_its_refusals(run, operator, roll_out):
    enroll(operator, "PC-01")
    shown = run("show", "PC-01").stdout

    assert "REFUSED      already_enrolled, now, with the operator's token" in shown
    assert "REFUSED      already_enrolled, 8 h ago, with enrollment token 1" in shown
    assert json.loads(run("show", "PC-02", "--json").stdout)["released_for"] is None


def test_a_dry_run_releases_nothing(run, roll_out):
    result = run("release", "--refused", "--dry-run")

    assert result.exit_code == 0
    assert result.stdout.count(": released until") == len(WAVE)
    assert enroll(roll_out, "PC-01").status_code == 409


def test_more_than_one_needs_yes_where_nobody_can_be_asked(run, roll_out):
    result = run("release", "--refused")

    assert (result.exit_code, result.stdout) == (1, "")
    assert "This would change 12 machines." in result.stderr
    assert run("release", "--refused", "--token", "2").stdout == (
        "No machine is waiting for a release.\n"
    )


def test_on_a_terminal_it_asks_with_the_number(run, roll_out, monkeypatch):
    monkeypatch.setattr("lea_fleet.cli.consent.is_somebody_there", lambda: True)
    monkeypatch.setattr("lea_fleet.cli.release_refused.is_somebody_there", lambda: True)
    result = run("release", "--refused", input="n\n")
    assert result.exit_code == 1
    assert "Release 12 machines? [y/N]" in result.stderr
    assert enroll(roll_out, "PC-01").status_code == 409

    assert run("release", "--refused", input="y\n").exit_code == 0
    assert enroll(roll_out, "PC-01").status_code == 201


def test_as_json_it_says_which_and_which_not(run, roll_out):
    result = run("release", "--refused", "--yes", "--json")
    said = json.loads(result.stdout)

    assert sorted(each["machine_id"] for each in said["agents"]) == WAVE
    assert {each["enrollment_token"] for each in said["agents"]} == {1}
    assert said["machines"] == said["agents"]
    assert said["still_alive"] == [
        {
            "machine_id": "PC-ALIVE",
            "last_seen_at": "2026-03-05T16:00:00.123456+00:00",
        }
    ]


def test_machines_that_were_uninstalled_meanwhile_need_no_release(run, operator):
    operator.enroll("PC-1")
    enroll(operator, "PC-1")
    operator.uninstall("PC-1")

    assert (
        run("release", "--refused").stdout == "No machine is waiting for a release.\n"
    )
    assert listed(run)[0]["agent_status"] == "uninstalled"
    assert "uninstalled" in run("refused").stdout


def test_a_blocked_machine_that_another_server_made_active_is_left_out(
    run, operator, engine
):
    for machine_id in ("PC-1", "PC-2"):
        operator.enroll(machine_id)
        enroll(operator, machine_id)
    assert operator.post("/machines/PC-1/block").status_code == 200
    engine.execute(
        "UPDATE enrolled_agents SET status = 'active' WHERE machine_id = 'PC-1'"
    )

    result = run("release", "--refused")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("PC-2: released until ")
    assert result.stdout.count("\n") == 1


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("PC-1", "--refused"),
        ("--refused", "--without-token"),
        ("--refused", "--cancel"),
        ("--refused", "--code", "token_expired"),
        ("PC-1", "--token", "1"),
        ("PC-1", "--code", "already_enrolled"),
        ("PC-1", "--since", "1d"),
    ],
)
def test_what_cannot_be_meant_is_refused(run, operator, words):
    operator.enroll("PC-1")
    result = run("release", *words)

    assert (result.exit_code, result.stdout) == (2, "")


# The list


def test_the_table_says_what_to_do_for_each_code(run, operator, roll_out, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    enroll(operator, "A/B", hostname="LYON-1")
    lines = run("refused").stdout.splitlines()

    assert lines[:3] == [
        "MACHINE   HOSTNAME  CODE              TOKEN     TIMES  LAST     STATE",
        "-         LYON-1    invalid_field     operator  1      now      -",
        "PC-ALIVE  PC-ALIVE  already_enrolled  1         1      8 h ago  still alive",
    ]
    assert len(lines) == 2 + len(WAVE) + 4
    assert lines[-3:] == [
        "",
        f"already_enrolled: {REMEDIES['already_enrolled']}",
        f"invalid_field: {REMEDIES['invalid_field']}",
    ]


def test_each_code_has_its_remedy():
    assert tuple(REMEDIES) == CODES


def test_without_refusals_it_says_so(run, begun):
    assert run("refused").stdout == "No machine was refused.\n"


def test_it_can_be_filtered(run, operator, roll_out, the_clock):
    the_clock.advance(minutes=5)
    enroll(operator, "A/B")

    assert len(listed(run)) == len(WAVE) + 2
    assert [row["machine_id"] for row in listed(run, "--since", "1h")] == [None]
    assert [row["machine_id"] for row in listed(run, "--token", "0")] == [None]
    assert len(listed(run, "--token", "1")) == len(WAVE) + 1
    assert len(listed(run, "--code", "already_enrolled")) == len(WAVE) + 1


@pytest.mark.parametrize(
    ("option", "delimiter"), [("--csv", ","), ("--semicolon", ";")]
)
def test_as_csv_it_is_whole_and_runs_no_formula(run, operator, option, delimiter):
    installer = operator.installer()
    operator.request("DELETE", "/enrollment-tokens/1")
    enroll(installer, "=PC-1", hostname="+1")
    text = run("refused", option).stdout.removeprefix("\ufeff")
    (row,) = csv.DictReader(io.StringIO(text), delimiter=delimiter)

    assert row["machine_id"] == "'=PC-1"
    assert row["hostname"] == "'+1"
    assert row["code"] == "token_revoked"
    assert row["still_alive"] == "false"


def test_json_and_csv_cannot_both_be_printed(run, begun):
    assert run("refused", "--json", "--csv").exit_code == 2
