"""``flask fleet prune``: uninstall silent machines, erase departed ones."""

from __future__ import annotations

import click
from flask.cli import with_appcontext

from ..core import clock
from ..storage.retention import Retention
from .database import open_fleet
from .erase import erase_option, finish, show, vacuum_option
from .list_command import machine_cells
from .options import Duration, DurationType, json_option, say_json
from .terminal import ago, say, say_table

_HEADING = ("MACHINE", "USER", "HOSTNAME", "VERSION", "LAST SEEN")


@click.command("prune")
@click.option(
    "--silent-for",
    metavar="DURATION",
    type=DurationType(),
    help="Mark active machines not seen for this long as uninstalled: 180d.",
)
@click.option(
    "--uninstalled-for",
    metavar="DURATION",
    type=DurationType(),
    help="Erase the personal data of machines uninstalled for this long: 365d.",
)
@erase_option
@vacuum_option
@json_option
@with_appcontext
def prune_command(
    silent_for: Duration | None,
    uninstalled_for: Duration | None,
    yes: bool,
    vacuuming: bool,
    as_json: bool,
) -> None:
    """Clean up machines that went silent or were uninstalled long ago.

    Without --yes it only shows which. Each machine is checked again when it is
    changed, so that one seen meanwhile is left alone. It never runs by itself.

    \b
    Example: flask fleet prune --silent-for 180d
    """
    if (silent_for is None) == (uninstalled_for is None):
        raise click.UsageError("Give either --silent-for or --uninstalled-for.")
    if silent_for is not None:
        if vacuuming:
            raise click.UsageError("--vacuum needs --uninstalled-for.")
        _prune_silent(silent_for, yes, as_json)
    elif uninstalled_for is not None:
        _prune_departed(uninstalled_for, yes, vacuuming, as_json)


def _prune_silent(duration: Duration, yes: bool, as_json: bool) -> None:
    with open_fleet() as repository:
        retention = Retention(repository.unit, repository.uninstall)
        agents = retention.silent(duration)
        if yes:
            agents = retention.uninstall_silent(
                [agent["machine_id"] for agent in agents],
                duration,
                f"silent for {duration.text}",
            )
    if as_json:
        say_json({"done": yes, "agents": agents})
        return
    if agents:
        now = clock.now()
        rows = [[*machine_cells(a), ago(a["last_seen_at"], now)] for a in agents]
        say_table(_HEADING, rows, fixed={4})
        say("")
    machines = f"{len(agents)} machine{'' if len(agents) == 1 else 's'}"
    if yes:
        say(f"{machines} marked as uninstalled.")
    elif agents:
        say(f"{machines} silent for {duration.text}. Repeat with --yes to uninstall.")
    else:
        say(f"No active machine has been silent for {duration.text}.")


def _prune_departed(length: float, yes: bool, vacuuming: bool, as_json: bool) -> None:
    with open_fleet() as repository:
        retention = Retention(repository.unit, repository.uninstall)
        with repository.snapshot():
            plans = [plan.summary() for plan in retention.departed(length)]
        if not yes:
            show(plans, as_json)
            return
        retention.erase_departed([plan["machine_id"] for plan in plans], length)
        finish(repository, retention.erasure.done, vacuuming, as_json)
