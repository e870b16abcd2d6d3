"""The stored keys that machines are searched and sorted by: compare, and rewrite.

They are wrong where another program has written the table, or a Python whose Unicode
folds a character differently.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from time import monotonic
from typing import Any, NamedTuple

from ...core.machine import SEARCHED
from .dialect import DIALECT
from .session import Session

#: The columns that keys are made of, and the names of the keys.
SOURCES = (*SEARCHED, "version")
_KEYS = sorted(DIALECT.with_keys(dict.fromkeys(SOURCES)).keys() - set(SOURCES))

#: Machines that are read at once, or locked at once.
_STEP = 1000

_READ = f"SELECT id, {', '.join((*SOURCES, *_KEYS))} FROM enrolled_agents"
_NEWEST = f"{_READ} WHERE id < :before ORDER BY id DESC LIMIT :step"
_LOCKED = f"{_READ} WHERE id = ANY(:ids) ORDER BY machine_id FOR UPDATE"
_WRITE = (
    f"UPDATE enrolled_agents SET {', '.join(f'{key} = :{key}' for key in _KEYS)}"
    " WHERE id = :id"
)
_END = 2**63 - 1


class Compared(NamedTuple):
    """How many *machines* were looked at, and how many have *wrong* keys."""

    machines: int
    wrong: int
    is_all: bool


def compare(session: Session, seconds: float) -> Compared:
    """Compare the stored keys with what they are now, for at most *seconds*."""
    deadline = monotonic() + seconds
    machines = wrong = 0
    for rows in _batches(session):
        machines += len(rows)
        wrong += sum(_right(row) is not None for row in rows)
        if monotonic() > deadline:
            return Compared(machines, wrong, False)
    return Compared(machines, wrong, True)


def rewrite(session: Session) -> int:
    """Write the keys that are wrong anew; return for how many machines."""
    rewritten = 0
    for rows in _batches(session):
        wrong = [row[0] for row in rows if _right(row) is not None]
        if wrong:
            rewritten += _rewrite(session, wrong)
    return rewritten


def _rewrite(session: Session, ids: list[int]) -> int:
    """Write the keys of the machines *ids* in one transaction that locks them."""
    DIALECT.begin_writing(session, (), True)
    try:
        rows = session.execute(_LOCKED, {"ids": ids}).fetchall()
        found = [(row[0], _right(row)) for row in rows]
        values = [{**keys, "id": id} for id, keys in found if keys is not None]
        session.executemany(_WRITE, values)
        session.commit()
    except BaseException:
        session.rollback()
        raise
    return len(values)


def _batches(session: Session) -> Iterator[list[tuple[Any, ...]]]:
    """Yield the machines, the newest first: other versions have written those last."""
    before = _END
    while True:
        values = {"before": before, "step": _STEP}
        rows = session.execute(_NEWEST, values).fetchall()
        if not rows:
            return
        yield rows
        before = rows[-1][0]


def _right(row: tuple[Any, ...]) -> Mapping[str, Any] | None:
    """Return the keys that *row* should have; None if it has them."""
    end = 1 + len(SOURCES)
    expected = DIALECT.with_keys(dict(zip(SOURCES, row[1:end])))
    stored = dict(zip(_KEYS, row[end:]))
    right = {key: expected[key] for key in _KEYS}
    return None if right == stored else right
