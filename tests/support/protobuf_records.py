"""Protobuf messages of every kind of field for property tests, within each other too."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from google.protobuf import descriptor_pb2, timestamp_pb2, wrappers_pb2
from hypothesis import strategies as st

from pipeline.orders.formats.protobuf_values import MessageTypes
from pipeline.schema_source import RegisteredSchema

Draw = Callable[[st.SearchStrategy[Any]], Any]
FIELD = descriptor_pb2.FieldDescriptorProto
KINDS = {
    "text": FIELD.TYPE_STRING,
    "raw": FIELD.TYPE_BYTES,
    "flag": FIELD.TYPE_BOOL,
    "small": FIELD.TYPE_SINT32,
    "big": FIELD.TYPE_UINT64,
    "fixed": FIELD.TYPE_SFIXED64,
    "single": FIELD.TYPE_FLOAT,
    "double": FIELD.TYPE_DOUBLE,
}


def shop_file(syntax: str) -> Any:
    """A file whose message has every kind of field, and may contain itself."""
    file = descriptor_pb2.FileDescriptorProto(name="shop.proto", package="shop", syntax=syntax)
    file.dependency.extend(["google/protobuf/timestamp.proto", "google/protobuf/wrappers.proto"])
    state = file.enum_type.add(name="State")
    for number, name in enumerate(["NEW", "PAID"]):
        state.value.add(name=name, number=number)
    order = file.message_type.add(name="Order")
    for number, (name, kind) in enumerate(KINDS.items(), start=1):
        order.field.add(name=name, number=number, type=kind, label=FIELD.LABEL_OPTIONAL)
    order.field.add(name="state", number=9, type=FIELD.TYPE_ENUM, type_name=".shop.State", label=FIELD.LABEL_OPTIONAL)
    messages = {
        "at": "google.protobuf.Timestamp",
        "maybe": "google.protobuf.StringValue",
        "again": "shop.Order",
    }
    for number, (name, kind) in enumerate(messages.items(), start=10):
        order.field.add(
            name=name, number=number, type=FIELD.TYPE_MESSAGE, type_name=f".{kind}", label=FIELD.LABEL_OPTIONAL
        )
    order.field.add(name="tags", number=13, type=FIELD.TYPE_STRING, label=FIELD.LABEL_REPEATED)
    order.field.add(
        name="lines", number=14, type=FIELD.TYPE_MESSAGE, type_name=".shop.Order", label=FIELD.LABEL_REPEATED
    )
    entry = order.nested_type.add(name="CountsEntry", options=descriptor_pb2.MessageOptions(map_entry=True))
    entry.field.add(name="key", number=1, type=FIELD.TYPE_STRING, label=FIELD.LABEL_OPTIONAL)
    entry.field.add(name="value", number=2, type=FIELD.TYPE_INT64, label=FIELD.LABEL_OPTIONAL)
    order.field.add(
        name="counts",
        number=15,
        type=FIELD.TYPE_MESSAGE,
        type_name=".shop.Order.CountsEntry",
        label=FIELD.LABEL_REPEATED,
    )
    order.oneof_decl.add(name="way")
    order.field.add(name="card", number=16, type=FIELD.TYPE_STRING, label=FIELD.LABEL_OPTIONAL, oneof_index=0)
    order.field.add(name="cash", number=17, type=FIELD.TYPE_INT32, label=FIELD.LABEL_OPTIONAL, oneof_index=0)
    return file


def message_types(syntax: str) -> MessageTypes:
    """The types of that file and of those that it imports."""
    known = []
    for module in (timestamp_pb2, wrappers_pb2):
        file = descriptor_pb2.FileDescriptorProto()
        module.DESCRIPTOR.CopyToProto(file)
        known.append(file)
    return MessageTypes([*known, shop_file(syntax)], "shop.proto")


ORDER_TYPES = {syntax: message_types(syntax).named("shop.Order") for syntax in ("proto2", "proto3")}
PROTOBUF = RegisteredSchema("PROTOBUF", base64.b64encode(shop_file("proto3").SerializeToString()).decode())
"""The file as confluent-kafka's serializer registers it."""
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "text": TEXTS,
    "raw": st.binary(max_size=4),
    "flag": st.booleans(),
    "small": st.integers(-(2**31), 2**31 - 1),
    "big": st.integers(0, 2**64 - 1),
    "fixed": st.integers(-(2**63), 2**63 - 1),
    "single": st.floats(width=32),
    "double": st.floats(),
    "state": st.integers(0, 1),
    "card": TEXTS,
    "cash": st.integers(0, 9),
}
BELOW = ["again", "at", "maybe", "tags", "lines", "counts"]


def fill(draw: Draw, message: Any, depth: int = 2) -> Any:
    """Sets some fields of a message, and gives it back."""
    for name in draw(st.lists(st.sampled_from([*FIELDS, *BELOW]), max_size=6, unique=True)):
        if name in FIELDS:
            setattr(message, name, draw(FIELDS[name]))
        elif name == "tags":
            message.tags.extend(draw(st.lists(TEXTS, max_size=3)))
        elif name == "counts":
            message.counts.update(draw(st.dictionaries(st.sampled_from(["a", "ü"]), st.integers(-5, 5))))
        elif name == "at":
            message.at.seconds, message.at.nanos = draw(st.integers(-(2**40), 2**40)), draw(st.integers(0, 999_999_999))
        elif name == "maybe":
            message.maybe.value = draw(TEXTS)
        elif depth:
            fill(draw, message.again if name == "again" else message.lines.add(), depth - 1)
    return message


def wrapped(body: bytes, times: int) -> bytes:
    """A message so many times within itself, as field 12."""
    for _ in range(times):
        length, left = bytearray(), len(body)
        while left > 0x7F:
            length.append(left & 0x7F | 0x80)
            left >>= 7
        body = b"\x62" + bytes([*length, left]) + body
    return body


PATHS = ["text", "raw", "flag", "small", "big", "fixed", "single", "double", "state", "at", "maybe", "card", "cash"]
PATHS += ["again.text", "again.again.state", "again.at", "tags[]", "tags[0]", "lines[].text", "lines[-1].single"]
PATHS += [
    "lines[].again.cash",
    "counts.a",
    "again.counts.ü",
    "nowhere",
    "again.nowhere",
    "at.seconds",
    "text.x",
    "big[0]",
]
"""Of `shop.Order`, some of which lead nowhere."""
