"""The Protobuf files of Confluent's own: its clients have them built in, and no registry is told of them."""

from __future__ import annotations

from confluent_kafka.schema_registry.confluent import meta_pb2
from confluent_kafka.schema_registry.confluent.type import decimal_pb2, variant_pb2
from confluent_kafka.schema_registry.confluent.types import decimal_pb2 as moved_decimal_pb2

_FILES = (meta_pb2, decimal_pb2, variant_pb2, moved_decimal_pb2)


def confluent_files() -> dict[str, bytes]:
    """Their descriptors by the name that a schema imports each by."""
    return {each.DESCRIPTOR.name: each.DESCRIPTOR.serialized_pb for each in _FILES}
