-- What was read last of a partition: tells a recreated topic where the broker tells no topic ids.
ALTER TABLE partitions ADD COLUMN last_offset INTEGER;
ALTER TABLE partitions ADD COLUMN last_digest TEXT;
