"""The settings: name, default, meaning and accepted values of each.

They are read once, when the plugin is registered on an application, from ``app.config``
or else from the environment. Durations are ``30s``, ``15m``, ``12h``, ``7d``, ``never``
or, in ``app.config`` only, seconds.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import click

from ..core.clock import duration_text, parse_duration, parse_lifetime
from ..core.presence import PresenceRule, parse_days
from ..core.server_url import public_url
from ..core.tags import reported_names
from . import setting_texts as as_shown
from . import setting_values as accepted
from .setting_sources import find_value, unknown


class ConfigurationError(click.ClickException, RuntimeError):
    """The application cannot start as it is configured.

    A ClickException, so that ``flask`` commands print it as one line.
    """


def _setting(
    key: str,
    check: Callable[[Any], Any],
    default: Any,
    *,
    show: Callable[[Any], str] = str,
) -> Any:
    """Declare a setting; *show* returns the text that people are shown of its value."""
    metadata = {"key": key, "check": check, "default": default, "show": show}
    return field(metadata=metadata)


@dataclass(frozen=True, repr=False)
class Settings:
    """The validated settings of one application."""

    #: The operator's token, which the host's other clients use as well.
    api_token: str = _setting(
        "RPA_API_TOKEN", accepted.api_token, None, show=as_shown.set_or_not
    )

    #: The host's SQLite file; relative to the folder the server starts in.
    #: Missing folders are made at the first request.
    database: Path = _setting(
        "RPA_AGENTS_DB_PATH", accepted.database, "data/databases/rpa_data.db"
    )

    #: The PostgreSQL database to use instead of the file, in libpq's form:
    #: ``postgresql://user@host1,host2/db``. Needs ``lea-fleet[postgresql]``.
    database_url: str | None = _setting(
        "LEA_FLEET_DATABASE_URL", accepted.database_url, None, show=as_shown.url_shown
    )

    #: The schema of PostgreSQL that our tables are in.
    database_schema: str = _setting(
        "LEA_FLEET_DATABASE_SCHEMA", accepted.schema, "public"
    )

    #: Whether a connection pooler hands out PostgreSQL's connections for a transaction
    #: each, as pgbouncer does in its transaction mode.
    database_pooled: bool = _setting(
        "LEA_FLEET_DATABASE_POOLED", accepted.boolean, False
    )

    #: The path prefix of the routes, unless the registration passes ``url_prefix=``.
    url_prefix: str = _setting(
        "LEA_FLEET_URL_PREFIX", accepted.prefix, "/api/v1/agents"
    )

    #: The path of the operator's page; None for no page. A host that registers the
    #: blueprint itself gets a page only if it sets this.
    page: str | None = _setting(
        "LEA_FLEET_PAGE",
        accepted.page,
        accepted.PAGE,
        show=lambda path: path or "False",
    )

    #: The URL at which machines reach the server, for what sets them up. With https://;
    #: http:// is for this computer only.
    public_url: str | None = _setting(
        "LEA_FLEET_PUBLIC_URL", public_url, None, show=as_shown.url_shown
    )

    #: The token that an enrollment returns: ``agent``, one of the machine's own, or
    #: ``shared``, the operator's token, for hosts that cannot tell agents apart.
    issue: str = _setting("LEA_FLEET_ISSUE", accepted.issue, "agent")

    #: The shortest heartbeat interval that agents are told; a large fleet gets a
    #: longer one. In seconds in the API's responses.
    heartbeat_interval: int = _setting(
        "LEA_FLEET_HEARTBEAT_INTERVAL",
        accepted.whole_seconds,
        "60s",
        show=duration_text,
    )

    #: The most heartbeats a second that the whole fleet should send.
    heartbeat_rate: float = _setting("LEA_FLEET_HEARTBEAT_RATE", accepted.rate, 200)

    #: A heartbeat within this time of the last one that was written, with no changed
    #: details, is answered without a write. ``0s`` writes each of them.
    heartbeat_resolution: float = _setting(
        "LEA_FLEET_HEARTBEAT_RESOLUTION", accepted.seconds, "15s", show=duration_text
    )

    #: A machine that has been silent for this long is ``stale``.
    stale_after: float | None = _setting(
        "LEA_FLEET_STALE_AFTER", parse_duration, "14d", show=duration_text
    )

    #: An installer may re-enroll a machine that has been silent for this long without
    #: a release; with ``never``, an operator must always release it first.
    reenroll_silent_after: float | None = _setting(
        "LEA_FLEET_REENROLL_SILENT_AFTER", parse_duration, "never", show=duration_text
    )

    #: For how many days the hours are kept in which each machine was seen, up to 366;
    #: with 0 it is not, and what there is of it is deleted.
    presence_days: int = _setting("LEA_FLEET_PRESENCE_DAYS", parse_days, 30)

    #: How long a request waits for another writer before it is answered 503.
    busy_timeout: float = _setting(
        "LEA_FLEET_BUSY_TIMEOUT", accepted.timeout, "5s", show=duration_text
    )

    #: Whether connections are kept open between requests.
    reuse_connections: bool = _setting(
        "LEA_FLEET_REUSE_CONNECTIONS", accepted.boolean, True
    )

    #: Whether there is a route for Prometheus; needs lea-fleet[metrics].
    metrics: bool = _setting("LEA_FLEET_METRICS", accepted.boolean, False)

    #: A token that may read the metrics and nothing else, beside the operator's.
    metrics_token: str | None = _setting(
        "LEA_FLEET_METRICS_TOKEN",
        accepted.metrics_token,
        None,
        show=as_shown.set_or_not,
    )

    #: The keys of the tags that metrics and messages show, at most ten: ``site, team``.
    reported_tags: tuple[str, ...] = _setting(
        "LEA_FLEET_REPORTED_TAGS", reported_names, None, show=as_shown.names
    )

    #: A machine that has been silent for this long is told to be; off with ``never``.
    alert_after: float | None = _setting(
        "LEA_FLEET_ALERT_AFTER", parse_lifetime, "never", show=duration_text
    )

    #: The part of the fleet that must have fallen silent at once to be told, compared
    #: with what is usual at that hour of the week: ``0.3``. Off unless it is set.
    alert_share: float | None = _setting(
        "LEA_FLEET_ALERT_SHARE", accepted.share, None, show=as_shown.or_off
    )

    #: Where webhooks are sent to: one URL or several, with blanks between them. They
    #: begin with https://; http:// is for this computer only.
    webhook_urls: tuple[str, ...] = _setting(
        "LEA_FLEET_WEBHOOK_URL", accepted.webhook_urls, None, show=as_shown.hosts_shown
    )

    #: What webhooks are signed with: ``whsec_…``, or two of them while it is changed.
    webhook_secrets: tuple[str, ...] = _setting(
        "LEA_FLEET_WEBHOOK_SECRET",
        accepted.webhook_secrets,
        None,
        show=lambda secrets: as_shown.set_or_not(secrets or None),
    )

    #: Whether webhooks and mail name people: users, addresses, hostnames, reasons.
    webhook_personal: bool = _setting(
        "LEA_FLEET_WEBHOOK_PERSONAL", accepted.boolean, False
    )

    #: Who gets the mail: one address or several, with commas between them.
    mail_to: tuple[str, ...] = _setting(
        "LEA_FLEET_MAIL_TO", accepted.addresses, None, show=as_shown.number_shown
    )

    #: The sender of the mail; the first of its recipients if it is not set.
    mail_from: str | None = _setting(
        "LEA_FLEET_MAIL_FROM", accepted.address, None, show=as_shown.set_or_not
    )

    #: The language of the mail: ``en`` or ``fr``.
    mail_language: str = _setting("LEA_FLEET_MAIL_LANGUAGE", accepted.language, "en")

    #: The mail server: ``smtp://user:password@host:587``, or ``smtps://``.
    smtp_url: str = _setting(
        "LEA_FLEET_SMTP_URL",
        accepted.smtp_url,
        "smtp://localhost",
        show=as_shown.url_shown,
    )

    #: Whether preflights are answered, for a CORS extension of the host.
    cors: bool = _setting("LEA_FLEET_CORS", accepted.boolean, False)

    #: Whether the routes are exempted from a CSRFProtect of Flask-WTF in the host.
    csrf_exempt: bool = _setting("LEA_FLEET_CSRF_EXEMPT", accepted.boolean, True)

    @property
    def presence_rule(self) -> PresenceRule:
        """The settings that say when a machine is online, offline and stale."""
        return PresenceRule(
            heartbeat_interval=self.heartbeat_interval,
            heartbeat_rate=self.heartbeat_rate,
            resolution=self.heartbeat_resolution,
            stale_after=self.stale_after,
            given_up_after=self.reenroll_silent_after,
            presence_days=self.presence_days,
        )

    def shown(self) -> dict[str, str]:
        """Return what people may be shown of each setting, by key: never a secret."""
        return {
            one.metadata["key"]: one.metadata["show"](getattr(self, one.name))
            for one in fields(self)
        }

    def __repr__(self) -> str:
        told = ", ".join(f"{key}={text}" for key, text in self.shown().items())
        return f"Settings({told})"

    @classmethod
    def load(
        cls, config: Mapping[str, Any], environment: Mapping[str, str] = os.environ
    ) -> Settings:
        """Return the settings in *config*, else in *environment*, else the defaults.

        Raises ConfigurationError, naming the key, for a value that is not valid, for a
        ``LEA_FLEET_…`` key of *config* that does not exist, and for a missing token.
        """
        for fault in unknown(config, setting_keys()):
            raise ConfigurationError(fault)
        values = {one.name: _read(one, config, environment) for one in fields(cls)}
        settings = cls(**values)
        settings._refuse_contradictions()
        return settings

    def _refuse_contradictions(self) -> None:
        if self.heartbeat_resolution > self.heartbeat_interval:
            raise ConfigurationError(
                "LEA_FLEET_HEARTBEAT_RESOLUTION must not be longer than"
                " LEA_FLEET_HEARTBEAT_INTERVAL: live machines would look silent."
            )
        online = self.presence_rule.online_for(self.heartbeat_interval)
        if self.stale_after is not None and self.stale_after < online:
            raise ConfigurationError(
                f"LEA_FLEET_STALE_AFTER must be at least {duration_text(online)}, which"
                " is how long a machine is online after a heartbeat by"
                " LEA_FLEET_HEARTBEAT_INTERVAL: no machine would be offline."
            )
        if self.metrics_token == self.api_token:
            raise ConfigurationError(
                "LEA_FLEET_METRICS_TOKEN must not be RPA_API_TOKEN: whoever reads the"
                " metrics would have all rights of an operator."
            )
        if self.webhook_urls and not self.webhook_secrets:
            raise ConfigurationError(
                "LEA_FLEET_WEBHOOK_URL needs LEA_FLEET_WEBHOOK_SECRET, with which the"
                f" receiver recognizes us; make one with: {accepted.MAKE_A_SECRET}"
            )


def setting_keys() -> list[str]:
    """Return the key of every setting, in the order of the declarations."""
    return [setting.metadata["key"] for setting in fields(Settings)]


def _read(
    setting: Any, config: Mapping[str, Any], environment: Mapping[str, str]
) -> Any:
    name, value = find_value(setting.metadata["key"], config, environment)
    if value is None:
        value = setting.metadata["default"]
    try:
        return setting.metadata["check"](value)
    except ValueError as error:
        raise ConfigurationError(f"{name} {error}") from None
