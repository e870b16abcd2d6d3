"""The text of a mail: one digest of all messages, in English or French."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

from ..core.alerts import TEST
from ..core.refused import KEPT_APART
from ..core.text import printable

#: Lines of one section; the rest is counted.
_MOST_LINES = 50

#: A message's type and ``data``, and when it happened.
Told = tuple[str, Mapping[str, Any], str]

#: The section of the blocked machines among those that were refused: a stolen PC is not
#: lost among those of a roll-out.
_KEPT_OUT = "machine.refused, blocked"

#: What is mailed, in the order of the sections: the heading of one and of several
#: machines, by language. All else is for webhooks.
_SECTIONS: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "fleet.silent": {
        "en": ("Fewer machines than usual", "Fewer machines than usual"),
        "fr": ("Moins de machines que d’habitude", "Moins de machines que d’habitude"),
    },
    "fleet.returned": {
        "en": ("As many machines as usual again", "As many machines as usual again"),
        "fr": ("De nouveau autant de machines", "De nouveau autant de machines"),
    },
    _KEPT_OUT: {
        "en": (
            "1 blocked machine tried to enroll",
            "{n} blocked machines tried to enroll",
        ),
        "fr": (
            "1 machine bloquée a tenté de s’enrôler",
            "{n} machines bloquées ont tenté de s’enrôler",
        ),
    },
    "machine.silent": {
        "en": ("1 machine is silent", "{n} machines are silent"),
        "fr": ("1 machine est silencieuse", "{n} machines sont silencieuses"),
    },
    "machine.returned": {
        "en": ("1 machine is back", "{n} machines are back"),
        "fr": ("1 machine est revenue", "{n} machines sont revenues"),
    },
    "machine.refused": {
        "en": ("1 machine was refused", "{n} machines were refused"),
        "fr": ("1 machine a été refusée", "{n} machines ont été refusées"),
    },
    "machine.token_reused": {
        "en": ("1 replaced token was used", "{n} replaced tokens were used"),
        "fr": (
            "1 jeton remplacé a été utilisé",
            "{n} jetons remplacés ont été utilisés",
        ),
    },
    "machine.suspected_clone": {
        "en": ("1 suspected clone", "{n} suspected clones"),
        "fr": ("1 clone présumé", "{n} clones présumés"),
    },
    "machine.blocked": {
        "en": ("1 machine was blocked", "{n} machines were blocked"),
        "fr": ("1 machine a été bloquée", "{n} machines ont été bloquées"),
    },
    "enrollment_token.expiring": {
        "en": ("1 enrollment token expires soon", "{n} enrollment tokens expire soon"),
        "fr": (
            "1 jeton d’enrôlement expire bientôt",
            "{n} jetons d’enrôlement expirent bientôt",
        ),
    },
    "enrollment_token.used_up": {
        "en": (
            "1 enrollment token is nearly used up",
            "{n} enrollment tokens are nearly used up",
        ),
        "fr": (
            "1 jeton d’enrôlement est presque épuisé",
            "{n} jetons d’enrôlement sont presque épuisés",
        ),
    },
    "fleet.alerts_dropped": {
        "en": ("Alerts were not delivered", "Alerts were not delivered"),
        "fr": (
            "Des alertes n’ont pas été remises",
            "Des alertes n’ont pas été remises",
        ),
    },
    TEST: {
        "en": ("A test: mail arrives", "A test: mail arrives"),
        "fr": ("Un essai : le courrier arrive", "Un essai : le courrier arrive"),
    },
}

_MEMBERS = {
    "en": {
        "hostname": "{}",
        "user_name": "{}",
        "user_email": "{}",
        "last_seen_at": "last seen {}",
        "code": "{}",
        "enrollment_token": "enrollment token {}",
        "online": "online: {}",
        "usual": "usual: {}",
        "expires_at": "expires {}",
        "uses": "uses: {}",
        "max_uses": "of {}",
        "alerts": "number: {}",
        "destination": "destination: {}",
    },
    "fr": {
        "hostname": "{}",
        "user_name": "{}",
        "user_email": "{}",
        "last_seen_at": "vue pour la dernière fois {}",
        "code": "{}",
        "enrollment_token": "jeton d’enrôlement {}",
        "online": "en ligne : {}",
        "usual": "d’habitude : {}",
        "expires_at": "expire {}",
        "uses": "utilisations : {}",
        "max_uses": "sur {}",
        "alerts": "nombre : {}",
        "destination": "destination : {}",
    },
}

_MORE = {"en": "and {n} more", "fr": "et {n} autres"}

_TIMES = ("last_seen_at", "expires_at")

#: The types of the messages that are mailed.
MAILED = frozenset(_SECTIONS) - {_KEPT_OUT}


class Digest(NamedTuple):
    """A mail: the subject, and the same content as plain text and as HTML."""

    subject: str
    text: str
    html: str


def digest(messages: Sequence[Told], language: str) -> Digest:
    """Return the digest of *messages*, which must be of types in :data:`MAILED`."""
    sections = []
    for kind, headings in _SECTIONS.items():
        told = [each for each in messages if _section(each) == kind]
        if told:
            one, several = headings[language]
            number = _count(told)
            heading = one if number == 1 else several.format(n=number)
            sections.append((heading, _lines(told, language)))
    subject = "lea-fleet: " + ", ".join(heading for heading, _ in sections)
    return Digest(subject, _text(sections), _html(sections, language))


def _section(message: Told) -> str:
    kind, data, _ = message
    is_kept_out = kind == "machine.refused" and data.get("code") == KEPT_APART
    return _KEPT_OUT if is_kept_out else kind


def _count(told: Sequence[Told]) -> int:
    """Count machines, of which one may have several messages; else messages."""
    named = [data["machine_id"] for _, data, _ in told if "machine_id" in data]
    return len(told) - len(named) + len(set(named))


def _lines(told: Sequence[Told], language: str) -> list[str]:
    lines = [_line(data, at, language) for _, data, at in told[:_MOST_LINES]]
    more = len(told) - len(lines)
    return lines + ([_MORE[language].format(n=more)] if more else [])


def _line(data: Mapping[str, Any], at: str, language: str) -> str:
    parts = [_time(at)]
    if "machine_id" in data:
        parts.append(str(data["machine_id"]))
    parts += data.get("machine_tags", ())
    for name, text in _MEMBERS[language].items():
        if data.get(name) is not None:
            value = data[name]
            parts.append(text.format(_time(value) if name in _TIMES else value))
    return printable(", ".join(parts))


def _time(at: str) -> str:
    return f"{at[:10]} {at[11:16]} UTC"


def _text(sections: Sequence[tuple[str, list[str]]]) -> str:
    told = []
    for heading, lines in sections:
        told.append("\n".join([heading, *(f"  {line}" for line in lines)]))
    return "\n\n".join(told) + "\n"


def _html(sections: Sequence[tuple[str, list[str]]], language: str) -> str:
    told = [f'<!doctype html><html lang="{language}"><meta charset="utf-8"><body>']
    for heading, lines in sections:
        items = "".join(f"<li>{escape(line)}</li>" for line in lines)
        told.append(f"<h2>{escape(heading)}</h2><ul>{items}</ul>")
    return "\n".join([*told, "</body></html>"]) + "\n"
