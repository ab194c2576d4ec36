-- Header sets and what else repeats are stored once, and of stack traces what is the same. No row is written again here:
-- the worker does it afterwards, a few at a time, and until then the view reads rows of both kinds.
ALTER TABLE dead_letter_rows ADD COLUMN set_ref INTEGER;
ALTER TABLE dead_letter_rows ADD COLUMN kind_ref INTEGER;
ALTER TABLE stacktraces ADD COLUMN in_pieces INTEGER NOT NULL DEFAULT 0;
CREATE TABLE header_sets (
    set_ref      INTEGER PRIMARY KEY,
    digest       BLOB NOT NULL UNIQUE,
    pieces       TEXT NOT NULL,
    dead_letters INTEGER NOT NULL
);
CREATE TABLE dead_letter_kinds (
    kind_ref       INTEGER PRIMARY KEY,
    digest         BLOB NOT NULL UNIQUE,
    topic          TEXT,
    source_topic   TEXT,
    error_class    TEXT,
    rule           TEXT,
    stage          TEXT,
    consumer_group TEXT,
    dialect        TEXT NOT NULL,
    reason_begins  TEXT NOT NULL,
    reason_ends    TEXT NOT NULL,
    dead_letters   INTEGER NOT NULL
);
CREATE TABLE compaction (
    id            INTEGER PRIMARY KEY CHECK (id = 1),
    first_id      INTEGER NOT NULL,
    next_id       INTEGER NOT NULL,
    last_id       INTEGER NOT NULL
);
INSERT INTO compaction
SELECT 1, least, least, most FROM (
    SELECT (SELECT min(id) FROM dead_letter_rows) AS least, (SELECT max(id) FROM dead_letter_rows) AS most)
WHERE least IS NOT NULL;
DROP TRIGGER dead_letter_removed;
CREATE TRIGGER dead_letter_removed AFTER DELETE ON dead_letter_rows BEGIN
    UPDATE dead_letter_groups
       SET total = total - 1, open = open - (old.status = 'open')
     WHERE fingerprint = old.fingerprint;
    UPDATE dead_letter_counts SET dead_letters = dead_letters - 1 WHERE status = old.status;
    UPDATE stacktraces SET dead_letters = dead_letters - 1 WHERE stack_ref = old.stack_ref;
    DELETE FROM stacktraces WHERE stack_ref = old.stack_ref AND dead_letters = 0;
    UPDATE header_sets SET dead_letters = dead_letters - 1 WHERE set_ref = old.set_ref;
    DELETE FROM header_sets WHERE set_ref = old.set_ref AND dead_letters = 0;
    UPDATE dead_letter_kinds SET dead_letters = dead_letters - 1 WHERE kind_ref = old.kind_ref;
    DELETE FROM dead_letter_kinds WHERE kind_ref = old.kind_ref AND dead_letters = 0;
END;
DROP VIEW dead_letters;
CREATE VIEW dead_letters AS
SELECT id,
       coalesce(topic, (
           SELECT kind.topic FROM dead_letter_kinds AS kind WHERE kind.kind_ref = dead_letter_rows.kind_ref)) AS topic,
       coalesce(partition, (
           SELECT home.partition FROM partitions AS home WHERE home.partition_ref = dead_letter_rows.record_id >> 40)) AS partition,
       coalesce("offset", record_id & 1099511627775) AS "offset",
       iif(kind_ref IS NULL, source_topic, (
           SELECT kind.source_topic FROM dead_letter_kinds AS kind WHERE kind.kind_ref = dead_letter_rows.kind_ref)) AS source_topic,
       source_partition,
       source_offset,
       source_timestamp_ms,
       key,
       value,
       CASE
           WHEN set_ref IS NOT NULL THEN (
               SELECT group_concat(CASE piece.type
                   WHEN 'text' THEN piece.atom
                   WHEN 'array' THEN json_quote(substr(iif(dead_letter_rows.kind_ref IS NULL, dead_letter_rows.reason, (
                           SELECT kind.reason_begins || dead_letter_rows.reason || kind.reason_ends
                           FROM dead_letter_kinds AS kind WHERE kind.kind_ref = dead_letter_rows.kind_ref)), piece.value ->> 0))
                   WHEN 'null' THEN json_quote((
                       SELECT iif(once.in_pieces, (
                           SELECT group_concat(CASE part.type
                               WHEN 'text' THEN part.atom
                               WHEN 'array' THEN substr(iif(dead_letter_rows.kind_ref IS NULL, dead_letter_rows.reason, (
                                       SELECT kind.reason_begins || dead_letter_rows.reason || kind.reason_ends
                                       FROM dead_letter_kinds AS kind WHERE kind.kind_ref = dead_letter_rows.kind_ref)), part.value ->> 0)
                               ELSE dead_letter_rows.stacktrace ->> part.atom END, '')
                           FROM json_each(once.stacktrace) AS part), once.stacktrace)
                       FROM stacktraces AS once WHERE once.stack_ref = dead_letter_rows.stack_ref))
                   ELSE CASE piece.atom
                       WHEN -1 THEN lower(hex(dead_letter_rows.dead_letter_id))
                       WHEN -2 THEN dead_letter_rows.source_partition
                       WHEN -3 THEN dead_letter_rows.source_offset
                       WHEN -4 THEN dead_letter_rows.source_timestamp_ms
                       WHEN -5 THEN dead_letter_rows.timestamp_ms
                       WHEN -6 THEN dead_letter_rows.first_failed_at_ms
                       WHEN -7 THEN dead_letter_rows.failed_at_ms
                       ELSE dead_letter_rows.headers ->> piece.atom END
                   END, '')
               FROM header_sets AS its_set, json_each(its_set.pieces) AS piece
               WHERE its_set.set_ref = dead_letter_rows.set_ref)
           WHEN stack_ref IS NOT NULL THEN (
               SELECT replace(dead_letter_rows.headers, '{"stacktrace":1}', json_quote((
                   SELECT iif(once.in_pieces, (
                       SELECT group_concat(CASE part.type
                           WHEN 'text' THEN part.atom
                           WHEN 'array' THEN substr(iif(dead_letter_rows.kind_ref IS NULL, dead_letter_rows.reason, (
                                   SELECT kind.reason_begins || dead_letter_rows.reason || kind.reason_ends
                                   FROM dead_letter_kinds AS kind WHERE kind.kind_ref = dead_letter_rows.kind_ref)), part.value ->> 0)
                           ELSE dead_letter_rows.stacktrace ->> part.atom END, '')
                       FROM json_each(once.stacktrace) AS part), once.stacktrace)
                   FROM stacktraces AS once WHERE once.stack_ref = dead_letter_rows.stack_ref))))
           ELSE headers
       END AS headers,
       order_id,
       customer_id,
       product,
       price_cents,
       created_at_ms,
       iif(kind_ref IS NULL, error_class, (
           SELECT kind.error_class FROM dead_letter_kinds AS kind WHERE kind.kind_ref = dead_letter_rows.kind_ref)) AS error_class,
       iif(dead_letter_rows.kind_ref IS NULL, dead_letter_rows.reason, (
           SELECT kind.reason_begins || dead_letter_rows.reason || kind.reason_ends
           FROM dead_letter_kinds AS kind WHERE kind.kind_ref = dead_letter_rows.kind_ref)) AS reason,
       iif(stack_ref IS NULL, stacktrace, (
           SELECT iif(once.in_pieces, (
               SELECT group_concat(CASE part.type
                   WHEN 'text' THEN part.atom
                   WHEN 'array' THEN substr(iif(dead_letter_rows.kind_ref IS NULL, dead_letter_rows.reason, (
                           SELECT kind.reason_begins || dead_letter_rows.reason || kind.reason_ends
                           FROM dead_letter_kinds AS kind WHERE kind.kind_ref = dead_letter_rows.kind_ref)), part.value ->> 0)
                   ELSE dead_letter_rows.stacktrace ->> part.atom END, '')
               FROM json_each(once.stacktrace) AS part), once.stacktrace)
           FROM stacktraces AS once WHERE once.stack_ref = dead_letter_rows.stack_ref)) AS stacktrace,
       iif(kind_ref IS NULL, rule, (
           SELECT kind.rule FROM dead_letter_kinds AS kind WHERE kind.kind_ref = dead_letter_rows.kind_ref)) AS rule,
       iif(kind_ref IS NULL, stage, (
           SELECT kind.stage FROM dead_letter_kinds AS kind WHERE kind.kind_ref = dead_letter_rows.kind_ref)) AS stage,
       iif(kind_ref IS NULL, consumer_group, (
           SELECT kind.consumer_group FROM dead_letter_kinds AS kind WHERE kind.kind_ref = dead_letter_rows.kind_ref)) AS consumer_group,
       attempts,
       iif(kind_ref IS NULL, dialect, (
           SELECT kind.dialect FROM dead_letter_kinds AS kind WHERE kind.kind_ref = dead_letter_rows.kind_ref)) AS dialect,
       fingerprint,
       timestamp_ms,
       first_failed_at_ms,
       failed_at_ms,
       received_at_ms,
       status,
       status_at_ms,
       replay_of,
       replays,
       iif(typeof(dead_letter_id) = 'blob', lower(hex(dead_letter_id)), dead_letter_id) AS dead_letter_id,
       record_id,
       -- In layout 1 only our own dialect was sure of it.
       coalesce(failed_at_known, dialect = 'orderpulse') AS failed_at_known,
       coalesce(failure_id, iif(typeof(dead_letter_id) = 'blob', lower(hex(dead_letter_id)), dead_letter_id)) AS failure_id,
       concluded,
       import_id
FROM dead_letter_rows;
