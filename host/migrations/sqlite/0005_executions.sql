-- Each time a pipeline ran. `seq` is the number of the cycle, which is never given twice.
CREATE TABLE executions (
    seq            INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    id             BLOB    NOT NULL UNIQUE CHECK (length(id) = 16),
    pipeline       TEXT    NOT NULL,
    config_digest  TEXT    NOT NULL,
    principal_kind TEXT    NOT NULL,
    principal_name TEXT    NOT NULL,
    trigger_kind   TEXT    NOT NULL,
    state          TEXT    NOT NULL CHECK (state IN ('running', 'succeeded', 'failed', 'cancelled')),
    error          TEXT,
    steps          TEXT    NOT NULL, -- JSON, an array
    created_at     INTEGER NOT NULL,
    ended_at       INTEGER CHECK ((state = 'running') = (ended_at IS NULL))
) STRICT;

-- A pipeline runs once at a time.
CREATE UNIQUE INDEX executions_running ON executions (pipeline) WHERE state = 'running';
CREATE INDEX executions_by_pipeline ON executions (pipeline, created_at);

-- How many events of each type there were in each hour, which outlives the events.
CREATE TABLE event_counts (
    hour  INTEGER NOT NULL, -- its first microsecond
    kind  TEXT    NOT NULL,
    count INTEGER NOT NULL CHECK (count > 0),
    PRIMARY KEY (hour, kind)
) STRICT, WITHOUT ROWID;

-- Logs that are seldom read: those of a run in one piece, compressed.
CREATE TABLE old_logs (
    run   INTEGER NOT NULL PRIMARY KEY REFERENCES runs (seq) ON DELETE CASCADE,
    lines BLOB    NOT NULL -- zstd over the JSON array of `log_chunks`
) STRICT;

-- Search looks at runs that found something, newest first.
CREATE INDEX runs_with_findings ON runs (created_at) WHERE findings > 0;
