"""A PC that was set up anew: told by list and show, until it is replaced."""

from __future__ import annotations

import json
import shlex

import pytest


@pytest.fixture
def fleet(operator, run, the_clock, tmp_path, monkeypatch):
    """OLD and NEW are one PC; the name of PC-2 was said by nobody."""
    monkeypatch.setenv("COLUMNS", "200")
    mail = {"user_email": "zoe@example.com"}
    operator.installer().enroll("OLD", hostname="COMPTA-3", **mail)
    operator.installer().enroll("HOLIDAY", hostname="HOME", **mail)
    file = tmp_path / "machines.csv"
    file.write_text("machine_id,hostname\nPC-1,PARIS-1\n")
    assert run("import", file).exit_code == 0
    the_clock.advance(days=1)
    agent = operator.installer().enroll("NEW", user_email="ZOE@example.com")
    the_clock.advance(minutes=1)
    agent.heartbeat(hostname="compta-3")
    assert run("enroll", "PC-2", "--hostname", "paris-1").exit_code == 0
    return operator


def marks(run, *words):
    lines = run("list", *words).stdout.splitlines()
    return {line.split()[0] for line in lines if "=" in line}


def test_the_list_marks_the_former_machines_and_can_list_them_alone(fleet, run):
    assert marks(run) == {"OLD", "PC-1"}
    assert "offline=" in run("list").stdout
    listed = json.loads(run("list", "--duplicate", "--json").stdout)["agents"]
    assert {agent["machine_id"] for agent in listed} == {"OLD", "PC-1"}
    assert marks(run, "--duplicate") == {"OLD", "PC-1"}


def lines_of(run, machine):
    shown = run("show", machine).stdout.split("\n\n")[0].splitlines()
    found, heading = {}, ""
    for line in shown:
        heading = line[:11].strip() or heading
        found.setdefault(heading, []).append(line[13:])
    return found


def test_show_names_both_with_who_said_the_name_and_the_command(fleet, run):
    old, new = lines_of(run, "OLD"), lines_of(run, "NEW")

    said = [
        "hostname of OLD: said 2026-03-02 08:00:00 by itself",
        "hostname of NEW: said 2026-03-03 08:01:00 by itself",
        "To uninstall the former: flask fleet replace OLD NEW",
    ]
    assert old["REPLACED BY"] == [
        "NEW, it seems, which came 2026-03-03 08:00:00",
        *said,
    ]
    assert new["REPLACES"] == ["OLD, it seems, last seen 1 d ago", *said]
    imported = lines_of(run, "PC-1")["REPLACED BY"]
    assert imported[1:3] == [
        "hostname of PC-1: imported or typed, not said by the machine",
        "hostname of PC-2: imported or typed, not said by the machine",
    ]


def test_another_machine_of_a_user_is_named_without_a_command(fleet, run):
    other = lines_of(run, "HOLIDAY")

    assert [line.split(",")[0] for line in other["SAME USER"]] == ["NEW", "OLD"]
    assert "replace" not in run("show", "HOLIDAY").stdout
    assert "SAME USER" not in lines_of(run, "PC-2")


def test_show_as_json_has_the_same(fleet, run):
    shown = json.loads(run("show", "OLD", "--json").stdout)

    (pair,) = shown["duplicates"]
    assert pair["because"] == "hostname"
    assert pair["former"] == {
        "machine_id": "OLD",
        "hostname": "COMPTA-3",
        "enrolled_at": "2026-03-02T08:00:00.123456+00:00",
        "last_seen_at": "2026-03-02T08:00:00.123456+00:00",
        "hostname_said_by": "machine",
        "hostname_said_at": "2026-03-02T08:00:00.123456+00:00",
    }
    assert pair["heir"]["machine_id"] == "NEW"
    assert [each["machine_id"] for each in shown["same_user"]] == ["NEW", "HOLIDAY"]
    gone = json.loads(run("show", "PC-2", "--json").stdout)
    assert gone["same_user"] == []


def test_replace_uninstalls_the_former_machine_and_names_the_other(fleet, run):
    result = run("replace", "OLD", "NEW")

    assert result.stdout == "OLD: uninstalled, replaced by NEW\n"
    assert fleet.machine("OLD")["uninstall_reason"] == "replaced by NEW"
    for machine, other, because in (("OLD", "NEW", "by"), ("NEW", "OLD", "of")):
        event = fleet.get(f"/machines/{machine}/events").json["events"][0]
        assert event["event"] == "replaced"
        assert event["detail"] == {"other": other, "because": because}
        assert event["actor"] == {"role": "cli", "os_user": "amelie"}
    again = run("replace", "OLD", "NEW", "--json")
    assert json.loads(again.stdout)["agent"]["status"] == "uninstalled"
    assert "uninstalled since" in run("replace", "OLD", "NEW").stdout
    assert marks(run) == {"PC-1"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["NEW", "PC-2"],
            "NEW is online: a machine that another one has replaced is not",
        ),
        (["OLD", "OLD"], "must be another machine"),
        (["OLD", "nobody"], "nobody has never been enrolled"),
        (["old", "NEW"], "Did you mean OLD?"),
        (["PC-1", "GONE"], "GONE is uninstalled"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(fleet, run, engine, words, said):
    fleet.enroll("GONE")
    fleet.uninstall("GONE")
    before = engine.contents()

    result = run("replace", *words)

    assert result.exit_code in (1, 2)
    assert said in result.stderr
    assert engine.contents() == before


def test_force_and_a_dry_run(fleet, run, engine):
    before = engine.contents()
    tried = run("replace", "NEW", "PC-2", "--force", "--dry-run", "--json")
    assert json.loads(tried.stdout)["dry_run"] is True
    assert engine.contents() == before

    assert run("replace", "NEW", "PC-2", "--force", "--yes").exit_code == 0
    assert fleet.machine("NEW")["status"] == "uninstalled"


def test_ids_with_braces_and_dashes_can_be_typed_as_they_are_shown(
    operator, run, the_clock
):
    one = "{A1B2C3D4-0000-4000-8000-00000000002F}"
    operator.enroll(one, hostname="x")
    operator.enroll("-dash x", hostname="y")
    the_clock.advance(days=1)
    operator.enroll(one.strip("{}").lower())
    operator.enroll("-other", hostname="y")

    for machine in (one, "-dash x"):
        shown = run("show", "--", machine).stdout
        (command,) = [line for line in shown.splitlines() if "fleet replace" in line]
        words = shlex.split(command.partition("flask fleet ")[2])
        assert run(*words).exit_code == 0
        assert (
            operator.get("/fleet", query_string={"machine_id": machine}).json["active"]
            == []
        )
