-- Records that were passed over, a bit each, and how many there are in each partition.
ALTER TABLE partitions ADD COLUMN passed_over INTEGER NOT NULL DEFAULT 0;
CREATE TABLE passed_over_blocks (
    block          INTEGER PRIMARY KEY,
    flags          BLOB NOT NULL
);

-- What all amounts are in.
ALTER TABLE totals ADD COLUMN currency TEXT NOT NULL DEFAULT '';
ALTER TABLE totals ADD COLUMN currency_digits INTEGER NOT NULL DEFAULT 2;
