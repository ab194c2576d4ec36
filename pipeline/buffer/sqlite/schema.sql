-- The buffer: one SQLite file. What is documented for readers is marked "public"; columns of public tables and views
-- are added, never renamed or retyped. Times are epoch milliseconds (UTC), money is integer minor units.

-- Which topics we have met. A wiped broker, a recreated topic or one that is read again is a new row: rows of two
-- generations never mix.
CREATE TABLE topics (
    topic_ref     INTEGER PRIMARY KEY,
    cluster_id    TEXT NOT NULL,
    topic         TEXT NOT NULL,
    topic_id      TEXT NOT NULL,               -- Kafka's own id, '' where the broker does not tell it
    first_seen_ms INTEGER NOT NULL,
    reading       INTEGER NOT NULL DEFAULT 0,  -- how often the same topic was read again before
    UNIQUE (cluster_id, topic, topic_id, reading)
);

-- The one truth about what was read. `next_offset` moves only in the transaction that writes the records' effects.
CREATE TABLE partitions (
    partition_ref INTEGER PRIMARY KEY,
    role          TEXT NOT NULL CHECK (role IN ('processor', 'collector')),
    topic_ref     INTEGER NOT NULL REFERENCES topics,
    partition     INTEGER NOT NULL,
    next_offset   INTEGER NOT NULL,
    pruned_below  INTEGER NOT NULL DEFAULT 0,  -- rows of offsets below it may have been pruned
    copies_from   INTEGER NOT NULL DEFAULT 0,  -- of a collector: from this offset on, copies are in dead_letter_copies
    last_offset   INTEGER,                     -- of the record that was read last, and a digest of its key, value and
    last_digest   TEXT,                        -- timestamp: tells a recreated topic where the broker tells no topic ids
    newest_ms     INTEGER NOT NULL DEFAULT -1, -- the latest timestamp of what was read; -1: not known
    read_from     INTEGER NOT NULL DEFAULT 0,  -- where a topic that is read again was begun
    closed        INTEGER NOT NULL DEFAULT 0,  -- 1: nothing of it may be written any more: it is read again
    passed_over   INTEGER NOT NULL DEFAULT 0,  -- records that were passed over: the bits in its passed_over_blocks
    orders        INTEGER NOT NULL DEFAULT 0,  -- figures of a topic are the sums over its partitions: each is what is there
    revenue_cents INTEGER NOT NULL DEFAULT 0,  -- and what its `pruned_` column counts, as in totals
    pruned_orders        INTEGER NOT NULL DEFAULT 0,
    pruned_revenue_cents INTEGER NOT NULL DEFAULT 0,
    UNIQUE (role, topic_ref, partition)
);

-- Names that repeat in every order, as small integers.
CREATE TABLE products (product_ref INTEGER PRIMARY KEY, product TEXT NOT NULL UNIQUE);
CREATE TABLE regions  (region_ref  INTEGER PRIMARY KEY, region  TEXT NOT NULL UNIQUE);

-- One row an accepted order. The key is the record's place in Kafka: partition_ref << 40 | offset, so that inserts
-- append, and a record can be there only once.
CREATE TABLE order_rows (
    record_id       INTEGER PRIMARY KEY,
    order_id        TEXT NOT NULL,
    customer_id     TEXT NOT NULL,
    product_ref     INTEGER NOT NULL,
    region_ref      INTEGER NOT NULL,
    price_cents     INTEGER NOT NULL,
    created_at_ms   INTEGER NOT NULL,
    processed_at_ms INTEGER NOT NULL,
    attempts        INTEGER NOT NULL
);
-- A random id falls anywhere into an index of its own, and each batch would write half of that index anew: 7 µs an order.
-- By blocks of 4,096 offsets first, all ids fall into the newest blocks: under 2 µs, however many orders there are. Asked for
-- an id, SQLite looks into each block (a "skip-scan", 3 µs a block) when the statistics below tell it how many there are.
CREATE INDEX order_rows_by_order_id ON order_rows (record_id >> 12, order_id);
CREATE INDEX order_rows_by_created_at ON order_rows (created_at_ms);
CREATE INDEX order_rows_by_product ON order_rows (product_ref, created_at_ms);
ANALYZE order_rows;
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('order_rows', 'order_rows_by_order_id', '10000000 4000 1'),
    ('order_rows', 'order_rows_by_created_at', '10000000 10'),
    ('order_rows', 'order_rows_by_product', '10000000 100000 1');

-- public
CREATE VIEW orders AS
SELECT topics.topic                        AS topic,
       partitions.partition                AS partition,
       order_rows.record_id & 1099511627775 AS "offset",
       order_rows.order_id,
       order_rows.customer_id,
       products.product                    AS product,
       regions.region                      AS region,
       order_rows.price_cents,
       order_rows.created_at_ms,
       order_rows.processed_at_ms,
       order_rows.attempts,
       order_rows.record_id
FROM order_rows
JOIN partitions ON partitions.partition_ref = order_rows.record_id >> 40
JOIN topics USING (topic_ref)
JOIN products USING (product_ref)
JOIN regions USING (region_ref);

-- public. One row; changes in the same transaction as the rows it counts. What retention pruned stays counted, here and
-- in the figures below: each is the sum of the rows that are there and of its `pruned_` column.
CREATE TABLE totals (
    id            INTEGER PRIMARY KEY CHECK (id = 1),
    orders        INTEGER NOT NULL DEFAULT 0,
    revenue_cents INTEGER NOT NULL DEFAULT 0,
    dead_letters  INTEGER NOT NULL DEFAULT 0,
    pruned_orders        INTEGER NOT NULL DEFAULT 0,
    pruned_revenue_cents INTEGER NOT NULL DEFAULT 0,
    pruned_dead_letters  INTEGER NOT NULL DEFAULT 0,
    currency             TEXT NOT NULL DEFAULT '',  -- of all amounts, by its ISO 4217 code; '': nobody has said
    currency_digits      INTEGER NOT NULL DEFAULT 2 -- behind its point: 2, so cents are summed
);
INSERT INTO totals (id) VALUES (1);

-- Figures by the time of processing and by topic, ready for the charts. Seconds are pruned, minutes stay. Here and in the
-- two tables after them `topic` is a name, whatever its generation: of orders and retries that of their partition, of dead
-- letters their source_topic. It is '' where nothing tells it; figures of all topics are the sums.
CREATE TABLE flow_seconds (
    second_ms     INTEGER NOT NULL,
    topic         TEXT NOT NULL,
    orders        INTEGER NOT NULL DEFAULT 0,
    revenue_cents INTEGER NOT NULL DEFAULT 0,
    retries       INTEGER NOT NULL DEFAULT 0,   -- attempts that failed and were parked
    dead_letters  INTEGER NOT NULL DEFAULT 0,   -- by the time of collection
    PRIMARY KEY (second_ms, topic)
) WITHOUT ROWID;
CREATE TABLE flow_minutes (
    minute_ms     INTEGER NOT NULL,
    topic         TEXT NOT NULL,
    orders        INTEGER NOT NULL DEFAULT 0,
    revenue_cents INTEGER NOT NULL DEFAULT 0,
    retries       INTEGER NOT NULL DEFAULT 0,
    dead_letters  INTEGER NOT NULL DEFAULT 0,
    pruned_orders        INTEGER NOT NULL DEFAULT 0,
    pruned_revenue_cents INTEGER NOT NULL DEFAULT 0,
    pruned_dead_letters  INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (minute_ms, topic)
) WITHOUT ROWID;
CREATE TABLE product_totals (
    product_ref   INTEGER NOT NULL,
    topic         TEXT NOT NULL,
    orders        INTEGER NOT NULL DEFAULT 0,
    revenue_cents INTEGER NOT NULL DEFAULT 0,
    pruned_orders        INTEGER NOT NULL DEFAULT 0,
    pruned_revenue_cents INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (product_ref, topic)
) WITHOUT ROWID;
CREATE TABLE dead_letter_sources (
    topic         TEXT PRIMARY KEY,
    dead_letters  INTEGER NOT NULL DEFAULT 0,
    pruned_dead_letters  INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

-- Records that failed for a passing reason, and those of the same key that wait behind them (due_at_ms NULL).
-- `headers` here and below: a JSON array of [name, value], value a string, null, or {"base64": "…"} when not UTF-8.
CREATE TABLE retries (
    record_id          INTEGER PRIMARY KEY,     -- as in order_rows
    timestamp_ms       INTEGER NOT NULL,
    key                BLOB,
    value              BLOB,
    headers            TEXT NOT NULL,
    attempts           INTEGER NOT NULL,        -- made so far
    due_at_ms          INTEGER,
    first_failed_at_ms INTEGER,
    error_class        TEXT,
    reason             TEXT,
    headers_readable   INTEGER NOT NULL DEFAULT 1,  -- 0: they could not be read, and `headers` is empty
    append_time        INTEGER NOT NULL DEFAULT 0   -- 1: timestamp_ms is when the broker wrote it
);

-- Failed records on their way to the dead-letter topic; a row goes when its delivery is confirmed.
CREATE TABLE outbox (
    dead_letter_id TEXT PRIMARY KEY,            -- made from the record's identity, so a second send is recognised
    record_id      INTEGER NOT NULL,
    timestamp_ms   INTEGER NOT NULL,
    key            BLOB,
    value          BLOB,
    headers        TEXT NOT NULL,               -- the original ones, then those of the failure
    created_at_ms  INTEGER NOT NULL
);
CREATE INDEX outbox_by_record ON outbox (record_id);

-- A dead letter a row. Readers ask the view `dead_letters` below, which puts back what is stored once.
CREATE TABLE dead_letter_rows (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    topic            TEXT,                      -- topic, partition, offset: its position in the dead-letter topic,
    partition        INTEGER,                   -- all NULL where that topic will never take it, and with a record_id,
    "offset"         INTEGER,                   -- which says it
    source_topic     TEXT,                      -- source_*: the first origin, NULL where its dialect does not tell;
                                                -- with a kind_ref this and others are there
    source_partition INTEGER,
    source_offset    INTEGER,
    source_timestamp_ms INTEGER,                -- of the record there
    key              BLOB,
    value            BLOB,
    headers          TEXT NOT NULL,             -- with a set_ref: what pieces name; else with a stack_ref:
                                                -- {"stacktrace":1} in place of the stack trace
    order_id         TEXT,                      -- order fields: NULL where the value is no readable order
    customer_id      TEXT,
    product          TEXT,
    price_cents      INTEGER,
    created_at_ms    INTEGER,
    error_class      TEXT,
    reason           TEXT NOT NULL,             -- with a kind_ref: what of it is not there
    stacktrace       TEXT,                      -- with a stack_ref: what pieces name
    rule             TEXT,
    stage            TEXT,
    consumer_group   TEXT,
    attempts         INTEGER,
    dialect          TEXT NOT NULL,
    fingerprint      TEXT NOT NULL,
    timestamp_ms     INTEGER NOT NULL,          -- the record's own
    first_failed_at_ms INTEGER,
    failed_at_ms     INTEGER NOT NULL,          -- when it was collected where nothing tells, see failed_at_known
    received_at_ms   INTEGER NOT NULL,
    status           TEXT NOT NULL DEFAULT 'open'
                     CHECK (status IN ('open', 'replaying', 'replayed', 'recovered', 'dead_again', 'discarded')),
    status_at_ms     INTEGER NOT NULL,
    replay_of        INTEGER REFERENCES dead_letter_rows,
    replays          INTEGER NOT NULL DEFAULT 0, -- replays of this record, those of its earlier lives included
    dead_letter_id   TEXT NOT NULL UNIQUE,      -- known beyond this buffer; what `orderpulse.replay-of` carries;
                                                -- ours, 32 hexadecimal digits, as 16 bytes
    record_id        INTEGER UNIQUE,            -- position in the dead-letter topic, as in order_rows
    failed_at_known  INTEGER,                   -- 0: failed_at_ms is when it was collected; NULL: of layout 1
    failure_id       TEXT,                      -- the failure's identity where dead_letter_id is not: of a later life
    concluded        INTEGER NOT NULL DEFAULT 0, -- 1: a person or the time that passed settled its replay, no proof
    stack_ref        INTEGER,                   -- of stacktraces
    import_id        INTEGER REFERENCES imports, -- the file that it was imported from; NULL: it was collected
    set_ref          INTEGER,                   -- of header_sets
    kind_ref         INTEGER                    -- of dead_letter_kinds
);
-- By status and time blocks tell: see dead_letter_blocks.
CREATE INDEX dead_letters_by_group ON dead_letter_rows (fingerprint);
CREATE INDEX dead_letters_by_replay_of ON dead_letter_rows (replay_of) WHERE replay_of IS NOT NULL;
CREATE INDEX dead_letters_by_failure ON dead_letter_rows (failure_id) WHERE failure_id IS NOT NULL;
-- What may be pruned, oldest first.
CREATE INDEX dead_letters_settled ON dead_letter_rows (status_at_ms)
    WHERE status IN ('recovered', 'dead_again', 'discarded');
-- What waits for the outcome of its replay, oldest first.
CREATE INDEX dead_letters_replayed ON dead_letter_rows (status_at_ms) WHERE status = 'replayed';

-- Stack traces, each once; those of failures of one cause are nearly always the same.
CREATE TABLE stacktraces (
    stack_ref    INTEGER PRIMARY KEY,
    digest       BLOB NOT NULL UNIQUE,
    stacktrace   TEXT NOT NULL,
    dead_letters INTEGER NOT NULL,              -- that refer to it; it goes with the last one
    in_pieces    INTEGER NOT NULL DEFAULT 0     -- 1: `stacktrace` is pieces, see below
);

-- Header sets, each once but for what is another one in each dead letter, and what else is the same in many.
-- Pieces: a JSON array of what stands one after another. A text stands for itself, a number n >= 0 for element n of the
-- JSON array that the row has in `headers` or `stacktrace`, [n] for its reason from character n on. In headers null is
-- its stack trace, and -1 to -7 are the columns that the view names; the reason and the stack trace are JSON there.
CREATE TABLE header_sets (
    set_ref      INTEGER PRIMARY KEY,
    digest       BLOB NOT NULL UNIQUE,
    pieces       TEXT NOT NULL,
    dead_letters INTEGER NOT NULL               -- as in stacktraces
);
CREATE TABLE dead_letter_kinds (
    kind_ref       INTEGER PRIMARY KEY,
    digest         BLOB NOT NULL UNIQUE,
    topic          TEXT,                        -- this and what follows: as in dead_letter_rows
    source_topic   TEXT,
    error_class    TEXT,
    rule           TEXT,
    stage          TEXT,
    consumer_group TEXT,
    dialect        TEXT NOT NULL,
    reason_begins  TEXT NOT NULL,               -- what stands before and after the row's own part of the reason
    reason_ends    TEXT NOT NULL,
    dead_letters   INTEGER NOT NULL             -- as in stacktraces
);

-- How far dead letters of layouts before 11 have been brought to what is stored once; no row when there is nothing to do.
CREATE TABLE compaction (
    id            INTEGER PRIMARY KEY CHECK (id = 1),
    first_id      INTEGER NOT NULL,             -- of dead_letter_rows: of an older layout were those from here on,
    next_id       INTEGER NOT NULL,             -- those below this one are done,
    last_id       INTEGER NOT NULL              -- and those above this one are new
);

-- A failure that a crash wrote to the dead-letter topic twice is one dead letter; each copy's position is here.
CREATE TABLE dead_letter_copies (
    record_id      INTEGER PRIMARY KEY,         -- as in dead_letter_rows
    dead_letter_id INTEGER NOT NULL REFERENCES dead_letter_rows
);
CREATE INDEX dead_letter_copies_of ON dead_letter_copies (dead_letter_id);

-- public
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

-- Failures that look alike. `total` and `open` count rows that are there. Here and in the counts by status, the collector
-- adds those of a batch at once, and the triggers below follow each dead letter from then on.
CREATE TABLE dead_letter_groups (
    fingerprint   TEXT PRIMARY KEY,
    error_class   TEXT,
    title         TEXT NOT NULL,                -- the reason with its varying parts taken out
    source_topic  TEXT,
    total         INTEGER NOT NULL DEFAULT 0,
    open          INTEGER NOT NULL DEFAULT 0,   -- status open
    first_seen_ms INTEGER NOT NULL,
    last_seen_ms  INTEGER NOT NULL,
    fingerprint_version INTEGER NOT NULL DEFAULT 1, -- of the rule that made the fingerprint
    new_since_ms  INTEGER                       -- when it was met; NULL: it may be older than its fingerprint version
);
CREATE INDEX dead_letter_groups_by_version ON dead_letter_groups (fingerprint_version);
CREATE TABLE dead_letter_counts (status TEXT PRIMARY KEY, dead_letters INTEGER NOT NULL);

-- How many dead letters of a group failed in which hour (UTC; collected in it at the latest), those included that retention
-- took. Hours before `from_ms` are not counted: they are over two weeks old, or were before this was counted.
CREATE TABLE group_hours (
    fingerprint   TEXT NOT NULL,
    hour_ms       INTEGER NOT NULL,
    dead_letters  INTEGER NOT NULL DEFAULT 0,
    pruned_dead_letters INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (fingerprint, hour_ms)
) WITHOUT ROWID;
CREATE INDEX group_hours_by_hour ON group_hours (hour_ms);
CREATE TABLE group_hours_counted (from_ms INTEGER NOT NULL);
INSERT INTO group_hours_counted VALUES (0);

-- What people say of groups; it outlives a group's dead letters, so that one that comes back is known. `fingerprint` is
-- that of the group, here and in the splits and notes that somebody asks for: of one that is merged into no other.
CREATE TABLE group_states (
    fingerprint   TEXT PRIMARY KEY,
    said          TEXT NOT NULL CHECK (said IN ('resolved', 'ignored', 'known')),
    said_by       TEXT NOT NULL,
    said_at_ms    INTEGER NOT NULL,
    until_ms      INTEGER,                      -- of an ignored one
    regressed_at_ms INTEGER                     -- when a resolved one came back
) WITHOUT ROWID;
CREATE TABLE group_notes (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    fingerprint   TEXT NOT NULL,
    note          TEXT NOT NULL,
    written_by    TEXT NOT NULL,
    written_at_ms INTEGER NOT NULL,
    UNIQUE (fingerprint, written_at_ms, written_by, note)
);
-- Fingerprints that are one group with another one, which is merged into none itself.
CREATE TABLE group_merges (
    fingerprint   TEXT PRIMARY KEY,
    merged_into   TEXT NOT NULL,
    merged_by     TEXT NOT NULL,
    merged_at_ms  INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX group_merges_into ON group_merges (merged_into);
-- Dead letters of a group that are to be one of their own: those whose `field` is `value`, or contains it. `origin` is the
-- group of which it was said, also once it was carried on to a newer fingerprint version.
CREATE TABLE group_splits (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    fingerprint   TEXT NOT NULL,
    field         TEXT NOT NULL CHECK (field IN ('reason', 'stacktrace', 'error_class', 'topic', 'source_topic')),
    value         TEXT NOT NULL,
    origin        TEXT NOT NULL,
    split_by      TEXT NOT NULL,
    split_at_ms   INTEGER NOT NULL,
    UNIQUE (fingerprint, field, value)
);
-- Dead letters that such a rule took out of their group, and the fingerprint and title of that.
CREATE TABLE group_split_letters (
    dead_letter_id INTEGER PRIMARY KEY REFERENCES dead_letter_rows,
    fingerprint    TEXT NOT NULL,
    title          TEXT NOT NULL
);
-- Fingerprints whose dead letters up to `up_to_id` are still to be held against a change of rules; those up to `after_id`
-- were.
CREATE TABLE group_moves (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    fingerprint   TEXT NOT NULL UNIQUE,
    after_id      INTEGER NOT NULL,
    up_to_id      INTEGER NOT NULL
);

CREATE TRIGGER group_of_removed AFTER DELETE ON dead_letter_rows BEGIN
    UPDATE group_hours SET pruned_dead_letters = pruned_dead_letters + 1
     WHERE fingerprint = old.fingerprint
       AND hour_ms = min(old.failed_at_ms, old.received_at_ms) / 3600000 * 3600000;
    DELETE FROM group_split_letters WHERE dead_letter_id = old.id;
END;
CREATE TRIGGER group_of_moved AFTER UPDATE OF fingerprint ON dead_letter_rows
WHEN old.fingerprint <> new.fingerprint BEGIN
    UPDATE group_hours SET dead_letters = dead_letters - 1
     WHERE fingerprint = old.fingerprint
       AND hour_ms = min(old.failed_at_ms, old.received_at_ms) / 3600000 * 3600000;
    INSERT INTO group_hours (fingerprint, hour_ms, dead_letters)
    SELECT new.fingerprint, min(new.failed_at_ms, new.received_at_ms) / 3600000 * 3600000, 1
      FROM group_hours_counted WHERE min(new.failed_at_ms, new.received_at_ms) >= from_ms
    ON CONFLICT (fingerprint, hour_ms) DO UPDATE SET dead_letters = dead_letters + 1;
END;

CREATE TRIGGER dead_letter_status AFTER UPDATE OF status ON dead_letter_rows WHEN old.status <> new.status BEGIN
    UPDATE dead_letter_groups
       SET open = open + (new.status = 'open') - (old.status = 'open')
     WHERE fingerprint = new.fingerprint;
    UPDATE dead_letter_counts SET dead_letters = dead_letters - 1 WHERE status = old.status;
    INSERT INTO dead_letter_counts VALUES (new.status, 1)
        ON CONFLICT (status) DO UPDATE SET dead_letters = dead_letters + 1;
END;
-- `totals` stays: only pruning removes dead letters, and that counts them in `pruned_dead_letters`.
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

-- What each field holds in a block of 8,192 dead letters, `id >> 13`, whose last one is there: search looks at these and
-- not at rows. Made from the rows by upkeep, and again after changes: see pipeline/buffer/sqlite/search/columns.py.
CREATE TABLE dead_letter_blocks (
    block          INTEGER NOT NULL,
    field          TEXT NOT NULL,
    kind           TEXT NOT NULL CHECK (kind IN ('texts', 'ranges', 'hashes')),
    meaning        TEXT NOT NULL,               -- JSON: what the codes stand for
    codes          BLOB NOT NULL,
    PRIMARY KEY (block, field)
);
-- Columns of blocks that are not what the rows say any more, or were not when the block was made.
CREATE TABLE dead_letter_block_changes (
    block          INTEGER NOT NULL,
    field          TEXT NOT NULL,
    changes        INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (block, field)
) WITHOUT ROWID;
CREATE TRIGGER dead_letter_block_status AFTER UPDATE OF status ON dead_letter_rows WHEN old.status <> new.status BEGIN
    INSERT INTO dead_letter_block_changes (block, field) VALUES (old.id >> 13, 'status')
        ON CONFLICT (block, field) DO UPDATE SET changes = changes + 1;
END;
CREATE TRIGGER dead_letter_block_group AFTER UPDATE OF fingerprint ON dead_letter_rows WHEN old.fingerprint <> new.fingerprint BEGIN
    INSERT INTO dead_letter_block_changes (block, field) VALUES (old.id >> 13, 'group')
        ON CONFLICT (block, field) DO UPDATE SET changes = changes + 1;
END;
CREATE TRIGGER dead_letter_block_replays AFTER UPDATE OF replays ON dead_letter_rows WHEN old.replays <> new.replays BEGIN
    INSERT INTO dead_letter_block_changes (block, field) VALUES (old.id >> 13, 'replays')
        ON CONFLICT (block, field) DO UPDATE SET changes = changes + 1;
END;
CREATE TRIGGER dead_letter_block_there AFTER DELETE ON dead_letter_rows BEGIN
    INSERT INTO dead_letter_block_changes (block, field) VALUES (old.id >> 13, 'there')
        ON CONFLICT (block, field) DO UPDATE SET changes = changes + 1;
END;

-- public. What people asked for.
CREATE TABLE jobs (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    kind           TEXT NOT NULL CHECK (kind IN ('produce', 'replay')),
    state          TEXT NOT NULL DEFAULT 'queued'
                   CHECK (state IN ('queued', 'running', 'cancelling', 'cancelled', 'done', 'failed')),
    params         TEXT NOT NULL,               -- JSON
    requested_by   TEXT NOT NULL,
    created_at_ms  INTEGER NOT NULL,
    started_at_ms  INTEGER,
    finished_at_ms INTEGER,
    done           INTEGER NOT NULL DEFAULT 0,  -- of a replay: kept by the trigger below
    failed         INTEGER NOT NULL DEFAULT 0,
    total          INTEGER NOT NULL DEFAULT 0,
    error          TEXT,
    request_id     TEXT NOT NULL UNIQUE,        -- the confirmed request: a second click with the same one is the same job
    send_window    TEXT,                        -- JSON: what is being sent and from which offsets on to look for it
    pruned_done    INTEGER NOT NULL DEFAULT 0,  -- pruned_*: items that went with their dead letters
    pruned_failed  INTEGER NOT NULL DEFAULT 0,
    pruned_total   INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX jobs_unfinished ON jobs (id) WHERE state IN ('queued', 'running', 'cancelling');

-- public. The ledger of replays: a row is here before its record is sent.
CREATE TABLE job_items (
    job_id         INTEGER NOT NULL REFERENCES jobs,
    dead_letter_id INTEGER NOT NULL REFERENCES dead_letter_rows,
    state          TEXT NOT NULL DEFAULT 'planned'
                   CHECK (state IN ('planned', 'sending', 'sent', 'recovered', 'dead_again', 'failed', 'cancelled')),
    topic          TEXT,                        -- topic, partition, offset: where the replay went
    partition      INTEGER,
    "offset"       INTEGER,
    replay_id      TEXT NOT NULL UNIQUE,        -- what the header `orderpulse.replay-id` carries
    error          TEXT,
    status_before  TEXT NOT NULL,               -- of the dead letter, to go back to when it was not sent
    sent_with      INTEGER,                     -- the dead letter of this job with which its record is sent, if another
    sent_for       INTEGER NOT NULL DEFAULT 1,  -- for how many dead letters of this job its record is sent
    PRIMARY KEY (job_id, dead_letter_id)
) WITHOUT ROWID;
CREATE INDEX job_items_by_dead_letter ON job_items (dead_letter_id);
CREATE INDEX job_items_sent_with ON job_items (job_id, sent_with) WHERE sent_with IS NOT NULL;
-- However many tabs, clicks and workers: a dead letter is on its way once.
CREATE UNIQUE INDEX job_items_on_the_way ON job_items (dead_letter_id) WHERE state IN ('planned', 'sending');

-- A record that several dead letters of a job hold is sent once, with the outcome for all of them.
CREATE TRIGGER job_item_sent_for_others AFTER UPDATE OF state ON job_items WHEN new.sent_for > 1 BEGIN
    UPDATE job_items
       SET state = new.state, topic = new.topic, partition = new.partition, "offset" = new."offset", error = new.error
     WHERE job_id = new.job_id AND sent_with = new.dead_letter_id AND sent_with IS NOT NULL;
END;

-- An item counts when its fate is known, whoever told: the delivery report, or an outcome that came before it.
CREATE TRIGGER job_item_counted AFTER UPDATE OF state ON job_items WHEN old.state <> new.state BEGIN
    UPDATE jobs
       SET done = done + (new.state IN ('sent', 'recovered', 'dead_again'))
                       - (old.state IN ('sent', 'recovered', 'dead_again')),
           failed = failed + (new.state = 'failed') - (old.state = 'failed')
     WHERE id = new.job_id
       AND (new.state IN ('sent', 'recovered', 'dead_again', 'failed') OR old.state = 'failed');
END;

CREATE TABLE alerts (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    rule          TEXT NOT NULL,
    state         TEXT NOT NULL CHECK (state IN ('firing', 'resolved')),
    started_at_ms INTEGER NOT NULL,
    ended_at_ms   INTEGER,
    value         REAL NOT NULL,                -- worst share, or seconds of trouble, seen while firing
    threshold     REAL NOT NULL,
    message       TEXT NOT NULL,
    notice        TEXT                          -- NULL: nobody to tell; else 'to be sent', 'sent' or why not
);
CREATE UNIQUE INDEX alerts_firing ON alerts (rule) WHERE state = 'firing';

-- What an operator should know of: rules reloaded or refused, offsets lost, a new topic generation.
CREATE TABLE events (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms   INTEGER NOT NULL,
    role    TEXT NOT NULL,
    level   TEXT NOT NULL CHECK (level IN ('info', 'warning', 'error')),
    message TEXT NOT NULL
);

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
    record_id      INTEGER PRIMARY KEY,         -- as in dead_letter_rows
    dead_letter_id INTEGER NOT NULL REFERENCES dead_letter_rows -- what the record became in the further topic
);
CREATE INDEX passed_on_by_dead_letter ON passed_on (dead_letter_id);
CREATE TRIGGER passed_on_removed AFTER DELETE ON dead_letter_rows BEGIN
    DELETE FROM passed_on WHERE dead_letter_id = old.id;
END;

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

-- Records that were passed over: neither orders nor dead letters. `block` is record_id >> 13, and bit record_id & 8191 of
-- its flags (of byte 0 first, the lowest bit first) is set for each; zero bytes at the end are left out.
CREATE TABLE passed_over_blocks (
    block          INTEGER PRIMARY KEY,
    flags          BLOB NOT NULL
);

-- What the app wants to know of Kafka, which only the worker asks. Gone half an hour later: answers hold records.
CREATE TABLE lookups (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    kind           TEXT NOT NULL CHECK (kind IN ('topics', 'sample', 'try', 'schemas', 'letter')),
    state          TEXT NOT NULL DEFAULT 'asked' CHECK (state IN ('asked', 'done', 'failed')),
    params         TEXT NOT NULL,               -- JSON
    asked_by       TEXT NOT NULL,               -- a session of the app
    asked_at_ms    INTEGER NOT NULL,
    answered_at_ms INTEGER,
    answer         TEXT,                        -- JSON
    error          TEXT
);
CREATE INDEX lookups_asked ON lookups (id) WHERE state = 'asked';

-- Files that dead letters were imported from. A buffer that holds imported ones belongs to no cluster.
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

-- Which dead letters and stack traces hold three letters in a row, anywhere in what a text is looked for in: see
-- docs/decisions/0027-text-index-of-trigrams.md. The worker follows the rows in small steps, in the order of their ids.
-- It begins with dead_letters_by_stack and dead_letters_by_set, indexes on stack_ref and set_ref, once no dead letter of an
-- older layout is left.
CREATE TABLE text_index (
    id             INTEGER PRIMARY KEY CHECK (id = 1),
    folding        TEXT NOT NULL,               -- the rule that folded what is in the indexes; another one makes them anew
    letters_to     INTEGER NOT NULL, -- up to which dead letter, stack trace and header set they are filled
    stacks_to      INTEGER NOT NULL,
    sets_to        INTEGER NOT NULL
);
INSERT INTO text_index VALUES (1, '', 0, 0, 0);
-- Those with too much text for the indexes: they are looked through each time.
CREATE TABLE long_letters (dead_letter_id INTEGER PRIMARY KEY);
CREATE TABLE long_stacks (stack_ref INTEGER PRIMARY KEY);
-- What a text is looked for in, folded; of the content only the ids are ever asked for. The headers are their short values.
CREATE VIRTUAL TABLE letter_index USING fts5(
    reason, error_class, order_id, customer_id, product, key, headers, stacktrace,
    content='dead_letter_rows', content_rowid='id', columnsize=0, detail=none, tokenize='trigram case_sensitive 1'
);
INSERT INTO letter_index (letter_index, rank) VALUES ('automerge', 0), ('usermerge', 8), ('crisismerge', 64);
CREATE VIRTUAL TABLE stack_index USING fts5(
    stacktrace, content='stacktraces', content_rowid='stack_ref', columnsize=0, detail=none, tokenize='trigram case_sensitive 1'
);
INSERT INTO stack_index (stack_index, rank) VALUES ('automerge', 0), ('usermerge', 8), ('crisismerge', 64);
CREATE VIRTUAL TABLE set_index USING fts5(
    pieces, content='header_sets', content_rowid='set_ref', columnsize=0, detail=none, tokenize='trigram case_sensitive 1'
);
INSERT INTO set_index (set_index, rank) VALUES ('automerge', 0), ('usermerge', 8), ('crisismerge', 64);
