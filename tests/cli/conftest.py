"""A SQLite that the doctor finds no fault with."""

from __future__ import annotations

import sqlite3

import pytest


@pytest.fixture(autouse=True)
def _sqlite_without_a_known_bug(monkeypatch):
    """Most systems have an older one, which is a finding."""
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 51, 3))
