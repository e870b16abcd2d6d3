"""``flask fleet retire``: what it does, says and refuses."""

from __future__ import annotations

import json

import pytest


@pytest.fixture
def agent(operator, the_clock):
    operator.enroll("PC-2")
    return operator.enroll("PC-1")


def test_a_machine_is_retired_and_its_retirement_cancelled(run, agent, the_clock):
    result = run("retire", "PC-1")

    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "PC-1: to be retired since 2026-03-02 08:00:00\n"
    assert agent.heartbeat().json["retire"] is True
    told = json.loads(run("retire", "PC-1", "--json").stdout)
    at = the_clock.iso()
    assert told == {"machine_id": "PC-1", "retired_at": at, "told_at": at}
    result = run("retire", "PC-1", "--cancel")
    assert result.stdout == "PC-1: not to be retired\n"
    assert "retire" not in agent.heartbeat().json
    told = json.loads(run("retire", "PC-1", "--cancel", "--json").stdout)
    assert told == {"machine_id": "PC-1", "retired_at": None, "told_at": None}


@pytest.mark.parametrize("more", [(), ("--cancel",)])
def test_a_dry_run_changes_nothing(run, agent, engine, more):
    if more:
        run("retire", "PC-1")
    before = engine.contents()

    result = run("retire", "PC-1", *more, "--dry-run")

    assert result.exit_code == 0
    assert result.stdout.startswith("Dry run; nothing was changed.")
    assert engine.contents() == before


def test_what_cannot_be_retired_is_said(run, operator, agent):
    result = run("retire", "pc-1")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "Did you mean PC-1?" in result.stderr
    operator.uninstall("PC-1")
    result = run("retire", "PC-1")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "PC-1 is uninstalled" in result.stderr


def test_it_is_seen_where_machines_are_seen(run, agent, the_clock):
    assert "RETIRING" not in run("show", "PC-1").stdout
    run("retire", "PC-1")

    (line,) = [
        line
        for line in run("show", "PC-1").stdout.splitlines()
        if line.startswith("RETIRING")
    ]
    assert line.endswith("; its agent has not come since")
    agent.heartbeat()
    assert "; told 2026-03-02 08:00:00\n" in run("show", "PC-1").stdout
    told = json.loads(run("show", "PC-1", "--json").stdout)
    assert told["retirement"]["told_at"] == the_clock.iso()
    lines = run("list").stdout.splitlines()
    assert [line.split()[0] for line in lines if "online, retiring" in line] == ["PC-1"]

    def listed(*words):
        told = json.loads(run("list", *words, "--json").stdout)
        return [agent["machine_id"] for agent in told["agents"]]

    assert listed("--retiring") == ["PC-1"]
    assert listed("--not-retiring") == ["PC-2"]
    assert listed("--ignores-retire") == []


def test_the_doctor_warns_of_agents_that_do_not_know_it(run, agent, the_clock):
    def said():
        told = json.loads(run("doctor", "--json").stdout)
        (found,) = [each for each in told["checks"] if each["check"] == "retiring"]
        return found

    run("retire", "PC-1")
    assert (said()["level"], said()["detail"]) == ("ok", "1 machines are to be retired")
    agent.heartbeat()
    the_clock.advance(minutes=3)
    agent.heartbeat()

    found = said()
    assert (found["level"], found["detail"][-6:]) == ("warning", ": PC-1")
    assert "flask fleet uninstall MACHINE" in found["action"]
    lines = run("list", "--ignores-retire").stdout.splitlines()
    assert lines[1].startswith("PC-1 ")
