-- Runs that were given up on after all their attempts, until a person starts them again or drops them.
ALTER TABLE runs ADD COLUMN dead INTEGER NOT NULL DEFAULT 0 CHECK (dead IN (0, 1));

CREATE INDEX runs_dead ON runs (created_at) WHERE dead = 1;
