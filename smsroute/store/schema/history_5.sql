-- history.db, version 5: what an attempt costs when its carrier takes it, for message detail records (`export`).

ALTER TABLE attempt ADD COLUMN cost REAL NOT NULL DEFAULT 0;
