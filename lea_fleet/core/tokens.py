"""Generate tokens, hash them, and judge those that a person has chosen.

Only the SHA-256 of a token is stored.
"""

from __future__ import annotations

import hashlib
import re
import secrets

AGENT_PREFIX = "lea_agent_"
ENROLLMENT_PREFIX = "lea_enroll_"
OPERATOR_PREFIX = "lea_operator_"

#: How the tokens begin that are stored as hashes.
PREFIXES = (AGENT_PREFIX, ENROLLMENT_PREFIX, OPERATOR_PREFIX)
_RANDOM_BYTES = 32

#: Characters that RPA_API_TOKEN should have at least. Nothing else protects it: nobody
#: is locked out who tries others.
SHORTEST_API_TOKEN = 20

#: Characters below which any token can be guessed.
_SHORTEST = 16
_FEWEST_DIFFERENT = 8

#: Words that are tried first, in lower case, letters and digits only. Longer words come
#: before those that they contain.
_WELL_KNOWN = re.compile(
    "abcdefghijklmnopqrstuvwxyz|placeholder|motdepasse|password|passwort|changeme"
    "|changeit|whatever|default|example|letmein|metrics|replace|welcome"
    "|azerty|change|insert|passwd|please|qwerty|qwertz|sample|secret|server|admin"
    "|agent|dummy|fleet|hello|local|super|token|demo|here|pass|prod|root|test|this"
    "|todo|user|your|abc|api|bar|dev|foo|key|lea|rpa|the|xxx|me|my"
    r"|0?123\d*|20\d\d"
)


def new_agent_token() -> str:
    """Return a new agent token: a recognizable prefix and 256 random bits, URL-safe."""
    return AGENT_PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)


def new_enrollment_token() -> str:
    """Return a new enrollment token, for installers."""
    return ENROLLMENT_PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)


def new_operator_token() -> str:
    """Return a new token for an operator with a name."""
    return OPERATOR_PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)


def is_long_token(token: str, prefix: str) -> bool:
    """Tell whether *token* has that prefix, and 128 random bits or more, URL-safe.

    Fewer than one of the functions above has: a host may have made its own.
    """
    return re.fullmatch(re.escape(prefix) + "[!-~]{22,}", token) is not None


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


def weakness(token: str, shortest: int = _SHORTEST) -> str | None:
    """Return why *token* could be guessed, without quoting it, or None."""
    plain = "".join(letter for letter in token.casefold() if letter.isalnum())
    if len(_WELL_KNOWN.sub("", plain)) < _FEWEST_DIFFERENT:
        return "it is made of words that are tried first"
    if len(token) < shortest:
        return f"it has fewer than {shortest} characters"
    if len(set(token)) < _FEWEST_DIFFERENT:
        return f"it has fewer than {_FEWEST_DIFFERENT} different characters"
    return None
