-- history.db, version 9: whether a part's ESME is told of it, or of its whole message (message.Tell).

ALTER TABLE message ADD COLUMN tell INTEGER NOT NULL DEFAULT 0;
