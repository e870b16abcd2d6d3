"""Tokens: made here, shown once, and kept only as SHA-256."""

from __future__ import annotations

import hashlib
import hmac
import secrets

_AGENT_PREFIX = "lea_agent_"
_ENROLLMENT_PREFIX = "lea_enroll_"
_RANDOM_BYTES = 32


def new_agent_token() -> str:
    """Return a fresh agent token: 256 random bits, URL-safe, recognisable."""
    return _AGENT_PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)


def new_enrollment_token() -> str:
    """Return a fresh enrolment token, for installers."""
    return _ENROLLMENT_PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)


def is_agent_token(token: str) -> bool:
    """Tell whether *token* looks like one of :func:`new_agent_token`."""
    return token.startswith(_AGENT_PREFIX)


def is_enrollment_token(token: str) -> bool:
    """Tell whether *token* looks like one of :func:`new_enrollment_token`."""
    return token.startswith(_ENROLLMENT_PREFIX)


def hash_token(token: str) -> str:
    """Return what is stored of *token*: its SHA-256, in hexadecimal.

    No salt and no stretching: 256 random bits leave nothing to guess. What an
    installer sends as its Idempotency-Key is kept in the same way.
    """
    return hashlib.sha256(_as_bytes(token)).hexdigest()


def same_token(presented: str, expected: str) -> bool:
    """Compare two tokens in constant time.

    *presented* is text as WSGI hands out header fields, *expected* is what the
    settings say. Compared as bytes, since ``compare_digest`` raises for text
    that is not ASCII.
    """
    return hmac.compare_digest(_as_bytes(presented), expected.encode())


def _as_bytes(presented: str) -> bytes:
    # WSGI decodes the bytes of a header field as latin-1 (PEP 3333).
    try:
        return presented.encode("latin-1")
    except UnicodeEncodeError:
        return presented.encode("utf-8", "surrogatepass")
