"""``flask fleet doctor``: print what is wrong, and what to do about it."""

from __future__ import annotations

import click
from flask.cli import with_appcontext

from ...app.state import current_state
from ...core.text import printable
from ..command import FleetCommand
from ..options import json_option, say_json
from ..terminal import say
from . import GROUPS, LEVELS, Finding, examine, worst

_COLORS = {"warning": "yellow", "fault": "red"}

_WIDTH = max(map(len, LEVELS))


@click.command("doctor", cls=FleetCommand)
@click.option(
    "--quick", is_flag=True, help="Do not compare the indexes with their tables."
)
@json_option
@click.pass_context
@with_appcontext
def doctor_command(context: click.Context, quick: bool, as_json: bool) -> None:
    """Check the database, the settings and the fleet; change nothing.

    Prints a line for each check, with what to do. Run it as the server's user. The
    exit code is that of a monitoring plugin: 0 all is well, 1 warnings, 2 faults.

    \b
    Example: flask fleet doctor
    """
    findings = examine(current_state(), quick=quick)
    status = worst(findings)
    if as_json:
        checks = [finding._asdict() for finding in findings]
        say_json({"status": status, "checks": checks})
    else:
        _say(findings)
    context.exit(LEVELS.index(status))


def _say(findings: list[Finding]) -> None:
    # A monitoring system may show no more than the first line.
    say(_summary(findings), bold=True)
    for group in GROUPS:
        say(f"\n{group}", bold=True)
        for finding in findings:
            if finding.group == group:
                say(_line(finding), fg=_COLORS.get(finding.level))


def _summary(findings: list[Finding]) -> str:
    told = []
    for level in reversed(LEVELS):
        checks = [finding.check for finding in findings if finding.level == level]
        named = len(checks) if level == "ok" else ", ".join(checks)
        told += [f"{level}: {named}"] if checks else []
    return "; ".join(told)


def _line(finding: Finding) -> str:
    line = f"{finding.level:{_WIDTH}}  {finding.check}: {finding.detail.rstrip('.')}"
    end = "" if line.endswith("?") else "."
    return printable(f"{line}{end} {finding.action}" if finding.action else line)
