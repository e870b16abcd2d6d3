"""What asks before it changes something, and what a dry run shows."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys

import pytest

from tests.cli.test_token import COMMANDS
from tests.support.api import OPERATOR_TOKEN

pytestmark = pytest.mark.usefixtures("begun")

#: Each change to one machine or token, and the question.
ASKED = {
    "uninstall PC-1": "Uninstall PC-1 (COMPTA-3, Zoé)? Its tokens stop working.",
    "replace PC-1 PC-2 --force": (
        "Uninstall PC-1 (COMPTA-3, Zoé), which PC-2 has replaced?"
    ),
    "release PC-1": "Release PC-1 (COMPTA-3, Zoé)?",
    "release PC-1 --cancel": "Cancel the release of PC-1 (COMPTA-3, Zoé)?",
    "rotate PC-1": "Give PC-1 (COMPTA-3, Zoé) a new token?",
    "cut-off PC-1": "End all tokens of PC-1 (COMPTA-3, Zoé)?",
    "token revoke 1": "Revoke enrollment token 1 (Paris, wave 1)?",
    "token revoke 2": "Revoke enrollment token 2?",
    "operator revoke 1": "Revoke operator 1 (Nadia, helpdesk)?",
    "view delete 1": "Delete view 1 (Paris, wave 1)?",
    "edit PC-1 --version 2": "Change version of PC-1 (COMPTA-3, Zoé)?",
    "edit PC-1 --id PC-7 --user-name Bob": (
        "Change machine id, user name of PC-1 (COMPTA-3, Zoé)?"
    ),
    "enroll PC-1 --force": "Enroll PC-1 (COMPTA-3, Zoé) again? Its tokens are revoked.",
}
NOT_ASKED = [
    "tag PC-1 vip",
    "untag PC-1 site",
    "note PC-1 --text Broken",
    "enroll PC-9",
    "token create",
    "operator create Zoe --role viewer",
    "view create Stale",
]
TRIED = [
    *ASKED,
    *NOT_ASKED,
    "release --without-token",
    "uninstall PC-1 PC-2",
    "installer kit --url https://rpa.example.com",
    "prune --silent-for 1d",
    "erase PC-1",
    "import machines.csv",
]
#: Commands that change nothing in the fleet.
READING = (
    "list show events summary export doctor backup openapi blocked refused".split()
)


@pytest.fixture
def fleet(operator, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    operator.installer(label="Paris, wave 1")
    operator.installer()
    operator.post("/operators", {"name": "Nadia, helpdesk", "role": "operator"})
    operator.post("/views", {"name": "Paris, wave 1", "shared": True})
    operator.enroll("PC-1", user_name="Zoé", hostname="COMPTA-3")
    operator.enroll("PC-2")
    operator.post("/machines/PC-1/release")
    (tmp_path / "machines.csv").write_text("machine_id\nPC-8\nPC-9\n")


@pytest.fixture
def state(engine, tmp_path):
    return lambda: (engine.contents(), sorted(os.listdir(tmp_path)))


@pytest.fixture
def terminal(monkeypatch):
    """Let somebody sit there; what is typed is the input."""
    monkeypatch.setattr("lea_fleet.cli.consent.is_somebody_there", lambda: True)


@pytest.mark.parametrize("words", ASKED)
def test_on_a_terminal_a_no_changes_nothing(run, fleet, terminal, state, words):
    before = state()
    result = run(*words.split(), input="n\n")

    assert result.stderr.startswith(f"{ASKED[words]} [y/N]: ")
    assert (result.exit_code, result.stdout) == (1, "")
    assert state() == before


@pytest.mark.parametrize("words", ASKED)
@pytest.mark.parametrize(("more", "typed"), [("", "y\n"), (" --yes", None)])
def test_a_yes_changes_it(run, fleet, terminal, state, words, more, typed):
    before = state()

    assert run(*f"{words}{more}".split(), input=typed).exit_code == 0
    assert state() != before


@pytest.mark.parametrize("words", [*ASKED, *NOT_ASKED])
def test_scripts_are_not_asked(run, fleet, words):
    result = run(*words.split(), input="")

    assert result.exit_code == 0
    assert "[y/N]" not in result.output


@pytest.mark.parametrize("words", NOT_ASKED)
def test_what_takes_nothing_from_a_machine_is_not_asked_about(
    run, fleet, terminal, words
):
    assert run(*words.split(), input="").exit_code == 0


def test_a_real_terminal_is_asked(fleet, engine, operator):
    operator.client.application.extensions["lea_fleet"].store.close_idle()
    leader, follower = pty.openpty()
    os.write(leader, b"n\n")
    done = subprocess.run(
        [sys.executable, "-m", "flask", "--app", "lea_fleet", "fleet"]
        + ["uninstall", "PC-1"],
        env={**os.environ, "RPA_API_TOKEN": OPERATOR_TOKEN, **engine.environment},
        stdin=follower,
        stdout=subprocess.PIPE,
        stderr=follower,
    )
    os.close(follower)
    os.close(leader)

    assert (done.returncode, done.stdout) == (1, b"")
    assert operator.machine("PC-1")["status"] == "active"


@pytest.mark.parametrize("words", TRIED)
@pytest.mark.parametrize("more", [[], ["--json"]], ids=["", "json"])
def test_a_dry_run_shows_it_and_changes_nothing(
    run, fleet, terminal, state, words, more
):
    before = state()
    result = run(*words.split(), "--dry-run", *more, input="")

    assert result.exit_code == 0, result.output
    assert result.stdout
    for prefix in ("lea_agent_", "lea_enroll_", "lea_operator_"):
        assert prefix not in result.stdout
    if more:
        told = json.loads(result.stdout)
        assert told.get("dry_run") is True or told["done"] is False
    assert state() == before


@pytest.mark.parametrize("words", ["erase PC-1", "prune --silent-for 1d"])
@pytest.mark.parametrize("more", [["--yes", "--dry-run"], ["--dry-run", "--yes"]])
def test_a_dry_run_that_does_it_is_a_contradiction(run, fleet, state, words, more):
    before = state()

    assert run(*words.split(), *more).exit_code == 2
    assert state() == before


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_that_changes_something_can_be_tried(words):
    options = {name for found in COMMANDS[words].params for name in found.opts}

    reads = words[0] in READING or words[1:] == ("list",)
    assert ("--dry-run" in options) is not reads
