-- Whether what a run proposes is only looked at.
ALTER TABLE runs ADD COLUMN dry_run INTEGER NOT NULL DEFAULT 0;
