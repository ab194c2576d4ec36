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
