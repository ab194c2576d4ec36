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

-- Orders that were judged, by the second, while a brake is set: what its window counts. Emptied when reading goes on.
CREATE TABLE judged_seconds (
    topic          TEXT NOT NULL,
    second_ms      INTEGER NOT NULL,
    accepted       INTEGER NOT NULL,
    failed         INTEGER NOT NULL,
    PRIMARY KEY (topic, second_ms)
) WITHOUT ROWID;

-- Where reading of a topic was stopped because most of it failed, and who let it go on.
CREATE TABLE brakes (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    topic          TEXT NOT NULL,
    stopped_at_ms  INTEGER NOT NULL,
    accepted       INTEGER NOT NULL,            -- in the window that stopped it
    failed         INTEGER NOT NULL,
    resumed_at_ms  INTEGER,
    resumed_by     TEXT
);
CREATE UNIQUE INDEX brakes_on ON brakes (topic) WHERE resumed_at_ms IS NULL;
