-- The dead letters: a view over rows that may lack a position, with copies, identities and stack traces of their own.
-- No row is written again, so that a million of them take seconds. Rows of before keep their stack traces in them.
DROP TRIGGER dead_letter_status;
DROP TRIGGER dead_letter_removed;
ALTER TABLE dead_letters RENAME TO dead_letter_rows;
-- SQLite has no statement that lets a column be NULL. The columns and their order are those of before, and four more.
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = 'CREATE TABLE dead_letter_rows (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    topic            TEXT,                      -- topic, partition, offset: its position in the dead-letter topic,
    partition        INTEGER,                   -- all NULL where that topic will never take it
    "offset"         INTEGER,
    source_topic     TEXT,                      -- source_*: the first origin, NULL where its dialect does not tell
    source_partition INTEGER,
    source_offset    INTEGER,
    source_timestamp_ms INTEGER,                -- of the record there
    key              BLOB,
    value            BLOB,
    headers          TEXT NOT NULL,             -- with a stack_ref: {"stacktrace":1} in place of the stack trace
    order_id         TEXT,                      -- order fields: NULL where the value is no readable order
    customer_id      TEXT,
    product          TEXT,
    price_cents      INTEGER,
    created_at_ms    INTEGER,
    error_class      TEXT,
    reason           TEXT NOT NULL,
    stacktrace       TEXT,                      -- NULL with a stack_ref
    rule             TEXT,
    stage            TEXT,
    consumer_group   TEXT,
    attempts         INTEGER,
    dialect          TEXT NOT NULL,
    fingerprint      TEXT NOT NULL,
    timestamp_ms     INTEGER NOT NULL,          -- the record''s own
    first_failed_at_ms INTEGER,
    failed_at_ms     INTEGER NOT NULL,          -- when it was collected where nothing tells, see failed_at_known
    received_at_ms   INTEGER NOT NULL,
    status           TEXT NOT NULL DEFAULT ''open''
                     CHECK (status IN (''open'', ''replaying'', ''replayed'', ''recovered'', ''dead_again'', ''discarded'')),
    status_at_ms     INTEGER NOT NULL,
    replay_of        INTEGER REFERENCES dead_letter_rows,
    replays          INTEGER NOT NULL DEFAULT 0, -- replays of this record, those of its earlier lives included
    dead_letter_id   TEXT NOT NULL UNIQUE,      -- known beyond this buffer; what `orderpulse.replay-of` carries
    record_id        INTEGER UNIQUE,            -- position in the dead-letter topic, as in order_rows
    failed_at_known  INTEGER,                   -- 0: failed_at_ms is when it was collected; NULL: of layout 1
    failure_id       TEXT,                      -- the failure''s identity where dead_letter_id is not: of a later life
    concluded        INTEGER NOT NULL DEFAULT 0, -- 1: a person or the time that passed settled its replay, no proof
    stack_ref        INTEGER                    -- of stacktraces
)'
    WHERE type = 'table' AND name = 'dead_letter_rows';
PRAGMA writable_schema = RESET;
CREATE INDEX dead_letters_by_failure ON dead_letter_rows (failure_id) WHERE failure_id IS NOT NULL;
CREATE INDEX dead_letters_replayed ON dead_letter_rows (status_at_ms) WHERE status = 'replayed';

CREATE TABLE stacktraces (
    stack_ref    INTEGER PRIMARY KEY,
    digest       BLOB NOT NULL UNIQUE,
    stacktrace   TEXT NOT NULL,
    dead_letters INTEGER NOT NULL               -- that refer to it; it goes with the last one
);
CREATE TABLE dead_letter_copies (
    record_id      INTEGER PRIMARY KEY,         -- as in dead_letter_rows
    dead_letter_id INTEGER NOT NULL REFERENCES dead_letter_rows
);
CREATE INDEX dead_letter_copies_of ON dead_letter_copies (dead_letter_id);

CREATE VIEW dead_letters AS
SELECT id,
       topic,
       partition,
       "offset",
       source_topic,
       source_partition,
       source_offset,
       source_timestamp_ms,
       key,
       value,
       iif(stack_ref IS NULL, headers, (
           SELECT replace(dead_letter_rows.headers, '{"stacktrace":1}', json_quote(once.stacktrace))
           FROM stacktraces AS once WHERE once.stack_ref = dead_letter_rows.stack_ref)) AS headers,
       order_id,
       customer_id,
       product,
       price_cents,
       created_at_ms,
       error_class,
       reason,
       iif(stack_ref IS NULL, stacktrace, (
           SELECT once.stacktrace FROM stacktraces AS once
           WHERE once.stack_ref = dead_letter_rows.stack_ref)) AS stacktrace,
       rule,
       stage,
       consumer_group,
       attempts,
       dialect,
       fingerprint,
       timestamp_ms,
       first_failed_at_ms,
       failed_at_ms,
       received_at_ms,
       status,
       status_at_ms,
       replay_of,
       replays,
       dead_letter_id,
       record_id,
       -- In layout 1 only our own dialect was sure of it.
       coalesce(failed_at_known, dialect = 'orderpulse') AS failed_at_known,
       coalesce(failure_id, dead_letter_id) AS failure_id,
       concluded
FROM dead_letter_rows;

CREATE TRIGGER dead_letter_status AFTER UPDATE OF status ON dead_letter_rows WHEN old.status <> new.status BEGIN
    UPDATE dead_letter_groups
       SET open = open + (new.status = 'open') - (old.status = 'open')
     WHERE fingerprint = new.fingerprint;
    UPDATE dead_letter_counts SET dead_letters = dead_letters - 1 WHERE status = old.status;
    INSERT INTO dead_letter_counts VALUES (new.status, 1)
        ON CONFLICT (status) DO UPDATE SET dead_letters = dead_letters + 1;
END;
CREATE TRIGGER dead_letter_removed AFTER DELETE ON dead_letter_rows BEGIN
    UPDATE dead_letter_groups
       SET total = total - 1, open = open - (old.status = 'open')
     WHERE fingerprint = old.fingerprint;
    UPDATE dead_letter_counts SET dead_letters = dead_letters - 1 WHERE status = old.status;
    UPDATE stacktraces SET dead_letters = dead_letters - 1 WHERE stack_ref = old.stack_ref;
    DELETE FROM stacktraces WHERE stack_ref = old.stack_ref AND dead_letters = 0;
END;

ALTER TABLE partitions ADD COLUMN copies_from INTEGER NOT NULL DEFAULT 0;
UPDATE partitions SET copies_from = next_offset WHERE role = 'collector';

ALTER TABLE job_items ADD COLUMN sent_with INTEGER;
ALTER TABLE job_items ADD COLUMN sent_for INTEGER NOT NULL DEFAULT 1;
CREATE INDEX job_items_sent_with ON job_items (job_id, sent_with) WHERE sent_with IS NOT NULL;
CREATE TRIGGER job_item_sent_for_others AFTER UPDATE OF state ON job_items WHEN new.sent_for > 1 BEGIN
    UPDATE job_items
       SET state = new.state, topic = new.topic, partition = new.partition, "offset" = new."offset", error = new.error
     WHERE job_id = new.job_id AND sent_with = new.dead_letter_id AND sent_with IS NOT NULL;
END;
-- What was read last of a partition: tells a recreated topic where the broker tells no topic ids.
ALTER TABLE partitions ADD COLUMN last_offset INTEGER;
ALTER TABLE partitions ADD COLUMN last_digest TEXT;
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

-- Records that went on to a further dead-letter topic before their dead letter of this position was collected.
CREATE TABLE passed_on (
    record_id      INTEGER PRIMARY KEY,
    dead_letter_id INTEGER NOT NULL REFERENCES dead_letter_rows
);
CREATE INDEX passed_on_by_dead_letter ON passed_on (dead_letter_id);
CREATE TRIGGER passed_on_removed AFTER DELETE ON dead_letter_rows BEGIN
    DELETE FROM passed_on WHERE dead_letter_id = old.id;
END;

-- A topic may be read again: the same identity is there once for each reading.
CREATE TEMPORARY TABLE topics_before AS SELECT * FROM topics;
DROP TABLE topics;
CREATE TABLE topics (
    topic_ref     INTEGER PRIMARY KEY,
    cluster_id    TEXT NOT NULL,
    topic         TEXT NOT NULL,
    topic_id      TEXT NOT NULL,               -- Kafka's own id, '' where the broker does not tell it
    first_seen_ms INTEGER NOT NULL,
    reading       INTEGER NOT NULL DEFAULT 0,  -- how often the same topic was read again before
    UNIQUE (cluster_id, topic, topic_id, reading)
);
INSERT INTO topics (topic_ref, cluster_id, topic, topic_id, first_seen_ms)
SELECT topic_ref, cluster_id, topic, topic_id, first_seen_ms FROM topics_before;
DROP TABLE topics_before;
ALTER TABLE partitions ADD COLUMN newest_ms INTEGER NOT NULL DEFAULT -1;
ALTER TABLE partitions ADD COLUMN read_from INTEGER NOT NULL DEFAULT 0;
ALTER TABLE partitions ADD COLUMN closed INTEGER NOT NULL DEFAULT 0;
-- No timestamp was kept: of what is read now it cannot be later than the minute in which something was counted last.
UPDATE partitions
   SET newest_ms = coalesce((
       SELECT max(minute_ms) + 60000 FROM flow_minutes
        WHERE iif(role = 'processor', orders + retries, dead_letters) > 0), -1)
 WHERE next_offset > 0 AND topic_ref = (
       SELECT max(same.topic_ref) FROM topics AS this JOIN topics AS same USING (topic)
        WHERE this.topic_ref = partitions.topic_ref);

-- Topics that are not read before somebody says from where (`held`), and those that are being read again. `start`:
-- `earliest`, `latest` or epoch milliseconds.
CREATE TABLE rereads (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    role           TEXT NOT NULL CHECK (role IN ('processor', 'collector')),
    topic          TEXT NOT NULL,
    cluster_id     TEXT NOT NULL,
    state          TEXT NOT NULL CHECK (state IN ('held', 'asked', 'draining', 'taking', 'done')),
    held_at_ms     INTEGER,                     -- when a record was met that may be a copy,
    partition      INTEGER,                     -- that record,
    "offset"       INTEGER,
    timestamp_ms   INTEGER,
    clusters       TEXT NOT NULL DEFAULT '',    -- those that were read before, and the newest record of them
    newest_ms      INTEGER,
    start          TEXT,
    asked_by       TEXT,
    asked_at_ms    INTEGER,
    topic_id       TEXT,
    spans          TEXT,                        -- JSON: [partition, where it begins, its end at that moment]
    cuts           TEXT,                        -- JSON: [partition_ref, from which offset on its orders go]
    orders         INTEGER NOT NULL DEFAULT 0,  -- taken out so far
    revenue_cents  INTEGER NOT NULL DEFAULT 0,
    done_at_ms     INTEGER
);
CREATE UNIQUE INDEX rereads_unfinished ON rereads (role, topic, cluster_id) WHERE state <> 'done';
