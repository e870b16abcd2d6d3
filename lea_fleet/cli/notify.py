"""``flask fleet notify``: tell by webhooks and mail what happens in the fleet."""

from __future__ import annotations

import signal
import time
from typing import Any

import click
from flask.cli import with_appcontext

from ..alerts import run
from ..alerts.delivery import Outcome
from ..app.settings import Settings
from ..app.state import current_state
from .command import FleetCommand
from .consent import open_for_change, tried
from .database import close_fleet, open_fleet
from .options import Duration, DurationType, json_option, say_json
from .output import note
from .terminal import say, say_table

_NO_SILENCE = "Nobody is told which machines are silent: set LEA_FLEET_ALERT_AFTER."
_NOBODY = "There is nobody to notify: set LEA_FLEET_WEBHOOK_URL or LEA_FLEET_MAIL_TO."


@click.command("notify", cls=FleetCommand)
@click.option("--watch", "watching", is_flag=True, help="Go on until it is stopped.")
@click.option(
    "--every",
    metavar="DURATION",
    type=DurationType(most="1d"),
    default="60s",
    show_default=True,
    help="How often, with --watch.",
)
@click.option(
    "--test", "testing", is_flag=True, help="Send a message that tells nothing."
)
@click.option("--dry-run", is_flag=True, help="Only print what it would tell.")
@json_option
@with_appcontext
def notify_command(
    watching: bool, every: Duration, testing: bool, dry_run: bool, as_json: bool
) -> None:
    """Tell by webhooks and mail what has happened, and who has fallen silent.

    Run it every minute, by cron, a systemd timer or the task scheduler, or as a
    service with --watch. Two at once do no harm. The exit code is 1 if something
    could not be delivered; it is tried again for a day.

    \b
    Example: flask fleet notify --dry-run
    """
    if watching + testing + dry_run > 1:
        raise click.UsageError("Give one of --watch, --test and --dry-run.")
    settings = current_state().settings
    if watching:
        _watch(settings, every, as_json)
    elif dry_run:
        _dry_run(settings, as_json)
    else:
        _once(settings, testing, as_json)


def _once(settings: Settings, testing: bool, as_json: bool) -> None:
    tell = run.send_test if testing else run.notify
    with open_fleet() as repository:
        if not run.channels(repository.unit, settings):
            raise click.ClickException(_NOBODY)
        _say([*tell(repository.unit, settings)], as_json)


def _dry_run(settings: Settings, as_json: bool) -> None:
    with open_for_change(True) as repository:
        with tried(True, repository.transaction()):
            found = [*run.due(repository.unit, settings)]
    if not found:
        note(_NOBODY)
    elif settings.alert_after is None:
        note(_NO_SILENCE)
    if as_json:
        told = [
            {
                "destination": place,
                "messages": [
                    {"type": due.type, "at": due.at, "machine_id": due.machine_id}
                    for due in messages
                ],
            }
            for place, messages in found
        ]
        say_json({"dry_run": True, "destinations": told})
        return
    for place, messages in found:
        say(f"{place}: {len(messages)} to deliver", bold=True)
        rows = [[due.at[:19], due.type, due.machine_id or "-"] for due in messages]
        if rows:
            say_table(("AT", "TYPE", "MACHINE"), rows, fixed={0, 1})


def _watch(settings: Settings, every: float, as_json: bool) -> None:
    """Notify until Ctrl-C or SIGTERM; a fault is told, and it goes on."""
    signal.signal(signal.SIGTERM, _stop)
    try:
        while True:
            try:
                with open_fleet() as repository:
                    outcomes = run.notify(repository.unit, settings)
                    _say([each for each in outcomes if each.is_news], as_json)
            except click.ClickException as fault:
                note(f"Error: {fault.format_message()}")
            finally:
                close_fleet()
            time.sleep(every)
    except KeyboardInterrupt:
        return


def _say(outcomes: list[Outcome], as_json: bool) -> None:
    """Print what came of a run. Raises ClickException if something failed."""
    failed = [each for each in outcomes if each.fault and not each.is_waiting]
    if failed:
        raise click.ClickException("; ".join(map(_line, outcomes)))
    if as_json:
        say_json({"destinations": [_members(each) for each in outcomes]})
        return
    for each in outcomes:
        say(_line(each))


def _stop(*_: Any) -> None:
    raise KeyboardInterrupt


def _members(outcome: Outcome) -> dict[str, Any]:
    return {
        "destination": outcome.place,
        "delivered": outcome.delivered,
        "dropped": outcome.dropped,
        "fault": outcome.fault or None,
    }


def _line(outcome: Outcome) -> str:
    told = [f"{outcome.delivered} delivered"]
    if outcome.dropped:
        told.append(f"{outcome.dropped} given up")
    if outcome.fault:
        told.append(outcome.fault)
    return f"{outcome.place}: {', '.join(told)}"
