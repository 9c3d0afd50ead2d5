-- history.db, version 7: receipts that wait for an ESME and take no memory (smsroute/outbox.py).

CREATE TABLE owed (
  n        INTEGER PRIMARY KEY,      -- the order in which they go
  esme     TEXT NOT NULL,
  part_id  TEXT NOT NULL UNIQUE,     -- its message is among those of `message`
  ended_at REAL NOT NULL,
  packed   BLOB NOT NULL             -- message.pack_part
);

CREATE INDEX owed_by_esme ON owed (esme, n);
