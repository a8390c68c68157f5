-- Judgements of code that was handed in. The code itself is not kept.
CREATE TABLE checks (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id BLOB NOT NULL UNIQUE,
    verdict TEXT,
    created_at INTEGER NOT NULL,
    record TEXT NOT NULL
) STRICT;
CREATE INDEX checks_by_time ON checks (created_at, seq);
CREATE INDEX checks_by_verdict ON checks (verdict, created_at, seq);
