"""Webhooks, signed as the Standard Webhooks specification 1.0 says."""

from __future__ import annotations

import hmac
import json
import re
import time
from base64 import b64decode, b64encode
from collections.abc import Sequence
from functools import partial
from hashlib import sha256
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit
from urllib.request import (
    HTTPHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
)

from ..app.setting_values import is_loopback
from ..core.text import scheme_and_host
from .channel import DeliveryFailed
from .deadline import LONGEST_DELIVERY, deadline
from .messages import Content, Due

#: What the receiver says is wrong with the message, not with itself or with us.
_REFUSED = (400, 413, 415, 422)

#: The receiver wants no webhooks any more: it is asked again in an hour.
_GONE = 410

_HOUR = 3600


class Webhook:
    """One receiver; see :class:`lea_fleet.alerts.channel.Channel`."""

    most = 1

    def __init__(self, url: str, secrets: Sequence[str], content: Content) -> None:
        self.name = f"webhook-{sha256(url.encode()).hexdigest()[:8]}"
        self.place = scheme_and_host(url)
        self._url = url
        self._secrets = secrets
        self._content = content

    def wants(self, due: Due) -> bool:
        return True

    def send(self, messages: Sequence[Due]) -> None:
        (due,) = messages
        members = {"type": due.type, "timestamp": due.at}
        body = json.dumps({**members, "data": self._content.of(due)}).encode()
        status, retry_after = self._post(body, self._headers(due.id, body))
        if 200 <= status < 300:
            return
        raise DeliveryFailed(
            f"the receiver answered {status}",
            wait=_HOUR if status == _GONE else retry_after,
            is_refused=status in _REFUSED,
        )

    def _headers(self, message_id: str, body: bytes) -> dict[str, str]:
        at = str(int(time.time()))
        signed = f"{message_id}.{at}.".encode() + body
        return {
            "Content-Type": "application/json",
            "User-Agent": "lea-fleet",
            "webhook-id": message_id,
            "webhook-timestamp": at,
            "webhook-signature": " ".join(sign(each, signed) for each in self._secrets),
        }

    def _post(self, body: bytes, headers: dict[str, str]) -> tuple[int, float]:
        """Return the status of the response, and its Retry-After in seconds.

        The body of the response is not read, and no redirect is followed.
        """
        opened: list[Any] = []
        request = Request(self._url, data=body, headers=headers, method="POST")
        opener = _opener(self._url, opened)
        try:
            with deadline(lambda: opened[-1].sock if opened else None):
                with opener.open(request, timeout=LONGEST_DELIVERY) as response:
                    return response.status, _seconds(response.headers)
        except (OSError, HTTPException) as error:
            raise DeliveryFailed(_why(error)) from None
        finally:
            for connection in opened:
                connection.close()


def sign(secret: str, signed: bytes) -> str:
    """Return the signature of *signed* by a secret ``whsec_…``."""
    key = b64decode(secret.removeprefix("whsec_"))
    return f"v1,{b64encode(hmac.digest(key, signed, 'sha256')).decode()}"


class _Plain(HTTPHandler):
    def __init__(self, opened: list[Any]) -> None:
        super().__init__()
        self._opened = opened

    def http_open(self, request: Request) -> Any:
        return self.do_open(partial(_noted, self._opened, HTTPConnection), request)


class _Encrypted(HTTPSHandler):
    def __init__(self, opened: list[Any]) -> None:
        super().__init__()
        self._opened = opened

    def https_open(self, request: Request) -> Any:
        return self.do_open(partial(_noted, self._opened, HTTPSConnection), request)


def _noted(opened: list[Any], kind: type, *args: Any, **options: Any) -> Any:
    """Return a connection that is among those *opened*."""
    connection = kind(*args, **options)
    opened.append(connection)
    return connection


def _opener(url: str, opened: list[Any]) -> OpenerDirector:
    """Return what opens *url*, by the proxy of the environment if there is one.

    Without urllib's handlers of redirects and errors: every response is returned.
    """
    opener = OpenerDirector()
    is_near = is_loopback(urlsplit(url).hostname or "")
    opener.add_handler(ProxyHandler({} if is_near else None))
    opener.add_handler(_Plain(opened))
    opener.add_handler(_Encrypted(opened))
    return opener


def _seconds(headers: Any) -> float:
    """Return Retry-After, at most an hour; its form with a date is not read."""
    text = headers.get("Retry-After", "")
    return min(int(text), _HOUR) if re.fullmatch(r"\d{1,9}", text, re.ASCII) else 0


def _why(error: Exception) -> str:
    """Return what failed, without the address: a proxy's may have a password."""
    reason = getattr(error, "reason", error)
    if isinstance(reason, TimeoutError):
        return "the receiver did not answer in time"
    if isinstance(reason, OSError) and reason.strerror:
        return f"the receiver cannot be reached: {reason.strerror}"
    return f"the receiver cannot be reached ({type(reason).__name__})"
