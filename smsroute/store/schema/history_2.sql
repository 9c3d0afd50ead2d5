-- history.db, version 2: what rooms want to find again after a restart, and can do without.

CREATE TABLE kept (
  name TEXT PRIMARY KEY,             -- "scores/orange"
  blob BLOB NOT NULL                 -- only its owner can read it
) WITHOUT ROWID;
