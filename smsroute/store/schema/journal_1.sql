-- journal.db, version 1: the events, one row a group commit, cut once a checkpoint covers them.

CREATE TABLE meta (
  key   TEXT PRIMARY KEY,            -- schema_version; store_id: the same in history.db
  value
) WITHOUT ROWID;

CREATE TABLE journal (
  seq    INTEGER PRIMARY KEY,        -- 1, 2, 3 ... without a gap
  crc    INTEGER NOT NULL,           -- CRC-32 of record: SQLite keeps no checksum of its pages
  record BLOB NOT NULL               -- message.pack of the events
);
