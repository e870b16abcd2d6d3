"""``flask fleet events --follow``: nothing is missed, by processes that are killed."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from lea_fleet.app.database import get_host_repository
from tests.support.api import OPERATOR_TOKEN
from tests.support.processes import heed_interrupts

_DEADLINE = 60  # seconds
FOLLOW = ("--follow", "--interval", "0.05s")


@pytest.fixture
def enroll(app, engine):
    """Enroll machines, as the host does."""

    def enroll(*machines):
        with app.app_context():
            for machine in machines:
                get_host_repository().enroll(machine)
        engine.wait_for_others()

    return enroll


@pytest.fixture
def start(engine):
    """Run the command in another process, which a shell does not stand before."""

    @contextmanager
    def start(*words, stdout=subprocess.PIPE):
        with subprocess.Popen(
            [sys.executable, "-m", "flask", "--app", "lea_fleet", "fleet", "events"]
            + [*map(str, words)],
            env={**os.environ, "RPA_API_TOKEN": OPERATOR_TOKEN, **engine.environment},
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=heed_interrupts,
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    return start


def machines(lines):
    return [json.loads(line)["machine_id"] for line in lines]


def taken(process, count):
    return machines(process.stdout.readline() for _ in range(count))


def test_new_events_are_shown_until_ctrl_c_says_where_to_go_on(enroll, start, run):
    enroll("PC-1")
    with start(*FOLLOW, "--json", "--from", "beginning") as process:
        assert taken(process, 1) == ["PC-1"]
        enroll("PC-2", "PC-3")
        assert taken(process, 2) == ["PC-2", "PC-3"]
        process.send_signal(signal.SIGINT)
        rest, said = process.communicate(timeout=_DEADLINE)
    assert (process.returncode, rest) == (0, "")
    enroll("PC-4")

    words = said.strip().rpartition(": ")[2].split()
    assert said.splitlines()[-1] == f"To go on from here: {' '.join(words)}"

    again = machines(run("events", *words, "--json").stdout.splitlines())
    # Ctrl-C may come before it notices that the last lines have been read.
    assert again and again == ["PC-2", "PC-3", "PC-4"][-len(again) :]


def test_it_begins_with_new_events_or_those_since_a_time(enroll, run, the_clock):
    enroll("PC-1")
    the_clock.advance(days=2)
    enroll("PC-2")

    assert run("events", "--from", "now").stdout == ""
    shown = run("events", "--from", "beginning", "--since", "1d", "--jsonl").stdout
    assert machines(shown.splitlines()) == ["PC-2"]


def test_each_line_has_the_position_to_go_on_from(enroll, run):
    enroll("PC-1", "PC-2", "PC-3")
    lines = run("events", "--from", "beginning", "--jsonl").stdout.splitlines()

    for number, line in enumerate(lines):
        words = ("--from", json.loads(line)["position"], "--jsonl")
        assert run("events", *words).stdout.splitlines() == lines[number + 1 :]


def test_for_people_the_lines_are_aligned(enroll, operator, run):
    operator.installer(label="a\x1b[31m\nb")
    enroll("PC-1")

    made, enrolled = run("events", "--from", "beginning").stdout.splitlines()

    assert made[21:].startswith("enrollment_token_created  -  operator 127.0.0.1")
    assert r"label=a\x1b[31m\nb" in made
    assert enrolled[21:] == "enrolled                  PC-1  host"


def test_filters_count_and_what_they_leave_out_is_passed(enroll, operator, run):
    enroll("PC-1")
    operator.uninstall("PC-1")
    enroll("PC-2")

    for words, expected in (
        (["PC-1"], ["PC-1", "PC-1"]),
        (["--event", "uninstalled"], ["PC-1"]),
        (["--actor", "host"], ["PC-1", "PC-2"]),
    ):
        result = run("events", "--from", "beginning", "--jsonl", *words)
        assert machines(result.stdout.splitlines()) == expected
        said = result.stderr.splitlines()[-1].split()[-2:]
        assert run("events", *said, "--jsonl").stdout == ""


def test_a_position_that_is_kept_is_gone_on_from(enroll, run, tmp_path):
    state = tmp_path / "position"
    words = ("events", "--jsonl", "--state", state)
    enroll("PC-1")
    assert run(*words).stdout == ""  # from now on, if nothing else is said
    assert run(*words, "--from", "beginning").stdout == ""  # the file counts
    enroll("PC-2")
    assert machines(run(*words).stdout.splitlines()) == ["PC-2"]
    assert run(*words).stdout == ""
    state.unlink()
    result = run(*words, "--from", "beginning")
    assert machines(result.stdout.splitlines()) == ["PC-1", "PC-2"]
    assert [*tmp_path.glob("*position*")] == [state]


@pytest.mark.parametrize("content", ["7", "x-1", "\udcff"])
def test_a_file_without_a_position_is_refused(begun, run, tmp_path, content):
    state = tmp_path / "position"
    state.write_bytes(content.encode(errors="surrogateescape"))

    result = run("events", "--state", state)

    assert result.exit_code == 1
    assert str(state) in result.stderr
    assert state.read_bytes() == content.encode(errors="surrogateescape")


def test_a_file_that_cannot_be_written_is_named_before_anything_is_shown(
    enroll, run, tmp_path
):
    enroll("PC-1")

    result = run("events", "--from", "beginning", "--state", tmp_path / "no" / "file")

    assert (result.exit_code, result.stdout) == (1, "")
    assert "cannot be written: No such file" in result.stderr


def test_a_reader_that_leaves_ends_it_quietly(enroll, start):
    enroll("PC-1")
    with start(*FOLLOW, "--jsonl", "--from", "beginning") as process:
        taken(process, 1)
        process.stdout.close()
        enroll("PC-2")
        said = process.stderr.read()
        assert process.wait(_DEADLINE) == 0
    assert [line for line in said.splitlines() if "Error" in line] == []


def test_what_is_left_in_a_pipe_is_printed_again(enroll, start, tmp_path):
    """A reader is killed, and takes with it what it had not read."""
    state = tmp_path / "position"
    words = (*FOLLOW, "--jsonl", "--from", "beginning", "--state", state)
    enroll("PC-1", "PC-2")
    reader, writer = os.pipe()
    with start(*words, stdout=writer) as process:
        os.close(writer)
        while not os.read(reader, 1):
            pass
        os.close(reader)
        assert process.wait(_DEADLINE) == 0

    with start(*words) as process:
        assert taken(process, 2) == ["PC-1", "PC-2"]


def test_a_database_that_goes_away_is_waited_for(enroll, engine, start):
    enroll("PC-1")
    with start(*FOLLOW, "--jsonl", "--from", "beginning") as process:
        assert taken(process, 1) == ["PC-1"]
        with engine.missing():
            while "Trying again." not in process.stderr.readline():
                pass
        enroll("PC-2")
        assert taken(process, 1) == ["PC-2"]


def test_killed_at_any_moment_it_misses_none(enroll, engine, start, tmp_path):
    """Ten times, while others write; what is repeated has the same id."""
    state = tmp_path / "position"
    words = (*FOLLOW, "--jsonl", "--from", "beginning", "--state", state)
    numbers = itertools.count()
    seen = []
    for round in range(10):
        enroll(*(f"PC-{next(numbers)}" for _ in range(5)))
        path = tmp_path / f"out-{round}"
        with path.open("w") as out:
            with start(*words, stdout=out) as process:
                deadline = time.monotonic() + _DEADLINE
                while path.stat().st_size < 300 * (round % 3):
                    assert time.monotonic() < deadline
                    time.sleep(0.001)
                enroll(f"PC-{next(numbers)}")
                process.send_signal(signal.SIGKILL)
                process.wait(_DEADLINE)
        seen += path.read_text().split("\n")[:-1]  # a last line may be cut
    with start("--jsonl", "--state", state, "--from", "beginning") as process:
        seen += process.stdout.read().splitlines()

    told = {}
    for event in map(json.loads, seen):
        assert told.setdefault(event["id"], event) == event
    in_order = [told[number]["machine_id"] for number in sorted(told)]
    assert in_order == [f"PC-{number}" for number in range(next(numbers))]
