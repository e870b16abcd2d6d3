"""Generate tokens, and hash them: only their SHA-256 is stored."""

from __future__ import annotations

import hashlib
import secrets

AGENT_PREFIX = "lea_agent_"
ENROLLMENT_PREFIX = "lea_enroll_"
_RANDOM_BYTES = 32


def new_agent_token() -> str:
    """Return a new agent token: a recognizable prefix and 256 random bits, URL-safe."""
    return AGENT_PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)


def new_enrollment_token() -> str:
    """Return a new enrollment token, for installers."""
    return ENROLLMENT_PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)


def hash_token(token: bytes) -> str:
    """Return the SHA-256 of *token* in hexadecimal, which is what is stored.

    No salt and no stretching: 256 random bits cannot be guessed. An installer's
    Idempotency-Key is hashed in the same way.
    """
    return hashlib.sha256(token).hexdigest()


def as_bytes(presented: str) -> bytes:
    """Return the bytes of a header field that WSGI has decoded to text.

    WSGI decodes header fields as latin-1 (PEP 3333). Bytes can be compared in constant
    time; ``compare_digest`` raises TypeError for text that is not ASCII.
    """
    try:
        return presented.encode("latin-1")
    except UnicodeEncodeError:
        return presented.encode("utf-8", "surrogatepass")
