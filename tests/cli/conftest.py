"""A SQLite that the doctor finds no fault with."""

from __future__ import annotations

import sqlite3
from types import SimpleNamespace

import pytest

from lea_fleet.cli import move


@pytest.fixture(autouse=True)
def _sqlite_without_a_known_bug(monkeypatch):
    """Most systems have an older one, which is a finding."""
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 51, 3))


@pytest.fixture(autouse=True)
def _no_wait_after_a_move(monkeypatch):
    """It waits for a minute before it looks for late writes."""
    monkeypatch.setattr(move, "time", SimpleNamespace(sleep=lambda seconds: None))
