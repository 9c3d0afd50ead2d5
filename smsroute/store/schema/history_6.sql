-- history.db, version 6: the submit_sm body of a message whose ESME wants its text kept (`text: keep`), in base64; else ''.

ALTER TABLE message ADD COLUMN body TEXT NOT NULL DEFAULT '';
