#!/bin/sh
# Library: SQLite 3.54.1 (in apsw 3.54.1.0), an FTS5 index over a table of its own (external content).
# Guess: 'delete' with a rowid takes that row out of the index, or else fails. If the index were
#   wrong, PRAGMA integrity_check or the index's own integrity-check would tell.
# Behaviour: 'delete' takes out the words it is given, not the words of the row. Given the row's new
#   text instead of its old one, as in an UPDATE trigger with new.body for old.body, it leaves the
#   old words behind without an error. Both checks are satisfied; only an integrity-check with rank 1
#   compares the index with the table.
# Seen in November 2026:
#   still found by its old word: [(1,)]
#   PRAGMA integrity_check: ok
#   integrity-check: no error
#   integrity-check, rank 1: fts5: checksum mismatch for table "f"
set -eu
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' INT TERM
python3 -m venv "$tmp/v"
timeout 300 "$tmp/v/bin/pip" install -q --disable-pip-version-check apsw==3.54.1.0
timeout 60 "$tmp/v/bin/python" - <<'PY'
import sys
import apsw

db = apsw.Connection(":memory:")
db.execute("""
    CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT);
    CREATE VIRTUAL TABLE f USING fts5 (body, content = 't', content_rowid = 'id');
    INSERT INTO t VALUES (1, 'late order');
    INSERT INTO f (rowid, body) SELECT id, body FROM t;
    UPDATE t SET body = 'lost order' WHERE id = 1;
    INSERT INTO f (f, rowid, body) VALUES ('delete', 1, 'lost order');  -- should be 'late order'
    INSERT INTO f (rowid, body) VALUES (1, 'lost order');
""")

def check(sql):
    try:
        db.execute(sql)
        return "no error"
    except apsw.Error as error:
        return str(error)

found = db.execute("SELECT rowid FROM f WHERE f MATCH 'late'").fetchall()
pragma = db.execute("PRAGMA integrity_check").fetchall()[0][0]
plain = check("INSERT INTO f (f) VALUES ('integrity-check')")
ranked = check("INSERT INTO f (f, rank) VALUES ('integrity-check', 1)")
print("still found by its old word:", found)
print("PRAGMA integrity_check:", pragma)
print("integrity-check:", plain)
print("integrity-check, rank 1:", ranked)
if (found, pragma, plain) != ([(1,)], "ok", "no error") or "mismatch" not in ranked:
    sys.exit("CHANGED: a wrong 'delete' is seen elsewhere, or no longer there")
PY
