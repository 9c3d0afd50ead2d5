-- history.db, version 3: what the engine decided, to explain a message later. It is no fact of any message.

CREATE TABLE decision (
  at      REAL NOT NULL,             -- Unix seconds
  route   TEXT NOT NULL,
  network TEXT NOT NULL,             -- as scores are kept: a named network, or the prefix that matched
  class   INTEGER NOT NULL,          -- as in message
  packed  BLOB NOT NULL,             -- routing/record.pack
  PRIMARY KEY (route, class, network, at)
) WITHOUT ROWID;

CREATE INDEX decision_by_time ON decision (at);
