-- Offsets that Kafka removed before they were read. Not every one of them need have been a record.
CREATE TABLE lost_offsets (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    partition_ref  INTEGER NOT NULL REFERENCES partitions,
    first_offset   INTEGER NOT NULL,
    next_offset    INTEGER NOT NULL,            -- where reading went on
    at_ms          INTEGER NOT NULL,
    accepted_at_ms INTEGER                      -- NULL: nobody has said yet that it is known
);

-- Where a dead-letter partition ended when it was met. What lies before is older than our watch and raises no alert.
CREATE TABLE first_looks (
    partition_ref  INTEGER PRIMARY KEY REFERENCES partitions,
    end_offset     INTEGER NOT NULL
);

-- Dead letters by the time of their failure, for the alert on their share. Pruned with flow_seconds.
CREATE TABLE failure_seconds (
    second_ms      INTEGER PRIMARY KEY,
    dead_letters   INTEGER NOT NULL
);
