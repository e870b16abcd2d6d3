"""Machine ids can be read, copied, searched for, and mistyped."""

from __future__ import annotations

import pytest

from lea_fleet.cli.terminal import text_width

GUID = "{00000015-7C1E-4B1E-9D57-0A03C0FFEE03}"

UNLIKE_ANY = " List the machines with: flask fleet list --status all"

pytestmark = pytest.mark.usefixtures("begun")

TABLES = [
    "list",
    "events",
    "prune --silent-for 1d",
    "erase --user zoe@example.com",
]


@pytest.fixture
def fleet(operator, the_clock):
    """One machine whose table does not fit 80 columns."""
    operator.enroll(
        GUID,
        user_name="Zoé Lefèvre de la Tour",
        user_email="zoe@example.com",
        hostname="PC-COMPTABILITE-01",
        version="1.3.1-beta",
    )
    the_clock.advance(days=2)


@pytest.mark.parametrize("words", TABLES)
def test_a_table_never_cuts_a_machine_id(run, fleet, words):
    lines = run(*words.split()).stdout.splitlines()

    assert any(GUID in line for line in lines)


def test_the_list_with_a_guid_fits_80_columns(run, fleet):
    lines = run("list").stdout.splitlines()

    assert "…" in lines[1]
    assert all(text_width(line) <= 80 for line in lines)


@pytest.mark.parametrize("words", TABLES)
def test_where_there_is_no_terminal_nothing_is_cut(run, fleet, monkeypatch, words):
    monkeypatch.delenv("COLUMNS")
    result = run(*words.split(), env={"COLUMNS": None})

    assert "…" not in result.stdout
    assert GUID in result.stdout


@pytest.mark.parametrize(
    "typed",
    [
        GUID.lower(),
        GUID.strip("{}"),
        GUID.strip("{}").lower(),
        f" {GUID.lower()} ",
        "{00000015-7c1e",
        "00000015",
        "{",
    ],
)
@pytest.mark.parametrize("words", ["show", "uninstall", "release", "rotate", "erase"])
def test_a_machine_that_was_mistyped_is_offered(run, fleet, operator, words, typed):
    result = run(words, typed)

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.splitlines()[-1].endswith(
        UNLIKE_ANY if typed == "{" else f" Did you mean {GUID}?"
    )
    assert operator.machine(GUID)["status"] == "active"


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("PC-1", " Did you mean pc-1 or {pc-1}?"),
        ("PC-9", ""),
        ("pc-22", " Did you mean PC-220?"),
        ("pc-", ""),
        ("E\u0301TAGE", " Did you mean étage?"),
    ],
)
def test_only_what_is_meant_for_certain_is_offered(run, operator, typed, offered):
    for machine in ("pc-1", "{pc-1}", "PC-220", "étage"):
        operator.enroll(machine)

    said = run("show", typed).stderr
    assert said.endswith(f" never been enrolled.{offered or UNLIKE_ANY}\n")


def test_each_of_several_that_were_mistyped_is_offered(run, operator):
    operator.enroll("PC-1")

    said = run("uninstall", "PC-1", "pc-1", "PC-2", "--yes").stderr

    assert said.endswith(": pc-1, PC-2 have never been enrolled. Did you mean PC-1?\n")
