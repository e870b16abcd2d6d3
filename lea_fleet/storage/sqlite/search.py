"""The index for searches with ``q``: FTS5's trigrams of what machines are searched by.

It is a table of our own, and never trusted: what it finds is compared with the rows as
they are, and what it cannot know yet is added to that. This is what came since:

- new machines: their ids are above all in the index;
- re-enrollments, also those of an older server, which knows nothing of this: their
  ``enrolled_at`` is after the mark up to which the index was brought;
- what our own transactions change: they name the machines in ``lea_fleet_unindexed``.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from ...core import clock
from ...core.findings import Verdict, ok, warning
from ..interface import Found

#: Characters of the shortest text that trigrams find.
SHORTEST = 3

#: Machines above which reading all of them is cheaper for a page than looking at each
#: that was found, which takes 2.5 µs.
MOST = 5000

#: Seconds that a transaction may have waited for its lock since it read the clock.
LATE = 60

#: What the index may lack, and seconds until some of it is compared again.
_FEW = 200
_PERIOD = 600

_MATCHING = (
    "SELECT rowid FROM lea_fleet_search WHERE lea_fleet_search MATCH :phrase"
    " LIMIT :most"
)

#: The ids of machines that are new to the index.
NEW = (
    "SELECT id FROM enrolled_agents"
    " WHERE id > coalesce("
    "(SELECT rowid FROM lea_fleet_search ORDER BY rowid DESC LIMIT 1), 0)"
)

#: The ids of machines that our own transactions have changed.
UNINDEXED = (
    "SELECT id FROM enrolled_agents"
    " WHERE machine_id IN (SELECT machine_id FROM lea_fleet_unindexed)"
)

#: Machines that were enrolled since ``:mark``. Word for word with the conditions of the
#: indexes lea_fleet_listing and lea_fleet_departed.
ENROLLED = " UNION ALL ".join(
    f"SELECT id, enrolled_at FROM enrolled_agents WHERE {status}"
    " AND enrolled_at >= :mark"
    for status in ("status = 'active'", "status IS NOT 'active'")
)

#: The ids of up to ``:most`` machines of which the index knows nothing, or too little.
_SINCE = f"{NEW} UNION {UNINDEXED} UNION SELECT id FROM ({ENROLLED}) LIMIT :most"

_STATE = "SELECT mark FROM lea_fleet_indexed"

#: Fewer machines are read in 3 ms, without an index.
_IS_WORTH_IT = "SELECT 1 FROM enrolled_agents LIMIT 1 OFFSET 999"

_MARK = (
    "INSERT INTO lea_fleet_unindexed (machine_id) SELECT :machine_id"
    " WHERE EXISTS (SELECT 1 FROM lea_fleet_indexed) ON CONFLICT DO NOTHING"
)


def joined(columns: Iterable[str]) -> str:
    """Return the expression for the text of *columns* in bytes, with NUL between."""
    texts = " || char(0) || ".join([f"coalesce({name}, '')" for name in columns])
    return f"CAST({texts} AS BLOB)"


def find(session: sqlite3.Connection, text: str) -> Found:
    """See Dialect.find()."""
    if len(text) < SHORTEST:
        return Found(None)
    row = session.execute(_STATE).fetchone()
    if row is None:
        return Found(None, session.execute(_IS_WORTH_IT).fetchone() is not None)
    now = clock.now()
    # The clock may have been set back since.
    mark = min(row[0], clock.before(now, LATE))
    phrase = '"{}"'.format(text.replace('"', '""'))
    values = {"phrase": phrase, "mark": mark, "most": MOST + 1}
    try:
        since = {id for (id,) in session.execute(_SINCE, values)}
        found = {id for (id,) in session.execute(_MATCHING, values)} | since
    except sqlite3.DatabaseError:  # of an SQLite that cannot read it; or it is spoiled
        return Found(None)
    is_old = mark < clock.before(now, LATE + _PERIOD)
    ids = None if len(found) > MOST else sorted(found)
    return Found(ids, is_old or len(since) > _FEW)


def note_change(session: sqlite3.Connection, machine_id: str) -> None:
    """Record that the index is to learn what a machine is searched by now."""
    session.execute(_MARK, {"machine_id": machine_id})


def forget(session: sqlite3.Connection, machine_id: str) -> None:
    """Take what a machine is searched by out of the index, until it is indexed anew.

    What FTS5 keeps of it is gone after :func:`purge`.
    """
    if not has_index(session):
        return
    try:
        _probe(session)  # first, since FTS5 would fail only when it is committed
        session.execute(
            "DELETE FROM lea_fleet_search WHERE rowid ="
            " (SELECT id FROM enrolled_agents WHERE machine_id = :machine_id)",
            {"machine_id": machine_id},
        )
    except sqlite3.DatabaseError:
        empty(session)
    else:
        note_change(session, machine_id)


def is_worth_it(session: sqlite3.Connection) -> bool:
    """Return whether the fleet is large enough for an index, if there is none yet."""
    return session.execute(_IS_WORTH_IT).fetchone() is not None


def has_index(session: sqlite3.Connection) -> bool:
    return session.execute(_STATE).fetchone() is not None


def is_available(session: sqlite3.Connection) -> bool:
    """Return whether this SQLite has FTS5."""
    found = session.execute("SELECT 1 FROM pragma_module_list WHERE name = 'fts5'")
    return found.fetchone() is not None


def empty(session: sqlite3.Connection) -> None:
    """Delete all of an index that this SQLite cannot use; it is made anew later."""
    tables = session.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table'"
        " AND name GLOB 'lea_fleet_search_*'"
    ).fetchall()
    for (name,) in tables:
        session.execute(f"DELETE FROM {name}")
    session.execute("DELETE FROM lea_fleet_indexed")
    session.execute("DELETE FROM lea_fleet_unindexed")


def _probe(session: sqlite3.Connection) -> None:
    """Search for anything. Raises sqlite3.DatabaseError if that is not possible."""
    session.execute(_MATCHING, {"phrase": "abc", "most": 1}).fetchone()


def search_check(session: sqlite3.Connection) -> Verdict:
    """Tell how searches with ``q`` find machines."""
    if not is_available(session):
        return ok("reads all machines: this SQLite has no FTS5")
    try:
        if not has_index(session):
            return ok("reads all machines: a search of a large fleet makes an index")
    except sqlite3.OperationalError:
        return ok("reads all machines: there is no index yet")
    try:
        _probe(session)
    except sqlite3.DatabaseError as error:
        return warning(
            f"reads all machines, since the index cannot be read: {error}",
            "Make it anew: flask fleet schema --rewrite-keys",
        )
    return ok("by an index of FTS5")
