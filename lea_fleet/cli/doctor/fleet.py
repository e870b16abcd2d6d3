"""The fleet: the machines that somebody should look after."""

from __future__ import annotations

from ...core.presence import PresenceRule
from ...core.text import printable
from ...storage.intervals import Intervals
from ...storage.listing import Listing
from ...storage.unit_of_work import UnitOfWork
from .findings import Checks, Verdict, ok, some, warning
from .reading import Reading

#: In a smaller fleet, half of the machines are too few to say anything.
_SMALLEST = 10


def fleet_checks(reading: Reading, rule: PresenceRule, issue: str) -> Checks:
    """Return the checks of the machines, by *rule*, where *issue* is handed out."""
    return {
        "machines": lambda: _machines(_totals(reading, rule)),
        "offline": lambda: offline(_totals(reading, rule)),
        "stale": lambda: _stale(_totals(reading, rule)),
        "clones": lambda: _clones(reading),
        "tokens": lambda: _tokens(reading, issue),
    }


def _totals(reading: Reading, rule: PresenceRule) -> dict[str, int]:
    """Return the totals of the machines that were set up, and the ``awaited`` ones."""
    unit = UnitOfWork(reading.fleet.connection, reading.fleet.unit.dialect, rule)
    limits = unit.limits(Intervals(unit).longest_in_use())
    waiting = reading.fleet.awaited(limits)
    awaited = sum(waiting.values())
    waiting["active"] = waiting["total"] = awaited
    seen = {name: n - waiting.get(name, 0) for name, n in Listing(unit).totals().items()}
    return {**seen, "awaited": awaited}


def _machines(totals: dict[str, int]) -> Verdict:
    awaited = totals["awaited"]
    return ok(
        f"{totals['active']} active ({totals['online']} online,"
        f" {totals['offline']} offline, {totals['stale']} stale),"
        f" {totals['uninstalled']} uninstalled"
        + (f", {awaited} wait for their setup" if awaited else "")
    )


def offline(totals: dict[str, int]) -> Verdict:
    """Judge how many machines went silent of late, in a fleet of such *totals*."""
    lately = totals["active"] - totals["stale"]
    if totals["active"] < _SMALLEST or 2 * totals["offline"] <= lately:
        return ok(f"{totals['offline']} of {lately}, without the stale ones")
    return warning(
        f"{totals['offline']} of {lately}, without the stale ones",
        "See whether machines reach the server: network, proxy, certificate.",
    )


def _stale(totals: dict[str, int]) -> Verdict:
    if not totals["stale"]:
        return ok("no machine")
    return warning(
        f"{totals['stale']} machines",
        "See which: flask fleet list --presence stale; clean up: flask fleet prune",
    )


def _clones(reading: Reading) -> Verdict:
    machines = reading.fleet.suspected_clones()
    if not machines:
        return ok("none suspected")
    return warning(
        f"{len(machines)} suspected, two computers under one id: {_some(machines)}",
        "See which hostnames alternate: flask fleet events MACHINE; enrol one of the"
        " two under an id of its own.",
    )


def _tokens(reading: Reading, issue: str) -> Verdict:
    if issue == "shared":
        return ok("the operator's is every machine's")
    machines = reading.fleet.without_token()
    if not machines:
        return ok("every active machine has one, or is released")
    return warning(
        f"{len(machines)} active machines have none: {_some(machines)}",
        "Let them enrol again: flask fleet release --without-token",
    )


def _some(machines: list[str]) -> str:
    return some([printable(machine) for machine in machines])
