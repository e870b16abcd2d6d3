"""Move a fleet to another database while servers go on writing this one.

All rows are copied from one snapshot, then what has changed since, again and again.
Under a short lock the last changes follow, and the source is closed to our servers.
Every row is then compared on both sides before the target is opened; until then, the
target is of no use, and a move that failed or was killed is simply begun anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, suppress
from time import monotonic
from uuid import uuid4

from ..core import clock
from ..core.problems import DatabaseProblem
from .compared import Known, Told, compare, digests_of
from .sides import Mark, MoveRefused, Rows, Source, Target, chunks
from .tables import TABLES, Row, Table

#: Seconds for which the source may be locked, in a fleet of so many machines or fewer.
LONGEST_LOCK = 3.0
_MACHINES = 100_000

#: Changed rows that are few enough to follow under the lock, and how often the move
#: tries to come down to that.
_FEW = 500
_PASSES = 10

#: Rows that are read and written at once.
_CHUNK = 1000


class Differs(MoveRefused):
    """The two databases differed after the copy."""


class Unstorable(MoveRefused):
    """The source has values that the target cannot store as they are."""


def move(source: Source, target: Target, *, accept: bool, told: Told) -> Mark:
    """Move the fleet; return what both databases remember of it.

    Unless *accept*, values that the target cannot store as they are refuse the move.
    Raises MoveRefused, of which nothing remains, and the errors of both databases.
    """
    with source.alone(), target.alone():
        _refuse_moved(source, target)
        mark = Mark(uuid4().hex, target.place, "closing", _now(), {})
        there = mark._replace(other=source.place, state="filling")
        source.reopen()
        is_opening = False
        try:
            target.begin(there)
            mark = _moved(source, target, mark, accept, told)
            _end_noting(source)
            is_opening = True
            target.open(there._replace(state="open", digests=mark.digests))
        except BaseException:
            if not (is_opening and _may_be_open(target)):
                _give_up(source, target, told)
            raise
        source.settle()
    return mark._replace(state="closed")


def _end_noting(source: Source) -> None:
    """Stop noting, unless somebody is in the way: then the next command does it."""
    with suppress(*source.errors):
        source.end_noting()


def _may_be_open(target: Target) -> bool:
    """Return whether servers may use the target, although opening it failed.

    The answer may have been lost.
    """
    try:
        mark = target.mark()
    except Exception:
        return True
    return mark is not None and mark.state == "open"


def _give_up(source: Source, target: Target, told: Told) -> None:
    """Let the source be used again, and forget what was copied."""
    faults: tuple[type[Exception], ...] = (*source.errors, DatabaseProblem)
    try:
        source.reopen()
        source.end_noting()
    except faults:
        told(f"{source.place} may be closed: run the same command again", 0)
    with suppress(*target.errors):
        target.abandon()


def _moved(
    source: Source, target: Target, mark: Mark, accept: bool, told: Told
) -> Mark:
    """Copy everything, close the source and compare both sides."""
    source.begin_noting()
    known = _copy(source, target, told)
    _refuse_misfits(source, accept)
    _catch_up(source, target, known, told)
    with ExitStack() as stack:
        # What both sides are compared by: opened while nobody can write.
        last = _cut_over(source, target, mark, known, accept, told, stack)
        ours = compare(last, told)
    with target.snapshot() as rows:
        theirs = digests_of(compare(rows, told))
    digests = digests_of(ours)
    differing = [name for name in digests if digests[name] != theirs[name]]
    if differing:
        raise Differs(f"The two databases differ in {', '.join(differing)}.")
    mark = mark._replace(digests=digests)
    source.keep(mark, {name: each.prints for name, each in ours.items()})
    return mark


def undo(source: Source, target: Target, told: Told) -> None:
    """Take the move back, if nothing was written to the target since.

    Raises MoveRefused.
    """
    with source.alone(), target.alone():
        here, there = source.mark(), target.mark()
        if here is None or not here.is_closed:
            raise MoveRefused(f"{source.place} was not moved.")
        if there is not None and there.state == "open":
            if there.id != here.id:
                raise MoveRefused(f"{target.place} has come from {there.other}.")
            _withdraw(target, there._replace(state="undone"), told)
        elif there is None or there.id != here.id:
            # Whether it was ever open is known only of one that was not.
            if here.state != "closing" or here.other != target.place:
                raise MoveRefused(
                    f"{source.place} was moved to {here.other}; nothing of that is in"
                    f" {target.place}."
                )
        source.reopen()
        target.abandon()


def _withdraw(target: Target, mark: Mark, told: Told) -> None:
    with target.locked() as rows:
        digests = digests_of(compare(rows, told))
        changed = [name for name in digests if digests[name] != mark.digests[name]]
        if changed:
            raise MoveRefused(
                f"{target.place} has been written since it was opened"
                f" ({', '.join(changed)}). Move it back instead."
            )
        target.withdraw(mark)


def try_out(source: Source, told: Told) -> dict[str, tuple[int, str]]:
    """Read all rows, as a move does; return the digest of each table."""
    with source.untouched() as rows:
        return digests_of(compare(rows, told))


def _refuse_moved(source: Source, target: Target) -> None:
    """Refuse where the fleet has moved away, or where the target is in use."""
    here, there = source.mark(), target.mark()
    if here is None or not here.is_closed:
        return
    if there is not None and there.state == "open":
        if here.id == there.id:
            source.settle()
            _end_noting(source)
            target.abandon()
            raise MoveRefused(
                f"{source.place} was moved to {here.other} at {here.at}. --again brings"
                " over what was written since; --undo takes the move back."
            )
    if here.state == "closed":
        raise MoveRefused(
            f"{source.place} was moved to {here.other} at {here.at}: move that one."
        )
    if here.other != target.place:
        raise MoveRefused(
            f"A move of {source.place} to {here.other} was interrupted: run that again,"
            " or take it back with --undo."
        )


def _refuse_misfits(source: Source, accept: bool) -> None:
    if source.misfits and not accept:
        raise Unstorable(f"{len(source.misfits)} values cannot be stored.")


def _copy(source: Source, target: Target, told: Told) -> dict[str, Known]:
    """Copy all rows of one snapshot; return what is known of tables without notes."""
    known = {}
    with source.snapshot() as rows:
        for table in TABLES:
            if table.is_noted:
                target.fill(table, _counted(rows.all(table), table, told))
                continue
            known[table.name] = Known()
            read = known[table.name].remembered(rows.all(table))
            target.fill(table, _counted(read, table, told))
    return known


def _counted(rows: Iterable[Row], table: Table, told: Told) -> Iterator[Row]:
    number = 0
    for number, row in enumerate(rows, 1):
        yield row
        if number % 10_000 == 0:
            told(f"Copying {table.name}", number)
    told(f"Copied {table.name}", number)


def _catch_up(
    source: Source, target: Target, known: dict[str, Known], told: Told
) -> None:
    """Copy what changed meanwhile, until that is little."""
    for _ in range(_PASSES):
        noted = source.take_noted()  # before the rows are read that it names
        with source.snapshot() as rows:
            changed = _bring(noted, rows, target, known)
        told("Copied changed rows", changed)
        if changed <= _FEW:
            return


def _bring(
    noted: dict[str, list[Row]], rows: Rows, target: Target, known: dict[str, Known]
) -> int:
    """Copy the rows that have changed, as *rows* has them; return how many."""
    changed = 0
    for table in TABLES:
        if table.is_noted:
            keys = noted.get(table.name, [])
        else:
            keys = known[table.name].changed(rows.all(table))
        for some in chunks(keys, _CHUNK):
            target.replace(table, some, rows.some(table, some))
        changed += len(keys)
    return changed


def _cut_over(
    source: Source,
    target: Target,
    mark: Mark,
    known: dict[str, Known],
    accept: bool,
    told: Told,
    stack: ExitStack,
) -> Rows:
    """Copy the last changes and close the source, under a lock.

    Return its last rows, in a snapshot that *stack* ends.
    """
    longest = LONGEST_LOCK * max(1, len(known["enrolled_agents"].ids) / _MACHINES)
    with source.locked() as rows, target.hurried(longest):
        begin = monotonic()
        changed = _bring(source.take_noted(), rows, target, known)
        _refuse_misfits(source, accept)  # written since
        target.set_numbers(rows.numbers())
        last = stack.enter_context(source.snapshot())
        seconds = monotonic() - begin
        if seconds > longest:
            raise MoveRefused(
                f"The last changes took {seconds:.1f} seconds under a lock; it may be"
                f" held for {longest:.0f}. Try again when the fleet is calmer."
            )
        source.close(mark)
    told(f"Copied the last changes under a lock of {seconds:.2f} s", changed)
    return last


def _now() -> str:
    return clock.iso(clock.now())
