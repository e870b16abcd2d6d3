"""``flask fleet prune``: uninstall silent machines, erase departed ones."""

from __future__ import annotations

import click
from flask.cli import with_appcontext

from ..core import clock
from ..core.limits import SHORTEST_EVENT_RETENTION
from ..storage.pruned_events import PrunedEvents
from ..storage.retention import Retention
from .command import FleetCommand
from .consent import shown_option
from .database import open_listing
from .erase import (
    cleaned,
    complain,
    erase_option,
    finish,
    say_cleaned,
    show,
    vacuum_option,
)
from .list_command import machine_cells
from .options import Duration, DurationType, json_option, say_json
from .terminal import ago, say, say_table

_HEADING = ("MACHINE", "USER", "HOSTNAME", "VERSION", "LAST SEEN")


@click.command("prune", cls=FleetCommand)
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
@click.option(
    "--events-older-than",
    metavar="DURATION",
    type=DurationType(least=f"{SHORTEST_EVENT_RETENTION // 86400}d"),
    help="Delete events from the history that are older than this: 730d.",
)
@erase_option
@shown_option
@vacuum_option
@json_option
@with_appcontext
def prune_command(
    silent_for: Duration | None,
    uninstalled_for: Duration | None,
    events_older_than: Duration | None,
    yes: bool,
    vacuuming: bool,
    as_json: bool,
) -> None:
    """Clean up machines that went silent or left long ago, and old events.

    Without --yes it only shows which. Each machine is checked again when it is
    changed, so that one seen meanwhile is left alone. Of the events, those that
    say when a machine enrolled and left last are kept. It never runs by itself.

    \b
    Example: flask fleet prune --silent-for 180d
    """
    given = (silent_for, uninstalled_for, events_older_than)
    if sum(duration is not None for duration in given) != 1:
        raise click.UsageError(
            "Give one of --silent-for, --uninstalled-for and --events-older-than."
        )
    if silent_for is not None:
        if vacuuming:
            raise click.UsageError("--vacuum cannot go with --silent-for.")
        _prune_silent(silent_for, yes, as_json)
    elif uninstalled_for is not None:
        _prune_departed(uninstalled_for, yes, vacuuming, as_json)
    elif events_older_than is not None:
        _prune_events(events_older_than, yes, vacuuming, as_json)


def _prune_silent(duration: Duration, yes: bool, as_json: bool) -> None:
    with open_listing() as repository:
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
        say_table(_HEADING, rows, fixed={0, 4})
        say("")
    machines = f"{len(agents)} machine{'' if len(agents) == 1 else 's'}"
    if yes:
        say(f"{machines} marked as uninstalled.")
    elif agents:
        say(f"{machines} silent for {duration.text}. Repeat with --yes to uninstall.")
    else:
        say(f"No active machine has been silent for {duration.text}.")


def _prune_departed(length: float, yes: bool, vacuuming: bool, as_json: bool) -> None:
    with open_listing() as repository:
        retention = Retention(repository.unit, repository.uninstall)
        with repository.snapshot():
            plans = [plan.summary() for plan in retention.departed(length)]
        if not yes:
            show(plans, as_json)
            return
        retention.erase_departed([plan["machine_id"] for plan in plans], length)
        finish(repository, retention.erasure.done, vacuuming, as_json)


def _prune_events(
    duration: Duration, yes: bool, vacuuming: bool, as_json: bool
) -> None:
    with open_listing() as repository:
        pruned = PrunedEvents(repository.unit)
        older_than = clock.before(repository.unit.now, duration)
        if not yes:
            _show_events(pruned.count(older_than), older_than, duration, as_json)
            return
        deleted = pruned.prune(older_than)
        cleaning = cleaned(repository, vacuuming)
        if as_json:
            told = {"done": True, "older_than": older_than, "events": deleted}
            say_json(told | cleaning.report)
        else:
            say_cleaned(f"{_events(deleted)} deleted", cleaning, deleted > 0)
        complain(cleaning)


def _show_events(
    count: int, older_than: str, duration: Duration, as_json: bool
) -> None:
    if as_json:
        say_json({"done": False, "older_than": older_than, "events": count})
    elif count:
        say(
            f"{_events(count)} older than {duration.text}. Repeat with --yes to delete."
        )
    else:
        say(f"No event to delete is older than {duration.text}.")


def _events(count: int) -> str:
    return f"{count} event{'' if count == 1 else 's'}"
