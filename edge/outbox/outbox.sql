-- The box's durable queue of reports. One row a report, kept after it is settled: it is also the memory of what was sent.
CREATE TABLE IF NOT EXISTS report (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,  -- never reused, so order needs no clock
    id         TEXT    NOT NULL UNIQUE,
    document   BLOB    NOT NULL,                   -- the report as JSON, but for seq and replayed
    state      TEXT    NOT NULL CHECK (state IN ('queued', 'sent', 'refused', 'received')),
    attempts   INTEGER NOT NULL DEFAULT 0,
    last_error TEXT
) STRICT;

-- What is still owed, in order.
CREATE INDEX IF NOT EXISTS owed ON report (seq) WHERE state != 'received';

-- Facts that outlive a process, such as which broker has answered once.
CREATE TABLE IF NOT EXISTS fact (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;
