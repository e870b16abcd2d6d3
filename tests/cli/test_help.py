"""``-h``, and the help of ``flask fleet`` in families."""

from __future__ import annotations

import click

from lea_fleet import blueprint
from tests.cli.test_token import every_command


@every_command
def test_h_is_help(run, words):
    assert run(*words, "-h").output == run(*words, "--help").output


def test_the_help_lists_each_command_once_in_a_family(run):
    lines = run("-h").stdout.partition("See:")[2].splitlines()

    headings = ["Change machines:", "Personal data:", "Installers:", "Operators:"]
    headings.append("Server:")
    assert [line for line in lines if line and line[0] != " "] == headings
    named = [line.split()[0] for line in lines if line.startswith("  ")]
    assert sorted(named) == sorted(blueprint.cli.commands)


def test_a_wide_screen_shows_whole_lines(monkeypatch):
    def told(columns):
        monkeypatch.setenv("COLUMNS", columns)
        context = blueprint.cli.make_context("fleet", [], resilient_parsing=True)
        return context.get_help().partition("See:")[2]

    assert "..." in told("70")
    assert "..." not in told("200")


def test_what_a_host_adds_is_listed_too(run, monkeypatch):
    monkeypatch.setitem(
        blueprint.cli.commands, "own", click.Command("own", help="Ours.")
    )

    assert "\nCommands:\n  own" in run("-h").stdout
