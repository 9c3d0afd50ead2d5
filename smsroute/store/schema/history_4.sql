-- history.db, version 4: what a rule may ask of a message is kept, so that another config can be tried on it (`whatif`).

ALTER TABLE message ADD COLUMN data_coding INTEGER NOT NULL DEFAULT 0;
