#!/bin/sh
# Libraries: confluent-kafka 2.16.1 (Python), JSONDeserializer and JSONSerializer; orjson 3.13.0.
# Guess: what a record reads as does not depend on which other packages happen to be installed.
# Behaviour: the two use orjson as soon as it can be imported. Integers of more than 64 bits were
#   exact before; then they are read as rounded floats, and writing one raises TypeError.
# Seen in November 2026:
#   without orjson: read {'wei': 12345678901234567890123}, write b'{"wei":12345678901234567890123}'
#   with orjson:    read {'wei': 1.2345678901234568e+22}, write TypeError: Integer exceeds 64-bit range
set -eu
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' INT TERM
python3 -m venv "$tmp/v"
timeout 300 "$tmp/v/bin/pip" install -q --disable-pip-version-check "confluent-kafka[json]==2.16.1"
cat >"$tmp/f.py" <<'PY'
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.json_schema import JSONDeserializer, JSONSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

schema = '{"title":"Transfer","type":"object","properties":{"wei":{"type":"number"}}}'
registry = SchemaRegistryClient.new_client({"url": "mock://"})  # the client's own stand-in, in memory
context = SerializationContext("transfers", MessageField.VALUE)
write, read = JSONSerializer(schema, registry), JSONDeserializer(schema, schema_registry_client=registry)
prefix = write({"wei": 1}, context)[:5]  # 0 and the schema's id
got = read(prefix + b'{"wei":12345678901234567890123}', context)
try:
    written = write({"wei": 12345678901234567890123}, context)[5:]
except TypeError as error:
    written = f"TypeError: {error}"
print(f"read {got}, write {written}")
PY
without=$(timeout 60 "$tmp/v/bin/python" "$tmp/f.py")
timeout 300 "$tmp/v/bin/pip" install -q --disable-pip-version-check orjson==3.13.0
with=$(timeout 60 "$tmp/v/bin/python" "$tmp/f.py")
echo "without orjson: $without"
echo "with orjson:    $with"
[ "$without" = "read {'wei': 12345678901234567890123}, write b'{\"wei\":12345678901234567890123}'" ] &&
  [ "$with" = "read {'wei': 1.2345678901234568e+22}, write TypeError: Integer exceeds 64-bit range" ] ||
  { echo "CHANGED: orjson no longer makes this difference" >&2; exit 1; }
