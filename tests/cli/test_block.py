"""``flask fleet block``, ``unblock`` and ``blocked``: what they do, say and refuse."""

from __future__ import annotations

import json

import pytest

from tests.support.api import assert_problem
from tests.support.traces import BOB, ZOE, traces

EMAIL = ZOE["user_email"]


def blocked(operator, machine_id="PC-1"):
    response = operator.post("/enroll", {"machine_id": machine_id, "force": True})
    if response.status_code == 201:
        return False
    assert_problem(response, 403, "machine_blocked")
    return True


def test_a_machine_is_blocked_and_unblocked(run, operator):
    operator.enroll("PC-1")

    result = run("block", "PC-1", "--reason", "stolen")

    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "PC-1: blocked\nPC-1: uninstalled\n"
    assert blocked(operator)
    assert run("unblock", "pc-1").stdout == "PC-1: unblocked\n"
    assert not blocked(operator)
    assert run("unblock", "PC-1").stdout == "PC-1: was not blocked\n"


def test_the_json_is_that_of_the_api(run, operator, the_clock):
    operator.enroll("PC-1")
    told = json.loads(run("block", "PC-1", "--reason", "stolen", "--json").stdout)

    assert told == {
        "machine_id": "PC-1",
        "blocked_at": the_clock.iso(),
        "reason": "stolen",
        "in_fleet": True,
        "uninstalled": ["PC-1"],
    }
    listed = json.loads(run("blocked", "--json").stdout)
    del told["uninstalled"]
    assert listed == {"blocks": operator.get("/blocks").json["blocks"]}
    assert listed == {"blocks": [told]}
    told = json.loads(run("unblock", "PC-1", "--json").stdout)
    assert told == {"machine_id": "PC-1", "blocked_at": None}


def test_a_dry_run_says_the_same_and_changes_nothing(run, operator, engine):
    operator.enroll("PC-1")
    operator.enroll("pc-1")
    before = engine.contents()

    result = run("block", "PC-1", "--dry-run")

    assert result.exit_code == 0
    assert result.stdout == (
        "Dry run; nothing was changed. It would be:\n"
        "PC-1: blocked\nPC-1: uninstalled\npc-1: uninstalled\n"
    )
    assert engine.contents() == before
    run("block", "PC-1")
    before = engine.contents()
    assert "PC-1: unblocked" in run("unblock", "PC-1", "--dry-run").stdout
    assert engine.contents() == before


def test_an_id_that_was_never_seen_is_blocked_and_said_to_be_unknown(run, operator):
    operator.enroll("PC-11")

    result = run("block", "PC-1")

    assert result.exit_code == 0
    assert result.stdout == (
        "PC-1: blocked. No machine with this id has ever been enrolled. Did you mean"
        " PC-11?\n"
    )
    assert blocked(operator)


@pytest.mark.parametrize("machine_id", ["a/b", "..", "x" * 129, "a\u200bb"])
def test_what_is_no_id_of_a_machine_is_exit_code_2(run, operator, machine_id):
    operator.enroll("PC-1")

    assert run("block", machine_id).exit_code == 2
    assert json.loads(run("blocked", "--json").stdout) == {"blocks": []}


def test_the_list_is_a_table(run, operator, the_clock):
    operator.enroll("PC-1")
    assert run("blocked").stdout == "No machine is blocked.\n"
    run("block", "PC-1", "--reason", "stolen\x1b[2J")
    the_clock.advance(seconds=1)
    run("block", "PC-9")

    assert run("blocked").stdout.splitlines() == [
        "MACHINE  BLOCKED              IN FLEET  REASON",
        "PC-9     2026-03-02 08:00:01  no        -",
        "PC-1     2026-03-02 08:00:00  yes       stolen\\x1b[2J",
    ]


def test_an_uninstall_can_block_too(run, operator, the_clock):
    for machine_id in ("PC-1", "pc-1", "PC-2"):
        operator.enroll(machine_id)
    operator.uninstall("PC-2")

    words = ("PC-1", "PC-2", "--reason", "stolen", "--block", "--yes")
    result = run("uninstall", *words)

    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [
        "PC-1: uninstalled, blocked",
        "pc-1: uninstalled",
        (
            "PC-2: uninstalled since 2026-03-02 08:00:00, blocked"
            if "2026-03-02 08" in result.stdout
            else result.stdout.splitlines()[2]
        ),
    ]
    assert blocked(operator, "PC-1") and blocked(operator, "PC-2")
    told = json.loads(run("uninstall", "PC-1", "--block", "--json").stdout)
    assert told["agents"] == [operator.machine("PC-1")]


def test_an_uninstall_alone_blocks_nothing(run, operator):
    operator.enroll("PC-1")
    run("uninstall", "PC-1")

    assert not blocked(operator)


@pytest.mark.parametrize(
    "words",
    [
        ("enroll", "pc-1"),
        ("enroll", "PC-1", "--force"),
        ("release", "PC-1"),
        ("rotate", "PC-1", "--now"),
        ("edit", "PC-1", "--id", "PC-3"),
        ("edit", "PC-2", "--id", "Pc-1"),
    ],
    ids=" ".join,
)
def test_what_is_blocked_is_refused_with_what_to_do(run, operator, engine, words):
    for machine_id in ("PC-1", "PC-2"):
        operator.enroll(machine_id)
    run("block", "PC-1", "--reason", "stolen")
    before = engine.contents()
    engine.older_server()
    if words[0] == "rotate":
        engine.older_server().enroll("PC-1")

    result = run(*words)

    assert (result.exit_code, result.stdout) == (1, "")
    assert "is blocked. Unblock it with: flask fleet unblock" in result.stderr
    if words[0] != "rotate":
        assert engine.contents() == before


def test_other_details_of_a_blocked_machine_can_be_mended(run, operator):
    operator.enroll("PC-1")
    run("block", "PC-1")

    assert run("edit", "PC-1", "--version", "2").exit_code == 0
    assert operator.machine()["version"] == "2"


@pytest.mark.parametrize("is_known", [True, False])
def test_an_import_refuses_the_line(run, operator, tmp_path, is_known):
    operator.enroll("PC-1" if is_known else "PC-3")
    run("block", "PC-1")
    file = tmp_path / "machines.csv"
    file.write_text("machine_id\npc-1\nPC-1\nPC-2\n")

    for words in (["--dry-run"], ["--yes"]):
        result = run("import", str(file), *words, "--json")
        told = json.loads(result.stdout)
        assert (result.exit_code, told["imported"], told["refused"]) == (1, 1, 2)
        assert [error["line"] for error in told["errors"]] == [2, 3]
        assert "machine_id is blocked" in told["errors"][0]["reason"]
    assert blocked(operator)


def test_the_block_is_on_the_screen_of_the_machine(run, operator):
    operator.enroll("PC-1")
    assert "BLOCKED" not in run("show", "PC-1").stdout
    assert json.loads(run("show", "PC-1", "--json").stdout)["block"] is None
    run("block", "PC-1", "--reason", "stolen\x1b[2J")

    shown = run("show", "PC-1").stdout
    (line,) = [line for line in shown.splitlines() if line.startswith("BLOCKED")]
    assert line.endswith("stolen\\x1b[2J")
    told = json.loads(run("show", "PC-1", "--json").stdout)
    assert told["block"]["reason"] == "stolen\x1b[2J"


def test_lists_mark_blocked_machines_and_can_be_of_them_alone(run, operator):
    for machine_id in ("PC-1", "PC-2", "PC-3"):
        operator.enroll(machine_id)
    run("block", "pc-1")
    operator.uninstall("PC-2")

    lines = run("list", "--status", "all").stdout.splitlines()
    marks = {line.split()[0]: "uninstalled, blocked" in line for line in lines[1:4]}
    assert marks == {"PC-1": True, "PC-2": False, "PC-3": False}
    departed = run("list", "--status", "uninstalled").stdout.splitlines()
    assert [line.split()[0] for line in departed if ", blocked" in line] == ["PC-1"]

    def listed(*words):
        told = json.loads(run("list", *words, "--json").stdout)
        return [agent["machine_id"] for agent in told["agents"]]

    assert listed("--blocked") == ["PC-1"]
    assert listed("--blocked", "--status", "active") == []
    assert listed("--not-blocked") == ["PC-3"]
    assert set(listed("--not-blocked", "--status", "all")) == {"PC-2", "PC-3"}


def test_the_doctor_finds_a_fault_where_an_older_server_brings_one_back(
    run, operator, engine
):
    operator.enroll("PC-1")
    run("block", "PC-1")

    def said():
        told = json.loads(run("doctor", "--json").stdout)
        (found,) = [each for each in told["checks"] if each["check"] == "blocked"]
        return found

    found = said()
    assert (found["level"], found["action"]) == ("ok", "")
    assert found["detail"] == "1 blocked, none of them active"
    engine.older_server().enroll("PC-1")
    engine.older_server().enroll("pc-1")
    found = said()
    assert found["level"] == "fault"
    assert found["detail"].endswith(": PC-1, pc-1")
    assert "flask fleet block MACHINE" in found["action"]
    assert run("block", "PC-1").stdout == (
        "PC-1: blocked\nPC-1: uninstalled\npc-1: uninstalled\n"
    )
    assert said()["level"] == "ok"


# Personal data


@pytest.mark.usefixtures("deletes_nothing_by_itself")
@pytest.mark.parametrize("is_known", [True, False])
def test_a_reason_that_names_a_person_is_erased_with_them(
    run, operator, engine, is_known
):
    operator.enroll("PC-1" if is_known else "PC-3", **BOB)
    run("block", "PC-1", "--reason", f"stolen from {EMAIL}")
    run("block", "PC-2", "--reason", "stolen")

    shown = json.loads(run("erase", "--user", EMAIL, "--json").stdout)
    assert shown["rows"]["lea_fleet_blocks"] == 1
    assert run("erase", "--user", EMAIL, "--yes").exit_code == 0

    reasons = [each["reason"] for each in operator.get("/blocks").json["blocks"]]
    assert sorted(reasons, key=str) == [None, "stolen"]
    assert traces(engine, EMAIL) == []
    assert blocked(operator)


@pytest.mark.usefixtures("deletes_nothing_by_itself")
def test_a_reason_that_names_the_user_of_the_machine_is_erased_with_it(
    run, operator, engine
):
    operator.enroll("PC-1", **ZOE)
    run("block", "pc-1", "--reason", f"stolen from {ZOE['user_name']}")

    assert run("erase", "PC-1", "--yes").exit_code == 0

    assert operator.get("/blocks").json["blocks"][0]["reason"] is None
    assert traces(engine, ZOE["user_name"]) == []


def test_an_id_of_which_only_the_block_is_left_can_be_erased(run, operator, the_clock):
    operator.get("/fleet")
    run("block", "PC-9", "--reason", f"stolen from {EMAIL}")
    the_clock.advance(days=200)
    assert run("prune", "--events-older-than", "100d", "--yes").exit_code == 0

    assert run("erase", "PC-9").exit_code == 0
    assert run("erase", "--user", EMAIL, "--yes").exit_code == 0
    assert operator.get("/blocks").json["blocks"][0]["reason"] is None


def test_an_export_has_the_blocks_of_a_person(run, operator):
    operator.enroll("PC-1", **ZOE)
    operator.enroll("PC-2", **BOB)
    run("block", "PC-1", "--reason", "stolen")
    run("block", "PC-2", "--reason", f"was of {EMAIL}")
    run("block", "PC-3", "--reason", f"from {EMAIL} to {BOB['user_email']}")
    run("block", "PC-4", "--reason", "stolen")

    def exported(person):
        told = json.loads(run("export", "--user", person["user_email"]).stdout)
        return {each["machine_id"]: each["reason"] for each in told["blocks"]}

    assert exported(ZOE) == {
        "PC-1": "stolen",
        "PC-2": f"was of {EMAIL}",
        "PC-3": f"from {EMAIL} to {BOB['user_email']}",
    }
    assert exported(BOB).keys() == {"PC-2", "PC-3"}
