-- Version 2 of the outbox: pictures, the doctor's answers, and where the originals lie.
ALTER TABLE report ADD COLUMN stored_at TEXT NOT NULL DEFAULT '';           -- UTC, ISO 8601, the box's clock
ALTER TABLE report ADD COLUMN place TEXT;                                   -- path of the original on this box
ALTER TABLE report ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;          -- of the review, 0 without one
ALTER TABLE report ADD COLUMN review BLOB;                                  -- as JSON
ALTER TABLE report ADD COLUMN answered INTEGER NOT NULL DEFAULT 0 CHECK (answered IN (0, 1));

UPDATE report SET stored_at = replace(json_extract(CAST(document AS TEXT), '$.received_at'), 'Z', '+00:00');

-- Apart from the rest, so that noting how far a report has come rewrites a few bytes and not all of it.
CREATE TABLE document (
    seq     INTEGER PRIMARY KEY REFERENCES report (seq),
    content BLOB    NOT NULL  -- the report as JSON, but for seq and replayed
) STRICT;

INSERT INTO document SELECT seq, document FROM report;
ALTER TABLE report DROP COLUMN document;

-- Apart for the same reason.
CREATE TABLE preview (
    seq        INTEGER PRIMARY KEY REFERENCES report (seq),
    jpeg       BLOB    NOT NULL,
    owed       INTEGER NOT NULL DEFAULT 1 CHECK (owed IN (0, 1)),
    attempts   INTEGER NOT NULL DEFAULT 0,
    last_error TEXT
) STRICT;

CREATE INDEX preview_owed ON preview (seq) WHERE owed = 1;

-- What waits for a doctor, oldest first.
CREATE INDEX unanswered ON report (stored_at) WHERE answered = 0;
