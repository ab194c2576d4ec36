
-- Records that went on to a further dead-letter topic before their dead letter of this position was collected.
CREATE TABLE passed_on (
    record_id      INTEGER PRIMARY KEY,
    dead_letter_id INTEGER NOT NULL REFERENCES dead_letters
);
CREATE TRIGGER passed_on_removed AFTER DELETE ON dead_letters BEGIN
    DELETE FROM passed_on WHERE dead_letter_id = old.id;
END;
