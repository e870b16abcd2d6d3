"""The bounds on what callers may send, store and ask for.

Lengths of text are in characters, durations in seconds. The OpenAPI document, the
reference and the commands' help are held to these numbers by a test.
"""

from __future__ import annotations

_HOUR = 3600
_DAY = 24 * _HOUR

# What a request may say

#: The most bytes of a request's body.
LONGEST_BODY = 64 * 1024

#: The longest machine_id that a new machine may have.
LONGEST_MACHINE_ID = 128

#: The longest detail of a machine, search for one, or label of an enrollment token.
LONGEST_DETAIL = 255

#: The longest reason for an uninstall.
LONGEST_REASON = 500

#: The longest Idempotency-Key.
LONGEST_KEY = 255

#: The largest id of a row: SQLite's largest integer.
LARGEST_ID = 2**63 - 1

#: The longest duration that is accepted: beyond a century, dates overflow.
LONGEST_DURATION = 36500 * _DAY

# How much is answered, unless the caller asks for another number, and at most

#: Events on a page.
DEFAULT_EVENTS = 50
MOST_EVENTS = 500

#: Machines on a page; the default is for a cursor that comes without a limit.
DEFAULT_MACHINES = 100
MOST_MACHINES = 1000

#: Days of a summary.
DEFAULT_DAYS = 30
MOST_DAYS = 365

#: What a command prints at most: events and machines.
MOST_EVENTS_PRINTED = 10_000
MOST_MACHINES_PRINTED = 1_000_000

#: Machines and enrollment tokens that a shell is offered to complete a word.
MOST_COMPLETIONS = 50

#: Versions that the metrics distinguish. Machines could make up any number of them.
MOST_VERSIONS = 50

#: Characters of a name that count for its place in a sorted list.
LONGEST_SORTED = 64

# How long something lasts, in seconds

#: An enrollment token, unless its creator says otherwise; and how often it enrolls.
ENROLLMENT_TOKEN_LIFETIME = 7 * _DAY
ENROLLMENT_TOKEN_USES = 100
MOST_ENROLLMENT_TOKEN_USES = 1_000_000

#: A release: an active machine may be enrolled once within this time.
RELEASE_LIFETIME = _DAY

#: How long a lost response to an enrollment may be asked for again.
REPLAY_LIFETIME = _DAY

#: How long a former hostname is remembered: if it comes back, a clone is suspected.
CLONE_MEMORY = _DAY

#: The longest heartbeat interval that a large fleet is told.
LONGEST_HEARTBEAT_INTERVAL = _DAY

#: The longest LEA_FLEET_BUSY_TIMEOUT; SQLite counts milliseconds in 32 bits.
LONGEST_BUSY_TIMEOUT = _HOUR
