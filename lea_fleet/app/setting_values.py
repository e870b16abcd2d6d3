"""The accepted values of the settings: check one, and return it as it is used.

Each function raises ValueError, whose text follows the name of the setting.
"""

from __future__ import annotations

import math
import os
import re
from base64 import b64decode
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ..core.clock import parse_duration
from ..core.limits import LONGEST_BUSY_TIMEOUT
from ..core.text import scheme_and_host
from ..core.tokens import PREFIXES

#: The command that generates a token that cannot be guessed.
MAKE_A_TOKEN = 'python3 -c "import secrets; print(secrets.token_urlsafe(32))"'

#: The command that generates a secret for webhooks.
MAKE_A_SECRET = (
    'python3 -c "import base64, secrets;'
    " print('whsec_' + base64.b64encode(secrets.token_bytes(32)).decode())\""
)

#: The default path of the operator's page.
PAGE = "/fleet"

_SHORTEST = 16

_BOOLEANS = {"true": True, "false": False}


def text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("must be text that is not blank")
    return value.strip()


def api_token(value: Any) -> str:
    if value is None or not str(value).strip():
        raise ValueError(
            "is not set. It is the token that operators and the host's own clients"
            f" send; make one with: {MAKE_A_TOKEN}"
        )
    token = text(value)
    if not token.isprintable():  # a header field cannot contain it
        raise ValueError("must be printable text")
    return token


def metrics_token(value: Any) -> str | None:
    if value is None:
        return None
    token = text(value)
    if not token.isprintable() or len(token) < _SHORTEST:
        raise ValueError(
            f"must be printable text of at least {_SHORTEST} characters;"
            f" make one with: {MAKE_A_TOKEN}"
        )
    if token.startswith(PREFIXES):
        raise ValueError("must not look like a token that is stored here")
    return token


def database(value: Any) -> Path:
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    path = text(value)
    if "://" in path:
        raise ValueError(
            f"must be the path of a file, not a URL ({scheme_and_host(path)})"
        )
    if path.startswith((":memory:", "file:")) or "\0" in path:
        raise ValueError("must be the path of a file: all requests share one database")
    # Made absolute now: a server may change its working directory later.
    return Path(os.path.abspath(path))


class _Secret(str):
    """Text that has a password in it, which no traceback or log shows."""

    def __repr__(self) -> str:
        return f"<{scheme_and_host(self)}>"


def database_url(value: Any) -> str | None:
    if value is None:
        return None
    url = text(value)
    if not url.startswith(("postgresql://", "postgres://")):
        raise ValueError(f"must begin with postgresql:// ({scheme_and_host(url)})")
    address, _, path = url.partition("://")[2].partition("?")[0].partition("/")
    if address.count("@") > 1 or "@" in path:
        # libpq would take a part of the password for the host or the database.
        raise ValueError("has @ or / in its password: write them %40 and %2F")
    return _Secret(url)


def schema(value: Any) -> str:
    name = text(value)
    if not re.fullmatch(r"(?!pg_)[a-z_][a-z0-9_]{0,62}", name):
        raise ValueError(
            "must be a name of lower-case letters, digits and _, without pg_ before it"
        )
    return name


def seconds(value: Any) -> float:
    length = parse_duration(value)
    if length is None:
        raise ValueError("must not be never")
    return length


def timeout(value: Any) -> float:
    length = seconds(value)
    if length > LONGEST_BUSY_TIMEOUT:
        raise ValueError("must be at most 1h")
    return length


def whole_seconds(value: Any) -> int:
    length = seconds(value)
    if length < 1 or length != int(length):
        raise ValueError("must be whole seconds, at least 1s")
    return int(length)


def rate(value: Any) -> float:
    try:
        number = float(str(value))  # str() first: True is not a number here
    except ValueError:
        raise ValueError("must be a number") from None
    if not 0 < number < math.inf:
        raise ValueError("must be more than 0")
    return number


def boolean(value: Any) -> bool:
    value = _as_boolean(value)
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def prefix(value: Any) -> str:
    path = text(value).rstrip("/")
    if not path.startswith("/"):
        raise ValueError("must be a path such as /api/v1/agents, not / alone")
    return path


def page(value: Any) -> str | None:
    value = _as_boolean(value)
    if isinstance(value, bool):
        return PAGE if value else None
    address = text(value).rstrip("/")
    if not re.fullmatch(r"(/[\w.~-]+)+", address, re.ASCII):
        raise ValueError(
            "must be true, false or a path such as /fleet, of letters, digits and -._~"
        )
    return address


def issue(value: Any) -> str:
    if value not in ("agent", "shared"):
        raise ValueError("must be 'agent' or 'shared'")
    return str(value)


def _as_boolean(value: Any) -> Any:
    """Return the boolean that *value* spells, as the environment has text only."""
    if not isinstance(value, str):
        return value
    return _BOOLEANS.get(value.strip().lower(), value)


def share(value: Any) -> float | None:
    if value is None:
        return None
    number = rate(value)
    if number >= 1:
        raise ValueError("must be between 0 and 1")
    return number


def webhook_urls(value: Any) -> tuple[str, ...]:
    # A URL may contain commas.
    return tuple(map(_webhook_url, _several(value, r"\s+")))


def _webhook_url(url: str) -> str:
    shown = scheme_and_host(url)
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError(f"has a URL that is not valid ({shown})") from None
    if not host or not url.isascii() or not url.isprintable():
        raise ValueError(f"has a URL that is not valid ({shown})")
    if "@" in parts.netloc:
        raise ValueError(
            f"must not have a user in it ({shown}): the receiver checks the signature"
        )
    is_safe = parts.scheme == "https"
    if not is_safe and not (parts.scheme == "http" and is_loopback(host)):
        raise ValueError(
            f"must begin with https:// ({shown}); http:// is for this computer only"
        )
    return _Secret(url)


def is_loopback(host: str) -> bool:
    """Return whether *host* is this computer."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


class _Key(str):
    """A key that no traceback or log shows."""

    def __repr__(self) -> str:
        return "<secret>"


def webhook_secrets(value: Any) -> tuple[str, ...]:
    secrets = _several(value)
    if len(secrets) > 2:
        raise ValueError("must be one secret, or two while it is changed")
    return tuple(map(_webhook_secret, secrets))


def _webhook_secret(secret: str) -> str:
    """Check a secret as the Standard Webhooks specification has it: 24 to 64 bytes."""
    try:
        key = b64decode(secret.removeprefix("whsec_"), validate=True)
    except ValueError:
        key = b""
    if not secret.startswith("whsec_") or not 24 <= len(key) <= 64:
        raise ValueError(
            "must be whsec_ and 24 to 64 bytes in base64; make one with:"
            f" {MAKE_A_SECRET}"
        )
    return _Key(secret)


def addresses(value: Any) -> tuple[str, ...]:
    return tuple(map(_address, _several(value)))


def address(value: Any) -> str | None:
    return None if value is None else _address(text(value))


def _address(found: str) -> str:
    # Without what means something else in a header: quotes, groups, comments.
    if not re.fullmatch(r"\w[\w.!#$%&'*+/=?^`{|}~-]*@[\w[][\w.:\[\]-]*", found, re.A):
        raise ValueError("must be an e-mail address such as it@example.com")
    return found


def language(value: Any) -> str:
    if value not in ("en", "fr"):
        raise ValueError("must be 'en' or 'fr'")
    return str(value)


def smtp_url(value: Any) -> str:
    url = text(value)
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in ("smtp", "smtps") or parts.path not in ("", "/"):
        raise ValueError(
            f"must be smtp://host:25 or smtps://host:465 ({scheme_and_host(url)})"
        )
    return _Secret(url)


def _several(value: Any, between: str = r"[\s,]+") -> list[str]:
    """Return the parts of *value*: a list, or text with *between* between them."""
    if value is None:
        return []
    if isinstance(value, (list, tuple)):
        return [text(each) for each in value]
    return [each for each in re.split(between, text(value)) if each]
