"""Protobuf is read as the library's own messages have it, one message at a time and many at once."""

from __future__ import annotations

import struct

import pytest
from google.protobuf import descriptor_pb2, message_factory
from google.protobuf.descriptor import FieldDescriptor
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import UndecodableError
from pipeline.orders.formats.protobuf_values import DescriptorError, ProtobufReader, read_descriptor_set
from pipeline.orders.mapping.paths import look_up, parse_path
from pipeline.orders.mapping.selection import selection_of
from pipeline.orders.mapping.values import Instant, ValueMismatchError
from tests.support.avro_records import shortest_single
from tests.support.protobuf_records import ORDER_TYPES, PATHS, fill, message_types, shop_file, wrapped


def walked(message, steps):
    """What steps lead to by the library's own calls; Ellipsis where something else is in the way."""
    if message is None or not steps:
        return message
    step, *rest = steps
    if not isinstance(step, str):
        if not hasattr(message, "append") and not isinstance(message, list):
            return ...
        if isinstance(step, int):
            return walked(message[step], rest) if -len(message) <= step < len(message) else None
        found = [walked(each, rest) for each in message]
        return ... if ... in found else found
    if hasattr(message, "keys"):
        return walked(message[step], rest) if step in message else None
    if not hasattr(message, "DESCRIPTOR"):
        return ...
    field = message.DESCRIPTOR.fields_by_name.get(step)
    if field is None or (field.has_presence and not message.HasField(step)):
        return None
    value = getattr(message, step)
    if rest or field.is_repeated:
        return walked(list(value) if field.is_repeated and not hasattr(value, "keys") else value, rest)
    return meant(field, value)


def meant(field, value):
    """A single value as its type says."""
    if field.type == FieldDescriptor.TYPE_ENUM:
        return field.enum_type.values_by_number[value].name
    if field.type == FieldDescriptor.TYPE_FLOAT:
        return shortest_single(value)
    if field.message_type is None:
        return value
    if field.message_type.name == "StringValue":
        return value.value
    return Instant(value.seconds * 10**9 + value.nanos, 10**9)


def at_path(value, path):
    try:
        return look_up(value, path)
    except ValueMismatchError as error:
        return error


def same(found, expected):
    return isinstance(found, ValueMismatchError) if expected is ... else repr(found) == repr(expected)


@pytest.mark.parametrize("syntax", ORDER_TYPES)
@given(data=st.data(), written=st.lists(st.sampled_from(PATHS), min_size=1, max_size=3))
@settings(max_examples=80)
def test_every_value_is_what_the_library_says(syntax, data, written):
    paths = list(map(parse_path, written))
    if "at" in written and "at.seconds" in written:  # see the test below
        paths = [path for path in paths if str(path) != "at.seconds"]
    made = message_factory.GetMessageClass(ORDER_TYPES[syntax])
    messages = [fill(data.draw, made()) for _ in range(3)]
    reader = ProtobufReader(ORDER_TYPES[syntax], selection_of(paths), paths)
    for message in messages:
        found = reader.read(message.SerializeToString())
        for path in paths:
            assert same(at_path(found, path), walked(message, path.steps)), path
    indexes, columns = reader.read_many([each.SerializeToString() for each in messages])
    for row, index in enumerate(indexes):
        for path, column in zip(paths, columns, strict=True):
            assert same(column[row], walked(messages[index], path.steps)), path


def test_a_value_that_is_wanted_whole_and_in_parts_is_the_same_value_either_way():
    paths = [parse_path("at"), parse_path("at.seconds")]
    reader = ProtobufReader(ORDER_TYPES["proto3"], selection_of(paths), paths)
    assert isinstance(at_path(reader.read(b"\x52\x02\x08\x05"), paths[1]), ValueMismatchError)
    assert reader.read_many([b"\x52\x02\x08\x05"])[0] == []


@given(data=st.data(), written=st.lists(st.sampled_from(PATHS[:13]), min_size=1, max_size=3))
@settings(max_examples=80)
def test_broken_messages_are_refused_or_read_alike(data, written):
    paths = list(map(parse_path, written))
    message = fill(data.draw, message_factory.GetMessageClass(ORDER_TYPES["proto3"])()).SerializeToString()
    at = data.draw(st.integers(0, len(message)))
    values = [
        message[:at] + data.draw(st.binary(max_size=3)) + message[at + data.draw(st.integers(0, 2)) :],
        message[:at],
    ]
    reader = ProtobufReader(ORDER_TYPES["proto3"], selection_of(paths), paths)
    indexes, columns = reader.read_many(values)
    for index, value in enumerate(values):
        try:
            found = reader.read(value)
        except UndecodableError:
            assert index not in indexes
            continue
        row = indexes.index(index)
        assert [repr(column[row]) for column in columns] == [repr(at_path(found, path)) for path in paths]


@pytest.mark.parametrize("path", ["text", "again", "again.again.text", "lines"])
def test_a_message_within_itself_is_read_or_refused_however_deep(path):
    reader = ProtobufReader(ORDER_TYPES["proto3"], selection_of([parse_path(path)]), [parse_path(path)])
    for times in (1, 60, 70, 90):
        look_up(reader.read(wrapped(b"", times)), parse_path(path))
    for times in (110, 5000):
        with pytest.raises(UndecodableError, match="value is no shop.Order"):
            reader.read(wrapped(b"", times))
        assert reader.read_many([wrapped(b"", times)])[0] == []


def test_a_list_of_more_items_than_an_order_has_is_refused():
    reader = ProtobufReader(ORDER_TYPES["proto3"], selection_of([parse_path("tags[]")]), [parse_path("tags[]")])
    assert len(reader.read(b"\x6a\x01x" * 10_000)["tags"]) == 10_000
    with pytest.raises(UndecodableError, match="tags has 10001 items; expected at most 10000"):
        reader.read(b"\x6a\x01x" * 10_001)
    unwanted = ProtobufReader(ORDER_TYPES["proto3"], selection_of([parse_path("text")]), [parse_path("text")])
    assert unwanted.read(b"\x6a\x01x" * 10_001) == {"text": ""}


def test_text_of_proto2_that_is_no_utf8_is_refused_as_a_value():
    reader = ProtobufReader(ORDER_TYPES["proto2"], selection_of([parse_path("text")]), [parse_path("text")])
    assert reader.read(b"\x0a\x02\xff\xfe") == {"text": b"\xff\xfe"}
    strict = ProtobufReader(ORDER_TYPES["proto3"], selection_of([parse_path("text")]), [parse_path("text")])
    with pytest.raises(UndecodableError, match="value is no shop.Order"):
        strict.read(b"\x0a\x02\xff\xfe")


def test_a_number_of_32_bits_is_its_shortest_text():
    reader = ProtobufReader(ORDER_TYPES["proto3"], selection_of([parse_path("single")]), [parse_path("single")])
    assert repr(reader.read(b"\x3d" + struct.pack("<f", 19.99))["single"]) == "19.99"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\xff", "it is no descriptor set"),
        (b"", "it is a descriptor set without a file"),
        (descriptor_pb2.FileDescriptorSet(file=[shop_file("proto3")]).SerializeToString(), "its files cannot be put"),
    ],
)
def test_a_descriptor_set_that_cannot_be_used_says_why(content, words):
    with pytest.raises(DescriptorError, match=words):
        read_descriptor_set(content)


def test_a_message_is_found_by_indexes_or_said_not_to_be_there():
    found = message_types("proto3")
    assert found.at([0]).full_name == "shop.Order"
    assert found.at([0, 0]).full_name == "shop.Order.CountsEntry"
    assert (found.index_of("Order"), found.index_of("Refund")) == ((0,), None)
    for indexes in ([1], [-1], [0, 7], [0, 0, 0]):
        with pytest.raises(DescriptorError, match="it has no message at"):
            found.at(indexes)
    with pytest.raises(DescriptorError, match=r"it has no message shop\.Refund"):
        found.named("shop.Refund")
