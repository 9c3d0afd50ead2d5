-- history.db, version 8: which message a part belongs to, so that a message is one record (`export`).

ALTER TABLE message ADD COLUMN message_id TEXT NOT NULL DEFAULT '';   -- the id of its first part; '' = it is alone
ALTER TABLE message ADD COLUMN parts INTEGER NOT NULL DEFAULT 0;
ALTER TABLE message ADD COLUMN number INTEGER NOT NULL DEFAULT 0;
