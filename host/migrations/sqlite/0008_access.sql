-- API keys; `key` is the record without what is secret of it, `digest` the SHA-256 of the whole key.
CREATE TABLE api_keys (
    id BLOB PRIMARY KEY,
    digest BLOB NOT NULL UNIQUE,
    key TEXT NOT NULL
) STRICT;

-- Clients and keys with failures, lockouts and bans. `version` rises with each change.
CREATE TABLE offenders (
    subject TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    offender TEXT NOT NULL,
    changed_at INTEGER NOT NULL
) STRICT;
CREATE INDEX offenders_by_time ON offenders (changed_at);
