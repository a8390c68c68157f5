-- `id` is now a digest of source and id, as both together make an event unique; the id itself is text that its source chose.
-- Rows from before have an empty text: their `id` is a UUID.
ALTER TABLE events ADD COLUMN source_id TEXT NOT NULL DEFAULT '';

-- How many runs lie between the event and what started it all.
ALTER TABLE events ADD COLUMN hops INTEGER NOT NULL DEFAULT 0 CHECK (hops >= 0);
