"""Count the refused enrollments of each machine, and write a row a minute for each.

The first refusal of a machine and code is written at once; its repeats are counted in
memory, and written a minute later, as flushing.py does. Where one token is refused for
so many machines that their rows push each other out, and where the database is busy,
the first is written later too: no answer to a caller waits for that.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from threading import Lock

from ..core.limits import MOST_REFUSED, MOST_REFUSING_TOKENS, REFUSED_WRITTEN
from ..core.refused import KEPT_APART, Refusal
from ..storage.refused_writing import Repeats
from .flushing import Flusher

#: Writes rows, all with one token.
Save = Callable[[Sequence[Repeats]], None]


@dataclass
class _Tally:
    """The refusals of one machine, code and token that are not written yet."""

    last: Refusal
    count: int = 0
    due: float = 0.0  # when the row may be written again
    written: tuple[str | None, str | None] | None = None  # hostname and address

    def take(self, now: float) -> Repeats:
        """Return what is to be written now, and count from zero."""
        said = self.last.hostname, self.last.address
        told = self.last
        if said == self.written:  # it may have been erased from the row
            told = told._replace(hostname=None, address=None)
        count, self.count = self.count, 0
        self.due, self.written = now + REFUSED_WRITTEN, said
        return Repeats(told, count)

    def give_back(self, repeats: Repeats) -> None:
        self.count += repeats.times
        self.due, self.written = 0.0, None


#: Tallies by their keys.
_Tallies = OrderedDict[tuple[int, str, str], _Tally]


@dataclass
class _Token:
    """The machines that were refused with one token, the newest last.

    Blocked ones are *apart*, so that no others push them out: there are as many as an
    operator has blocked.
    """

    tallies: _Tallies = field(default_factory=OrderedDict)
    apart: _Tallies = field(default_factory=OrderedDict)
    room: int = 0  # how many may still be written at once
    until: float = 0.0  # when there is room for as many as are kept

    def tally(self, refusal: Refusal) -> _Tally:
        """Return the tally of *refusal*; a new one pushes the oldest out."""
        tallies = self.apart if refusal.code == KEPT_APART else self.tallies
        tally = tallies.get(refusal.key)
        if tally is None:
            if len(self.tallies) >= MOST_REFUSED and tallies is self.tallies:
                tallies.popitem(last=False)
            tally = tallies[refusal.key] = _Tally(refusal)
        tally.last = refusal
        tallies.move_to_end(refusal.key)
        return tally

    def all(self) -> Iterator[_Tally]:
        return chain(self.tallies.values(), self.apart.values())

    def drop_old(self, now: float) -> None:
        """Forget those that would be written at once again."""
        for tallies in (self.tallies, self.apart):
            for key, tally in list(tallies.items()):
                if tally.count == 0 and tally.due <= now:
                    del tallies[key]

    def may_write(self, now: float) -> bool:
        """Tell whether one more may be written at once, and count it."""
        if self.until <= now:
            self.room, self.until = MOST_REFUSED, now + REFUSED_WRITTEN
        self.room -= 1
        return self.room >= 0


class RefusedMachines:
    """The refused machines of one application that this process has not written yet.

    *save* writes them. If it raises one of *errors*, they are kept for the next flush,
    which comes from *flusher*.
    """

    def __init__(
        self,
        save: Save,
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
        self._tokens: OrderedDict[int, _Token] = OrderedDict()

    def note(self, refusal: Refusal, save: Save) -> None:
        """Count a refusal, and write it with *save* if it is a first one."""
        now = self._now()
        with self._lock:
            token = self._of_token(refusal.enrollment_token)
            tally = token.tally(refusal)
            is_first = tally.count == 0 and tally.due <= now
            tally.count += 1
            if not (is_first and token.may_write(now)):
                self._flusher.arm()
                return
            tally.written = None
            first = tally.take(now)
        if not self._try(save, [first]):
            with self._lock:
                tally.give_back(first)
                self._flusher.arm()

    def flush(self) -> bool:
        """Write the rows that are due; return whether something is left to write."""
        now = self._now()
        with self._lock:
            due = [self._take_due(token, now) for token in self._tokens.values()]
            self._drop_old(now)
        for taken in filter(None, due):
            if not self._try(self._save, [repeats for _, repeats in taken]):
                with self._lock:
                    for tally, repeats in taken:
                        tally.give_back(repeats)
        with self._lock:
            return any(tally.count for tally in self._all())

    def close(self) -> None:
        """Write everything, whether due or not: the process ends."""
        with self._lock:
            for tally in self._all():
                tally.due = 0.0
        self.flush()

    def _of_token(self, token_id: int) -> _Token:
        token = self._tokens.setdefault(token_id, _Token())
        self._tokens.move_to_end(token_id)
        if len(self._tokens) > MOST_REFUSING_TOKENS:
            self._tokens.popitem(last=False)
        return token

    def _take_due(self, token: _Token, now: float) -> list[tuple[_Tally, Repeats]]:
        return [
            (tally, tally.take(now))
            for tally in token.all()
            if tally.count and tally.due <= now
        ]

    def _all(self) -> Iterator[_Tally]:
        return chain.from_iterable(token.all() for token in self._tokens.values())

    def _drop_old(self, now: float) -> None:
        for token_id, token in list(self._tokens.items()):
            token.drop_old(now)
            if token.until <= now and next(token.all(), None) is None:
                del self._tokens[token_id]

    def _try(self, save: Save, repeats: Sequence[Repeats]) -> bool:
        try:
            save(repeats)
        except self._errors:  # a request that needs the database will say why
            return False
        return True
