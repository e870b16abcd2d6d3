"""Convert PostgreSQL's errors to problems for the caller."""

from __future__ import annotations

import psycopg
from psycopg import errors

from ...core.problems import DatabaseBusy, DatabaseProblem, DatabaseUnavailable

#: The transaction was rolled back for another one's sake (40001, 40P01, 23505).
CONFLICTS = (
    errors.SerializationFailure,
    errors.DeadlockDetected,
    errors.UniqueViolation,
)

#: Another transaction was in the way, or there are too many.
_BUSY = (
    *CONFLICTS,
    errors.LockNotAvailable,
    errors.QueryCanceled,  # by the statement timeout
    errors.TooManyConnections,
)


def database_problem(error: Exception, place: str) -> DatabaseProblem:
    """Return the problem to raise for an *error* of the database at *place*."""
    text = first_line(error)
    if isinstance(error, _BUSY):
        return DatabaseBusy(f"{place} is busy: {text}.")
    return DatabaseUnavailable(f"{place} cannot be used: {text}.")


def is_lost(error: Exception) -> bool:
    """Return whether *error* means that the connection is of no more use.

    A server that has become a standby refuses to write (25006); so does one that is
    being shut down.
    """
    return isinstance(
        error, (psycopg.InterfaceError, errors.ReadOnlySqlTransaction)
    ) or (isinstance(error, psycopg.OperationalError) and error.sqlstate is None)


def first_line(error: Exception) -> str:
    """Return what *error* says, in one line: libpq's texts have one for each host."""
    lines = str(error).strip().splitlines()
    return "; ".join(line.strip() for line in lines if line.strip()).rstrip(".")
