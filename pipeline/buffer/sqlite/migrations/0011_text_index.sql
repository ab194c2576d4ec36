-- Which dead letters may hold a text. The worker indexes those that are there, a few at a time, oldest first.
CREATE TABLE text_index (
    id             INTEGER PRIMARY KEY CHECK (id = 1),
    folding        TEXT NOT NULL,
    letters_to     INTEGER NOT NULL,
    stacks_to      INTEGER NOT NULL
);
INSERT INTO text_index VALUES (1, '', 0, 0);
CREATE TABLE long_letters (dead_letter_id INTEGER PRIMARY KEY);
CREATE TABLE long_stacks (stack_ref INTEGER PRIMARY KEY);
CREATE VIEW letter_texts AS
SELECT dead_letters.id,
       letter_text(stack_ref, dead_letters.stacktrace, dead_letters.headers, dead_letters.reason,
                   dead_letters.error_class, dead_letters.order_id, dead_letters.customer_id, dead_letters.product,
                   dead_letters.key, dead_letters.dead_letter_id) AS text
FROM dead_letter_rows CROSS JOIN dead_letters USING (id)
WHERE id <= (SELECT letters_to FROM text_index) AND id NOT IN (SELECT dead_letter_id FROM long_letters);
CREATE VIEW stack_texts AS
SELECT stack_ref, stack_text(stacktrace) AS text FROM stacktraces
WHERE stack_ref <= (SELECT stacks_to FROM text_index) AND stack_ref NOT IN (SELECT stack_ref FROM long_stacks);
CREATE VIRTUAL TABLE letter_index USING fts5(
    text, content='letter_texts', content_rowid='id', columnsize=0, detail=none, tokenize='trigram case_sensitive 1'
);
INSERT INTO letter_index (letter_index, rank) VALUES ('automerge', 0), ('usermerge', 8), ('crisismerge', 64);
CREATE VIRTUAL TABLE stack_index USING fts5(
    text, content='stack_texts', content_rowid='stack_ref', columnsize=0, detail=none, tokenize='trigram case_sensitive 1'
);
INSERT INTO stack_index (stack_index, rank) VALUES ('automerge', 0), ('usermerge', 8), ('crisismerge', 64);
CREATE INDEX dead_letters_by_stack ON dead_letter_rows (stack_ref) WHERE stack_ref IS NOT NULL;
