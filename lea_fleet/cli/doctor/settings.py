"""Check the settings: allowed ones that are risky, and tokens that never expire."""

from __future__ import annotations

import os
import re
from collections.abc import Callable

from ...app.setting_sources import unknown_variables
from ...app.setting_values import MAKE_A_TOKEN
from ...app.settings import Settings, setting_keys
from ...core.clock import duration_text
from ...core.findings import Checks, Verdict, fault, ok, some, warning
from ...core.text import printable
from ...core.tokens import SHORTEST_API_TOKEN, weakness
from ...storage.enrollment_tokens import EnrollmentTokens
from ...storage.intervals import Intervals
from ...storage.unit_of_work import UnitOfWork

#: What a header field can carry as a token (RFC 6750, b64token).
_SENDABLE = re.compile(r"[\w.~+/-]+=*", re.ASCII)

_NEW = f"Make a new one: {MAKE_A_TOKEN}"


def settings_checks(settings: Settings, fleet: Callable[[], UnitOfWork]) -> Checks:
    """Return the checks of the settings, and of the *fleet*'s enrollment tokens."""
    return {
        "values": lambda: _values(settings),
        "environment": _environment,
        "api_token": lambda: _api_token(settings.api_token),
        "metrics_token": lambda: _metrics_token(settings.metrics_token),
        "issue": lambda: _issue(settings.issue),
        "stale_after": lambda: _stale_after(settings.stale_after, fleet()),
        "reenrolment": lambda: _reenrolment(settings.reenroll_silent_after),
        "enrollment_tokens": lambda: _enrollment_tokens(fleet()),
    }


def _values(settings: Settings) -> Verdict:
    return ok(", ".join(f"{key}={text}" for key, text in settings.shown().items()))


def _environment() -> Verdict:
    unknown = list(unknown_variables(os.environ, setting_keys()))
    if not unknown:
        return ok("every variable that looks like a setting is one")
    return warning(
        " ".join(printable(sentence) for sentence in unknown),
        "It has no effect: correct it, or remove it.",
    )


def _api_token(token: str) -> Verdict:
    if weakness(token) is None and (why := weakness(token, SHORTEST_API_TOKEN)):
        return warning(f"RPA_API_TOKEN is weak: {why}", _NEW)
    return _judge("RPA_API_TOKEN", token, fault)


def _metrics_token(token: str | None) -> Verdict:
    if token is None:
        return ok("not set")
    return _judge("LEA_FLEET_METRICS_TOKEN", token, warning)


def _judge(key: str, token: str, weak: Callable[[str, str], Verdict]) -> Verdict:
    why = weakness(token)
    if why is not None:
        return weak(f"{key} is weak: {why}", _NEW)
    if not _SENDABLE.fullmatch(token):
        return warning(
            f"{key} has characters, such as a blank, that not every client can send",
            _NEW,
        )
    return ok(f"{key} is not easily guessed")


def _issue(issue: str) -> Verdict:
    if issue == "agent":
        return ok("each machine has a token of its own")
    return warning(
        "LEA_FLEET_ISSUE is shared: every machine has the operator's token",
        "Remove LEA_FLEET_ISSUE once the host can tell agents apart.",
    )


def _stale_after(silence: float | None, unit: UnitOfWork) -> Verdict:
    online = unit.rule.online_for(Intervals(unit).longest_in_use())
    told = f"{duration_text(silence)}; machines are online for {duration_text(online)}"
    if silence is None or silence >= online:
        return ok(told)
    return warning(
        f"LEA_FLEET_STALE_AFTER is {told}, so that none is ever offline",
        f"Set it to at least {duration_text(online)}, better to days.",
    )


def _reenrolment(silence: float | None) -> Verdict:
    if silence is None:
        return ok("only an operator can enroll an active machine again")
    return warning(
        f"LEA_FLEET_REENROLL_SILENT_AFTER is {duration_text(silence)}: whoever has an"
        " enrollment token can take over the identity of a machine that was silent for"
        " that long",
        "Remove it, and release machines one by one: flask fleet release MACHINE",
    )


def _enrollment_tokens(unit: UnitOfWork) -> Verdict:
    listed = EnrollmentTokens(unit).list()
    active = [token for token in listed if token["state"] == "active"]
    unending = [token for token in active if token["expires_at"] is None]
    if not unending:
        return ok(f"{len(active)} can be used, and all of them expire")
    named = [f"{token['id']} ({printable(str(token['label']))})" for token in unending]
    return warning(
        f"{len(unending)} never expire: {some(named)}",
        "Revoke them (flask fleet token revoke ID) and create others that expire.",
    )
