"""One connection to PostgreSQL, as the statements on the fleet use it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus

from .statements import translated

Cursor = psycopg.Cursor[tuple[Any, ...]]


class Session:
    """Run our statements on the psycopg connection *driver*, which is in autocommit.

    *schema* is the quoted identifier of the schema that our tables are in.
    """

    def __init__(self, driver: psycopg.Connection[Any], schema: str) -> None:
        self.driver = driver
        self.schema = schema
        self.pid = os.getpid()

    def execute(self, statement: str, values: Mapping[str, Any] = {}) -> Cursor:
        return self.driver.execute(translated(statement, self.schema), values)

    def executemany(
        self, statement: str, values: Iterable[Mapping[str, Any]]
    ) -> Cursor:
        cursor = self.driver.cursor()
        cursor.executemany(translated(statement, self.schema), values)
        return cursor

    def commit(self) -> None:
        self.driver.commit()

    def rollback(self) -> None:
        self.driver.rollback()

    @property
    def in_transaction(self) -> bool:
        return self.driver.pgconn.transaction_status != TransactionStatus.IDLE
