-- Files that dead letters were imported from, and which dead letter came from which.
CREATE TABLE imports (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    file           TEXT NOT NULL,
    kind           TEXT NOT NULL CHECK (kind IN ('export', 'kcat')),
    started_at_ms  INTEGER NOT NULL,
    finished_at_ms INTEGER,                     -- NULL: it was interrupted, and the same file is to be imported again
    dead_letters   INTEGER NOT NULL DEFAULT 0,  -- that it added
    UNIQUE (file, started_at_ms)
);

-- Records that were imported as kcat writes them, dead letters and copies alike, by a digest of all that they say.
CREATE TABLE imported_records (digest BLOB PRIMARY KEY) WITHOUT ROWID;
ALTER TABLE dead_letter_rows ADD COLUMN import_id INTEGER REFERENCES imports;
DROP VIEW dead_letters;
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
       concluded,
       import_id
FROM dead_letter_rows;
