"""The recordings of orders are whole: what they promise to the tests that read them is there."""

from __future__ import annotations

import struct
from uuid import UUID

import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

from pipeline.settings import PROJECT_DIR
from tests.support.order_recordings import (
    FOLDER,
    OrderRecording,
    RecordedOrder,
    all_registered,
    expected_orders,
    order_recordings,
)
from tests.support.stand_in_registry import RegisteredSchema, StandInRegistry

RECORDINGS = order_recordings()
EXPECTED = expected_orders()
BEGINNINGS = {
    "cloudevents-python-binary": '{"order_id": ',
    "cloudevents-python-structured": '{"id": "event-',
    "confluent-avro-header": "\x0cA-",
    "confluent-avro-prefix": "\0",
    "confluent-avro-references": "\0",
    "confluent-avro-union": "\0",
    "confluent-json-header": '{"order_id":',
    "confluent-json-prefix": "\0",
    "confluent-protobuf-header": "\n\x06A-",
    "confluent-protobuf-nested-header": "\n",
    "confluent-protobuf-nested-prefix": "\0",
    "confluent-protobuf-prefix": "\0",
    "confluent-protobuf-second": "\0",
    "python-avro-single": "\xc3\x01\xbf\xb0\xfa\x45\x7f\x04\x37\x3b\x0cA-",
    "python-json": '{"order_id": "A-',
    "python-protobuf": "\n\x06A-",
}
"""What every value of a recording begins with."""
HEADERS = {
    "cloudevents-python-binary": (
        "ce_id ce_source ce_type ce_specversion ce_subject ce_time content-type ce_partitionkey".split()
    ),
    "cloudevents-python-structured": ["content-type"],
    "confluent-avro-header": ["__value_schema_id"],
    "confluent-json-header": ["__value_schema_id"],
    "confluent-protobuf-header": ["__value_schema_id"],
    "confluent-protobuf-nested-header": ["__value_schema_id"],
}
"""The headers of every record, in their order; of all other recordings there are none."""
INDEXES = {
    "confluent-protobuf-prefix": [b"\0"],
    "confluent-protobuf-header": [b"\0"],
    "confluent-protobuf-second": [b"\x02\x02"],
    "confluent-protobuf-nested-prefix": [b"\x04\0\x02", b"\x04\0\0"],
    "confluent-protobuf-nested-header": [b"\x04\0\x02", b"\x04\0\0"],
}
"""Where Confluent's Protobuf says which message it is: the order's first, then the refund's."""
GUID_FOLLOWS = b"\x01"

every_recording = pytest.mark.parametrize("recording", RECORDINGS.values(), ids=RECORDINGS)


def confluents(prefix: str = "confluent-") -> pytest.MarkDecorator:
    names = [name for name in RECORDINGS if name.startswith(prefix)]
    return pytest.mark.parametrize("recording", [RECORDINGS[name] for name in names], ids=names)


def test_no_recording_is_left_without_its_facts() -> None:
    assert list(RECORDINGS) == sorted(BEGINNINGS)
    assert {file.stem for file in FOLDER.glob("*.json")} == {*RECORDINGS, "orders"}


@every_recording
def test_every_writer_has_written_every_order_once(recording: OrderRecording) -> None:
    orders = [each.expected for each in recording.records if each.expected]
    assert orders == list(EXPECTED.values())
    assert len({each.name for each in recording.records}) == len(recording.records)
    assert {each.record.position.topic for each in recording.records} == {recording.topic}
    assert [each.record.position.offset for each in recording.records] == list(range(len(recording.records)))


@every_recording
def test_it_is_said_who_wrote_it_and_how(recording: OrderRecording) -> None:
    assert recording.writer
    assert recording.version
    assert recording.how
    assert (PROJECT_DIR / recording.made_by).exists()
    assert all(file.is_file() for file in recording.schema_files)


@every_recording
def test_it_begins_and_is_headed_as_its_writer_does(recording: OrderRecording) -> None:
    headers = HEADERS.get(recording.name, [])
    for each in recording.records:
        if each.record.value is not None:
            assert each.record.value.startswith(BEGINNINGS[recording.name].encode("latin-1"))
            assert [name for name, _ in each.record.headers] == headers


@confluents()
def test_its_registry_knows_the_schema_that_a_record_names(recording: OrderRecording) -> None:
    by_id = {each.id: each for each in recording.registered}
    by_guid = {each.guid: each for each in recording.registered}
    for each in recording.records:
        named = by_guid[guid_of(each)] if each.record.headers else by_id[id_of(each)]
        assert named.subject == f"{recording.topic}-value"


@confluents("confluent-protobuf-")
def test_protobuf_says_which_message_it_is(recording: OrderRecording) -> None:
    order, *refund = INDEXES[recording.name]
    for each in recording.records:
        [indexes] = [order] if each.expected else refund
        assert framing_of(each).startswith(indexes)


@confluents("confluent-avro-")
def test_confluents_own_reader_reads_it_from_the_stand_in(recording: OrderRecording) -> None:
    with StandInRegistry(all_registered()) as registry:
        read = AvroDeserializer(SchemaRegistryClient({"url": registry.url}))
        for each in recording.records:
            context = SerializationContext(recording.topic, MessageField.VALUE, list(each.record.headers))
            content = read(each.record.value, context)
            assert ("refund_id" in content) == (each.expected is None)
            if each.expected:
                assert content["order_id"] == each.expected.order_id
                assert content["customer"]["id"] == each.expected.customer_id
                assert content["lines"][0]["sku"] == each.expected.product
                assert content["total"].scaleb(2) == each.expected.price_cents


def test_no_id_of_one_registry_is_that_of_another_schema() -> None:
    schemas: dict[int, RegisteredSchema] = {}
    for each in all_registered():
        known = schemas.setdefault(each.id, each)
        assert (known.schema, known.schema_type) == (each.schema, each.schema_type)


def id_of(recorded: RecordedOrder) -> int:
    assert recorded.record.value is not None
    magic, schema_id = struct.unpack_from(">bI", recorded.record.value)
    assert magic == 0
    return int(schema_id)


def guid_of(recorded: RecordedOrder) -> str:
    [(_, value)] = recorded.record.headers
    assert value is not None
    assert value.startswith(GUID_FOLLOWS)
    return str(UUID(bytes=value[1:17]))


def framing_of(recorded: RecordedOrder) -> bytes:
    """What stands behind the schema's id or GUID."""
    if recorded.record.headers:
        [(_, value)] = recorded.record.headers
        return (value or b"")[17:]
    return (recorded.record.value or b"")[5:]
