#!/bin/sh
# Libraries: avro 1.12.2 and fastavro 1.13.1 (both Python).
# Guess: both give a schema the same CRC-64-AVRO fingerprint. Avro's specification says how, and the
#   fingerprint is what a reader of a single-object message looks its schema up by.
# Behaviour: avro writes a primitive that carries an attribute, such as a logical type, as
#   {"type":"long"}; the specification and fastavro write "long". So every schema with a timestamp or
#   a decimal has two fingerprints. Without logical types the two agree.
# Seen in November 2026:
#   plain    avro f8d29eaed902d466  fastavro f8d29eaed902d466
#   logical  avro f212a9b256b5a448  fastavro f8d29eaed902d466
#   avro's canonical form: {"name":"Order","type":"record","fields":[{"name":"at","type":{"type":"long"}}]}
set -eu
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' INT TERM
python3 -m venv "$tmp/v"
timeout 300 "$tmp/v/bin/pip" install -q --disable-pip-version-check avro==1.12.2 fastavro==1.13.1
timeout 60 "$tmp/v/bin/python" - <<'PY'
import json, sys
import avro.schema
from fastavro.schema import fingerprint, to_parsing_canonical_form

def both(at):
    schema = {"type": "record", "name": "Order", "fields": [{"name": "at", "type": at}]}
    parsed = avro.schema.parse(json.dumps(schema))
    return parsed.fingerprint("CRC-64-AVRO").hex(), fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO"), parsed.canonical_form

plain = both("long")
logical = both({"type": "long", "logicalType": "timestamp-millis"})
print(f"plain    avro {plain[0]}  fastavro {plain[1]}")
print(f"logical  avro {logical[0]}  fastavro {logical[1]}")
print("avro's canonical form:", logical[2])
if plain[0] != plain[1] or logical[1] != plain[1] or logical[0] == logical[1]:
    sys.exit("CHANGED: the fingerprints no longer differ for the logical type alone")
PY
