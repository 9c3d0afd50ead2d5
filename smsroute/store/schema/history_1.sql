-- history.db, version 1: the last checkpoint, and what `trace` and the export read. Times are Unix seconds, 0 = not yet.
-- No column holds the text of a message; the parts in `open` do, until they are at rest.

CREATE TABLE meta (
  key   TEXT PRIMARY KEY,            -- schema_version; store_id: the same in journal.db
  value
) WITHOUT ROWID;

CREATE TABLE checkpoint (
  one     INTEGER PRIMARY KEY CHECK (one = 1),
  through INTEGER NOT NULL,          -- the journal up to this row is in here
  state   BLOB NOT NULL              -- what the ledger keeps beside the parts
);

CREATE TABLE open (
  part_id TEXT PRIMARY KEY,
  packed  BLOB NOT NULL              -- message.pack_part
) WITHOUT ROWID;

CREATE TABLE message (
  part_id          TEXT PRIMARY KEY,
  esme             TEXT NOT NULL,
  class            INTEGER NOT NULL, -- 0 otp, 1 alert, 2 info, 3 marketing
  source_addr      TEXT NOT NULL,
  destination_addr TEXT NOT NULL,
  accepted_at      REAL NOT NULL,
  ended_at         REAL NOT NULL,
  state            INTEGER NOT NULL, -- message.State: 10 accepted, 12 delivered, 13 expired, 14 deleted,
                                     -- 15 undeliverable, 17 unknown, 18 rejected
  err              TEXT NOT NULL,
  why              TEXT NOT NULL,
  route            TEXT NOT NULL,
  carrier          TEXT NOT NULL,
  multipart        TEXT NOT NULL,    -- the same for all parts of one message
  wants_receipt    INTEGER NOT NULL,
  expires_at       REAL NOT NULL,
  told_at          REAL NOT NULL,
  facts            TEXT NOT NULL     -- JSON array of strings
) WITHOUT ROWID;

CREATE INDEX message_by_destination ON message (destination_addr, accepted_at);
CREATE INDEX message_by_end ON message (ended_at, state);

CREATE TABLE attempt (
  part_id            TEXT NOT NULL,
  n                  INTEGER NOT NULL,  -- from 0
  at                 REAL NOT NULL,
  carrier            TEXT NOT NULL,
  bind               TEXT NOT NULL,
  route              TEXT NOT NULL,
  reason             TEXT NOT NULL,
  responded_at       REAL NOT NULL,
  blame              INTEGER NOT NULL,  -- message.Blame, -1 unanswered
  code               INTEGER NOT NULL,  -- the carrier's own number, -1 unanswered
  carrier_message_id TEXT NOT NULL,
  receipt_key        TEXT NOT NULL,     -- how the carrier's receipts name it; mostly the same
  doubted            TEXT NOT NULL,
  doubted_at         REAL NOT NULL,
  withdrawn          INTEGER NOT NULL,
  resent             INTEGER NOT NULL,
  repeats            INTEGER NOT NULL,  -- as often again it was throttled there
  PRIMARY KEY (part_id, n)
) WITHOUT ROWID;

CREATE INDEX attempt_by_receipt_key ON attempt (carrier, receipt_key) WHERE receipt_key <> '';
