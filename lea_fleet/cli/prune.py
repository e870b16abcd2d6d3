"""``flask fleet prune``: machines that went silent, and those that left long ago."""

from __future__ import annotations

from typing import NamedTuple

import click
from flask.cli import with_appcontext

from ..core import clock
from ..core.rows import Agent
from ..storage.retention import Retention
from .terminal import ago, printable, say, screen_width, table
from .erase import erase_option, finish, show, vacuum_option
from .opening import open_fleet
from .options import json_option, say_json, seconds

_HEADING = ("MACHINE", "USER", "HOST", "VERSION", "LAST SEEN")


class _Duration(NamedTuple):
    text: str
    seconds: float


def _duration(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> _Duration | None:
    length = seconds(context, parameter, value)
    return None if length is None else _Duration(str(value).strip(), length)


@click.command("prune")
@click.option(
    "--silent-for",
    metavar="DURATION",
    callback=_duration,
    help="Mark active machines not seen for so long as uninstalled: 180d.",
)
@click.option(
    "--uninstalled-for",
    metavar="DURATION",
    callback=_duration,
    help="Erase what is personal about machines that left so long ago: 365d.",
)
@erase_option
@vacuum_option
@json_option
@with_appcontext
def prune_command(
    silent_for: _Duration | None,
    uninstalled_for: _Duration | None,
    yes: bool,
    vacuuming: bool,
    as_json: bool,
) -> None:
    """Clean up: machines that went silent, or those that left long ago.

    Without --yes it only shows which. Each is judged again when it is written, so
    that one which is seen meanwhile is spared. Nothing is ever done by itself.

    \b
    Example: flask fleet prune --silent-for 180d
    """
    if (silent_for is None) == (uninstalled_for is None):
        raise click.UsageError("Say one of --silent-for and --uninstalled-for.")
    if silent_for is not None:
        if vacuuming:
            raise click.UsageError("--vacuum goes with --uninstalled-for.")
        _prune_silent(silent_for, yes, as_json)
    elif uninstalled_for is not None:
        _prune_departed(uninstalled_for.seconds, yes, vacuuming, as_json)


def _prune_silent(duration: _Duration, yes: bool, as_json: bool) -> None:
    with open_fleet() as repository:
        retention = Retention(repository.unit, repository.uninstall)
        agents = retention.silent(duration.seconds)
        if yes:
            agents = retention.uninstall_silent(
                [agent["machine_id"] for agent in agents],
                duration.seconds,
                f"silent for {duration.text}",
            )
    if as_json:
        say_json({"done": yes, "agents": agents})
        return
    _say_table(agents)
    machines = f"{len(agents)} machine{'' if len(agents) == 1 else 's'}"
    if yes:
        say(f"{machines} marked as uninstalled.")
    elif agents:
        say(f"{machines} silent for {duration.text}. Say --yes to mark as uninstalled.")
    else:
        say(f"No active machine has been silent for {duration.text}.")


def _prune_departed(
    length: float, yes: bool, vacuuming: bool, as_json: bool
) -> None:
    with open_fleet() as repository:
        retention = Retention(repository.unit, repository.uninstall)
        with repository.snapshot():
            plans = [plan.summary() for plan in retention.departed(length)]
        if not yes:
            show(plans, as_json)
            return
        retention.erase_departed([plan["machine_id"] for plan in plans], length)
        finish(repository, retention.erasure.done, vacuuming, as_json)


def _say_table(agents: list[Agent]) -> None:
    if not agents:
        return
    rows = [_HEADING, *map(_row, agents)]
    for line in table(rows, screen_width(), fixed={4}):
        say(line)
    say("")


def _row(agent: Agent) -> list[str]:
    said = (
        agent["machine_id"],
        agent["user_name"],
        agent["hostname"],
        agent["version"],
    )
    return [
        *(printable(text or "-") for text in said),
        ago(agent["last_seen_at"], clock.now()),
    ]
