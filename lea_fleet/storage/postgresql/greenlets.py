"""Let other greenlets run while a statement waits, where gevent has patched Python.

libpq's own functions wait within C. A worker of gevent would stand still meanwhile, and
with it the greenlet that has the lock which is waited for: 12 clients of two machines
got 8 answers in 20 seconds.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import psycopg
from psycopg.generators import execute
from psycopg.pq.abc import PGconn, PGresult


class Waiting:
    """Run statements as a ``PGconn`` does, but wait for them as psycopg does."""

    def __init__(self, driver: psycopg.Connection[Any]) -> None:
        run = driver.pgconn
        self.exec_ = _waiting(driver, run.send_query)
        self.exec_params = _waiting(driver, run.send_query_params)
        self.exec_prepared = _waiting(driver, run.send_query_prepared)
        self.prepare = _waiting(driver, run.send_prepare)


def runner(driver: psycopg.Connection[Any]) -> PGconn | Waiting:
    """Return what runs statements on *driver*: libpq itself, where no greenlets are."""
    return Waiting(driver) if _has_greenlets() else driver.pgconn


def _waiting(
    driver: psycopg.Connection[Any], send: Callable[..., None]
) -> Callable[..., PGresult]:
    def run(*arguments: Any) -> PGresult:
        send(*arguments)
        results: list[PGresult] = driver.wait(execute(driver.pgconn))
        return results[-1]

    return run


def _has_greenlets() -> bool:
    """Return whether psycopg lets greenlets run: it asks this when it is imported."""
    patching = sys.modules.get("gevent.monkey")
    return patching is not None and bool(patching.is_module_patched("select"))
