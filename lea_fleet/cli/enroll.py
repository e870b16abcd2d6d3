"""``flask fleet enroll``: enroll one machine by hand."""

from __future__ import annotations

import click
from flask.cli import with_appcontext

from ..app.state import current_state
from ..auth.credentials import issue_token
from ..core.text import printable
from ..storage.attempts import attempts
from .command import FleetCommand
from .consent import (
    ask,
    changed,
    dry_run_option,
    open_or_begin_for_change,
    shown_once,
    tried,
    unasked_option,
)
from .options import (
    create_option,
    detail_options,
    json_option,
    machine_argument,
)
from .output import answer, note


@click.command("enroll", cls=FleetCommand)
@machine_argument
@detail_options
@click.option(
    "--no-reactivate", is_flag=True, help="Refuse a machine that was uninstalled."
)
@click.option("--force", is_flag=True, help="Enroll the machine even if it is active.")
@create_option
@unasked_option
@dry_run_option
@json_option
@with_appcontext
def enroll_command(
    machine: str,
    no_reactivate: bool,
    force: bool,
    create: bool,
    yes: bool,
    dry_run: bool,
    as_json: bool,
    **details: str | None,
) -> None:
    """Enroll MACHINE by hand and print its token, which is shown once.

    Only the token goes to standard output, so that a script can take it. Details
    that are not given keep their values; the tokens of earlier enrollments are
    revoked.

    \b
    Example: flask fleet enroll PC-COMPTA-02 --user-email zoe@example.com
    """
    opened = open_or_begin_for_change(dry_run, create)
    with answer() as begin, opened as repository:
        known = repository.get(machine)
        if known is not None:
            ask("Enroll {} again? Its tokens are revoked.", known, yes or dry_run)
        for attempt in attempts(repository.unit):
            with attempt, tried(dry_run, repository.transaction(about=machine)):
                status, agent = repository.enroll(
                    machine, allow_reactivate=not no_reactivate, force=force, **details
                )
                token = issue_token(repository, current_state().settings, agent)
                machine_id = agent["machine_id"]
                about = f"{printable(machine_id)}: {status}"
                said, secret = shown_once(about, "api_token", token, dry_run)
                told = {"status": status, "machine_id": machine_id, **secret}
                begin(changed(said, {**told, "agent": agent}, as_json, dry_run))
    if not as_json and not dry_run:
        note(f"{about}. Its token is shown once.")
