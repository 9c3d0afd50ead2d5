-- history.db, version 10: the part whose submit bore this one's words, where a carrier took all parts as one payload.

ALTER TABLE attempt ADD COLUMN lead TEXT NOT NULL DEFAULT '';
