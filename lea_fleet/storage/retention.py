"""Prune machines that have been silent or uninstalled for a long time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from ..core import clock
from ..core.listing import FleetFilter
from ..core.privacy.erasure import Plan
from ..core.rows import Agent
from .agents import in_utc
from .batches import Steps, in_steps
from .erasure import Erasure
from .listing import Listing
from .unit_of_work import UnitOfWork


class Retention:
    """Uninstall silent machines, and erase data of uninstalled ones.

    Each machine is checked again in the transaction that changes it. *uninstall* takes
    a machine id and a reason, and uninstalls that machine.
    """

    def __init__(
        self, unit: UnitOfWork, uninstall: Callable[[str, str], Agent]
    ) -> None:
        self._unit = unit
        self._uninstall = uninstall
        self.erasure = Erasure(unit)

    def silent(self, seconds: float) -> list[Agent]:
        """Return the active machines that have not been seen for *seconds*."""
        return list(self._silent(seconds))

    def uninstall_silent(
        self, machine_ids: Iterable[str], seconds: float, reason: str
    ) -> list[Agent]:
        """Uninstall those that are still silent, for *reason*; return them."""
        uninstalled: list[Agent] = []

        def work(batch: list[str]) -> Steps[Agent]:
            for machine_id in batch:
                if any(self._silent(seconds, machine_id=machine_id)):
                    yield 1, [self._uninstall(machine_id, reason)]
                else:
                    yield 1, []

        in_steps(self._unit, machine_ids, work, uninstalled)
        return uninstalled

    def departed(self, seconds: float) -> Iterator[Plan]:
        """Yield a plan for each machine that was uninstalled *seconds* ago or earlier.

        Machines with nothing left to erase, or no date of the uninstall, are skipped.
        """
        plans = self.erasure.of_machines(self._departed(seconds))
        return (plan for plan in plans if plan.fields)

    def erase_departed(self, machine_ids: Iterable[str], seconds: float) -> None:
        """Erase the personal data of those that are still uninstalled."""

        def still(batch: list[str | None]) -> Iterator[Plan]:
            for machine_id in filter(None, batch):
                yield from self.erasure.of_machines(self._departed(seconds, machine_id))

        self.erasure.erase(machine_ids, still)

    def _silent(self, seconds: float, **only: Any) -> Iterator[Agent]:
        wanted = FleetFilter(status="active", silent_for=seconds, **only)
        return Listing(self._unit).agents("active", wanted)

    def _departed(self, seconds: float, *only: str) -> list[str]:
        since = clock.before(self._unit.now, seconds)
        departed = self._unit.dialect.departed
        named = " AND machine_id = :machine_id" if only else ""
        rows = self._unit.session.execute(
            f"SELECT machine_id FROM enrolled_agents WHERE {departed}"
            f" AND {in_utc('uninstalled_at')} <= :since{named} ORDER BY id",
            {"since": since, "machine_id": only[0] if only else None},
        )
        return [machine_id for (machine_id,) in rows]
