"""Machines whose time has come: silent for long, or uninstalled long ago."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from ..core import clock
from ..core.privacy.erasure import Plan
from ..core.filters import FleetFilter
from .agents import AgentRepository
from .erasure import ErasureRepository
from .reading import Agent
from .batches import in_steps

_DEPARTED = (
    "SELECT machine_id FROM enrolled_agents"
    " WHERE status IS NOT 'active' AND uninstalled_at <= ?"
)


class RetentionRepository:
    """Finds such machines and acts on them, over the connection of a *repository*.

    Each machine is judged once more in the transaction that writes.
    """

    def __init__(self, repository: AgentRepository) -> None:
        self._repository = repository
        self.erasure = ErasureRepository(repository)

    def silent(self, seconds: float) -> list[Agent]:
        """Return the active machines that were not seen for so many *seconds*."""
        return list(self._silent(seconds))

    def uninstall_silent(
        self, machine_ids: Iterable[str], seconds: float, reason: str
    ) -> list[Agent]:
        """Uninstall those that are silent still, for *reason*; return them."""
        uninstalled: list[Agent] = []

        def work() -> Iterator[int]:
            for machine_id in machine_ids:
                if any(self._silent(seconds, machine_id=machine_id)):
                    uninstalled.append(self._repository.uninstall(machine_id, reason))
                yield 1

        in_steps(self._repository, work())
        return uninstalled

    def departed(self, seconds: float) -> Iterator[Plan]:
        """Yield what there is left to erase of each machine that was uninstalled so
        many *seconds* ago, or before.

        One without a date of its uninstall is none of them.
        """
        plans = self.erasure.of_machines(self._departed(seconds))
        return (plan for plan in plans if plan.fields)

    def erase_departed(self, machine_ids: Iterable[str], seconds: float) -> None:
        """Erase what is personal of those that are still uninstalled."""

        def still() -> Iterator[str]:
            for machine_id in machine_ids:
                yield from self._departed(seconds, machine_id)

        self.erasure.erase(self.erasure.of_machines(still()))

    def _silent(self, seconds: float, **only: Any) -> Iterator[Agent]:
        wanted = FleetFilter(status="active", silent_for=seconds, **only)
        return self._repository.agents("active", wanted)

    def _departed(self, seconds: float, *only: str) -> list[str]:
        since = clock.before(clock.now(), seconds)
        named = " AND machine_id = ?" if only else ""
        rows = self._repository.connection.execute(
            f"{_DEPARTED}{named} ORDER BY id", (since, *only)
        )
        return [machine_id for (machine_id,) in rows]
