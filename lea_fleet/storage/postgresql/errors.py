"""Convert PostgreSQL's errors to problems for the caller."""

from __future__ import annotations

import psycopg
from psycopg import errors

from ...core.problems import DatabaseBusy, DatabaseProblem, DatabaseUnavailable

#: The transaction was rolled back for another one's sake (40001, 40P01, 23505).
_CONFLICTS = (
    errors.SerializationFailure,
    errors.DeadlockDetected,
    errors.UniqueViolation,
)

#: Another transaction was in the way, or there are too many.
_BUSY = (
    *_CONFLICTS,
    errors.LockNotAvailable,
    errors.QueryCanceled,  # by the statement timeout
    errors.TooManyConnections,
)

#: The server ends this connection, or has become a standby: another one is needed.
_ENDED = (
    psycopg.InterfaceError,
    errors.ReadOnlySqlTransaction,
    errors.IdleInTransactionSessionTimeout,
)

#: Classes of other codes for that: the server or a pooler ends it (08, 57P).
_ENDING = ("08", "57P")


#: What to do where a role lacks a right.
LET_IN = "Its administrator runs what this prints: flask fleet schema --sql --role ROLE"


#: What pgbouncer says of timeouts that are set at the start, which it does not pass on.
_OF_A_POOLER = "startup parameter"
_POOLED = "If a connection pooler is in between, set LEA_FLEET_DATABASE_POOLED."


class OutcomeUnknown(psycopg.OperationalError):
    """The connection was lost during a commit: it was written, or was not."""


def database_problem(error: Exception, place: str) -> DatabaseProblem:
    """Return the problem to raise for an *error* of the database at *place*."""
    if isinstance(error, _BUSY):
        return DatabaseBusy(f"{place} is busy: {first_line(error)}.")
    if isinstance(error, errors.InsufficientPrivilege):
        return DatabaseUnavailable(
            f"{place} cannot be used: {first_line(error)}. {LET_IN}"
        )
    told = first_line(error)
    hint = f" {_POOLED}" if _OF_A_POOLER in told else ""
    return DatabaseUnavailable(f"{place} cannot be used: {told}.{hint}")


def is_lost(error: Exception) -> bool:
    """Return whether *error* means that the connection is of no more use."""
    if isinstance(error, _ENDED):
        return True
    if not isinstance(error, psycopg.OperationalError):
        return False
    # An error of libpq itself, such as "server closed the connection unexpectedly", has
    # no code.
    return error.sqlstate is None or error.sqlstate.startswith(_ENDING)


def is_conflict(error: Exception) -> bool:
    """Return whether the transaction was rolled back for another one's sake."""
    return isinstance(error, _CONFLICTS)


def may_run_again(error: Exception) -> bool:
    """Return whether the transaction that *error* ended may be run again.

    Not after a commit whose outcome is not known.
    """
    if isinstance(error, OutcomeUnknown):
        return False
    return is_conflict(error) or is_lost(error)


def first_line(error: Exception) -> str:
    """Return what *error* says, in one line, without its full stop.

    Not the lines that quote the data or the statement. libpq has a line for each host.
    """
    diagnosis = getattr(error, "diag", None)
    told = (diagnosis and diagnosis.message_primary) or str(error)
    lines = [line.strip() for line in told.splitlines()]
    return "; ".join(filter(None, lines)).rstrip(".")
