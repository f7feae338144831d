-- The doctor's durable store of reports: one row a report, whoever sends it how often.
CREATE TABLE IF NOT EXISTS report (
    number    INTEGER PRIMARY KEY AUTOINCREMENT,  -- order of arrival
    site      TEXT    NOT NULL,
    device    TEXT    NOT NULL,
    id        TEXT    NOT NULL,
    document  BLOB    NOT NULL,                   -- the report as it came
    stored_at TEXT    NOT NULL,                   -- UTC, ISO 8601
    shown     INTEGER NOT NULL DEFAULT 0 CHECK (shown IN (0, 1)),
    UNIQUE (site, device, id)
) STRICT;

CREATE INDEX IF NOT EXISTS unshown ON report (number) WHERE shown = 0;

-- Facts that outlive a process, such as this inbox's name at the broker.
CREATE TABLE IF NOT EXISTS fact (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;
