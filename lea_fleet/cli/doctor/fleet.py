"""Check the machines of the fleet: silent, suspected clones, without a token."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from ...core import clock
from ...core.findings import Checks, Verdict, fault, ok, some, warning
from ...core.text import printable
from ...storage.attention import Attention
from ...storage.blocks import Blocks
from ...storage.clones import Clones
from ...storage.duplicates import Duplicates
from ...storage.ignored import Ignored
from ...storage.listing import Listing
from ...storage.lookalikes import Lookalikes
from ...storage.mutes import Mutes
from ...storage.refused import Refused
from ...storage.retirements import Retirements
from ...storage.unit_of_work import UnitOfWork
from ..faults import as_argument
from ..list_command import counted

_DAY = 24 * 3600

#: Ids that look alike, of which these are named.
_SHOWN = 3


def fleet_checks(fleet: Callable[[], UnitOfWork], issue: str) -> Checks:
    """Return the checks of the machines in the *fleet*, which may not be readable."""
    totals = cache(lambda: Listing(fleet()).totals())  # what it raises is not kept
    return {
        "machines": lambda: _machines(totals()),
        "pending": lambda: _pending(totals()),
        "offline": lambda: _offline(totals()),
        "stale": lambda: _stale(totals()),
        "clones": lambda: _clones(fleet()),
        "lookalikes": lambda: _lookalikes(fleet()),
        "blocked": lambda: _blocked(fleet()),
        "muted": lambda: _muted(fleet()),
        "retiring": lambda: _retiring(fleet()),
        "duplicates": lambda: _duplicates(fleet()),
        "details": lambda: _details(fleet()),
        "tokens": lambda: _tokens(fleet(), issue),
        "refused": lambda: _refused(fleet()),
    }


def _machines(totals: dict[str, int]) -> Verdict:
    return ok(counted(totals))


def _pending(totals: dict[str, int]) -> Verdict:
    pending = totals["pending"]
    if not pending:
        return ok("no machine")
    return ok(
        f"{pending} imported and never seen; whoever has a valid enrollment token may"
        " claim them"
    )


def _offline(totals: dict[str, int]) -> Verdict:
    # No warning: in the morning, all PCs of an office are, and one call cannot tell
    # that from an outage.
    lately = totals["online"] + totals["offline"]
    return ok(f"{totals['offline']} of {lately}, without the stale ones")


def _stale(totals: dict[str, int]) -> Verdict:
    if not totals["stale"]:
        return ok("no machine")
    return warning(
        f"{totals['stale']} machines",
        "See which: flask fleet list --presence stale; clean up: flask fleet prune",
    )


def _clones(unit: UnitOfWork) -> Verdict:
    machines = Clones(unit).suspects()
    if not machines:
        return ok("none suspected")
    return warning(
        f"{len(machines)} suspected, two computers with one id: {_some(machines)}",
        "See which hostnames alternate: flask fleet events MACHINE; enroll one of the"
        " two with an id of its own.",
    )


def _lookalikes(unit: UnitOfWork) -> Verdict:
    groups = Lookalikes(unit).active()
    if not groups:
        return ok("no two machine ids look alike")
    pairs = [" and ".join(map(printable, group[:_SHOWN])) for group in groups]
    return warning(
        f"{len(groups)} computers may be several machines: {some(pairs)}",
        "See which of them is still seen: flask fleet show MACHINE; uninstall the"
        " others: flask fleet uninstall MACHINE.",
    )


def _blocked(unit: UnitOfWork) -> Verdict:
    blocks = Blocks(unit)
    machines = blocks.active()
    if not machines:
        return ok(f"{blocks.count()} blocked, none of them active")
    return fault(
        f"{len(machines)} machines are active although they are blocked:"
        f" {_some(machines)}",
        "A server that knows no blocks has enrolled them: replace it, and block them"
        " again: flask fleet block MACHINE",
    )


def _muted(unit: UnitOfWork) -> Verdict:
    machines = Mutes(unit).machines()
    if not machines:
        return ok("no machine")
    return ok(f"nobody is alerted about {len(machines)}: {_some(machines)}")


def _retiring(unit: UnitOfWork) -> Verdict:
    retirements = Retirements(unit)
    unheeding = [machine_id for _, machine_id in retirements.unheeded()]
    if not unheeding:
        return ok(f"{len(retirements.machines())} machines are to be retired")
    return warning(
        f"{len(unheeding)} agents go on although they were told to uninstall"
        f" themselves: {_some(unheeding)}",
        "They are too old to know it: flask fleet list --ignores-retire; uninstall them"
        " there, or here: flask fleet uninstall MACHINE",
    )


def _duplicates(unit: UnitOfWork) -> Verdict:
    duplicates = Duplicates(unit)
    count = duplicates.count()
    if not count:
        return ok("no machine seems to have been replaced by another one")
    pairs, _ = duplicates.page(limit=_SHOWN)
    shown = [f"{pair.former} by {pair.heir}" for pair in pairs]
    more = f" and {count - len(shown)} more" if count > len(shown) else ""
    first, heir, _ = pairs[0]
    return warning(
        f"{count} seem to have been replaced: {', '.join(map(printable, shown))}{more}",
        "See all: flask fleet list --duplicate; see who said the name: flask fleet show"
        f" {as_argument(first)}; uninstall it: flask fleet replace"
        f" {as_argument(first, heir)}",
    )


def _details(unit: UnitOfWork) -> Verdict:
    machines = Ignored(unit).machines()
    if not machines:
        return ok("no machine reports one that is too long")
    return warning(
        f"{len(machines)} machines report one that is too long: {_some(machines)}",
        "See which: flask fleet show MACHINE; correct what the agent reports.",
    )


def _tokens(unit: UnitOfWork, issue: str) -> Verdict:
    if issue == "shared":
        return ok("every machine has the operator's")
    machines = Attention(unit).without_token()
    if not machines:
        return ok("every active machine has one, or is released")
    return warning(
        f"{len(machines)} active machines have none: {_some(machines)}",
        "Allow them to re-enroll: flask fleet release --without-token",
    )


def _refused(unit: UnitOfWork) -> Verdict:
    machines = Refused(unit).count_since(clock.before(unit.now, _DAY))
    if not machines:
        return ok("no machine within the last day")
    return warning(
        f"{machines} machines within the last day",
        "See which, and what to do: flask fleet refused --since 1d",
    )


def _some(machines: list[str]) -> str:
    return some([printable(machine) for machine in machines])
