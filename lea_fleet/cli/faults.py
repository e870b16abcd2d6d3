"""Say to an operator what a problem means: which machine it is, and what to do.

The problems' own sentences are for installers and agents, and name no machine: each
knows its own.
"""

from __future__ import annotations

import shlex

import click

from ..core.problems import (
    AlreadyEnrolled,
    InvalidField,
    MachineBlocked,
    MachineOnline,
    MachineUninstalled,
    Problem,
    ReactivationRefused,
    UnknownAgent,
    UnknownEnrollmentToken,
    UnknownOperator,
)
from ..core.text import printable
from ..core.views import UnknownView

#: Characters of a machine id that an error shows.
_LONGEST_NAME = 128


def said_to_operator(problem: Problem) -> str:
    """Return the sentences that a command prints for *problem*."""
    machine = problem.members.get("machine_id", "")
    name, word = _shown(machine), as_argument(machine)
    match problem:
        case UnknownAgent():
            return never_enrolled([machine])
        case AlreadyEnrolled():
            return (
                f"{name} is active. Release it with: flask fleet release {word}, or use"
                " --force."
            )
        case ReactivationRefused():
            return f"{name} was uninstalled. Without --no-reactivate it is enrolled."
        case MachineUninstalled():
            return f"{name} is uninstalled. Enroll it with: flask fleet enroll {word}"
        case MachineBlocked():
            return f"{name} is blocked. Unblock it with: flask fleet unblock {word}"
        case MachineOnline():
            return (
                f"{name} is online: a machine that another one has replaced is not."
                " Use --force to uninstall it all the same."
            )
        case UnknownEnrollmentToken():
            number = problem.members["id"]
            return (
                f"There is no enrollment token {number}. List them with: flask fleet"
                " token list"
            )
        case UnknownOperator():
            number = problem.members["operator"]
            return (
                f"There is no operator {number}. List them with: flask fleet operator"
                " list"
            )
        case UnknownView():
            number = problem.members["view"]
            return f"There is no view {number}. List them with: flask fleet view list"
    return problem.detail


def never_enrolled(machines: list[str], near: str = "") -> str:
    """Return the error for *machines* that are not known; *near* names similar ones."""
    has = "has" if len(machines) == 1 else "have"
    remedy = near or " List the machines with: flask fleet list --status all"
    return f"{', '.join(map(_shown, machines))} {has} never been enrolled.{remedy}"


def said_of_argument(problem: InvalidField) -> str:
    """Return what is wrong with the MACHINE that the command was given.

    The options are checked before: no other member can be wrong.
    """
    context = click.get_current_context(silent=True)
    machine = context.params.get("machine") if context else None
    if machine is None:
        return problem.detail
    faults = " and ".join(error["message"] for error in problem.members["errors"])
    return f"MACHINE {faults}: {_shown(machine)}"


def _shown(machine: str) -> str:
    return printable(machine[:_LONGEST_NAME])


def as_argument(*machines: str) -> str:
    """Return *machines* as they are typed in a shell, after the name of a command."""
    words = " ".join(shlex.quote(printable(machine)) for machine in machines)
    is_like_option = any(machine.startswith("-") for machine in machines)
    return f"-- {words}" if is_like_option else words
