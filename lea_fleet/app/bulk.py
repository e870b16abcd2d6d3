"""Act on many machines, in short transactions that others write between."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from ..core.listing import FleetFilter
from ..core.problems import Problem
from ..storage.listing import Listing
from .repository import AgentRepository

#: What is done with one machine. It may raise a Problem before it writes anything.
Act = Callable[[AgentRepository, str], object]

#: Looks at the machines of a step first; returns those that are left as they are.
Prepare = Callable[[AgentRepository, Collection[str]], "Mapping[str, Failure]"]


class Failure(NamedTuple):
    """Why a machine was left as it is."""

    machine_id: str
    code: str
    detail: str


class Action(NamedTuple):
    """What is done with the machines of a step.

    One that is *prepared* takes its own locks.
    """

    act: Act
    prepare: Prepare | None = None

    def about(self, names: Mapping[int, str]) -> Collection[str]:
        """Return the machines that the transaction of a step names."""
        return () if self.prepare else list(names.values())


class Done(NamedTuple):
    """What became of the machines of a step, by their ids.

    *unmatched* are those that no longer match the filter, and are left as they are.
    """

    done: list[str] = []
    failed: list[Failure] = []
    unmatched: list[str] = []

    @property
    def machines(self) -> int:
        return len(self.done) + len(self.failed) + len(self.unmatched)

    def plus(self, other: Done) -> Done:
        """Return what became of the machines of both."""
        return Done(
            self.done + other.done,
            self.failed + other.failed,
            self.unmatched + other.unmatched,
        )


def names_of(repository: AgentRepository, ids: Sequence[int]) -> dict[int, str]:
    """Return the machines with these row *ids* that there are, by these."""
    return Listing(repository.unit).names(FleetFilter(ids=frozenset(ids)))


def act_on(
    repository: AgentRepository,
    names: dict[int, str],
    wanted: FleetFilter,
    action: Action,
) -> Done:
    """Act on each of the machines *names* that still matches *wanted*.

    Needs an open transaction about them: each is judged by what is stored now.
    """
    step = replace(wanted, ids=frozenset(names))
    listing = Listing(repository.unit)
    matching = listing.names(step)
    left: Mapping[str, Failure] = {}
    if action.prepare is not None:
        left = action.prepare(repository, set(matching.values()))
        matching = listing.names(step)  # it may have waited for its locks
    result = Done([], [], [])
    for row_id, name in names.items():
        machine_id = matching.get(row_id)
        if machine_id is None:
            result.unmatched.append(name)
        elif machine_id in left:
            result.failed.append(left[machine_id])
        else:
            if machine_id != name:  # edited meanwhile
                repository.unit.lock(machine_id)
            _act(repository, machine_id, action.act, result)
    return result


def _act(repository: AgentRepository, machine_id: str, act: Act, result: Done) -> None:
    try:
        act(repository, machine_id)
    except Problem as problem:
        result.failed.append(Failure(machine_id, problem.code, problem.detail))
    else:
        result.done.append(machine_id)


def blocking(act: Act) -> Action:
    """Return the action of an *act* that blocks: only machines that are selected.

    A block holds for all ids that look alike.
    """

    def prepare(
        repository: AgentRepository, names: Collection[str]
    ) -> Mapping[str, Failure]:
        kept = repository.states.prepare_blocks(names)
        return {name: _looks_like(name, other) for name, other in kept.items()}

    return Action(act, prepare)


def _looks_like(machine_id: str, other: str) -> Failure:
    detail = (
        f"{other} is active and has an id that looks the same: it would be blocked,"
        " too. Block this machine by itself, or both."
    )
    return Failure(machine_id, "looks_like_another", detail)
