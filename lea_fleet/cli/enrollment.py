"""``flask fleet enroll`` and ``uninstall``: into the fleet and out of it, by hand."""

from __future__ import annotations

from functools import partial

import click
from flask.cli import with_appcontext

from ..app.state import current_state
from ..auth.credentials import issue_token
from ..api.payloads import LONGEST_REASON
from ..app.repository import AgentRepository
from ..core.rows import Agent
from .terminal import at, printable, say
from .completion import machine_ids
from .opening import checked_text, given_text, open_fleet, open_or_make_fleet
from .options import json_option, machine_argument, refuse_many, say_json, yes_option


@click.command("enroll")
@machine_argument
@click.option("--user-name", callback=given_text, help="Who works there.")
@click.option("--user-email", callback=given_text, help="That person's e-mail.")
@click.option("--user-id", callback=given_text, help="That person's id.")
@click.option("--hostname", callback=given_text, help="The computer's name.")
@click.option("--os-info", callback=given_text, help="The operating system.")
@click.option("--version", callback=given_text, help="The version of the agent.")
@click.option(
    "--no-reactivate", is_flag=True, help="Refuse a machine that was uninstalled."
)
@click.option("--force", is_flag=True, help="Enrol a machine that is active, too.")
@json_option
@with_appcontext
def enroll_command(
    machine: str,
    no_reactivate: bool,
    force: bool,
    as_json: bool,
    **details: str | None,
) -> None:
    """Enrol MACHINE by hand, and print its token, this once.

    Only the token goes to standard output, so that a script can take it. What is
    not given keeps the value that it has; the tokens of earlier enrolments die.

    \b
    Example: flask fleet enroll PC-COMPTA-02 --user-email zoe@example.com
    """
    with open_or_make_fleet() as repository, repository.transaction():
        status, agent = repository.enroll(
            machine, allow_reactivate=not no_reactivate, force=force, **details
        )
        token = issue_token(repository, current_state().settings, agent)
    machine_id = agent["machine_id"]
    if as_json:
        told = {"machine_id": machine_id, "api_token": token, "agent": agent}
        say_json({"status": status, **told})
        return
    click.echo(
        f"{printable(machine_id)}: {status}. Its token:", err=True
    )
    say(token)


def _each(
    context: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> list[str]:
    return [str(checked_text(context, parameter, value)) for value in values]


@click.command("uninstall")
@click.argument(
    "machines",
    metavar="MACHINE...",
    nargs=-1,
    required=True,
    callback=_each,
    shell_complete=machine_ids,
)
@click.option(
    "--reason",
    callback=partial(given_text, longest=LONGEST_REASON),
    help="Why; kept with the machine and in its history.",
)
@yes_option
@json_option
@with_appcontext
def uninstall_command(
    machines: list[str], reason: str | None, yes: bool, as_json: bool
) -> None:
    """Mark each MACHINE as uninstalled: its tokens stop working.

    All of them or, where one is unknown, none. A machine that is uninstalled
    already keeps its first date and reason. Nothing is erased.

    \b
    Example: flask fleet uninstall PC-COMPTA-01 --reason "given away"
    """
    with open_fleet() as repository, repository.transaction():
        before = _known(repository, machines)
        refuse_many(len(before), yes)
        after = [repository.uninstall(machine_id, reason) for machine_id in before]
    if as_json:
        say_json({"agents": after})
        return
    for agent in after:
        say(_line(agent, before[agent["machine_id"]]))


def _known(repository: AgentRepository, machines: list[str]) -> dict[str, Agent]:
    """Return the agents of *machines* by their ids, each once.

    Raises UnknownAgent for one, and ClickException, naming them, for more.
    """
    if len(machines) == 1:
        agent = repository.require(machines[0])
        return {agent["machine_id"]: agent}
    found = {machine: repository.get(machine) for machine in machines}
    unknown = [printable(name) for name, agent in found.items() if agent is None]
    if unknown:
        raise click.ClickException(
            f"No machine of this id has ever been enrolled: {', '.join(unknown)}."
            " None was uninstalled."
        )
    return {agent["machine_id"]: agent for agent in found.values() if agent}


def _line(agent: Agent, before: Agent) -> str:
    name = printable(agent["machine_id"])
    if before["status"] == "active":
        return f"{name}: uninstalled"
    return f"{name}: uninstalled since {at(agent['uninstalled_at'])}"
