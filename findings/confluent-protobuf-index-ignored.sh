#!/bin/sh
# Library: confluent-kafka 2.16.1 (Python), ProtobufDeserializer, with protobuf 7.36.2.
# Guess: a reader made for Order refuses a Refund, since the message indexes in front of every value
#   say which message of the file it is.
# Behaviour: the indexes are read past and not looked at. The Refund is parsed as an Order: where
#   numbers and types fit, its fields get the Order's names, without an error.
# Seen in November 2026:
#   written 000000000102020a03722d3110f403
#   read as Order: order_id='r-1' cents=500
set -eu
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' INT TERM
python3 -m venv "$tmp/v"
timeout 300 "$tmp/v/bin/pip" install -q --disable-pip-version-check "confluent-kafka[protobuf]==2.16.1" protobuf==7.36.2
timeout 60 "$tmp/v/bin/python" - <<'PY'
import sys
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.protobuf import ProtobufDeserializer, ProtobufSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

shop = descriptor_pb2.FileDescriptorProto(name="shop.proto", package="shop", syntax="proto3")
for name, id_field in (("Order", "order_id"), ("Refund", "refund_id")):
    message = shop.message_type.add(name=name)
    message.field.add(name=id_field, number=1, label=1, type=9)  # an optional string
    message.field.add(name="cents", number=2, label=1, type=3)  # an optional int64
pool = descriptor_pool.DescriptorPool()
pool.AddSerializedFile(shop.SerializeToString())
Order, Refund = (message_factory.GetMessageClass(pool.FindMessageTypeByName(f"shop.{name}")) for name in ("Order", "Refund"))

registry = SchemaRegistryClient.new_client({"url": "mock://"})  # the client's own stand-in, in memory
context = SerializationContext("shop", MessageField.VALUE)
value = ProtobufSerializer(Refund, registry)(Refund(refund_id="r-1", cents=500), context)
print("written", value.hex())
try:
    order = ProtobufDeserializer(Order, {}, registry)(value, context)
except Exception as error:
    sys.exit(f"CHANGED: the reader refuses another message's index: {error}")
print(f"read as {type(order).__name__}: order_id={order.order_id!r} cents={order.cents}")
if (order.order_id, order.cents) != ("r-1", 500):
    sys.exit("CHANGED: the Refund is no longer read as an Order")
PY
