-- The id of this journal, with which its chain begins.
INSERT INTO meta (name, value) VALUES ('journal_id', randomblob(16));

-- What was done. `sealed` is the record, `hash` the SHA-256 over the row and the hash of the one before. Nothing here is ever changed or removed.
CREATE TABLE journal (
    seq INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    action TEXT NOT NULL,
    sealed BLOB NOT NULL,
    hash BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;
CREATE INDEX journal_by_action ON journal (action, seq);
CREATE INDEX journal_by_time ON journal (at, seq);

CREATE TRIGGER journal_is_not_changed BEFORE UPDATE ON journal
BEGIN
    SELECT RAISE(ABORT, 'the journal is not changed');
END;
CREATE TRIGGER journal_is_not_removed BEFORE DELETE ON journal
BEGIN
    SELECT RAISE(ABORT, 'nothing is removed from the journal');
END;

-- Who a pseudonym of the journal stands for: `lookup` is a keyed hash of the person, `sealed` the person. Whose row is removed is nobody from then on.
CREATE TABLE journal_people (
    pseudonym TEXT PRIMARY KEY,
    lookup BLOB NOT NULL UNIQUE,
    sealed BLOB NOT NULL
) STRICT;
