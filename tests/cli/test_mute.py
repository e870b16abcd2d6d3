"""``flask fleet mute`` and ``unmute``: what they do, say and refuse."""

from __future__ import annotations

import json

import pytest


@pytest.fixture
def machine(operator, the_clock):
    operator.enroll("PC-1")
    operator.enroll("PC-2")


def test_a_machine_is_muted_and_unmuted(run, operator, machine):
    result = run("mute", "PC-1", "--for", "14d")

    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "PC-1: muted until 2026-03-16 08:00:00\n"
    until = "2026-12-24T00:00:00+00:00"
    told = json.loads(run("mute", "PC-1", "--until", "2026-12-24", "--json").stdout)
    assert told == {"machine_id": "PC-1", "muted_until": until}
    assert operator.get("/machines/PC-1").json["muted_until"] == until
    assert run("unmute", "PC-1").stdout == "PC-1: not muted\n"
    assert operator.get("/machines/PC-1").json["muted_until"] is None


@pytest.mark.parametrize("words", [("mute", "PC-1", "--for", "1d"), ("unmute", "PC-1")])
def test_a_dry_run_changes_nothing(run, machine, engine, words):
    run("mute", "PC-1", "--for", "14d")
    before = engine.contents()

    result = run(*words, "--dry-run")

    assert result.exit_code == 0
    assert result.stdout.startswith("Dry run; nothing was changed.")
    assert engine.contents() == before


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--for", "1d", "--until", "2026-12-24"),
        ("--for", "never"),
        ("--for", "0s"),
        ("--until", "soon"),
        ("--until", "14d"),
        ("--until", "2026-03-02"),
    ],
    ids=" ".join,
)
def test_what_is_no_time_to_come_is_exit_code_2(run, operator, machine, words):
    result = run("mute", "PC-1", *words)

    assert (result.exit_code, result.stdout) == (2, "")
    assert operator.get("/machines/PC-1").json["muted_until"] is None


def test_a_machine_that_is_not_known_is_offered_a_near_one(run, machine):
    for words in (("mute", "pc-1", "--for", "1d"), ("unmute", "pc-1")):
        result = run(*words)
        assert (result.exit_code, result.stdout) == (1, "")
        assert "Did you mean PC-1?" in result.stderr


def test_it_is_seen_where_machines_are_seen(run, machine):
    assert "MUTED" not in run("show", "PC-1").stdout
    run("mute", "PC-1", "--until", "2026-12-24")

    assert "MUTED        until 2026-12-24 00:00:00\n" in run("show", "PC-1").stdout
    told = json.loads(run("show", "PC-1", "--json").stdout)
    assert told["muted_until"] == "2026-12-24T00:00:00+00:00"
    lines = run("list").stdout.splitlines()
    assert [line.split()[0] for line in lines if "online, muted" in line] == ["PC-1"]
    told = json.loads(run("list", "--muted", "--json").stdout)
    assert [agent["machine_id"] for agent in told["agents"]] == ["PC-1"]
    told = json.loads(run("doctor", "--json").stdout)
    (found,) = [each for each in told["checks"] if each["check"] == "muted"]
    assert (found["level"], found["detail"]) == (
        "ok",
        "nobody is alerted about 1: PC-1",
    )
