"""Connections that one command opens for itself, beside those of the store.

They look at a server that the store would refuse, such as a standby, and wait for
longer or not at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import conninfo

from .errors import database_problem

#: Seconds for each host of the URL, and the shortest that libpq knows.
_CONNECT_TIMEOUT = 5
SHORTEST = 2


@contextmanager
def connected(
    url: str, place: str, *, seconds: int | None = None
) -> Iterator[psycopg.Connection[Any]]:
    """Yield a connection in autocommit to any server of *url*.

    *seconds* to wait for each host replace the URL's. What the server answers in the
    block, too, is raised as DatabaseProblem.
    """
    try:
        driver = _connect(url, seconds)
        try:
            yield driver
        finally:
            driver.close()
    except psycopg.Error as error:
        raise database_problem(error, place) from None


def _connect(url: str, seconds: int | None) -> psycopg.Connection[Any]:
    """Connect to the server that accepts writes, else to any other one."""
    ours, has_several_hosts = _parameters(url, seconds)
    if has_several_hosts and seconds is None:
        try:
            return psycopg.connect(url, **ours, target_session_attrs="read-write")
        except psycopg.OperationalError:
            pass
    return psycopg.connect(url, **ours, target_session_attrs="any")


def _parameters(url: str, seconds: int | None) -> tuple[dict[str, Any], bool]:
    """Return what is not in *url*, and whether that names several hosts."""
    given = conninfo.conninfo_to_dict(url)
    # Nothing is prepared: the pooler of the store's connections may be in between.
    ours: dict[str, Any] = {"autocommit": True, "prepare_threshold": None}
    if "application_name" not in given:
        ours["application_name"] = "lea_fleet"
    if seconds is not None or "connect_timeout" not in given:
        ours["connect_timeout"] = seconds or _CONNECT_TIMEOUT
    return ours, "," in str(given.get("host") or given.get("hostaddr"))
