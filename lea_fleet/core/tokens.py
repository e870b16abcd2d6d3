"""Tokens: made here, shown once, and kept only as SHA-256."""

from __future__ import annotations

import hashlib
import secrets

AGENT_PREFIX = "lea_agent_"
ENROLLMENT_PREFIX = "lea_enroll_"
_RANDOM_BYTES = 32


def new_agent_token() -> str:
    """Return a fresh agent token: 256 random bits, URL-safe, recognizable."""
    return AGENT_PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)


def new_enrollment_token() -> str:
    """Return a fresh enrollment token, for installers."""
    return ENROLLMENT_PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)


def hash_token(token: bytes) -> str:
    """Return what is stored of *token*: its SHA-256, in hexadecimal.

    No salt and no stretching: 256 random bits leave nothing to guess. What an
    installer sends as its Idempotency-Key is kept in the same way.
    """
    return hashlib.sha256(token).hexdigest()


def as_bytes(presented: str) -> bytes:
    """Return the bytes that a client sent, of text as WSGI hands out header fields.

    WSGI decodes them as latin-1 (PEP 3333). As bytes they can be compared in constant
    time: ``compare_digest`` raises for text that is not ASCII.
    """
    try:
        return presented.encode("latin-1")
    except UnicodeEncodeError:
        return presented.encode("utf-8", "surrogatepass")
