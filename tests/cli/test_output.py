"""Output that does not fit or that nobody reads: one line, exit code 1, no change."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys

import pytest

from tests.support.api import OPERATOR_TOKEN
from tests.support.docs import ROOT
from tests.support.processes import run_script

#: Those that read, or only print.
READING = [
    "list",
    "list --json",
    "list --csv",
    "show PC-1",
    "events --json",
    "summary",
    "export --user zoe@example.com",
    "doctor --json",
    "openapi",
    "token list",
    "erase PC-1",
    "--help",
    "token --help",
    "list --help",
]
#: Those that change something, in one transaction.
CHANGING = [
    "enroll PC-2",
    "enroll PC-2 --json",
    "uninstall PC-1",
    "release PC-1",
    "rotate PC-1 --now",
    "edit PC-1 --id PC-3",
    "token create",
    "token create --json",
    "token revoke 1",
    "installer kit --url https://rpa.example.com",
]
#: Those that a pipe or file takes whole, or not at all.
DOCUMENTS = ["list --json", "list --csv", "openapi", "--help"]
#: Those whose work has many steps.
LONG = ["import machines.csv", "erase PC-1 --yes"]

#: Runs each command in a process of its own, and loads the program once for all, with
#: the extensions that have commands, which Flask loads for any command.
SCRIPT = """
import json, os, sys
from importlib.metadata import entry_points
from flask.cli import cli
import lea_fleet
sys.path.insert(0, sys.argv[2])
from tests.support.engines import engine_of

for each in entry_points(group="flask.commands"):
    each.load()

def state():
    return engine_of(os.environ).contents(), os.listdir()

results = {}
before = state()
for words in json.loads(sys.argv[1]):
    pid = os.fork()
    if not pid:
        os.dup2(os.open("../err", os.O_CREAT | os.O_TRUNC | os.O_WRONLY), 2)
        sys.argv = ["flask", "--app", "lea_fleet", "fleet", *words.split()]
        cli.main()
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    after = state()
    with open("../err") as err:
        results[words] = [err.read(), code, after != before]
    before = after
with open("../results", "w") as file:
    json.dump(results, file)
"""

unbuffered = pytest.mark.parametrize("unbuffered", ["", "1"], ids=["", "unbuffered"])


@pytest.fixture
def run_each(engine, operator, tmp_path):
    """Run commands with this output; return standard error, code, whether it acted."""
    operator.installer()
    operator.enroll("PC-1", user_email="zoe@example.com")
    operator.client.application.extensions["lea_fleet"].store.close_idle()
    here = tmp_path / "here"
    here.mkdir()
    (here / "machines.csv").write_text("machine_id\nPC-3\n")

    def run_each(commands, stdout, unbuffered="", **options):
        environment = {
            **os.environ,
            "RPA_API_TOKEN": OPERATOR_TOKEN,
            **engine.environment,
            "PYTHONUNBUFFERED": unbuffered,
        }
        subprocess.run(
            [sys.executable, "-c", SCRIPT, json.dumps(commands), ROOT],
            check=True,
            env=environment,
            cwd=here,
            stdout=stdout,
            **options,
        )
        return json.loads((tmp_path / "results").read_text())

    return run_each


def refused(commands, because):
    """One line, exit code 1, and nothing done."""
    said = f"Error: The output cannot be written: {because}.\n"
    return {words: [said, 1, False] for words in commands}


def test_on_a_full_disk_each_command_is_one_line_and_changes_nothing(run_each):
    commands = READING + CHANGING
    with open("/dev/full", "w") as full:
        results = run_each(commands, full)

    assert results == refused(commands, "No space left on device")


def test_half_a_document_is_never_a_success(run_each, tmp_path):
    """Unbuffered, Python drops what is left over of a write, and says nothing."""
    most, room = 1_000_000, 20  # bytes
    out = tmp_path / "out"

    def fill():
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

    for words in DOCUMENTS:
        out.write_bytes(b"-" * (most - room))
        with open(out, "ab") as almost_full:
            results = run_each([words], almost_full, "1", preexec_fn=fill)

        assert results == refused([words], "File too large")
        assert out.stat().st_size == most


def test_nothing_is_done_for_a_reader_that_is_gone(run_each):
    commands = DOCUMENTS + CHANGING + LONG
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as out:
        results = run_each(commands, out)

    assert results == refused(commands, "nobody reads it")


def test_nothing_is_done_where_the_output_is_closed(run_each):
    commands = DOCUMENTS + CHANGING + LONG
    results = run_each(commands, None, preexec_fn=lambda: os.close(1))

    assert results == refused(commands, "it is closed")


@pytest.mark.sqlite
def test_no_backup_is_made_for_a_reader_that_is_gone(run_each):
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as out:
        results = run_each(["backup copy.db"], out)

    assert results == refused(["backup copy.db"], "nobody reads it")


@unbuffered
def test_an_output_with_room_is_complete(run_each, tmp_path, unbuffered):
    with open(tmp_path / "out", "w+b") as out:
        results = run_each(["openapi"], out, unbuffered)
        out.seek(0)
        document = out.read()

    assert results == {"openapi": ["", 0, False]}
    assert document.endswith(b"\n}\n") and json.loads(document)


def test_a_token_is_printed_where_the_note_about_it_cannot_be(engine, tmp_path):
    script = '"$0" -m flask --app lea_fleet fleet token create --create 2>/dev/full'
    result = run_script(engine, f"cd {tmp_path}; {script}")

    assert result.returncode == 0
    assert result.stdout.startswith("lea_enroll_")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("show PC-9", 1),
        ("enroll 'PC/9' --create", 2),
        ("token create --max-uses 0", 2),
        ("nonsense", 2),
        ("import {folder}/m.csv --dry-run", 0),
        ("list --csv", 0),
    ],
)
def test_no_error_takes_the_place_of_the_output(
    engine, operator, app, tmp_path, words, code
):
    """Where standard error is closed, a script would take an error for a token."""
    operator.enroll("PC-1")
    app.extensions["lea_fleet"].store.close_idle()
    (tmp_path / "m.csv").write_text("machine_id\nPC-1\n")
    words = words.format(folder=tmp_path)
    result = run_script(engine, f'"$0" -m lea_fleet {words} 2>&-')

    assert result.returncode == code
    assert bool(result.stdout) == (code == 0)


@pytest.mark.parametrize("words", ["enroll PC-2", "rotate PC-1", "token create"])
def test_the_line_ends_after_the_commit(run, operator, engine, monkeypatch, words):
    """Whoever reads a whole line has a token that is on the disk."""
    operator.enroll("PC-1")

    def fail(session):
        raise engine.fault

    monkeypatch.setattr(engine.session, "commit", fail)
    result = run(*words.split())

    assert result.exit_code == 1
    assert result.stdout.startswith("lea_") and "\n" not in result.stdout
    assert result.stderr.splitlines()[-1].startswith("Error: ")


def test_a_long_answer_is_complete(run, operator):
    """Only its beginning is printed before the commit, so that no writer waits."""
    machines = [f"PC-{n}-{'x' * 100}" for n in range(30)]
    for machine in machines:
        operator.enroll(machine)

    result = run("uninstall", *machines, "--yes")

    assert result.stdout == "".join(f"{each}: uninstalled\n" for each in machines)


def test_a_reader_that_has_the_answer_may_leave(engine, tmp_path):
    script = (
        '("$0" -m flask --app lea_fleet fleet installer kit --create'
        " --url https://rpa.example.com; echo $? >&2) | head -n 1"
    )
    result = run_script(engine, f"cd {tmp_path}; {script}")

    assert result.stdout.startswith("Written into kit")
    assert result.stderr.splitlines()[-1] == "0" and "Error" not in result.stderr
