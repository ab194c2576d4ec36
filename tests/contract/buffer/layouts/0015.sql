PRAGMA application_id = 1330662483;
PRAGMA user_version = 15;
BEGIN TRANSACTION;
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
INSERT INTO "alerts" VALUES(1,'dead_letter_rate','resolved',1767268550000,1767268600000,0.12,0.05,'12% of the last 50 records failed',NULL);
INSERT INTO "alerts" VALUES(2,'dead_letter_rate','firing',1767268740000,NULL,0.09,0.05,'9% of the last 120 records failed','told 1 of 1');
CREATE TABLE brakes (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    topic          TEXT NOT NULL,
    stopped_at_ms  INTEGER NOT NULL,
    accepted       INTEGER NOT NULL,            -- in the window that stopped it
    failed         INTEGER NOT NULL,
    resumed_at_ms  INTEGER,
    resumed_by     TEXT
);
INSERT INTO "brakes" VALUES(1,'orders',1767268710000,1,99,1767268720000,'app');
CREATE TABLE compaction (
    id            INTEGER PRIMARY KEY CHECK (id = 1),
    first_id      INTEGER NOT NULL,             -- of dead_letter_rows: of an older layout were those from here on,
    next_id       INTEGER NOT NULL,             -- those below this one are done,
    last_id       INTEGER NOT NULL              -- and those above this one are new
);
CREATE TABLE dead_letter_block_changes (
    block          INTEGER NOT NULL,
    field          TEXT NOT NULL,
    changes        INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (block, field)
) WITHOUT ROWID;
INSERT INTO "dead_letter_block_changes" VALUES(0,'replays',4);
INSERT INTO "dead_letter_block_changes" VALUES(0,'status',4);
CREATE TABLE dead_letter_blocks (
    block          INTEGER NOT NULL,
    field          TEXT NOT NULL,
    kind           TEXT NOT NULL CHECK (kind IN ('texts', 'ranges', 'hashes')),
    meaning        TEXT NOT NULL,               -- JSON: what the codes stand for
    codes          BLOB NOT NULL,
    PRIMARY KEY (block, field)
);
CREATE TABLE dead_letter_copies (
    record_id      INTEGER PRIMARY KEY,         -- as in dead_letter_rows
    dead_letter_id INTEGER NOT NULL REFERENCES dead_letter_rows
);
INSERT INTO "dead_letter_copies" VALUES(3298534883329,11);
CREATE TABLE dead_letter_counts (status TEXT PRIMARY KEY, dead_letters INTEGER NOT NULL);
INSERT INTO "dead_letter_counts" VALUES('open',16);
INSERT INTO "dead_letter_counts" VALUES('replaying',0);
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
INSERT INTO "dead_letter_groups" VALUES('57dd5b97f2c4942f','RuleBrokenError','price is <value> cents, must be positive','orders',2,2,1767268547995,1767268687995,1,1767268548000);
INSERT INTO "dead_letter_groups" VALUES('e25344f3b1cea016','UndecodableError','record <value> is no order: unknown schema id','orders',2,2,1767268575995,1767268715995,1,1767268576000);
INSERT INTO "dead_letter_groups" VALUES('6db0e336a77962f8','org.apache.kafka.connect.errors.DataException','Failed to deserialize data for topic payments at offset <value>','payments',2,2,1767268603995,1767268743995,1,1767268604000);
INSERT INTO "dead_letter_groups" VALUES('8821a29098a8cedb','org.springframework.kafka.listener.ListenerExecutionFailedException','Listener failed for invoice <value>','invoices',2,2,1767268631995,1767268771995,1,1767268632000);
INSERT INTO "dead_letter_groups" VALUES('c39dee2c66accc72',NULL,'=<value> looks like a formula',NULL,2,2,1767268659995,1767268799995,1,1767268660000);
INSERT INTO "dead_letter_groups" VALUES('price',NULL,'the price is negative','orders',3,3,1700000000500,1700000000500,1,1700000000500);
INSERT INTO "dead_letter_groups" VALUES('g0',NULL,'the price is negative','orders',1,1,1700000000500,1700000000500,1,1700000000500);
INSERT INTO "dead_letter_groups" VALUES('g1',NULL,'the price is negative','orders',1,1,1700000000500,1700000000500,1,1700000000500);
INSERT INTO "dead_letter_groups" VALUES('g2',NULL,'the price is negative','orders',1,1,1700000000500,1700000000500,1,1700000000500);
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
INSERT INTO "dead_letter_kinds" VALUES(1,X'7FD9AC3DB878750625BCB374E23C0D5E','orders-dlq','orders','RuleBrokenError','price',NULL,'orderpulse','orderpulse','price is -100 cents, must be positive','',1);
INSERT INTO "dead_letter_kinds" VALUES(2,X'F7B07BDFB280AA5B4E376CA6F95BC555','orders-dlq','orders','UndecodableError','avro',NULL,'orderpulse','orderpulse','record 101 is no order: unknown schema id','',1);
INSERT INTO "dead_letter_kinds" VALUES(3,X'5F52FE7334AE234637262E33BE68E921','orders-dlq','payments','org.apache.kafka.connect.errors.DataException',NULL,'VALUE_CONVERTER','example-group','kafka_connect','Failed to deserialize data for topic payments at offset 102','',1);
INSERT INTO "dead_letter_kinds" VALUES(4,X'980FDC9CE5CEAAD931F6E714339B8224','orders-dlq','invoices','org.springframework.kafka.listener.ListenerExecutionFailedException',NULL,NULL,'example-group','spring_kafka','Listener failed for invoice 103','',1);
INSERT INTO "dead_letter_kinds" VALUES(5,X'1BA19EBBC4EA21A4AE7747BD659A1041','orders-dlq',NULL,NULL,NULL,NULL,'example-group','plain','=1+104 looks like a formula','',1);
INSERT INTO "dead_letter_kinds" VALUES(6,X'60A6AFFF16BC9D65BD51D882511894E4','orders-dlq','orders','RuleBrokenError','price',NULL,'orderpulse','orderpulse','price is -105 cents, must be positive','',1);
INSERT INTO "dead_letter_kinds" VALUES(7,X'A7CCB7EFDB9CE99FAA8BE9AAB7D47D5D','orders-dlq','orders','UndecodableError','avro',NULL,'orderpulse','orderpulse','record 106 is no order: unknown schema id','',1);
INSERT INTO "dead_letter_kinds" VALUES(8,X'9A337E328EBACE41E409F49082907114','orders-dlq','payments','org.apache.kafka.connect.errors.DataException',NULL,'VALUE_CONVERTER','example-group','kafka_connect','Failed to deserialize data for topic payments at offset 107','',1);
INSERT INTO "dead_letter_kinds" VALUES(9,X'2BF503715E7929A69A5AC41765EE119A','orders-dlq','invoices','org.springframework.kafka.listener.ListenerExecutionFailedException',NULL,NULL,'example-group','spring_kafka','Listener failed for invoice 108','',1);
INSERT INTO "dead_letter_kinds" VALUES(10,X'4393FF4F4738C0D09C517A7B9FB386B5','orders-dlq',NULL,NULL,NULL,NULL,'example-group','plain','=1+109 looks like a formula','',1);
INSERT INTO "dead_letter_kinds" VALUES(11,X'85B2E8F57E0CC0EA6D916B398047F20E','orders-dlq','orders',NULL,NULL,NULL,NULL,'orderpulse','the price is negative','',5);
INSERT INTO "dead_letter_kinds" VALUES(12,X'C7250371BCECC5E9CEF3352A1D61DDE7',NULL,'orders',NULL,NULL,NULL,NULL,'orderpulse','the price is negative','',1);
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
INSERT INTO "dead_letter_rows" VALUES(1,NULL,NULL,NULL,NULL,0,1000,NULL,X'4330303030',X'FF00FE','[]','ORD-1-010000','C0036','Espresso machine',22913,1767268547940,NULL,'',NULL,NULL,NULL,NULL,1,'','57dd5b97f2c4942f',1767268548000,1767268547100,1767268547995,1767268548000,'open',1767268610000,NULL,0,'dead-letter-0',2199023255552,1,NULL,0,NULL,NULL,1,1);
INSERT INTO "dead_letter_rows" VALUES(2,NULL,NULL,NULL,NULL,0,1001,NULL,X'4330303031',X'7B226F72646572223A20317D','[]',NULL,NULL,NULL,NULL,NULL,NULL,'',NULL,NULL,NULL,NULL,2,'','e25344f3b1cea016',1767268576000,1767268575100,1767268575995,1767268576000,'open',1767268610000,NULL,0,'dead-letter-1',2199023255553,1,NULL,0,NULL,NULL,1,2);
INSERT INTO "dead_letter_rows" VALUES(3,NULL,NULL,NULL,NULL,0,1002,NULL,X'4330303032',X'7B226F72646572223A20327D','[]',NULL,NULL,NULL,NULL,NULL,NULL,'',NULL,NULL,NULL,NULL,3,'','6db0e336a77962f8',1767268604000,1767268603100,1767268603995,1767268604000,'open',1767268604000,NULL,0,'dead-letter-2',2199023255554,1,NULL,0,1,NULL,1,3);
INSERT INTO "dead_letter_rows" VALUES(4,NULL,NULL,NULL,NULL,0,1003,NULL,X'4330303033',X'FF00FE','[["orderpulse.reason", "Listener failed for invoice 103"], ["trace", {"base64": "/w=="}], ["empty", null]]',NULL,NULL,NULL,NULL,NULL,NULL,'',NULL,NULL,NULL,NULL,4,'','8821a29098a8cedb',1767268632000,1767268631100,1767268631995,1767268632000,'open',1767268632000,NULL,0,'dead-letter-3',2199023255555,1,NULL,0,2,NULL,NULL,4);
INSERT INTO "dead_letter_rows" VALUES(5,NULL,NULL,NULL,NULL,NULL,NULL,NULL,X'4330303034',X'7B226F72646572223A20347D','[["orderpulse.reason", "=1+104 looks like a formula"], ["trace", {"base64": "/w=="}], ["empty", null]]',NULL,NULL,NULL,NULL,NULL,NULL,'',NULL,NULL,NULL,NULL,1,'','c39dee2c66accc72',1767268660000,1767268659100,1767268659995,1767268660000,'open',1767268660000,NULL,0,'dead-letter-4',2199023255556,1,NULL,0,3,NULL,NULL,5);
INSERT INTO "dead_letter_rows" VALUES(6,NULL,NULL,NULL,NULL,0,1005,NULL,X'4330303035',X'7B226F72646572223A20357D','[]','ORD-1-010005','C0034','Filter papers',3338,1767268687940,NULL,'',NULL,NULL,NULL,NULL,2,'','57dd5b97f2c4942f',1767268688000,1767268687100,1767268687995,1767268688000,'open',1767268688000,NULL,0,'dead-letter-5',2199023255557,1,NULL,0,NULL,NULL,1,6);
INSERT INTO "dead_letter_rows" VALUES(7,NULL,NULL,NULL,NULL,0,1006,NULL,X'4330303036',X'FF00FE','[]',NULL,NULL,NULL,NULL,NULL,NULL,'',NULL,NULL,NULL,NULL,3,'','e25344f3b1cea016',1767268716000,1767268715100,1767268715995,1767268716000,'open',1767268716000,NULL,0,'dead-letter-6',2199023255558,1,NULL,0,NULL,NULL,1,7);
INSERT INTO "dead_letter_rows" VALUES(8,NULL,NULL,NULL,NULL,0,1007,NULL,X'4330303037',X'7B226F72646572223A20377D','[]',NULL,NULL,NULL,NULL,NULL,NULL,'',NULL,NULL,NULL,NULL,4,'','6db0e336a77962f8',1767268744000,1767268743100,1767268743995,1767268744000,'open',1767268744000,NULL,0,'dead-letter-7',2199023255559,1,NULL,0,1,NULL,1,8);
INSERT INTO "dead_letter_rows" VALUES(9,NULL,NULL,NULL,NULL,0,1008,NULL,X'4330303038',X'7B226F72646572223A20387D','[["orderpulse.reason", "Listener failed for invoice 108"], ["trace", {"base64": "/w=="}], ["empty", null]]',NULL,NULL,NULL,NULL,NULL,NULL,'',NULL,NULL,NULL,NULL,1,'','8821a29098a8cedb',1767268772000,1767268771100,1767268771995,1767268772000,'open',1767268772000,NULL,0,'dead-letter-8',2199023255560,1,NULL,0,2,NULL,NULL,9);
INSERT INTO "dead_letter_rows" VALUES(10,NULL,NULL,NULL,NULL,NULL,NULL,NULL,X'4330303039',X'FF00FE','[["orderpulse.reason", "=1+109 looks like a formula"], ["trace", {"base64": "/w=="}], ["empty", null]]',NULL,NULL,NULL,NULL,NULL,NULL,'',NULL,NULL,NULL,NULL,2,'','c39dee2c66accc72',1767268800000,1767268799100,1767268799995,1767268800000,'open',1767268800000,NULL,0,'dead-letter-9',2199023255561,1,NULL,0,3,NULL,NULL,10);
INSERT INTO "dead_letter_rows" VALUES(11,NULL,NULL,NULL,NULL,0,0,NULL,X'6B6579',X'76616C7565','[]',NULL,NULL,NULL,NULL,NULL,NULL,'',NULL,NULL,NULL,NULL,NULL,'','price',1700000000500,NULL,1700000000500,1700000000500,'open',1700000000500,NULL,0,'with a stack 0',3298534883328,1,NULL,0,4,NULL,2,11);
INSERT INTO "dead_letter_rows" VALUES(12,NULL,NULL,NULL,NULL,0,2,NULL,X'6B6579',X'76616C7565','[]',NULL,NULL,NULL,NULL,NULL,NULL,'',NULL,NULL,NULL,NULL,NULL,'','price',1700000000500,NULL,1700000000500,1700000000500,'open',1700000000500,NULL,0,'with a stack 1',3298534883330,1,NULL,0,4,NULL,2,11);
INSERT INTO "dead_letter_rows" VALUES(13,NULL,NULL,NULL,NULL,0,0,NULL,X'6B6579',X'76616C7565','[["trace", "1"]]',NULL,NULL,NULL,NULL,NULL,NULL,'',NULL,NULL,NULL,NULL,NULL,'','price',1700000000500,NULL,1700000000500,1700000000500,'open',1700000000500,NULL,0,'too large',NULL,1,NULL,0,NULL,NULL,NULL,12);
INSERT INTO "dead_letter_rows" VALUES(14,NULL,NULL,NULL,NULL,0,0,NULL,X'6B6579',X'76616C7565','[["trace", "1"]]',NULL,NULL,NULL,NULL,NULL,NULL,'',NULL,NULL,NULL,NULL,NULL,'','g0',1700000000500,NULL,1700000000500,1700000000500,'open',1700000000500,NULL,0,'group 0',6597069766656,1,NULL,0,NULL,NULL,NULL,11);
INSERT INTO "dead_letter_rows" VALUES(15,NULL,NULL,NULL,NULL,0,1,NULL,X'6B6579',X'76616C7565','[["trace", "1"]]',NULL,NULL,NULL,NULL,NULL,NULL,'',NULL,NULL,NULL,NULL,NULL,'','g1',1700000000500,NULL,1700000000500,1700000000500,'open',1700000000500,NULL,0,'group 1',6597069766657,1,NULL,0,NULL,NULL,NULL,11);
INSERT INTO "dead_letter_rows" VALUES(16,NULL,NULL,NULL,NULL,0,2,NULL,X'6B6579',X'76616C7565','[["trace", "1"]]',NULL,NULL,NULL,NULL,NULL,NULL,'',NULL,NULL,NULL,NULL,NULL,'','g2',1700000000500,NULL,1700000000500,1700000000500,'open',1700000000500,NULL,0,'group 2',6597069766658,1,NULL,0,NULL,NULL,NULL,11);
CREATE TABLE dead_letter_sources (
    topic         TEXT PRIMARY KEY,
    dead_letters  INTEGER NOT NULL DEFAULT 0,
    pruned_dead_letters  INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
INSERT INTO "dead_letter_sources" VALUES('',2,0);
INSERT INTO "dead_letter_sources" VALUES('invoices',2,0);
INSERT INTO "dead_letter_sources" VALUES('orders',10,0);
INSERT INTO "dead_letter_sources" VALUES('payments',2,0);
CREATE TABLE events (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms   INTEGER NOT NULL,
    role    TEXT NOT NULL,
    level   TEXT NOT NULL CHECK (level IN ('info', 'warning', 'error')),
    message TEXT NOT NULL
);
INSERT INTO "events" VALUES(1,1767268500000,'worker','info','the worker has started');
INSERT INTO "events" VALUES(2,1767268700000,'processor','error','offsets 10 to 20 of orders[0] are gone from Kafka');
CREATE TABLE failure_seconds (
    second_ms      INTEGER PRIMARY KEY,
    dead_letters   INTEGER NOT NULL
);
INSERT INTO "failure_seconds" VALUES(1700000000000,6);
INSERT INTO "failure_seconds" VALUES(1767268547000,1);
INSERT INTO "failure_seconds" VALUES(1767268575000,1);
INSERT INTO "failure_seconds" VALUES(1767268603000,1);
INSERT INTO "failure_seconds" VALUES(1767268631000,1);
INSERT INTO "failure_seconds" VALUES(1767268659000,1);
INSERT INTO "failure_seconds" VALUES(1767268687000,1);
INSERT INTO "failure_seconds" VALUES(1767268715000,1);
INSERT INTO "failure_seconds" VALUES(1767268743000,1);
INSERT INTO "failure_seconds" VALUES(1767268771000,1);
INSERT INTO "failure_seconds" VALUES(1767268799000,1);
CREATE TABLE first_looks (
    partition_ref  INTEGER PRIMARY KEY REFERENCES partitions,
    end_offset     INTEGER NOT NULL
);
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
INSERT INTO "flow_minutes" VALUES(1699999980000,'orders',0,0,0,6,0,0,0);
INSERT INTO "flow_minutes" VALUES(1699999980000,'shop.orders',2,500,0,0,0,0,0);
INSERT INTO "flow_minutes" VALUES(1767268500000,'orders',6,70120,1,1,0,0,0);
INSERT INTO "flow_minutes" VALUES(1767268560000,'orders',4,43989,0,1,0,0,0);
INSERT INTO "flow_minutes" VALUES(1767268560000,'payments',0,0,0,1,0,0,0);
INSERT INTO "flow_minutes" VALUES(1767268620000,'',0,0,0,1,0,0,0);
INSERT INTO "flow_minutes" VALUES(1767268620000,'invoices',0,0,0,1,0,0,0);
INSERT INTO "flow_minutes" VALUES(1767268620000,'orders',11,167632,1,0,0,0,0);
INSERT INTO "flow_minutes" VALUES(1767268680000,'orders',11,120757,0,2,0,0,0);
INSERT INTO "flow_minutes" VALUES(1767268740000,'invoices',0,0,0,1,0,0,0);
INSERT INTO "flow_minutes" VALUES(1767268740000,'orders',7,98358,1,0,0,0,0);
INSERT INTO "flow_minutes" VALUES(1767268740000,'payments',0,0,0,1,0,0,0);
INSERT INTO "flow_minutes" VALUES(1767268800000,'',0,0,0,1,0,0,0);
INSERT INTO "flow_minutes" VALUES(1767268800000,'orders',1,1148,5,0,0,0,0);
CREATE TABLE flow_seconds (
    second_ms     INTEGER NOT NULL,
    topic         TEXT NOT NULL,
    orders        INTEGER NOT NULL DEFAULT 0,
    revenue_cents INTEGER NOT NULL DEFAULT 0,
    retries       INTEGER NOT NULL DEFAULT 0,   -- attempts that failed and were parked
    dead_letters  INTEGER NOT NULL DEFAULT 0,   -- by the time of collection
    PRIMARY KEY (second_ms, topic)
) WITHOUT ROWID;
INSERT INTO "flow_seconds" VALUES(1700000000000,'orders',0,0,0,6);
INSERT INTO "flow_seconds" VALUES(1700000000000,'shop.orders',2,500,0,0);
INSERT INTO "flow_seconds" VALUES(1767268524000,'orders',1,8783,1,0);
INSERT INTO "flow_seconds" VALUES(1767268526000,'orders',1,8657,0,0);
INSERT INTO "flow_seconds" VALUES(1767268528000,'orders',1,12130,0,0);
INSERT INTO "flow_seconds" VALUES(1767268532000,'orders',1,4572,0,0);
INSERT INTO "flow_seconds" VALUES(1767268548000,'orders',0,0,0,1);
INSERT INTO "flow_seconds" VALUES(1767268558000,'orders',1,23931,0,0);
INSERT INTO "flow_seconds" VALUES(1767268559000,'orders',1,12047,0,0);
INSERT INTO "flow_seconds" VALUES(1767268560000,'orders',1,8871,0,0);
INSERT INTO "flow_seconds" VALUES(1767268569000,'orders',1,21628,0,0);
INSERT INTO "flow_seconds" VALUES(1767268576000,'orders',0,0,0,1);
INSERT INTO "flow_seconds" VALUES(1767268587000,'orders',1,4438,0,0);
INSERT INTO "flow_seconds" VALUES(1767268604000,'payments',0,0,0,1);
INSERT INTO "flow_seconds" VALUES(1767268618000,'orders',1,9052,0,0);
INSERT INTO "flow_seconds" VALUES(1767268624000,'orders',1,16111,0,0);
INSERT INTO "flow_seconds" VALUES(1767268630000,'orders',1,15104,0,0);
INSERT INTO "flow_seconds" VALUES(1767268632000,'invoices',0,0,0,1);
INSERT INTO "flow_seconds" VALUES(1767268635000,'orders',1,17637,0,0);
INSERT INTO "flow_seconds" VALUES(1767268636000,'orders',1,22714,0,0);
INSERT INTO "flow_seconds" VALUES(1767268638000,'orders',1,21665,0,0);
INSERT INTO "flow_seconds" VALUES(1767268639000,'orders',1,24415,0,0);
INSERT INTO "flow_seconds" VALUES(1767268648000,'orders',1,9635,0,0);
INSERT INTO "flow_seconds" VALUES(1767268652000,'orders',1,12279,1,0);
INSERT INTO "flow_seconds" VALUES(1767268655000,'orders',1,15006,0,0);
INSERT INTO "flow_seconds" VALUES(1767268660000,'',0,0,0,1);
INSERT INTO "flow_seconds" VALUES(1767268669000,'orders',1,4253,0,0);
INSERT INTO "flow_seconds" VALUES(1767268672000,'orders',1,8813,0,0);
INSERT INTO "flow_seconds" VALUES(1767268681000,'orders',1,13997,0,0);
INSERT INTO "flow_seconds" VALUES(1767268688000,'orders',0,0,0,1);
INSERT INTO "flow_seconds" VALUES(1767268690000,'orders',1,20388,0,0);
INSERT INTO "flow_seconds" VALUES(1767268692000,'orders',1,858,0,0);
INSERT INTO "flow_seconds" VALUES(1767268695000,'orders',1,6282,0,0);
INSERT INTO "flow_seconds" VALUES(1767268708000,'orders',1,10285,0,0);
INSERT INTO "flow_seconds" VALUES(1767268715000,'orders',1,7021,0,0);
INSERT INTO "flow_seconds" VALUES(1767268716000,'orders',0,0,0,1);
INSERT INTO "flow_seconds" VALUES(1767268718000,'orders',1,9382,0,0);
INSERT INTO "flow_seconds" VALUES(1767268720000,'orders',1,18179,0,0);
INSERT INTO "flow_seconds" VALUES(1767268725000,'orders',1,19911,0,0);
INSERT INTO "flow_seconds" VALUES(1767268732000,'orders',1,1283,0,0);
INSERT INTO "flow_seconds" VALUES(1767268733000,'orders',1,13171,0,0);
INSERT INTO "flow_seconds" VALUES(1767268741000,'orders',1,10231,0,0);
INSERT INTO "flow_seconds" VALUES(1767268744000,'payments',0,0,0,1);
INSERT INTO "flow_seconds" VALUES(1767268749000,'orders',1,7941,0,0);
INSERT INTO "flow_seconds" VALUES(1767268769000,'orders',1,1205,1,0);
INSERT INTO "flow_seconds" VALUES(1767268772000,'invoices',0,0,0,1);
INSERT INTO "flow_seconds" VALUES(1767268773000,'orders',1,24786,0,0);
INSERT INTO "flow_seconds" VALUES(1767268775000,'orders',1,9620,0,0);
INSERT INTO "flow_seconds" VALUES(1767268784000,'orders',1,20543,0,0);
INSERT INTO "flow_seconds" VALUES(1767268785000,'orders',1,24032,0,0);
INSERT INTO "flow_seconds" VALUES(1767268800000,'',0,0,0,1);
INSERT INTO "flow_seconds" VALUES(1767268800000,'orders',1,1148,5,0);
CREATE TABLE group_hours (
    fingerprint   TEXT NOT NULL,
    hour_ms       INTEGER NOT NULL,
    dead_letters  INTEGER NOT NULL DEFAULT 0,
    pruned_dead_letters INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (fingerprint, hour_ms)
) WITHOUT ROWID;
INSERT INTO "group_hours" VALUES('57dd5b97f2c4942f',1767265200000,2,0);
INSERT INTO "group_hours" VALUES('6db0e336a77962f8',1767265200000,2,0);
INSERT INTO "group_hours" VALUES('8821a29098a8cedb',1767265200000,2,0);
INSERT INTO "group_hours" VALUES('c39dee2c66accc72',1767265200000,2,0);
INSERT INTO "group_hours" VALUES('e25344f3b1cea016',1767265200000,2,0);
INSERT INTO "group_hours" VALUES('g0',1699999200000,1,0);
INSERT INTO "group_hours" VALUES('g1',1699999200000,1,0);
INSERT INTO "group_hours" VALUES('g2',1699999200000,1,0);
INSERT INTO "group_hours" VALUES('price',1699999200000,3,0);
CREATE TABLE group_hours_counted (from_ms INTEGER NOT NULL);
INSERT INTO "group_hours_counted" VALUES(0);
CREATE TABLE group_merges (
    fingerprint   TEXT PRIMARY KEY,
    merged_into   TEXT NOT NULL,
    merged_by     TEXT NOT NULL,
    merged_at_ms  INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO "group_merges" VALUES('g1','g0','ann',1700000000500);
CREATE TABLE group_moves (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    fingerprint   TEXT NOT NULL UNIQUE,
    after_id      INTEGER NOT NULL,
    up_to_id      INTEGER NOT NULL
);
INSERT INTO "group_moves" VALUES(2,'g2',0,16);
CREATE TABLE group_notes (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    fingerprint   TEXT NOT NULL,
    note          TEXT NOT NULL,
    written_by    TEXT NOT NULL,
    written_at_ms INTEGER NOT NULL,
    UNIQUE (fingerprint, written_at_ms, written_by, note)
);
INSERT INTO "group_notes" VALUES(1,'g0','known since Monday','ann',1700000000500);
CREATE TABLE group_split_letters (
    dead_letter_id INTEGER PRIMARY KEY REFERENCES dead_letter_rows,
    fingerprint    TEXT NOT NULL,
    title          TEXT NOT NULL
);
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
INSERT INTO "group_splits" VALUES(1,'g2','reason','PRICE','g2','ann',1700000000500);
CREATE TABLE group_states (
    fingerprint   TEXT PRIMARY KEY,
    said          TEXT NOT NULL CHECK (said IN ('resolved', 'ignored', 'known')),
    said_by       TEXT NOT NULL,
    said_at_ms    INTEGER NOT NULL,
    until_ms      INTEGER,                      -- of an ignored one
    regressed_at_ms INTEGER                     -- when a resolved one came back
) WITHOUT ROWID;
INSERT INTO "group_states" VALUES('g0','resolved','ann',1700000000500,NULL,NULL);
CREATE TABLE header_sets (
    set_ref      INTEGER PRIMARY KEY,
    digest       BLOB NOT NULL UNIQUE,
    pieces       TEXT NOT NULL,
    dead_letters INTEGER NOT NULL               -- as in stacktraces
);
INSERT INTO "header_sets" VALUES(1,X'339DFFD78FFEC40F07A5BA82347BA996','["[[\"orderpulse.reason\", ",[1],"], [\"trace\", {\"base64\": \"/w==\"}], [\"empty\", null]]"]',6);
INSERT INTO "header_sets" VALUES(2,X'A5CA6A59403D119BB5DAEAA6D1E80C6D','["[[\"kafka_dlt-exception-stacktrace\", ",null,"], [\"trace\", null]]"]',2);
CREATE TABLE imported_records (digest BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE imports (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    file           TEXT NOT NULL,
    kind           TEXT NOT NULL CHECK (kind IN ('export', 'kcat')),
    started_at_ms  INTEGER NOT NULL,
    finished_at_ms INTEGER,                     -- NULL: it was interrupted, and the same file is to be imported again
    dead_letters   INTEGER NOT NULL DEFAULT 0,  -- that it added
    UNIQUE (file, started_at_ms)
);
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
INSERT INTO "job_items" VALUES(2,1,'cancelled',NULL,NULL,NULL,'sample-replay-1',NULL,'open',NULL,1);
INSERT INTO "job_items" VALUES(2,2,'cancelled',NULL,NULL,NULL,'sample-replay-2',NULL,'open',NULL,1);
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
INSERT INTO "jobs" VALUES(1,'produce','done','{"count": 600}','app',1767268510000,1767268510000,1767268520000,600,0,600,NULL,'sample-produce',NULL,0,0,0);
INSERT INTO "jobs" VALUES(2,'replay','failed','{}','app',1767268600000,1767268600000,1767268610000,0,0,2,'Kafka does not answer','sample-replay',NULL,0,0,0);
CREATE TABLE judged_seconds (
    topic          TEXT NOT NULL,
    second_ms      INTEGER NOT NULL,
    accepted       INTEGER NOT NULL,
    failed         INTEGER NOT NULL,
    PRIMARY KEY (topic, second_ms)
) WITHOUT ROWID;
PRAGMA writable_schema=ON;
INSERT INTO sqlite_master(type,name,tbl_name,rootpage,sql)VALUES('table','letter_index','letter_index',0,'CREATE VIRTUAL TABLE letter_index USING fts5(
    reason, error_class, order_id, customer_id, product, key, headers, stacktrace,
    content=''dead_letter_rows'', content_rowid=''id'', columnsize=0, detail=none, tokenize=''trigram case_sensitive 1''
)');
CREATE TABLE 'letter_index_config'(k PRIMARY KEY, v) WITHOUT ROWID;
INSERT INTO "letter_index_config" VALUES('automerge',0);
INSERT INTO "letter_index_config" VALUES('crisismerge',64);
INSERT INTO "letter_index_config" VALUES('usermerge',8);
INSERT INTO "letter_index_config" VALUES('version',4);
CREATE TABLE 'letter_index_data'(id INTEGER PRIMARY KEY, block BLOB);
INSERT INTO "letter_index_data" VALUES(1,X'');
INSERT INTO "letter_index_data" VALUES(10,X'00000003000000');
CREATE TABLE 'letter_index_idx'(segid, term, pgno, PRIMARY KEY(segid, term)) WITHOUT ROWID;
CREATE TABLE long_letters (dead_letter_id INTEGER PRIMARY KEY);
CREATE TABLE long_stacks (stack_ref INTEGER PRIMARY KEY);
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
CREATE TABLE lost_offsets (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    partition_ref  INTEGER NOT NULL REFERENCES partitions,
    first_offset   INTEGER NOT NULL,
    next_offset    INTEGER NOT NULL,            -- where reading went on
    at_ms          INTEGER NOT NULL,
    accepted_at_ms INTEGER                      -- NULL: nobody has said yet that it is known
);
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
INSERT INTO "order_rows" VALUES(1099511627776,'ORD-1-000000','C0024',1,1,8783,1767268523960,1767268524000,2);
INSERT INTO "order_rows" VALUES(1099511627777,'ORD-1-000001','C0008',1,2,8657,1767268525960,1767268526000,1);
INSERT INTO "order_rows" VALUES(1099511627778,'ORD-1-000002','C0003',1,3,12130,1767268527960,1767268528000,1);
INSERT INTO "order_rows" VALUES(1099511627779,'ORD-1-000003','C0015',2,4,4572,1767268531960,1767268532000,1);
INSERT INTO "order_rows" VALUES(1099511627780,'ORD-1-000004','C0015',1,1,23931,1767268557960,1767268558000,1);
INSERT INTO "order_rows" VALUES(1099511627781,'ORD-1-000005','C0039',3,2,12047,1767268558960,1767268559000,1);
INSERT INTO "order_rows" VALUES(1099511627782,'ORD-1-000006','C0036',1,2,8871,1767268559960,1767268560000,1);
INSERT INTO "order_rows" VALUES(1099511627783,'ORD-1-000007','C0020',4,2,21628,1767268568960,1767268569000,1);
INSERT INTO "order_rows" VALUES(1099511627784,'ORD-1-000008','C0014',3,3,4438,1767268586960,1767268587000,1);
INSERT INTO "order_rows" VALUES(1099511627785,'ORD-1-000009','C0029',3,3,9052,1767268617960,1767268618000,1);
INSERT INTO "order_rows" VALUES(1099511627786,'ORD-1-000010','C0036',1,2,16111,1767268623960,1767268624000,1);
INSERT INTO "order_rows" VALUES(1099511627787,'ORD-1-000011','C0028',5,3,15104,1767268629960,1767268630000,1);
INSERT INTO "order_rows" VALUES(1099511627788,'ORD-1-000012','C0030',3,4,17637,1767268634960,1767268635000,1);
INSERT INTO "order_rows" VALUES(1099511627789,'ORD-1-000013','C0016',3,3,22714,1767268635960,1767268636000,1);
INSERT INTO "order_rows" VALUES(1099511627790,'ORD-1-000014','C0006',2,3,21665,1767268637960,1767268638000,1);
INSERT INTO "order_rows" VALUES(1099511627791,'ORD-1-000015','C0013',1,2,24415,1767268638960,1767268639000,1);
INSERT INTO "order_rows" VALUES(1099511627792,'ORD-1-000016','C0023',5,1,9635,1767268647960,1767268648000,1);
INSERT INTO "order_rows" VALUES(1099511627793,'ORD-1-000017','C0033',3,4,12279,1767268651960,1767268652000,2);
INSERT INTO "order_rows" VALUES(1099511627794,'ORD-1-000018','C0011',1,4,15006,1767268654960,1767268655000,1);
INSERT INTO "order_rows" VALUES(1099511627795,'ORD-1-000019','C0043',1,3,4253,1767268668960,1767268669000,1);
INSERT INTO "order_rows" VALUES(1099511627796,'ORD-1-000020','C0046',4,2,8813,1767268671960,1767268672000,1);
INSERT INTO "order_rows" VALUES(1099511627797,'ORD-1-000021','C0010',5,4,13997,1767268680960,1767268681000,1);
INSERT INTO "order_rows" VALUES(1099511627798,'ORD-1-000022','C0008',1,1,20388,1767268689960,1767268690000,1);
INSERT INTO "order_rows" VALUES(1099511627799,'ORD-1-000023','C0049',1,4,858,1767268691960,1767268692000,1);
INSERT INTO "order_rows" VALUES(1099511627800,'ORD-1-000024','C0045',5,3,6282,1767268694960,1767268695000,1);
INSERT INTO "order_rows" VALUES(1099511627801,'ORD-1-000025','C0024',1,1,10285,1767268707960,1767268708000,1);
INSERT INTO "order_rows" VALUES(1099511627802,'ORD-1-000026','C0047',4,1,7021,1767268714960,1767268715000,1);
INSERT INTO "order_rows" VALUES(1099511627803,'ORD-1-000027','C0041',5,4,9382,1767268717960,1767268718000,1);
INSERT INTO "order_rows" VALUES(1099511627804,'ORD-1-000028','C0007',4,3,18179,1767268719960,1767268720000,1);
INSERT INTO "order_rows" VALUES(1099511627805,'ORD-1-000029','C0035',1,4,19911,1767268724960,1767268725000,1);
INSERT INTO "order_rows" VALUES(1099511627806,'ORD-1-000030','C0034',3,3,1283,1767268731960,1767268732000,1);
INSERT INTO "order_rows" VALUES(1099511627807,'ORD-1-000031','C0000',1,3,13171,1767268732960,1767268733000,1);
INSERT INTO "order_rows" VALUES(1099511627808,'ORD-1-000032','C0004',4,3,10231,1767268740960,1767268741000,1);
INSERT INTO "order_rows" VALUES(1099511627809,'ORD-1-000033','C0036',4,4,7941,1767268748960,1767268749000,1);
INSERT INTO "order_rows" VALUES(1099511627810,'ORD-1-000034','C0033',3,3,1205,1767268768960,1767268769000,2);
INSERT INTO "order_rows" VALUES(1099511627811,'ORD-1-000035','C0035',4,4,24786,1767268772960,1767268773000,1);
INSERT INTO "order_rows" VALUES(1099511627812,'ORD-1-000036','C0021',1,2,9620,1767268774960,1767268775000,1);
INSERT INTO "order_rows" VALUES(1099511627813,'ORD-1-000037','C0043',1,2,20543,1767268783960,1767268784000,1);
INSERT INTO "order_rows" VALUES(1099511627814,'ORD-1-000038','C0040',5,2,24032,1767268784960,1767268785000,1);
INSERT INTO "order_rows" VALUES(1099511627815,'ORD-1-000039','C0013',3,3,1148,1767268799960,1767268800000,1);
INSERT INTO "order_rows" VALUES(5497558138880,'A-0','C-1',6,2,250,1699999990500,1700000000500,1);
INSERT INTO "order_rows" VALUES(5497558138881,'A-1','C-1',6,2,250,1699999990500,1700000000500,1);
CREATE TABLE outbox (
    dead_letter_id TEXT PRIMARY KEY,            -- made from the record's identity, so a second send is recognised
    record_id      INTEGER NOT NULL,
    timestamp_ms   INTEGER NOT NULL,
    key            BLOB,
    value          BLOB,
    headers        TEXT NOT NULL,               -- the original ones, then those of the failure
    created_at_ms  INTEGER NOT NULL
);
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
INSERT INTO "partitions" VALUES(1,'processor',1,0,45,0,0,NULL,NULL,-1,0,0,0,40,502004,0,0);
INSERT INTO "partitions" VALUES(2,'collector',2,0,10,0,0,NULL,NULL,-1,0,0,0,0,0,0,0);
INSERT INTO "partitions" VALUES(3,'collector',3,1,3,0,0,NULL,NULL,-1,0,0,0,0,0,0,0);
INSERT INTO "partitions" VALUES(4,'processor',4,1,2,0,0,NULL,NULL,-1,0,0,1,0,0,0,0);
INSERT INTO "partitions" VALUES(5,'processor',5,0,2,0,0,NULL,NULL,-1,0,0,0,2,500,0,0);
INSERT INTO "partitions" VALUES(6,'collector',3,2,3,0,0,NULL,NULL,-1,0,0,0,0,0,0,0);
CREATE TABLE passed_on (
    record_id      INTEGER PRIMARY KEY,         -- as in dead_letter_rows
    dead_letter_id INTEGER NOT NULL REFERENCES dead_letter_rows -- what the record became in the further topic
);
CREATE TABLE passed_over_blocks (
    block          INTEGER PRIMARY KEY,
    flags          BLOB NOT NULL
);
INSERT INTO "passed_over_blocks" VALUES(536870912,X'02');
CREATE TABLE product_totals (
    product_ref   INTEGER NOT NULL,
    topic         TEXT NOT NULL,
    orders        INTEGER NOT NULL DEFAULT 0,
    revenue_cents INTEGER NOT NULL DEFAULT 0,
    pruned_orders        INTEGER NOT NULL DEFAULT 0,
    pruned_revenue_cents INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (product_ref, topic)
) WITHOUT ROWID;
INSERT INTO "product_totals" VALUES(1,'orders',16,216933,0,0);
INSERT INTO "product_totals" VALUES(2,'orders',2,26237,0,0);
INSERT INTO "product_totals" VALUES(3,'orders',9,81803,0,0);
INSERT INTO "product_totals" VALUES(4,'orders',7,98599,0,0);
INSERT INTO "product_totals" VALUES(5,'orders',6,78432,0,0);
INSERT INTO "product_totals" VALUES(6,'shop.orders',2,500,0,0);
CREATE TABLE products (product_ref INTEGER PRIMARY KEY, product TEXT NOT NULL UNIQUE);
INSERT INTO "products" VALUES(1,'Espresso machine');
INSERT INTO "products" VALUES(2,'Travel mug');
INSERT INTO "products" VALUES(3,'Coffee beans 1 kg');
INSERT INTO "products" VALUES(4,'Coffee grinder');
INSERT INTO "products" VALUES(5,'Filter papers');
INSERT INTO "products" VALUES(6,'tea');
CREATE TABLE regions  (region_ref  INTEGER PRIMARY KEY, region  TEXT NOT NULL UNIQUE);
INSERT INTO "regions" VALUES(1,'west');
INSERT INTO "regions" VALUES(2,'north');
INSERT INTO "regions" VALUES(3,'south');
INSERT INTO "regions" VALUES(4,'east');
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
INSERT INTO "retries" VALUES(1099511627816,1767268799000,X'4330303430',X'000000000000000000000000','[]',2,1767268840000,1767268798000,'TransientError','the payment service does not answer',1,0);
INSERT INTO "retries" VALUES(1099511627817,1767268799000,X'4330303037',X'000000000000000000000000','[]',3,NULL,1767268798000,'TransientError','the payment service does not answer',1,0);
INSERT INTO "retries" VALUES(1099511627818,1767268799000,X'4330303432',X'000000000000000000000000','[]',1,1767268842000,1767268798000,'TransientError','the payment service does not answer',1,0);
INSERT INTO "retries" VALUES(1099511627819,1767268799000,X'4330303037',X'000000000000000000000000','[]',2,NULL,1767268798000,'TransientError','the payment service does not answer',1,0);
INSERT INTO "retries" VALUES(1099511627820,1767268799000,X'4330303434',X'000000000000000000000000','[]',3,1767268844000,1767268798000,'TransientError','the payment service does not answer',1,0);
INSERT INTO sqlite_master(type,name,tbl_name,rootpage,sql)VALUES('table','set_index','set_index',0,'CREATE VIRTUAL TABLE set_index USING fts5(
    pieces, content=''header_sets'', content_rowid=''set_ref'', columnsize=0, detail=none, tokenize=''trigram case_sensitive 1''
)');
CREATE TABLE 'set_index_config'(k PRIMARY KEY, v) WITHOUT ROWID;
INSERT INTO "set_index_config" VALUES('automerge',0);
INSERT INTO "set_index_config" VALUES('crisismerge',64);
INSERT INTO "set_index_config" VALUES('usermerge',8);
INSERT INTO "set_index_config" VALUES('version',4);
CREATE TABLE 'set_index_data'(id INTEGER PRIMARY KEY, block BLOB);
INSERT INTO "set_index_data" VALUES(1,X'');
INSERT INTO "set_index_data" VALUES(10,X'00000003000000');
CREATE TABLE 'set_index_idx'(segid, term, pgno, PRIMARY KEY(segid, term)) WITHOUT ROWID;
ANALYZE "sqlite_master";
INSERT INTO "sqlite_stat1" VALUES('order_rows','order_rows_by_order_id','10000000 4000 1');
INSERT INTO "sqlite_stat1" VALUES('order_rows','order_rows_by_created_at','10000000 10');
INSERT INTO "sqlite_stat1" VALUES('order_rows','order_rows_by_product','10000000 100000 1');
INSERT INTO sqlite_master(type,name,tbl_name,rootpage,sql)VALUES('table','stack_index','stack_index',0,'CREATE VIRTUAL TABLE stack_index USING fts5(
    stacktrace, content=''stacktraces'', content_rowid=''stack_ref'', columnsize=0, detail=none, tokenize=''trigram case_sensitive 1''
)');
CREATE TABLE 'stack_index_config'(k PRIMARY KEY, v) WITHOUT ROWID;
INSERT INTO "stack_index_config" VALUES('automerge',0);
INSERT INTO "stack_index_config" VALUES('crisismerge',64);
INSERT INTO "stack_index_config" VALUES('usermerge',8);
INSERT INTO "stack_index_config" VALUES('version',4);
CREATE TABLE 'stack_index_data'(id INTEGER PRIMARY KEY, block BLOB);
INSERT INTO "stack_index_data" VALUES(1,X'');
INSERT INTO "stack_index_data" VALUES(10,X'00000003000000');
CREATE TABLE 'stack_index_idx'(segid, term, pgno, PRIMARY KEY(segid, term)) WITHOUT ROWID;
CREATE TABLE stacktraces (
    stack_ref    INTEGER PRIMARY KEY,
    digest       BLOB NOT NULL UNIQUE,
    stacktrace   TEXT NOT NULL,
    dead_letters INTEGER NOT NULL,              -- that refer to it; it goes with the last one
    in_pieces    INTEGER NOT NULL DEFAULT 0     -- 1: `stacktrace` is pieces, see below
);
INSERT INTO "stacktraces" VALUES(1,X'0719BCC3C7AB08AC41C77DC5F4B2FB66','["org.apache.kafka.connect.errors.DataException: ",[1],"\n\tat com.example.Consumer.run(Consumer.java:42)"]',2,1);
INSERT INTO "stacktraces" VALUES(2,X'FD3C0BCF0AA89A76F38AD9456A7AD6EF','["org.springframework.kafka.listener.ListenerExecutionFailedException: ",[1],"\n\tat com.example.Consumer.run(Consumer.java:42)"]',2,1);
INSERT INTO "stacktraces" VALUES(3,X'A4DD837F26C7EA9A41009AC500571FC8','["None: ",[1],"\n\tat com.example.Consumer.run(Consumer.java:42)"]',2,1);
INSERT INTO "stacktraces" VALUES(4,X'5AA20C407A2BF74C9C3D6E60F4E6095F','java.lang.IllegalStateException: no stock
	at com.example.Listener.on(Listener.java:42)
	at com.example.Listener.on(Listener.java:42)
	at com.example.Listener.on(Listener.java:42)
	at com.example.Listener.on(Listener.java:42)
	at com.example.Listener.on(Listener.java:42)',2,0);
CREATE TABLE text_index (
    id             INTEGER PRIMARY KEY CHECK (id = 1),
    folding        TEXT NOT NULL,               -- the rule that folded what is in the indexes; another one makes them anew
    letters_to     INTEGER NOT NULL, -- up to which dead letter, stack trace and header set they are filled
    stacks_to      INTEGER NOT NULL,
    sets_to        INTEGER NOT NULL
);
CREATE TABLE topics (
    topic_ref     INTEGER PRIMARY KEY,
    cluster_id    TEXT NOT NULL,
    topic         TEXT NOT NULL,
    topic_id      TEXT NOT NULL,               -- Kafka's own id, '' where the broker does not tell it
    first_seen_ms INTEGER NOT NULL,
    reading       INTEGER NOT NULL DEFAULT 0,  -- how often the same topic was read again before
    UNIQUE (cluster_id, topic, topic_id, reading)
);
INSERT INTO "topics" VALUES(1,'sample-cluster','orders','orders-id',1767268800000,0);
INSERT INTO "topics" VALUES(2,'sample-cluster','orders-dlq','dlq-id',1767268800000,0);
INSERT INTO "topics" VALUES(3,'cluster-1','orders-dlq','dlq-id',1700000000500,0);
INSERT INTO "topics" VALUES(4,'cluster-1','orders','orders-id',1700000000500,0);
INSERT INTO "topics" VALUES(5,'cluster-1','shop.orders','orders-id',1700000000500,0);
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
INSERT INTO "totals" VALUES(1,42,502504,16,0,0,0,'',2);
CREATE INDEX order_rows_by_order_id ON order_rows (record_id >> 12, order_id);
CREATE INDEX order_rows_by_created_at ON order_rows (created_at_ms);
CREATE INDEX order_rows_by_product ON order_rows (product_ref, created_at_ms);
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
CREATE INDEX outbox_by_record ON outbox (record_id);
CREATE INDEX dead_letters_by_group ON dead_letter_rows (fingerprint);
CREATE INDEX dead_letters_by_replay_of ON dead_letter_rows (replay_of) WHERE replay_of IS NOT NULL;
CREATE INDEX dead_letters_by_failure ON dead_letter_rows (failure_id) WHERE failure_id IS NOT NULL;
CREATE INDEX dead_letters_settled ON dead_letter_rows (status_at_ms)
    WHERE status IN ('recovered', 'dead_again', 'discarded');
CREATE INDEX dead_letters_replayed ON dead_letter_rows (status_at_ms) WHERE status = 'replayed';
CREATE INDEX dead_letter_copies_of ON dead_letter_copies (dead_letter_id);
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
CREATE INDEX dead_letter_groups_by_version ON dead_letter_groups (fingerprint_version);
CREATE INDEX group_hours_by_hour ON group_hours (hour_ms);
CREATE INDEX group_merges_into ON group_merges (merged_into);
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
CREATE INDEX jobs_unfinished ON jobs (id) WHERE state IN ('queued', 'running', 'cancelling');
CREATE INDEX job_items_by_dead_letter ON job_items (dead_letter_id);
CREATE INDEX job_items_sent_with ON job_items (job_id, sent_with) WHERE sent_with IS NOT NULL;
CREATE UNIQUE INDEX job_items_on_the_way ON job_items (dead_letter_id) WHERE state IN ('planned', 'sending');
CREATE TRIGGER job_item_sent_for_others AFTER UPDATE OF state ON job_items WHEN new.sent_for > 1 BEGIN
    UPDATE job_items
       SET state = new.state, topic = new.topic, partition = new.partition, "offset" = new."offset", error = new.error
     WHERE job_id = new.job_id AND sent_with = new.dead_letter_id AND sent_with IS NOT NULL;
END;
CREATE TRIGGER job_item_counted AFTER UPDATE OF state ON job_items WHEN old.state <> new.state BEGIN
    UPDATE jobs
       SET done = done + (new.state IN ('sent', 'recovered', 'dead_again'))
                       - (old.state IN ('sent', 'recovered', 'dead_again')),
           failed = failed + (new.state = 'failed') - (old.state = 'failed')
     WHERE id = new.job_id
       AND (new.state IN ('sent', 'recovered', 'dead_again', 'failed') OR old.state = 'failed');
END;
CREATE UNIQUE INDEX alerts_firing ON alerts (rule) WHERE state = 'firing';
CREATE UNIQUE INDEX brakes_on ON brakes (topic) WHERE resumed_at_ms IS NULL;
CREATE INDEX passed_on_by_dead_letter ON passed_on (dead_letter_id);
CREATE TRIGGER passed_on_removed AFTER DELETE ON dead_letter_rows BEGIN
    DELETE FROM passed_on WHERE dead_letter_id = old.id;
END;
CREATE UNIQUE INDEX rereads_unfinished ON rereads (role, topic, cluster_id) WHERE state <> 'done';
CREATE INDEX lookups_asked ON lookups (id) WHERE state = 'asked';
PRAGMA writable_schema=OFF;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('dead_letter_rows',16);
INSERT INTO "sqlite_sequence" VALUES('jobs',2);
INSERT INTO "sqlite_sequence" VALUES('alerts',2);
INSERT INTO "sqlite_sequence" VALUES('events',2);
INSERT INTO "sqlite_sequence" VALUES('brakes',1);
INSERT INTO "sqlite_sequence" VALUES('group_notes',1);
INSERT INTO "sqlite_sequence" VALUES('group_splits',1);
INSERT INTO "sqlite_sequence" VALUES('group_moves',2);
COMMIT;
