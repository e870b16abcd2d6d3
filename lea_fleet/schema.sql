-- Everything that lea_fleet keeps in the host's database. Only CREATE … IF NOT
-- EXISTS: the file belongs to the host, and an older server may be writing it.

-- The older server's table, as it makes it. Its columns and indexes are a given.
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

-- A token belongs to one enrolment: machine_id and enrolled_at are that row's.
-- When the row's enrolled_at moves on, through whichever server, the token is dead.
-- No foreign key: the older server knows nothing of this table.
CREATE TABLE IF NOT EXISTS lea_fleet_tokens (
  id INTEGER PRIMARY KEY,
  token_hash TEXT NOT NULL UNIQUE,
  machine_id TEXT NOT NULL,
  enrolled_at TEXT NOT NULL,
  issued_at TEXT NOT NULL,
  first_used_at TEXT,
  revoked_at TEXT
);
CREATE INDEX IF NOT EXISTS lea_fleet_tokens_machine ON lea_fleet_tokens(machine_id);
