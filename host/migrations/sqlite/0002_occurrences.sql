-- Every moment at which an agent was due, and what came of it. A row can stand for several moments that were missed one after the other.
CREATE TABLE occurrences (
    seq         INTEGER NOT NULL PRIMARY KEY,
    agent       TEXT    NOT NULL,
    due_at      INTEGER NOT NULL,
    until       INTEGER NOT NULL, -- the last moment that the row stands for; mostly `due_at`
    moments     INTEGER NOT NULL CHECK (moments > 0),
    result      TEXT    NOT NULL CHECK (result IN ('fired', 'coalesced', 'skipped', 'missed')),
    reason      TEXT,
    late_us     INTEGER CHECK ((result = 'fired') = (late_us IS NOT NULL)),
    run         BLOB    CHECK (run IS NULL OR length(run) = 16),
    recorded_at INTEGER NOT NULL,
    UNIQUE (agent, due_at)
) STRICT;

CREATE INDEX occurrences_by_time ON occurrences (due_at);
CREATE INDEX occurrences_by_result ON occurrences (result, due_at) WHERE result <> 'fired';

-- The latest moment is now a fact of the ledger, which also knows moments without a run.
DROP TRIGGER runs_counted;

CREATE TRIGGER runs_counted AFTER INSERT ON runs
BEGIN
    INSERT INTO agents (agent, runs, last_scheduled_at) VALUES (new.agent, 1, NULL)
    ON CONFLICT (agent) DO UPDATE SET runs = runs + 1;
END;

CREATE TRIGGER occurrences_noted AFTER INSERT ON occurrences
BEGIN
    INSERT INTO agents (agent, runs, last_scheduled_at) VALUES (new.agent, 0, new.until)
    ON CONFLICT (agent) DO UPDATE SET
        last_scheduled_at = max(coalesce(last_scheduled_at, excluded.last_scheduled_at), excluded.last_scheduled_at);
END;
