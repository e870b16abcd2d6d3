"""Errors of commands name the machine, and tell the operator the next command."""

from __future__ import annotations

import shlex

import pytest

from lea_fleet.cli.faults import said_to_operator
from lea_fleet.core.problems import UnknownAgent


@pytest.fixture
def fails(run):
    """Run a command that fails; return the line of its error."""

    def fails(*words):
        result = run(*words)
        assert (result.exit_code, result.stdout) in ((1, ""), (2, ""))
        return result.stderr.splitlines()[-1].removeprefix("Error: ")

    return fails


@pytest.mark.parametrize("machine", ["PC-0012", "-PC 12", "it's", "Büro 1", "$PC"])
def test_an_active_machine_is_named_with_the_command_that_releases_it(
    run, operator, fails, machine
):
    operator.enroll(machine)

    said = fails("enroll", "--", machine)

    assert said.startswith(f"{machine} is active. Release it with: flask fleet release")
    assert said.endswith(", or use --force.")
    command = said.partition(": flask ")[2].removesuffix(", or use --force.")
    released = run(*shlex.split(command)[1:])
    assert released.exit_code == 0, released.output
    assert run("enroll", "--", machine).exit_code == 0


@pytest.mark.parametrize("words", [["release"], ["rotate"], ["rotate", "--now"]])
def test_an_uninstalled_machine_is_named_with_the_command_that_enrolls_it(
    run, operator, fails, words
):
    operator.enroll("PC-1")
    operator.uninstall("PC-1")

    said = fails(*words, "PC-1")

    assert said == "PC-1 is uninstalled. Enroll it with: flask fleet enroll PC-1"
    refused = "PC-1 was uninstalled. Without --no-reactivate it is enrolled."
    assert fails("enroll", "PC-1", "--no-reactivate") == refused
    assert run(*said.partition(": flask ")[2].split()[1:]).exit_code == 0


@pytest.mark.parametrize(
    "words",
    [
        ["show"],
        ["events"],
        ["release"],
        ["release", "--cancel"],
        ["rotate"],
        ["uninstall"],
        ["erase"],
    ],
    ids=" ".join,
)
@pytest.mark.parametrize(
    ("machine", "shown"),
    [
        ("PC-9", "PC-9"),
        ("\x1b[2J", "\\x1b[2J"),
        ("x" * 300, "x" * 128),
    ],
    ids=["name", "control", "long"],
)
def test_an_unknown_machine_is_named(begun, fails, words, machine, shown):
    assert fails(*words, machine) == (
        f"{shown} has never been enrolled. List the machines with: flask fleet list"
        " --status all"
    )


@pytest.mark.parametrize(
    ("machine", "fault"),
    [
        ("a/b", "must not contain a slash: a/b"),
        ("..", "must not be . or ..: .."),
        ("a\tb", "must not contain control characters: a\\tb"),
        ("x" * 129, f"must have 1 to 128 characters: {'x' * 128}"),
    ],
)
def test_what_is_no_machine_id_is_named_as_the_argument(begun, fails, machine, fault):
    assert fails("enroll", machine) == f"MACHINE {fault}"


def test_an_unknown_enrollment_token_is_named(begun, run, fails):
    said = fails("token", "revoke", "7")

    assert said.startswith("There is no enrollment token 7.")
    assert run(*said.partition(": flask ")[2].split()[1:]).exit_code == 0


def test_the_api_names_no_command(operator):
    operator.enroll("PC-1")
    again = operator.post("/enroll", {"machine_id": "PC-1"}).json

    assert "flask" not in again["detail"]
    assert said_to_operator(UnknownAgent("PC-9")) != UnknownAgent("PC-9").detail
