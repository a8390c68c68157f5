-- What the host ran by: each version of plugins.toml and of what it names that was looked at, with the text as it was.
CREATE TABLE config_versions (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    text TEXT NOT NULL,
    record TEXT NOT NULL
) STRICT;
