-- What runs propose to change, and what became of it. `effect` is the record and `action` the whole action where the record has it without the texts of its files; the other columns are
-- for asking.
CREATE TABLE effects (
    seq INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    run BLOB NOT NULL,
    agent TEXT NOT NULL,
    kind TEXT NOT NULL,
    repository TEXT,
    state TEXT NOT NULL,
    effect TEXT NOT NULL,
    action TEXT,
    created_at INTEGER NOT NULL,
    due_at INTEGER,
    applied_at INTEGER
) STRICT;
CREATE INDEX effects_by_time ON effects (created_at);
CREATE INDEX effects_by_agent ON effects (agent, created_at);
CREATE INDEX effects_by_state ON effects (state, created_at);
CREATE INDEX effects_by_run ON effects (run);
CREATE INDEX effects_open ON effects (due_at) WHERE state IN ('proposed', 'waiting', 'approved', 'applying');
CREATE INDEX effects_applied ON effects (agent, applied_at) WHERE applied_at IS NOT NULL;

-- Issues and pull requests of local repositories, numbered in one row.
CREATE TABLE threads (
    seq INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    repository TEXT NOT NULL,
    number INTEGER NOT NULL,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    thread TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    UNIQUE (repository, number)
) STRICT;
CREATE INDEX threads_by_time ON threads (kind, created_at);

CREATE TABLE comments (
    seq INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    repository TEXT NOT NULL,
    number INTEGER NOT NULL,
    comment TEXT NOT NULL
) STRICT;
CREATE INDEX comments_by_thread ON comments (repository, number);

CREATE TABLE commit_statuses (
    seq INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    repository TEXT NOT NULL,
    commit_id TEXT NOT NULL,
    status TEXT NOT NULL
) STRICT;
CREATE INDEX commit_statuses_by_commit ON commit_statuses (repository, commit_id);
