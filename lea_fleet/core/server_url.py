"""The URL at which machines reach the server, and that of its API."""

from __future__ import annotations

import re
from typing import Any

#: Without characters that a shell or Inno Setup would interpret.
_URL = re.compile(
    r"https?://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(/[A-Za-z0-9._~-]+)*"
)
_LAST_PORT = 65535
_LOOPBACK = re.compile(r"http://(localhost|127\.[0-9.]+|\[::1\])(?![^:/])")


def api_url(server: str, prefix: str) -> str:
    """Return the URL of the API on *server*, with the *prefix* of its routes.

    *server* may already end with the prefix. Raises ValueError for a URL that is not
    valid, or that could not be written into every file unchanged.
    """
    url = server.rstrip("/")
    if not url.endswith(prefix):
        url += prefix
    match = _URL.fullmatch(url)
    if not match:
        raise ValueError(
            "must be http or https, a host, an optional port, and a path of letters,"
            " digits and the characters . _ ~ -"
        )
    if match[2] and not 1 <= int(match[2][1:]) <= _LAST_PORT:
        raise ValueError(f"{match[2][1:]} is not a port: those are 1 to {_LAST_PORT}")
    return url


def public_url(value: Any) -> str | None:
    """Return the URL of a server that a setting has as *value*; None if it is not set.

    Raises ValueError as :func:`private_api_url` does, and for what is not text.
    """
    if value is None:
        return None
    if not isinstance(value, str):
        raise ValueError("must be text such as https://rpa.example.com")
    return private_api_url(value.strip(), "")


def private_api_url(server: str, prefix: str) -> str:
    """Return what :func:`api_url` does, if others cannot read what is sent there.

    Raises ValueError also for http, but to this computer.
    """
    url = api_url(server, prefix)
    if is_open_to_listeners(url):
        raise ValueError("must begin with https://; http:// is for this computer only")
    return url


def is_open_to_listeners(url: str) -> bool:
    """Tell whether others on the network can read what is sent to *url*."""
    return url.startswith("http://") and not _LOOPBACK.match(url)
