-- Ids are the 16 bytes of a UUID; times are microseconds since 1970 in UTC;
-- `seq` is a row's place in the order of writing. Text columns that hold JSON say so.

-- Facts about this file itself.
CREATE TABLE meta (
    name  TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Signs the cursors of pages, so that only positions given out come back.
INSERT INTO meta (name, value) VALUES ('cursor_key', randomblob(32));

CREATE TABLE runs (
    seq             INTEGER NOT NULL PRIMARY KEY,
    id              BLOB    NOT NULL UNIQUE CHECK (length(id) = 16),
    agent           TEXT    NOT NULL,
    plugin          TEXT    NOT NULL,
    plugin_digest   TEXT    NOT NULL,
    config_digest   TEXT    NOT NULL,
    principal_kind  TEXT    NOT NULL,
    principal_name  TEXT    NOT NULL,
    trigger_kind    TEXT    NOT NULL,
    attempt         INTEGER NOT NULL,
    idempotency_key TEXT    NOT NULL,
    state           TEXT    NOT NULL CHECK (state IN ('queued', 'running', 'ended')),
    outcome         TEXT    CHECK ((state = 'ended') = (outcome IS NOT NULL)),
    reason          TEXT,
    message         TEXT,
    hint            TEXT,
    summary         TEXT,
    findings        INTEGER NOT NULL,
    denials         TEXT    NOT NULL, -- JSON
    usage           TEXT    NOT NULL, -- JSON
    input           TEXT    NOT NULL, -- JSON
    scheduled_at    INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    started_at      INTEGER,
    ended_at        INTEGER,
    UNIQUE (agent, idempotency_key, attempt)
) STRICT;

-- One index for each way to page, newest first. Each ends with `seq`, as every index does.
CREATE INDEX runs_by_time ON runs (created_at);
CREATE INDEX runs_by_agent ON runs (agent, created_at);
CREATE INDEX runs_by_plugin ON runs (plugin, created_at);
CREATE INDEX runs_by_outcome ON runs (outcome, created_at) WHERE outcome IS NOT NULL;
-- Small whatever the age of the file: recovery at start reads it.
CREATE INDEX runs_unfinished ON runs (created_at) WHERE state <> 'ended';

-- What is known of an agent whatever became of its runs. Triggers keep it, so that it costs a run no statement.
CREATE TABLE agents (
    agent             TEXT    NOT NULL PRIMARY KEY,
    runs              INTEGER NOT NULL,
    last_scheduled_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE TRIGGER runs_counted AFTER INSERT ON runs
BEGIN
    INSERT INTO agents (agent, runs, last_scheduled_at)
    VALUES (
        new.agent, 1,
        CASE WHEN new.trigger_kind IN ('cron', 'every') THEN new.scheduled_at END
    )
    ON CONFLICT (agent) DO UPDATE SET
        runs = runs + 1,
        last_scheduled_at = CASE
            WHEN excluded.last_scheduled_at IS NULL THEN last_scheduled_at
            WHEN last_scheduled_at IS NULL THEN excluded.last_scheduled_at
            ELSE max(last_scheduled_at, excluded.last_scheduled_at)
        END;
END;

-- What a run returned: one row, so that ending a run is cheap.
CREATE TABLE reports (
    run      INTEGER NOT NULL PRIMARY KEY REFERENCES runs (seq) ON DELETE CASCADE,
    report   TEXT    NOT NULL, -- JSON, without the findings
    findings TEXT    NOT NULL  -- JSON, an array
) STRICT;

CREATE TABLE log_chunks (
    run       INTEGER NOT NULL REFERENCES runs (seq) ON DELETE CASCADE,
    first_seq INTEGER NOT NULL,
    last_seq  INTEGER NOT NULL,
    lines     TEXT    NOT NULL, -- JSON, an array of [seq, time, level, message]
    PRIMARY KEY (run, first_seq)
) STRICT, WITHOUT ROWID;

-- The bytes are files named by their digest.
CREATE TABLE artifacts (
    run        INTEGER NOT NULL REFERENCES runs (seq) ON DELETE CASCADE,
    name       TEXT    NOT NULL,
    media_type TEXT    NOT NULL,
    size       INTEGER NOT NULL,
    digest     BLOB    NOT NULL CHECK (length(digest) = 32),
    PRIMARY KEY (run, name)
) STRICT, WITHOUT ROWID;

CREATE INDEX artifacts_by_digest ON artifacts (digest);

-- AUTOINCREMENT, because a place in the feed must not be given twice, even after all events were pruned.
CREATE TABLE events (
    seq     INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    id      BLOB    NOT NULL UNIQUE CHECK (length(id) = 16),
    kind    TEXT    NOT NULL,
    source  TEXT    NOT NULL,
    subject TEXT,
    time    INTEGER NOT NULL,
    data    TEXT    NOT NULL -- JSON
) STRICT;

CREATE INDEX events_by_kind ON events (kind);

-- Small durable state of the host, such as agents on hold.
CREATE TABLE flags (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- With row ids, so that listing keys reads the index alone and never a value.
CREATE TABLE key_values (
    agent TEXT NOT NULL,
    key   TEXT NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (agent, key)
) STRICT;

-- What each agent's space holds, in bytes of keys and values. Triggers keep it, so that it cannot drift.
CREATE TABLE key_value_usage (
    agent TEXT    NOT NULL PRIMARY KEY,
    bytes INTEGER NOT NULL CHECK (bytes >= 0),
    keys  INTEGER NOT NULL CHECK (keys >= 0)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER key_values_added AFTER INSERT ON key_values
BEGIN
    INSERT INTO key_value_usage (agent, bytes, keys)
    VALUES (new.agent, octet_length(new.key) + octet_length(new.value), 1)
    ON CONFLICT (agent) DO UPDATE SET
        bytes = bytes + excluded.bytes,
        keys = keys + 1;
END;

CREATE TRIGGER key_values_changed AFTER UPDATE OF value ON key_values
BEGIN
    UPDATE key_value_usage
    SET bytes = bytes - octet_length(old.value) + octet_length(new.value)
    WHERE agent = new.agent;
END;

CREATE TRIGGER key_values_removed AFTER DELETE ON key_values
BEGIN
    UPDATE key_value_usage
    SET bytes = bytes - octet_length(old.key) - octet_length(old.value),
        keys = keys - 1
    WHERE agent = old.agent;
END;
