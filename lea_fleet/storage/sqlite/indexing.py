"""Bring the index for searches up to date, make it, and take out what was erased.

A search does so after it has read, if it found that much has come (see search.py). What
no rule of that tells, such as another program's change of a name alone, is found by
comparing some machines each time.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from ...core import clock
from ...core.machine import SEARCHED
from ...core.problems import DatabaseUnavailable
from ...core.text import searched_text
from .errors import is_locked
from .search import (
    ENROLLED,
    LATE,
    NEW,
    UNINDEXED,
    empty,
    has_index,
    is_available,
    is_worth_it,
    joined,
)
from .transactions import begin_writing

#: Machines that are indexed in one transaction: 20 ms.
_STEP = 500

#: Transactions before one search, so that it waits for a fifth of a second at most.
_STEPS = 10

#: Machines that are compared each time.
_COMPARED = 1000

#: Pages of the index that are written in one transaction of purge().
_PAGES = 500

_MAKE = (
    "CREATE VIRTUAL TABLE lea_fleet_search"
    " USING fts5(text, tokenize='trigram case_sensitive 1', columnsize=0)"
)

_AMONG = "IN (SELECT value FROM json_each(:ids))"

_ROWS = (
    f"SELECT id, {joined(f'enrolled_agents.{name}' for name in SEARCHED)},"
    " CAST(note AS BLOB) FROM enrolled_agents"
    " LEFT JOIN lea_fleet_notes USING (machine_id)"
    f" WHERE id {_AMONG}"
)


def catch_up(session: sqlite3.Connection) -> None:
    """Bring the index up to date as far as that is quick; make it if there is none.

    Nothing where there is no FTS5, or if the database cannot be written now.
    """
    if session.in_transaction or not is_available(session):
        return
    with suppress(sqlite3.Error, DatabaseUnavailable):
        for _ in range(_STEPS):
            with _writing(session):
                if not _step(session):
                    return


def count_wrong(session: sqlite3.Connection) -> int:
    """Return for how many machines the index has no text, or another one."""
    if not _has_work(session):
        return 0
    exists = has_index(session)
    return sum(len(_wrong(session, ids, exists)[1]) for ids in _ranges(session))


def rewrite(session: sqlite3.Connection) -> int:
    """Make the index anew where it is wrong; return for how many machines."""
    if not _has_work(session):
        return 0
    try:
        return _rewrite(session)
    except sqlite3.DatabaseError as error:
        if is_locked(error):
            raise
        with _writing(session):
            empty(session)
        return _rewrite(session)


def purge(session: sqlite3.Connection) -> None:
    """Remove from the index what was deleted from it, in short transactions.

    FTS5 only marks what is deleted, until it merges it with what it had written. With
    its option ``secure-delete`` it would rewrite a page for each of a hundred trigrams,
    also whenever a machine reports a new version of its system.
    """
    if not has_index(session) or not is_available(session):
        return
    pages = -_PAGES  # all there is is merged into one
    while True:
        before = session.total_changes
        with _writing(session):
            session.execute(
                "INSERT INTO lea_fleet_search (lea_fleet_search, rank)"
                " VALUES ('merge', :pages)",
                {"pages": pages},
            )
        if session.total_changes - before < 2:  # as FTS5 documents it
            return
        pages = _PAGES


def _has_work(session: sqlite3.Connection) -> bool:
    return is_available(session) and (has_index(session) or is_worth_it(session))


def _step(session: sqlite3.Connection) -> bool:
    """Index some of what came since; return whether there is more."""
    state = _state(session)
    values = {"most": _STEP}
    new = [id for (id,) in session.execute(f"{NEW} ORDER BY id LIMIT :most", values)]
    _mend(session, new)
    if len(new) == _STEP:
        return True
    changed = [id for (id,) in session.execute(f"{UNINDEXED} LIMIT :most", values)]
    _mend(session, changed)
    _unmark(session, changed)
    if len(changed) == _STEP:
        return True
    return _follow(session, *state)


def _follow(
    session: sqlite3.Connection, mark: str, mark_id: int, compared_to: int
) -> bool:
    """Index what was enrolled since the mark, and move it; return whether all was."""
    rows = session.execute(
        f"SELECT id, enrolled_at FROM ({ENROLLED})"
        " WHERE (enrolled_at, id) > (:mark, :mark_id)"
        " ORDER BY enrolled_at, id LIMIT :most",
        {"mark": mark, "mark_id": mark_id, "most": _STEP},
    ).fetchall()
    _mend(session, [id for id, _ in rows])
    # Not beyond this, since transactions that have begun before it may be yet to come.
    mark, mark_id = clock.before(clock.now(), LATE), 0
    last_id, last = rows[-1] if len(rows) == _STEP else (0, None)
    is_more = False
    if isinstance(last, str) and last < mark:  # another program may store any type
        mark, mark_id, is_more = last, last_id, True
    else:
        compared_to = _compare_some(session, compared_to)
    session.execute(
        "UPDATE lea_fleet_indexed"
        " SET mark = :mark, mark_id = :mark_id, compared_to = :compared_to",
        {"mark": mark, "mark_id": mark_id, "compared_to": compared_to},
    )
    return is_more


def _state(session: sqlite3.Connection) -> tuple[str, int, int]:
    """Return up to what the index was brought; make it if there is none."""
    query = "SELECT mark, mark_id, compared_to FROM lea_fleet_indexed"
    row = session.execute(query).fetchone()
    if row is not None:
        mark, mark_id, compared_to = row
        return mark, mark_id, compared_to
    mark = clock.before(clock.now(), LATE)
    session.execute("DROP TABLE IF EXISTS lea_fleet_search")
    session.execute(_MAKE)
    session.execute(
        "INSERT INTO lea_fleet_indexed (id, mark, mark_id, compared_to)"
        " VALUES (1, :mark, 0, 0)",
        {"mark": mark},
    )
    return mark, 0, 0


def _compare_some(session: sqlite3.Connection, after: int) -> int:
    """Compare the machines with the next ids; return up to which."""
    (highest,) = session.execute("SELECT max(id) FROM enrolled_agents").fetchone()
    end = after + _COMPARED
    _mend(session, range(after + 1, end + 1))
    return 0 if end >= (highest or 0) else end


def _mend(session: sqlite3.Connection, ids: Sequence[int]) -> int:
    """Write the texts of those rows that the index has not, or not rightly.

    Return how many.
    """
    gone, texts = _wrong(session, ids, exists=True)
    session.executemany("DELETE FROM lea_fleet_search WHERE rowid = :id", gone)
    session.executemany(
        "INSERT INTO lea_fleet_search (rowid, text) VALUES (:id, :text)", texts
    )
    return len(texts)


def _wrong(
    session: sqlite3.Connection, ids: Sequence[int], exists: bool
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return what is to be deleted from the index, and what to be added."""
    values = {"ids": json.dumps([*ids])}
    texts = {
        id: searched_text(columns, note)
        for id, columns, note in session.execute(_ROWS, values)
    }
    indexed: Mapping[int, str] = {}
    if exists:
        query = f"SELECT rowid, text FROM lea_fleet_search WHERE rowid {_AMONG}"
        indexed = {id: text for id, text in session.execute(query, values)}
    gone = [{"id": id} for id, text in indexed.items() if texts.get(id) != text]
    new = [{"id": i, "text": t} for i, t in texts.items() if indexed.get(i) != t]
    return gone, new


def _unmark(session: sqlite3.Connection, ids: Sequence[int]) -> None:
    """Forget the marks of rows that were indexed, and those of no row."""
    session.execute(
        "DELETE FROM lea_fleet_unindexed WHERE machine_id NOT IN"
        " (SELECT machine_id FROM enrolled_agents)"
        " OR machine_id IN (SELECT machine_id FROM enrolled_agents"
        f" WHERE id {_AMONG})",
        {"ids": json.dumps([*ids])},
    )


def _ranges(session: sqlite3.Connection) -> Iterator[range]:
    """Yield the ids of all rows, in ranges for one transaction each."""
    query = "SELECT coalesce(max(id), 0) FROM enrolled_agents"
    (highest,) = session.execute(query).fetchone()
    for begin in range(1, highest + 1, _STEP):
        yield range(begin, begin + _STEP)


def _rewrite(session: sqlite3.Connection) -> int:
    rewritten = 0
    with _writing(session):
        _state(session)
        session.execute(
            "INSERT INTO lea_fleet_search (lea_fleet_search) VALUES ('integrity-check')"
        )
    for ids in _ranges(session):
        with _writing(session):
            rewritten += _mend(session, ids)
    purge(session)  # one part is searched faster than many
    return rewritten


@contextmanager
def _writing(session: sqlite3.Connection) -> Iterator[None]:
    begin_writing(session, durable=False)
    try:
        yield
        session.commit()
    except BaseException:
        session.rollback()
        raise
