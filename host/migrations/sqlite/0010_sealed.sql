-- Sessions and second factors: what somebody could come in with is sealed, each in a place of its own.
CREATE TABLE sealed (
    kind TEXT NOT NULL,
    id BLOB NOT NULL,
    content BLOB NOT NULL,
    PRIMARY KEY (kind, id)
) WITHOUT ROWID, STRICT;
