"""``flask fleet list``."""

from __future__ import annotations

import json
from datetime import datetime

import click
from flask.cli import with_appcontext

from .. import clock
from ..repository import Agent
from ..terminal import ago, printable, say, screen_width, table
from .opening import open_fleet

_HEADING = ("MACHINE", "USER", "HOST", "VERSION", "PRESENCE", "LAST SEEN")
_FIXED = {4, 5}
_COLOURS = {"online": "green", "offline": "yellow", "stale": "red"}


@click.command("list")
@click.option(
    "--status",
    type=click.Choice(["active", "uninstalled", "all"]),
    default="active",
    show_default=True,
    help="Which machines to list.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, whole and in ASCII.")
@with_appcontext
def list_command(status: str, as_json: bool) -> None:
    """List the machines, the newest enrolment first.

    The table fits the terminal (or COLUMNS); what is cut ends in an ellipsis.
    A presence with an exclamation mark is of a suspected clone: two computers
    under one machine id.

    \b
    Example: flask fleet list --status all
    """
    with open_fleet() as repository, repository.snapshot():
        agents: list[Agent] = []
        if status in ("active", "all"):
            agents += repository.list_by_status("active")
        if status in ("uninstalled", "all"):
            agents += repository.list_by_status("uninstalled")
        totals = repository.totals()
    if as_json:
        # ASCII, since names come from machines and may hold any character.
        say(json.dumps({"agents": agents, "totals": totals}, indent=2))
        return
    _print_table(agents)
    say(_totals_line(totals))


def _print_table(agents: list[Agent]) -> None:
    if not agents:
        return
    now = clock.now()
    heading, *lines = table(
        [_HEADING, *(_row(agent, now) for agent in agents)],
        screen_width(),
        fixed=_FIXED,
    )
    say(heading, bold=True)
    for agent, line in zip(agents, lines):
        say(line, fg=_COLOURS.get(agent["presence"]))
    say("")


def _row(agent: Agent, now: datetime) -> list[str]:
    names = ("machine_id", "user_name", "hostname", "version")
    return [
        *(printable(agent[name] or "-") for name in names),
        agent["presence"] + ("!" if agent["suspected_clone"] else ""),
        ago(agent["last_seen_at"] or agent["enrolled_at"], now),
    ]


def _totals_line(totals: dict[str, int]) -> str:
    plural = "" if totals["total"] == 1 else "s"
    return (
        "{total} machine{plural}: {active} active ({online} online, {offline} offline,"
        " {stale} stale), {uninstalled} uninstalled"
    ).format(**totals, plural=plural)
