-- How many dead letters of a group failed in which hour, and since when that is counted: from the hour after the newest.
CREATE TABLE group_hours (
    fingerprint   TEXT NOT NULL,
    hour_ms       INTEGER NOT NULL,
    dead_letters  INTEGER NOT NULL DEFAULT 0,
    pruned_dead_letters INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (fingerprint, hour_ms)
) WITHOUT ROWID;
CREATE INDEX group_hours_by_hour ON group_hours (hour_ms);
CREATE TABLE group_hours_counted (from_ms INTEGER NOT NULL);
INSERT INTO group_hours_counted
SELECT coalesce(max(minute_ms) / 3600000 * 3600000 + 3600000, 0) FROM flow_minutes WHERE dead_letters > 0;

-- What people say of groups.
CREATE TABLE group_states (
    fingerprint   TEXT PRIMARY KEY,
    said          TEXT NOT NULL CHECK (said IN ('resolved', 'ignored', 'known')),
    said_by       TEXT NOT NULL,
    said_at_ms    INTEGER NOT NULL,
    until_ms      INTEGER,
    regressed_at_ms INTEGER
) WITHOUT ROWID;
CREATE TABLE group_notes (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    fingerprint   TEXT NOT NULL,
    note          TEXT NOT NULL,
    written_by    TEXT NOT NULL,
    written_at_ms INTEGER NOT NULL,
    UNIQUE (fingerprint, written_at_ms, written_by, note)
);
CREATE TABLE group_merges (
    fingerprint   TEXT PRIMARY KEY,
    merged_into   TEXT NOT NULL,
    merged_by     TEXT NOT NULL,
    merged_at_ms  INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX group_merges_into ON group_merges (merged_into);
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
CREATE TABLE group_split_letters (
    dead_letter_id INTEGER PRIMARY KEY REFERENCES dead_letter_rows,
    fingerprint    TEXT NOT NULL,
    title          TEXT NOT NULL
);
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
