"""Limits on what callers may send, store and ask for.

Lengths of text are in characters, durations in seconds. The OpenAPI document, the
reference and the commands' help are compared with these numbers by a test.
"""

from __future__ import annotations

_HOUR = 3600
_DAY = 24 * _HOUR

# What a request may contain

#: The most bytes of a request's body.
LONGEST_BODY = 64 * 1024

#: The longest machine_id that a new machine may have.
LONGEST_MACHINE_ID = 128

#: The longest detail of a machine, search text, or label of an enrollment token.
LONGEST_DETAIL = 255

#: The longest reason for an uninstall.
LONGEST_REASON = 500

#: The longest name of a saved view, and its filters, as in a URL.
LONGEST_VIEW_NAME = 64
LONGEST_VIEW_FILTERS = 2000

#: The longest note about a machine.
LONGEST_NOTE = 2000

#: The longest name of a tag, and its value.
LONGEST_TAG_NAME = 32
LONGEST_TAG_VALUE = 64

#: The longest Idempotency-Key.
LONGEST_KEY = 255

#: The largest id of a row: SQLite's largest integer.
LARGEST_ID = 2**63 - 1

#: The longest duration that is accepted: much longer ones make dates overflow.
LONGEST_DURATION = 36500 * _DAY

# How much a response contains: by default, and at most

#: Events on a page.
DEFAULT_EVENTS = 50
MOST_EVENTS = 500

#: Machines on a page; the default applies to a cursor without a limit.
DEFAULT_MACHINES = 100
MOST_MACHINES = 1000

#: Days of a summary.
DEFAULT_DAYS = 30
MOST_DAYS = 365

#: Seconds after which a run of ``flask fleet notify`` is missed.
RUN_MISSED = 3600

#: Events and alerts that are looked at to tell how many wait at a destination: 0.12 s.
MOST_WAITING = 10_000

#: The most events and machines that a command prints.
MOST_EVENTS_PRINTED = 10_000
MOST_MACHINES_PRINTED = 1_000_000

#: Machines and enrollment tokens that shell completion offers.
MOST_COMPLETIONS = 50

#: Refused machines on a page.
DEFAULT_REFUSED = 100
MOST_REFUSED_SHOWN = 1000

#: Versions that the metrics distinguish: agents may report any number of them.
MOST_VERSIONS = 50

#: The keys of tags that metrics show, and the tags of each, those of most machines.
MOST_REPORTED_TAGS = 10
MOST_TAGS_REPORTED = 50

#: The tags whose machines are counted, those of most machines first.
MOST_TAGS_COUNTED = 1000

#: Characters of a name that are compared when a list is sorted.
LONGEST_SORTED = 64

# How much is stored

#: The tags of a machine, and of an enrollment token.
MOST_TAGS = 20

#: The newest former values of a machine's hostname, and of each detail of its user.
MOST_FORMER_VALUES = 16

#: The newest dead agent tokens of a machine's current enrollment.
MOST_DEAD_TOKENS = 4

#: The events of one kind that an agent may cause in this many seconds.
AGENT_EVENTS = 20
BUDGET_PERIOD = _DAY

#: The refused machines that are kept for each enrollment token, besides blocked ones;
#: and the most tokens for which a process counts repeats.
MOST_REFUSED = 100
MOST_REFUSING_TOKENS = 100

#: The private saved views of one operator, and the shared ones of all.
MOST_OWN_VIEWS = 50
MOST_SHARED_VIEWS = 200

#: The machines of a selection, the selections of one operator, and all of them.
MOST_SELECTED = 100_000
MOST_SELECTIONS = 10
MOST_SELECTIONS_OF_ALL = 100

#: Machines that are acted on in one transaction.
BULK_STEP = 100

#: Alerts that are kept until they are delivered.
MOST_ALERTS = 10_000

#: The times in that period that a machine's replaced token is told of.
TOKEN_REUSES = 3

# How long something lasts, in seconds

#: How long an answer waits, at most, for what is noted beside it.
NOTE_PATIENCE = 0.1

#: An enrollment token that expires within this time is told to be about to.
TOKEN_ENDS_SOON = 2 * _DAY

#: How long a refused machine is kept, and how often its row is written.
REFUSED_MEMORY = 30 * _DAY
REFUSED_WRITTEN = 60

#: For as long the alerts of refused machines are counted, of which there are as many
#: for each enrollment token as machines are kept.
REFUSED_TOLD_MEMORY = _DAY

#: How long a selection can be acted on.
SELECTION_LIFETIME = 15 * 60

#: How long alerts are kept, and how long their delivery is tried.
ALERTS_KEPT = _DAY

#: How long a destination of alerts is remembered that nobody delivers to any more.
DESTINATION_KEPT = 7 * _DAY

#: Default lifetime of an enrollment token; default and largest number of uses.
ENROLLMENT_TOKEN_LIFETIME = 7 * _DAY
ENROLLMENT_TOKEN_USES = 100

#: For an operator's token, and how often its last use is stored.
OPERATOR_LIFETIME = 90 * _DAY
OPERATOR_USE_RESOLUTION = 3600
MOST_ENROLLMENT_TOKEN_USES = 1_000_000

#: A release: an active machine may be re-enrolled once within this time.
RELEASE_LIFETIME = _DAY

#: How long the lost response to an enrollment may be requested again.
REPLAY_LIFETIME = _DAY

#: How long a former hostname is kept: if it returns, the machine is a suspected clone.
CLONE_MEMORY = _DAY

#: How long a machine counts as one that reports a detail that is too long, and how long
#: a note of that is not renewed.
IGNORED_MEMORY = _DAY
IGNORED_NOTED = _HOUR

#: The longest heartbeat interval, which a very large fleet gets.
LONGEST_HEARTBEAT_INTERVAL = _DAY

#: The most days for which the hours are kept in which a machine was seen.
MOST_PRESENCE_DAYS = 366

#: How long events are kept at least.
SHORTEST_EVENT_RETENTION = 90 * _DAY

#: The longest Retry-After of an agent that has to wait for its budget.
LONGEST_RETRY = _HOUR

#: The longest LEA_FLEET_BUSY_TIMEOUT; SQLite counts milliseconds in 32 bits.
LONGEST_BUSY_TIMEOUT = _HOUR
