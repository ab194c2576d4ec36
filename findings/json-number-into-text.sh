#!/bin/sh
# Libraries: polars 2.1.0, duckdb 2.0.1 (Python).
# Guess: a JSON number read into a text column is the number's own text, so text is the safe choice
#   for money; likewise for a member taken out of a JSON text.
# Behaviour: the number goes through a double first and is printed anew, without an error. Digits
#   change, and trailing zeros go. polars even gives two different wrong texts, depending on the
#   call. duckdb is exact when the column is a DECIMAL instead.
# Seen in November 2026 (90071992547409.93 and 0.10 in):
#   polars, String column 90071992547409.94 0.1
#   polars, json_path_match 90071992547409.92 0.1
#   duckdb, VARCHAR column 90071992547409.94 0.1
#   duckdb, ->> on JSON 90071992547409.94 0.1
#   duckdb, DECIMAL column 90071992547409.93 0.10
set -eu
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' INT TERM
python3 -m venv "$tmp/v"
timeout 300 "$tmp/v/bin/pip" install -q --disable-pip-version-check polars==2.1.0 duckdb==2.0.1
cd "$tmp"
timeout 60 "$tmp/v/bin/python" - <<'PY'
import sys
import duckdb, polars

line = '{"p":90071992547409.93,"q":0.10}'
open("orders.ndjson", "w").write(line + "\n")

def columns(kind):
    return duckdb.sql(f"SELECT p, q FROM read_json('orders.ndjson', columns = {{p: '{kind}', q: '{kind}'}})").fetchall()[0]

text = polars.Series([line])
seen = {
    "polars, String column": polars.read_ndjson("orders.ndjson", schema={"p": polars.String, "q": polars.String}).row(0),
    "polars, json_path_match": (text.str.json_path_match("$.p")[0], text.str.json_path_match("$.q")[0]),
    "duckdb, VARCHAR column": columns("VARCHAR"),
    "duckdb, ->> on JSON": duckdb.execute("SELECT j ->> 'p', j ->> 'q' FROM (SELECT ?::JSON AS j)", [line]).fetchall()[0],
    "duckdb, DECIMAL column": columns("DECIMAL(18,2)"),
}
for name, (p, q) in seen.items():
    print(name, p, q)
if [f"{p} {q}" for p, q in seen.values()] != [
    "90071992547409.94 0.1", "90071992547409.92 0.1", "90071992547409.94 0.1", "90071992547409.94 0.1", "90071992547409.93 0.10",
]:
    sys.exit("CHANGED: a JSON number arrives in text in another way now")
PY
