-- What the host's own rules came to. A rule has one firing alert at most.
CREATE TABLE alerts (
    seq      INTEGER PRIMARY KEY AUTOINCREMENT,
    id       BLOB    NOT NULL UNIQUE CHECK (length(id) = 16),
    rule     TEXT    NOT NULL,
    state    TEXT    NOT NULL CHECK (state IN ('firing', 'resolved')),
    fired_at INTEGER NOT NULL,
    record   TEXT    NOT NULL -- JSON
) STRICT;
CREATE UNIQUE INDEX alerts_firing ON alerts (rule) WHERE state = 'firing';
CREATE INDEX alerts_by_time ON alerts (fired_at, seq);

-- What keeps alerts from being told, one of each rule.
CREATE TABLE silences (
    rule   TEXT    NOT NULL PRIMARY KEY,
    until  INTEGER NOT NULL,
    record TEXT    NOT NULL -- JSON
) STRICT, WITHOUT ROWID;
