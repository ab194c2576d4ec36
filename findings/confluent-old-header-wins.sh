#!/bin/sh
# Library: confluent-kafka 2.16.1 (Python), AvroSerializer and AvroDeserializer.
# Guess: a value written with the usual prefix (0, schema id) is read by that prefix. A header left
#   over from an earlier topic at worst gives an error.
# Behaviour: when a header __value_schema_id is there, the reader believes it and takes the prefix
#   for data. A relay that passes headers on and writes the value anew makes records that read as
#   zeros and empty texts, without an error, even when header and prefix name the same schema.
# Seen in November 2026:
#   without the old header {'cents': 1050, 'id': 'a-1'}
#   with the old header    {'cents': 0, 'id': ''}
set -eu
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' INT TERM
python3 -m venv "$tmp/v"
timeout 300 "$tmp/v/bin/pip" install -q --disable-pip-version-check "confluent-kafka[avro]==2.16.1" fastavro==1.13.1
timeout 60 "$tmp/v/bin/python" - <<'PY'
import sys
from confluent_kafka.schema_registry import SchemaRegistryClient, header_schema_id_serializer
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

schema = '{"type":"record","name":"Order","fields":[{"name":"cents","type":"long"},{"name":"id","type":"string"}]}'
order = {"cents": 1050, "id": "a-1"}
registry = SchemaRegistryClient.new_client({"url": "mock://"})  # the client's own stand-in, in memory

def context(headers):
    return SerializationContext("orders", MessageField.VALUE, headers=headers)

headers = []  # the first hop keeps the schema's id in a header
AvroSerializer(registry, schema, conf={"schema.id.serializer": header_schema_id_serializer})(order, context(headers))
value = AvroSerializer(registry, schema)(order, context([]))  # the relay writes the usual prefix
read = AvroDeserializer(registry)
plain = read(value, context([]))
print("without the old header", plain)
try:
    relayed = read(value, context(headers))  # and passes the headers on
except Exception as error:
    sys.exit(f"CHANGED: an old header is an error now: {error}")
print("with the old header   ", relayed)
if plain != order or relayed != {"cents": 0, "id": ""}:
    sys.exit("CHANGED: the old header no longer wins over the prefix")
PY
