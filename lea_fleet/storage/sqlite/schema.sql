-- Everything that lea_fleet stores in the host's database. Only CREATE … IF NOT EXISTS,
-- since the file belongs to the host and an older server may be writing to it. A new
-- column in a table of ours must be here and in ADDITIONS (schema.py).

-- The older server's table, exactly as that server creates it. Do not change it.
CREATE TABLE IF NOT EXISTS enrolled_agents (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  machine_id TEXT NOT NULL UNIQUE,
  user_name TEXT,
  user_email TEXT,
  user_id TEXT,
  hostname TEXT,
  os_info TEXT,
  version TEXT,
  status TEXT NOT NULL DEFAULT 'active',
  enrolled_at TEXT NOT NULL,
  last_seen_at TEXT,
  uninstalled_at TEXT,
  uninstall_reason TEXT
);
CREATE INDEX IF NOT EXISTS idx_enrolled_agents_status ON enrolled_agents(status);
CREATE INDEX IF NOT EXISTS idx_enrolled_agents_machine ON enrolled_agents(machine_id);

-- Our index for paging by enrollment without sorting the table. There is none on
-- last_seen_at, because every written heartbeat would have to update it.
CREATE INDEX IF NOT EXISTS lea_fleet_listing ON enrolled_agents(status, enrolled_at);
CREATE INDEX IF NOT EXISTS lea_fleet_departed ON enrolled_agents(enrolled_at)
  WHERE status IS NOT 'active';

-- Agent tokens. Each belongs to one enrollment, which machine_id and enrolled_at name.
-- When a re-enrollment through either server changes the machine's enrolled_at, the
-- token is no longer valid. No foreign key: the older server does not know this table.
-- pending: issued by a rotation and not used yet; the previous token is still valid.
-- replaced: revoked because another token took its place, not by an uninstall.
-- said: which personal columns the machine or its installer has reported since it was
-- enrolled, as bits (core/machine.py); an agent does not get to see the others.
-- former_id: the machine's id when the token was issued, if it was edited since; the
-- agent may go on sending it.
-- rotated_by_agent: the machine's agent itself has asked for the token that replaces this
-- one; once that is in use, nobody has reason to use this one.
-- WITHOUT ROWID, since only the hash is looked up: one B-tree to search and to write.
CREATE TABLE IF NOT EXISTS lea_fleet_tokens (
  token_hash TEXT PRIMARY KEY,
  machine_id TEXT NOT NULL,
  enrolled_at TEXT NOT NULL,
  issued_at TEXT NOT NULL,
  pending INTEGER NOT NULL DEFAULT 0,
  first_used_at TEXT,
  revoked_at TEXT,
  replaced INTEGER NOT NULL DEFAULT 0,
  said INTEGER NOT NULL DEFAULT 0,
  former_id TEXT,
  rotated_by_agent INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS lea_fleet_tokens_machine ON lea_fleet_tokens(machine_id);

-- Enrollment tokens, for installers. expires_at is NULL for one that never expires.
-- tags: those that its machines are given, as a JSON array.
CREATE TABLE IF NOT EXISTS lea_fleet_enrollment_tokens (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  token_hash TEXT NOT NULL UNIQUE,
  label TEXT NOT NULL,
  created_at TEXT NOT NULL,
  expires_at TEXT,
  max_uses INTEGER NOT NULL,
  uses INTEGER NOT NULL DEFAULT 0,
  revoked_at TEXT,
  tags TEXT NOT NULL DEFAULT '[]'
);

-- Tokens of operators with a name. expires_at is NULL for one that never expires;
-- personal: whether a viewer is shown personal data.
CREATE TABLE IF NOT EXISTS lea_fleet_operators (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  token_hash TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  role TEXT NOT NULL,
  personal INTEGER NOT NULL DEFAULT 1,
  created_at TEXT NOT NULL,
  expires_at TEXT,
  last_used_at TEXT,
  revoked_at TEXT
);

-- Saved views of the list. owner is operator#ID, user:NAME or empty; filters is the
-- query of a listing, columns a list in JSON.
CREATE TABLE IF NOT EXISTS lea_fleet_views (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  owner TEXT NOT NULL,
  shared INTEGER NOT NULL,
  name TEXT NOT NULL,
  filters TEXT NOT NULL,
  columns TEXT NOT NULL,
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL
);

-- The request of a machine's current enrollment if it had an Idempotency-Key, so that
-- it can be repeated after a lost response. Void if enrolled_at is not the machine's.
CREATE TABLE IF NOT EXISTS lea_fleet_enrollments (
  machine_id TEXT PRIMARY KEY,
  enrolled_at TEXT NOT NULL,
  status TEXT NOT NULL,
  credential TEXT NOT NULL,
  key_hash TEXT NOT NULL
) WITHOUT ROWID;

-- Active machines that may be re-enrolled once. Void after any enrollment.
-- enrollment_token: the one that alone may do so; 0 is the operator's, NULL is any.
CREATE TABLE IF NOT EXISTS lea_fleet_releases (
  machine_id TEXT PRIMARY KEY,
  enrolled_at TEXT NOT NULL,
  released_until TEXT NOT NULL,
  enrollment_token INTEGER
) WITHOUT ROWID;

-- Machine ids that no enrollment brings into the fleet, whether they were ever in it or
-- not. look is what ids that look alike have in common (core/machine.py), machine_id the
-- one that an operator blocked.
CREATE TABLE IF NOT EXISTS lea_fleet_blocks (
  look TEXT PRIMARY KEY,
  machine_id TEXT NOT NULL,
  blocked_at TEXT NOT NULL,
  reason TEXT
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS lea_fleet_blocks_machine ON lea_fleet_blocks(machine_id);

-- Machines about which nobody is alerted. Void after muted_until.
CREATE TABLE IF NOT EXISTS lea_fleet_mutes (
  machine_id TEXT PRIMARY KEY,
  muted_until TEXT NOT NULL
) WITHOUT ROWID;

-- Tags of machines, one of each name: a word, or name=value. by_operator: an operator has
-- given it, not an enrollment token.
CREATE TABLE IF NOT EXISTS lea_fleet_tags (
  machine_id TEXT NOT NULL,
  name TEXT NOT NULL,
  tag TEXT NOT NULL,
  by_operator INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (machine_id, name)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS lea_fleet_tags_name ON lea_fleet_tags(name, tag);

-- What operators have written down about machines.
CREATE TABLE IF NOT EXISTS lea_fleet_notes (
  machine_id TEXT PRIMARY KEY,
  note TEXT NOT NULL,
  author TEXT,
  noted_at TEXT NOT NULL
) WITHOUT ROWID;

-- In which hours of a day, in UTC, a machine was seen: a bit for each of them, from 1 for
-- the first. It is kept for LEA_FLEET_PRESENCE_DAYS, and void before the machine's
-- enrolled_at.
CREATE TABLE IF NOT EXISTS lea_fleet_presence (
  day TEXT NOT NULL,
  machine_id TEXT NOT NULL,
  hours INTEGER NOT NULL,
  PRIMARY KEY (day, machine_id)
) WITHOUT ROWID;

-- Up to which machines lea_fleet_search was brought, if there is that index (search.py):
-- a virtual table of FTS5, which a search makes where SQLite has that. And the machines
-- that were changed since.
CREATE TABLE IF NOT EXISTS lea_fleet_indexed (
  id INTEGER PRIMARY KEY,
  mark TEXT NOT NULL,
  mark_id INTEGER NOT NULL,
  compared_to INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS lea_fleet_unindexed (
  machine_id TEXT PRIMARY KEY
) WITHOUT ROWID;

-- Machines that an operator is about to act on: those that match the filter, a JSON
-- object of query parameters. owner: a hash of who has selected them. ids: those of
-- their rows, as JSON arrays, one for each transaction.
CREATE TABLE IF NOT EXISTS lea_fleet_selections (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  owner TEXT NOT NULL,
  filter TEXT NOT NULL,
  machines INTEGER NOT NULL,
  expires_at TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS lea_fleet_selected (
  selection INTEGER NOT NULL,
  step INTEGER NOT NULL,
  ids TEXT NOT NULL,
  PRIMARY KEY (selection, step)
);

-- Active machines whose agents are told to uninstall themselves; told_at is when one was
-- first told. Void after any enrollment.
CREATE TABLE IF NOT EXISTS lea_fleet_retirements (
  machine_id TEXT PRIMARY KEY,
  enrolled_at TEXT NOT NULL,
  retired_at TEXT NOT NULL,
  told_at TEXT
) WITHOUT ROWID;

-- Hostnames and users that a machine recently stopped reporting, in lower case. One
-- that comes back within a day is not a change; a hostname that does so makes the
-- machine a suspected clone.
CREATE TABLE IF NOT EXISTS lea_fleet_identities (
  machine_id TEXT NOT NULL,
  name TEXT NOT NULL,
  value TEXT NOT NULL,
  enrolled_at TEXT NOT NULL,
  left_at TEXT NOT NULL,
  PRIMARY KEY (machine_id, name, value)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS lea_fleet_clones (
  machine_id TEXT PRIMARY KEY,
  enrolled_at TEXT NOT NULL,
  alternated_at TEXT NOT NULL,
  reported_at TEXT NOT NULL
) WITHOUT ROWID;

-- Details that were too long to be stored, and when one was last reported. Void if
-- enrolled_at is not the machine's, and after a day.
CREATE TABLE IF NOT EXISTS lea_fleet_ignored (
  machine_id TEXT NOT NULL,
  field TEXT NOT NULL,
  enrolled_at TEXT NOT NULL,
  ignored_at TEXT NOT NULL,
  PRIMARY KEY (machine_id, field)
) WITHOUT ROWID;

-- What machines may still cause themselves of one kind of event: full_at is when the
-- budget is full again, noted whether an event says that more are not recorded.
CREATE TABLE IF NOT EXISTS lea_fleet_budgets (
  machine_id TEXT NOT NULL,
  event TEXT NOT NULL,
  full_at TEXT NOT NULL,
  noted INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (machine_id, event)
) WITHOUT ROWID;

-- Heartbeat intervals; the last row is the current one. Each is taken into account for
-- as long as a machine that was told it may be silent and still be online.
CREATE TABLE IF NOT EXISTS lea_fleet_intervals (
  id INTEGER PRIMARY KEY,
  seconds INTEGER NOT NULL UNIQUE,
  decided_at TEXT NOT NULL,
  counts_until TEXT NOT NULL
);

-- Refused requests by error code, since the table was created: the sum of what the
-- processes of a server have counted, for its metrics.
CREATE TABLE IF NOT EXISTS lea_fleet_refusals (
  code TEXT PRIMARY KEY,
  refused INTEGER NOT NULL
) WITHOUT ROWID;

-- Machines whose enrollment was refused, for 30 days. enrollment_token: the one that it
-- was sent with; 0 is the operator's. look: what ids that look alike have in common
-- (core/machine.py). enrolled_at: the machine's own then, empty if it was not known; a
-- row is void if that has changed, since the machine has enrolled. told_at: of its last
-- alert.
CREATE TABLE IF NOT EXISTS lea_fleet_refused (
  enrollment_token INTEGER NOT NULL,
  look TEXT NOT NULL,
  code TEXT NOT NULL,
  machine_id TEXT,
  enrolled_at TEXT NOT NULL,
  hostname TEXT,
  address TEXT,
  refused INTEGER NOT NULL,
  first_at TEXT NOT NULL,
  last_at TEXT NOT NULL,
  told_at TEXT,
  PRIMARY KEY (enrollment_token, look, code)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS lea_fleet_refused_last ON lea_fleet_refused(last_at);

-- Events, recorded in the transaction that makes the change. actor and detail are JSON
-- objects; machine_id is NULL if the event is not about a machine.
CREATE TABLE IF NOT EXISTS lea_fleet_events (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  machine_id TEXT,
  event TEXT NOT NULL,
  at TEXT NOT NULL,
  actor TEXT NOT NULL,
  detail TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS lea_fleet_events_machine ON lea_fleet_events(machine_id, id);
CREATE INDEX IF NOT EXISTS lea_fleet_events_enrolled ON lea_fleet_events(actor)
  WHERE event IN ('enrolled', 'reactivated', 'reenrolled');

-- How many events of each day and name have been pruned, so that totals stay the same.
CREATE TABLE IF NOT EXISTS lea_fleet_pruned (
  date TEXT NOT NULL,
  event TEXT NOT NULL,
  events INTEGER NOT NULL,
  PRIMARY KEY (date, event)
) WITHOUT ROWID;

-- What this database remembers of moves: a row that is open if the fleet has come here,
-- and one that is closing, then closed, if it leaves. Servers write to no database with
-- such a row, nor to one whose row is filling or undone.
CREATE TABLE IF NOT EXISTS lea_fleet_moves (
  id TEXT PRIMARY KEY,
  other TEXT NOT NULL,
  state TEXT NOT NULL,
  at TEXT NOT NULL,
  digests TEXT NOT NULL
) WITHOUT ROWID;

-- What `flask fleet notify` tells besides the events, of the last 24 hours. detail is a
-- JSON object. Ids are in the order of commits, so that no follower misses one.
CREATE TABLE IF NOT EXISTS lea_fleet_alerts (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  machine_id TEXT,
  alert TEXT NOT NULL,
  at TEXT NOT NULL,
  detail TEXT NOT NULL
);

-- Machines that were told to be silent, and when they were last seen. Other conditions
-- that were told and have not ended: subject is the id of an enrollment token, or empty.
CREATE TABLE IF NOT EXISTS lea_fleet_silences (
  machine_id TEXT PRIMARY KEY,
  seen_at TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS lea_fleet_conditions (
  alert TEXT NOT NULL,
  subject TEXT NOT NULL,
  since TEXT NOT NULL,
  PRIMARY KEY (alert, subject)
) WITHOUT ROWID;

-- Periods in which machines were heard; between two of them, none was: the server was
-- down, perhaps. Machines seen since alive_since were online when the period before it
-- ended.
CREATE TABLE IF NOT EXISTS lea_fleet_heard (
  since TEXT PRIMARY KEY,
  until TEXT NOT NULL,
  alive_since TEXT NOT NULL
) WITHOUT ROWID;

-- How many machines are usually online at an hour of the week, 0 to 167 from Monday
-- 00:00 UTC: the sum of the lowest counts of each past week, and their number, both
-- halved at 8; and the lowest count of the last time, so far.
CREATE TABLE IF NOT EXISTS lea_fleet_hours (
  hour INTEGER PRIMARY KEY,
  machines INTEGER NOT NULL,
  counts INTEGER NOT NULL,
  lowest INTEGER NOT NULL,
  counted_at TEXT NOT NULL
);

-- Where alerts and events are delivered to: the last one delivered of each, who delivers
-- until when, and what failed.
CREATE TABLE IF NOT EXISTS lea_fleet_destinations (
  destination TEXT PRIMARY KEY,
  position TEXT NOT NULL,
  alert_id INTEGER NOT NULL,
  looked_at TEXT NOT NULL,
  delivered_at TEXT,
  holder TEXT,
  held_until TEXT,
  fault TEXT,
  failing_since TEXT,
  attempts INTEGER NOT NULL DEFAULT 0,
  next_attempt_at TEXT
) WITHOUT ROWID;
