-- The app asks the worker about dead letters too. Questions and answers are of the last half hour: none is taken along.
DROP TABLE lookups;
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
