"""The settings of an application for which none are set, or only the database."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from typing import Any

from ..core.presence import PresenceRule
from .setting_sources import find_value
from .settings import Settings


def default_settings(
    api_token: str, database: Mapping[str, Any] | None = None
) -> Settings:
    """Return the settings of an application for which no others are set.

    *database* is what is set of the :func:`database_keys`. Raises ConfigurationError.
    """
    given = {"RPA_API_TOKEN": api_token, **(database or {})}
    return Settings.load(given, environment={})


@cache
def default_rule() -> PresenceRule:
    """Return the presence rule of the default settings."""
    return default_settings("-").presence_rule


def is_default_database(config: Mapping[str, Any]) -> bool:
    """Return whether the database is at the default path, below the current folder."""
    if find_value("LEA_FLEET_DATABASE_URL", config, os.environ).value is not None:
        return False
    (setting,) = (each for each in fields(Settings) if each.name == "database")
    default = setting.metadata["default"]
    given = find_value(setting.metadata["key"], config, os.environ).value
    return given is None or bool(given == default)


def database_keys() -> list[str]:
    """Return the keys of the settings that say where the database is."""
    found = (one for one in fields(Settings) if one.name.startswith("database"))
    return [setting.metadata["key"] for setting in found]
