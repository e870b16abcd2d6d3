"""The settings: name, default, meaning and accepted values of each.

They are read once from ``app.config``, when the plugin is registered on an application.
The two ``RPA_…`` settings are the host's own and may be environment variables
instead. Durations are ``30s``, ``15m``, ``12h``, ``7d``, ``never`` or seconds.
"""

from __future__ import annotations

import difflib
import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any

import click

from ..core.clock import parse_duration
from ..core.limits import LONGEST_BUSY_TIMEOUT
from ..core.presence import PresenceRule
from ..core.tokens import AGENT_PREFIX, ENROLLMENT_PREFIX

#: The command that generates a token that cannot be guessed.
MAKE_A_TOKEN = 'python3 -c "import secrets; print(secrets.token_urlsafe(32))"'

#: The default path of the operator's page.
_PAGE = "/fleet"
_SHORTEST_METRICS_TOKEN = 16


class ConfigurationError(click.ClickException, RuntimeError):
    """The application cannot start as it is configured.

    A ClickException, so that ``flask`` commands print it as one line.
    """


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("must be text that is not blank")
    return value.strip()


def _api_token(value: Any) -> str:
    if value is None or not str(value).strip():
        raise ValueError(
            "is not set. It is the token that operators and the host's own clients"
            f" send; make one with: {MAKE_A_TOKEN}"
        )
    token = _text(value)
    if not token.isprintable():  # a header field cannot contain it
        raise ValueError("must be printable text")
    return token


def _metrics_token(value: Any) -> str | None:
    if value is None:
        return None
    token = _text(value)
    if not token.isprintable() or len(token) < _SHORTEST_METRICS_TOKEN:
        raise ValueError(
            f"must be printable text of at least {_SHORTEST_METRICS_TOKEN} characters;"
            f" make one with: {MAKE_A_TOKEN}"
        )
    if token.startswith((AGENT_PREFIX, ENROLLMENT_PREFIX)):
        raise ValueError("must not look like the token of an agent or an installer")
    return token


def _database(value: Any) -> Path:
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    path = _text(value)
    if path.startswith((":memory:", "file:")) or "\0" in path:
        raise ValueError("must be the path of a file: all requests share one database")
    # Made absolute now: a server may change its working directory later.
    return Path(os.path.abspath(path))


def _seconds(value: Any) -> float:
    seconds = parse_duration(value)
    if seconds is None:
        raise ValueError("must not be never")
    return seconds


def _timeout(value: Any) -> float:
    seconds = _seconds(value)
    if seconds > LONGEST_BUSY_TIMEOUT:
        raise ValueError("must be at most 1h")
    return seconds


def _whole_seconds(value: Any) -> int:
    seconds = _seconds(value)
    if seconds < 1 or seconds != int(seconds):
        raise ValueError("must be whole seconds, at least 1s")
    return int(seconds)


def _rate(value: Any) -> float:
    try:
        rate = float(str(value))  # str() first: True is not a number here
    except ValueError:
        raise ValueError("must be a number") from None
    if not 0 < rate < math.inf:
        raise ValueError("must be more than 0")
    return rate


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def _prefix(value: Any) -> str:
    prefix = _text(value).rstrip("/")
    if not prefix.startswith("/"):
        raise ValueError("must be a path that begins with a slash")
    return prefix


def _page(value: Any) -> str | None:
    if isinstance(value, bool):
        return _PAGE if value else None
    address = _text(value).rstrip("/")
    if not re.fullmatch(r"(/[\w.~-]+)+", address, re.ASCII):
        raise ValueError(
            "must be true, false or a path such as /fleet, of letters, digits and -._~"
        )
    return address


def _issue(value: Any) -> str:
    if value not in ("agent", "shared"):
        raise ValueError("must be 'agent' or 'shared'")
    return str(value)


def _setting(
    key: str, check: Callable[[Any], Any], default: Any, *, in_environment: bool = False
) -> Any:
    """Declare a setting; *in_environment* is for the two settings of the host."""
    metadata = {"key": key, "check": check, "default": default}
    metadata["in_environment"] = in_environment
    return field(metadata=metadata, repr=not key.endswith("_TOKEN"))


@dataclass(frozen=True)
class Settings:
    """The validated settings of one application."""

    #: The operator's token, which the host's other clients use as well.
    api_token: str = _setting("RPA_API_TOKEN", _api_token, None, in_environment=True)

    #: The host's SQLite file; relative to the folder the server starts in.
    #: Missing folders are made at the first request.
    database: Path = _setting(
        "RPA_AGENTS_DB_PATH",
        _database,
        "data/databases/rpa_data.db",
        in_environment=True,
    )

    #: The path prefix of the routes, unless the registration passes ``url_prefix=``.
    url_prefix: str = _setting("LEA_FLEET_URL_PREFIX", _prefix, "/api/v1/agents")

    #: The path of the operator's page; None for no page. A host that registers the
    #: blueprint itself gets a page only if it sets this.
    page: str | None = _setting("LEA_FLEET_PAGE", _page, _PAGE)

    #: The token that an enrollment returns: ``agent``, one of the machine's own, or
    #: ``shared``, the operator's token, for hosts that cannot tell agents apart.
    issue: str = _setting("LEA_FLEET_ISSUE", _issue, "agent")

    #: The shortest heartbeat interval that agents are told; a large fleet gets a
    #: longer one. In seconds in the API's responses.
    heartbeat_interval: int = _setting(
        "LEA_FLEET_HEARTBEAT_INTERVAL", _whole_seconds, "60s"
    )

    #: The most heartbeats a second that the whole fleet should send.
    heartbeat_rate: float = _setting("LEA_FLEET_HEARTBEAT_RATE", _rate, 200)

    #: A heartbeat within this time of the last one that was written, with no changed
    #: details, is answered without a write. ``0s`` writes each of them.
    heartbeat_resolution: float = _setting(
        "LEA_FLEET_HEARTBEAT_RESOLUTION", _seconds, "15s"
    )

    #: A machine that has been silent for this long is ``stale``.
    stale_after: float | None = _setting("LEA_FLEET_STALE_AFTER", parse_duration, "14d")

    #: An installer may re-enroll a machine that has been silent for this long without
    #: a release; with ``never``, an operator must always release it first.
    reenroll_silent_after: float | None = _setting(
        "LEA_FLEET_REENROLL_SILENT_AFTER", parse_duration, "never"
    )

    #: How long a request waits for another writer before it is answered 503.
    busy_timeout: float = _setting("LEA_FLEET_BUSY_TIMEOUT", _timeout, "5s")

    #: Whether connections are kept open between requests.
    reuse_connections: bool = _setting("LEA_FLEET_REUSE_CONNECTIONS", _boolean, True)

    #: Whether there is a route for Prometheus; needs lea-fleet[metrics].
    metrics: bool = _setting("LEA_FLEET_METRICS", _boolean, False)

    #: A token that may read the metrics and nothing else, beside the operator's.
    metrics_token: str | None = _setting(
        "LEA_FLEET_METRICS_TOKEN", _metrics_token, None
    )

    #: Whether preflights are answered, for a CORS extension of the host.
    cors: bool = _setting("LEA_FLEET_CORS", _boolean, False)

    #: Whether the routes are exempted from a CSRFProtect of Flask-WTF in the host.
    csrf_exempt: bool = _setting("LEA_FLEET_CSRF_EXEMPT", _boolean, True)

    @property
    def presence_rule(self) -> PresenceRule:
        """The settings that say when a machine is online, offline and stale."""
        return PresenceRule(
            heartbeat_interval=self.heartbeat_interval,
            heartbeat_rate=self.heartbeat_rate,
            resolution=self.heartbeat_resolution,
            stale_after=self.stale_after,
            given_up_after=self.reenroll_silent_after,
        )

    @classmethod
    def load(cls, config: Mapping[str, Any]) -> Settings:
        """Return the settings in *config*, with defaults for the others.

        Raises ConfigurationError, naming the key, for a value that is not valid, for a
        ``LEA_FLEET_…`` key that does not exist, and for a missing token.
        """
        _refuse_unknown(config)
        values = {setting.name: _read(setting, config) for setting in fields(cls)}
        settings = cls(**values)
        if settings.heartbeat_resolution > settings.heartbeat_interval:
            raise ConfigurationError(
                "LEA_FLEET_HEARTBEAT_RESOLUTION must not be longer than"
                " LEA_FLEET_HEARTBEAT_INTERVAL: live machines would look silent."
            )
        if settings.metrics_token == settings.api_token:
            raise ConfigurationError(
                "LEA_FLEET_METRICS_TOKEN must not be RPA_API_TOKEN: whoever reads the"
                " metrics would have all rights of an operator."
            )
        return settings


@cache
def default_rule() -> PresenceRule:
    """Return the presence rule of the default settings."""
    required = {"RPA_API_TOKEN": "-", "RPA_AGENTS_DB_PATH": "-"}
    return Settings.load(required).presence_rule


def is_default_database(config: Mapping[str, Any]) -> bool:
    """Return whether the database is at the default path, below the current folder."""
    (setting,) = (each for each in fields(Settings) if each.name == "database")
    return bool(_value(setting, config) == setting.metadata["default"])


def setting_keys() -> list[str]:
    """Return the key of every setting, in the order of the declarations."""
    return [setting.metadata["key"] for setting in fields(Settings)]


def _read(setting: Any, config: Mapping[str, Any]) -> Any:
    key, check = setting.metadata["key"], setting.metadata["check"]
    try:
        return check(_value(setting, config))
    except ValueError as error:
        raise ConfigurationError(f"{key} {error}") from None


def _value(setting: Any, config: Mapping[str, Any]) -> Any:
    """Return the setting's value, not checked yet."""
    key = setting.metadata["key"]
    value = config.get(key)
    if value is None and setting.metadata["in_environment"]:
        value = os.environ.get(key)
    return setting.metadata["default"] if value is None else value


def _refuse_unknown(config: Mapping[str, Any]) -> None:
    known = setting_keys()
    for key in config:
        if key.startswith("LEA_FLEET_") and key not in known:
            alike = difflib.get_close_matches(key, known, n=1, cutoff=0.8)
            hint = f"; did you mean {alike[0]}?" if alike else "."
            raise ConfigurationError(f"{key} is not a setting of lea_fleet{hint}")
