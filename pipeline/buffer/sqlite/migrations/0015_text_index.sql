-- Which dead letters may hold a text. The worker indexes those that are there, a few at a time, oldest first.
CREATE TABLE text_index (
    id             INTEGER PRIMARY KEY CHECK (id = 1),
    folding        TEXT NOT NULL,
    letters_to     INTEGER NOT NULL,
    stacks_to      INTEGER NOT NULL,
    sets_to        INTEGER NOT NULL
);
INSERT INTO text_index VALUES (1, '', 0, 0, 0);
CREATE TABLE long_letters (dead_letter_id INTEGER PRIMARY KEY);
CREATE TABLE long_stacks (stack_ref INTEGER PRIMARY KEY);
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
-- Blocks tell what these did.
DROP INDEX dead_letters_by_status;
DROP INDEX dead_letters_by_failed_at;
