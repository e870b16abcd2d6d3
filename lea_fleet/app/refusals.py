"""Log and count refused requests, without a line or a write for each of them.

Guessing tokens must leave a trace, and must not fill a disk. For each address and code
a process writes at most one line a minute, with a count; one an hour for codes that a
fleet causes by itself. The first refusal is logged at once, and what comes after it a
little later, as flushing.py does: the last count of a burst is at most a minute late.
There is no lockout and no throttle: the PCs of a company may share one address, and the
right token is always admitted.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Network, ip_address
from itertools import chain
from threading import Lock

from ..core.problems import AgentUninstalled, DatabaseProblem, Problem, TokenRevoked
from . import change_log
from .flushing import Flusher

logger = logging.getLogger("lea_fleet")

#: Seconds between two lines for one address and code.
_MINUTE = 60
_HOUR = 3600

#: What the agents of uninstalled and re-enrolled machines get, for as long as they run.
_EXPECTED = (AgentUninstalled, TokenRevoked)

#: The most addresses that are told apart; all others are logged as one.
_MOST_ADDRESSES = 1000
_OTHERS = "others"


@dataclass
class _Tally:
    """The refusals of one address and code that are not logged yet.

    It keeps neither the exception, whose traceback would keep the whole request, body
    and token included, nor a refusal's detail, which may quote the body: a thousand
    addresses would fill the memory.
    """

    kind: type[Problem]
    detail: str = ""  # of the last DatabaseProblem
    count: int = 0
    due: float = 0.0  # when the next line may be written


class Refusals:
    """The refusals of one application in this process.

    *save* adds counts by code to those of all processes. If it raises one of *errors*,
    the counts are kept for the next flush, which comes from *flusher*.
    """

    def __init__(
        self,
        save: Callable[[Mapping[str, int]], None],
        errors: tuple[type[Exception], ...],
        flusher: Flusher,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._save, self._errors, self._now = save, errors, now
        self._flusher = flusher
        self.forget()
        flusher.add(self)

    def forget(self) -> None:
        """Begin anew: what was counted before a fork is the parent's."""
        self._lock = Lock()
        self._by_address: dict[str, dict[str, _Tally]] = {}
        self._unsaved: Counter[str] = Counter()

    def note(self, problem: Problem, address: str | None, *, save: bool) -> None:
        """Count a request that is answered with *problem*, and log it if that is due.

        *address* is the caller's. With *save*, the count is saved for other processes.
        """
        # A 503 is nobody's fault: one line for all, also if a whole fleet gets it.
        is_ours = isinstance(problem, DatabaseProblem)
        where = "" if is_ours else _network(address)
        with self._lock:
            if where not in self._by_address and self._is_full():
                where = _OTHERS
            tallies = self._by_address.setdefault(where, {})
            tally = tallies.setdefault(problem.code, _Tally(type(problem)))
            if is_ours:
                tally.detail = problem.detail
            tally.count += 1
            if save:
                self._unsaved[problem.code] += 1
            count = self._take_due(tally)
            if self._unsaved or tally.count:
                self._flusher.arm()
        if count:
            _log(type(problem), problem.detail, where, count)

    def flush(self) -> bool:
        """Write the lines that are due, and save the counts."""
        with self._lock:
            lines = [
                (tally.kind, tally.detail, where, count)
                for where, tallies in self._by_address.items()
                for tally in tallies.values()
                if (count := self._take_due(tally))
            ]
            self._drop_old()
            unsaved, self._unsaved = self._unsaved, Counter()
        for line in lines:
            _log(*line)
        is_saved = self._try_to_save(unsaved)
        with self._lock:
            if not is_saved:
                self._unsaved.update(unsaved)
            return bool(self._unsaved) or any(t.count for t in self._all_tallies())

    def close(self) -> None:
        """Write all lines, whether due or not: the process ends."""
        with self._lock:
            for tally in self._all_tallies():
                tally.due = 0.0
        self.flush()

    def _is_full(self) -> bool:
        return len(self._by_address) >= _MOST_ADDRESSES

    def _all_tallies(self) -> Iterator[_Tally]:
        return chain.from_iterable(each.values() for each in self._by_address.values())

    def _take_due(self, tally: _Tally) -> int:
        """Return the count to log now, which is 0 if no line may be written yet."""
        now = self._now()
        if now < tally.due or not tally.count:
            return 0
        count, tally.count = tally.count, 0
        tally.due = now + (_HOUR if issubclass(tally.kind, _EXPECTED) else _MINUTE)
        return count

    def _drop_old(self) -> None:
        """Make room: drop addresses that may be logged at once again."""
        now = self._now()
        for where, tallies in list(self._by_address.items()):
            if all(tally.due <= now for tally in tallies.values()):
                del self._by_address[where]

    def _try_to_save(self, counts: Mapping[str, int]) -> bool:
        try:
            if counts:
                self._save(counts)
        except self._errors:  # a request that needs the database will say why
            return False
        return True


def _log(kind: type[Problem], detail: str, where: str, count: int) -> None:
    """Write one line, without the *detail* of a refusal, which may quote the caller."""
    if issubclass(kind, DatabaseProblem):
        times = f" ({count} requests)" if count > 1 else ""
        logger.error("%s: %s%s", kind.code, detail, times)
        return
    fields = {"code": kind.code, "address": where, "count": count}
    logger.warning(
        "%s", change_log.line("refused", fields), extra={"lea_fleet": fields}
    )


def _network(address: str | None) -> str:
    """Return the address to count by: of IPv6 the /64, which one caller may have whole.

    Text that is no address, as behind a proxy or on a Unix socket, is not repeated.
    """
    try:
        parsed = ip_address(address or "")
    except ValueError:
        return "unknown"
    if isinstance(parsed, IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped)
    return str(IPv6Network((int(parsed) >> 64 << 64, 64)))
