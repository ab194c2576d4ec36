#!/bin/sh
# Libraries: fastavro 1.13.1, with avro 1.12.2 (both Python) beside it.
# Guess: a Python int goes into the long of a union that has one.
# Behaviour: fastavro takes the first branch that accepts the value, and a double accepts an int. In
#   ["null", "double", "long"] a whole number is written as a double, and from 2^53 it loses digits
#   without an error. Apache's avro package picks the long. With fastavro, say ("long", value).
# Seen in November 2026 (9007199254740993 in, read back):
#   fastavro 9007199254740992.0
#   fastavro, branch named 9007199254740993
#   avro 9007199254740993
set -eu
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' INT TERM
python3 -m venv "$tmp/v"
timeout 300 "$tmp/v/bin/pip" install -q --disable-pip-version-check avro==1.12.2 fastavro==1.13.1
timeout 60 "$tmp/v/bin/python" - <<'PY'
import io, json, sys
import avro.io, avro.schema
import fastavro

order_id = 9007199254740993  # 2^53 + 1
schema = {"type": "record", "name": "R", "fields": [{"name": "x", "type": ["null", "double", "long"]}]}

def with_fastavro(value):
    out = io.BytesIO()
    fastavro.schemaless_writer(out, schema, {"x": value})
    return out.getvalue()

def with_avro(value):
    out = io.BytesIO()
    avro.io.DatumWriter(avro.schema.parse(json.dumps(schema))).write({"x": value}, avro.io.BinaryEncoder(out))
    return out.getvalue()

seen = [
    fastavro.schemaless_reader(io.BytesIO(body), schema, None)["x"]
    for body in (with_fastavro(order_id), with_fastavro(("long", order_id)), with_avro(order_id))
]
for name, value in zip(("fastavro", "fastavro, branch named", "avro"), seen):
    print(name, value)
if [repr(value) for value in seen] != ["9007199254740992.0", "9007199254740993", "9007199254740993"]:
    sys.exit("CHANGED: fastavro no longer writes the int as a double")
PY
