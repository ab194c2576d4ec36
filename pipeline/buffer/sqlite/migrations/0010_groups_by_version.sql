-- By which rule dead letters were grouped, and since when a group is there as a new one. Old groups stay as they are
-- until `python -m pipeline regroup`.
ALTER TABLE dead_letter_groups ADD COLUMN fingerprint_version INTEGER NOT NULL DEFAULT 1;
ALTER TABLE dead_letter_groups ADD COLUMN new_since_ms INTEGER;
CREATE INDEX dead_letter_groups_by_version ON dead_letter_groups (fingerprint_version);
