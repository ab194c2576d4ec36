"""The recordings of orders are whole: what they promise to the tests that read them is there."""

from __future__ import annotations

import json
import zlib
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen
from uuid import UUID

import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

from pipeline.records import Record
from pipeline.settings import PROJECT_DIR
from tests.support.order_recordings import (
    FOLDER,
    OrderRecording,
    RecordedOrder,
    all_registered,
    expected_orders,
    order_recordings,
)
from tests.support.stand_in_registry import APICURIO, COMPATIBLE, StandInRegistry

RECORDINGS = order_recordings()
EXPECTED = expected_orders()
APICURIO_CONTENT = "apicurio.value.contentId apicurio.value.encoding"
APICURIO_GLOBAL = "apicurio.value.globalId apicurio.value.encoding"
FRAMINGS: dict[str, tuple[bytes, str]] = {
    "apicurio-avro-headers": (b"\x0cA-", APICURIO_CONTENT),
    "apicurio-avro-headers-global": (b"\x0cA-", APICURIO_GLOBAL),
    "apicurio-avro-json-headers": (b'{"order_id":', APICURIO_CONTENT),
    "apicurio-avro-json-prefix": (b"\0\0\0\0", ""),
    "apicurio-avro-prefix": (b"\0\0\0\0", ""),
    "apicurio-json-headers": (b'{"order_id":"A-', "apicurio.value.contentId apicurio.value.msgType"),
    "apicurio-json-prefix": (b"\0\0\0\0", ""),
    "apicurio-protobuf-headers": (
        b"\x07\n\x05Order\n\x06A-",
        "apicurio.value.contentId apicurio.value.msgType apicurio.protobuf.type",
    ),
    "apicurio-protobuf-indexes": (b"\0\0\0\0", ""),
    "apicurio-protobuf-prefix": (b"\0\0\0\0", ""),
    "apicurio2-avro-headers": (b"\x0cA-", APICURIO_GLOBAL),
    "apicurio2-avro-prefix": (b"\0\0\0\0\0\0\0\0", ""),
    "avro-java-single": (b"\xc3\x01", ""),
    "cloudevents-java-binary": (
        b'{"order_id":',
        "ce_specversion ce_id ce_source ce_type content-type ce_subject ce_time ce_partitionkey",
    ),
    "cloudevents-java-structured": (b'{"specversion":"1.0","id":"event-A-', "content-type"),
    "cloudevents-python-binary": (
        b'{"order_id": ',
        "ce_id ce_source ce_type ce_specversion ce_subject ce_time content-type ce_partitionkey",
    ),
    "cloudevents-python-structured": (b'{"id": "event-A-', "content-type"),
    "confluent-avro-header": (b"\x0cA-", "__value_schema_id"),
    "confluent-avro-prefix": (b"\0\0\x01\x86", ""),
    "confluent-avro-references": (b"\0\0\x01\x86", ""),
    "confluent-avro-union": (b"\0\0\x01\x86", ""),
    "confluent-json-header": (b'{"order_id":', "__value_schema_id"),
    "confluent-json-prefix": (b"\0\0\x01\x86", ""),
    "confluent-protobuf-header": (b"\n\x06A-", "__value_schema_id"),
    "confluent-protobuf-nested-header": (b"\n", "__value_schema_id"),
    "confluent-protobuf-nested-prefix": (b"\0\0\x01\x86", ""),
    "confluent-protobuf-prefix": (b"\0\0\x01\x86", ""),
    "confluent-protobuf-second": (b"\0\0\x01\x86", ""),
    "connect-json-bare": (b'{"order_id":"A-', ""),
    "connect-json-jdbc": (b'{"schema":{"type":"struct",', ""),
    "connect-json-numeric": (b'{"order_id":"A-', ""),
    "connect-json-schemas": (b'{"schema":{"type":"struct",', ""),
    "debezium-avro": (b"\0\0\0\0", ""),
    "debezium-avro-headers": (b"", f"apicurio.key.globalId apicurio.key.encoding {APICURIO_GLOBAL}"),
    "debezium-json-bare": (b'{"before":', ""),
    "debezium-json-schemas": (b'{"schema":{"type":"struct",', ""),
    "glue-avro": (b"\x03\0", ""),
    "glue-avro-zlib": (b"\x03\x05", ""),
    "jackson-json": (b'{"order_id":"A-', ""),
    "jackson3-json": (b'{"orderId":"A-', ""),
    "python-avro-single": (b"\xc3\x01", ""),
    "python-json": (b'{"order_id": "A-', ""),
    "python-protobuf": (b"\n\x06A-", ""),
}
"""What every value of a recording begins with, and the headers of every record, in their order."""
MESSAGES = {
    "apicurio-protobuf-indexes": [b"\x02\0\n\x06A-"],
    "apicurio-protobuf-prefix": [b"\x07\n\x05Order\n\x06A-"],
    "confluent-protobuf-header": [b"\0"],
    "confluent-protobuf-nested-header": [b"\x04\0\x02", b"\x04\0\0"],
    "confluent-protobuf-nested-prefix": [b"\x04\0\x02\n\x06A-", b"\x04\0\0\n\x08R-"],
    "confluent-protobuf-prefix": [b"\0\n\x06A-"],
    "confluent-protobuf-second": [b"\x02\x02\n\x06A-"],
}
"""Where Protobuf says which message it is, behind id or GUID: the order's first, then the refund's."""
GLUE_COMPRESSED = b"\x03\x05"
LONG_IDS = {"apicurio2-avro-prefix"}
"""Whose prefix is a global id of 8 bytes."""
CONFLUENT_AVRO = [name for name in RECORDINGS if name.startswith("confluent-avro-")] + ["apicurio-avro-prefix"]
WITH_REGISTRY = [name for name, recording in RECORDINGS.items() if recording.registered]


def recordings(names: list[str]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("recording", [RECORDINGS[name] for name in names], ids=names)


def test_no_recording_is_left_without_its_facts() -> None:
    assert list(RECORDINGS) == list(FRAMINGS)
    assert {file.stem for file in FOLDER.glob("*.json")} == {*RECORDINGS, "orders"}


@recordings(list(RECORDINGS))
def test_every_writer_has_written_every_order_once(recording: OrderRecording) -> None:
    orders = [each for each in recording.records if each.expected]
    assert [each.expected for each in orders] == list(EXPECTED.values())
    assert all(each.expected.order_id.encode() in plain(each.record) for each in orders if each.expected)
    assert len({each.name for each in recording.records}) == len(recording.records)
    assert {each.record.position.topic for each in recording.records} == {recording.topic}
    assert [each.record.position.offset for each in recording.records] == list(range(len(recording.records)))


@recordings(list(RECORDINGS))
def test_it_is_said_who_wrote_it_and_how(recording: OrderRecording) -> None:
    assert recording.writer
    assert recording.version[0].isdigit()
    assert recording.how
    assert (PROJECT_DIR / recording.made_by).exists()
    assert all(file.is_file() for file in recording.schema_files)


@recordings(list(RECORDINGS))
def test_it_begins_and_is_headed_as_its_writer_does(recording: OrderRecording) -> None:
    beginning, headers = FRAMINGS[recording.name]
    for each in recording.records:
        if each.record.value is not None:
            assert each.record.value.startswith(beginning)
            assert [name for name, _ in each.record.headers] == headers.split()


@recordings(WITH_REGISTRY)
def test_its_registry_knows_the_schema_that_a_record_names(recording: OrderRecording) -> None:
    for each in recording.records:
        if each.record.value is not None:
            name, value = named_schema(each.record, recording.name in LONG_IDS)
            [subject] = [schema.subject for schema in recording.registered if getattr(schema, name) == value]
            assert subject == f"{recording.topic}-value"


@recordings(list(MESSAGES))
def test_protobuf_says_which_message_it_is(recording: OrderRecording) -> None:
    order, *refund = MESSAGES[recording.name]
    for each in recording.records:
        [message] = [order] if each.expected else refund
        assert behind_the_schema(each.record).startswith(message)


@recordings(CONFLUENT_AVRO)
def test_confluents_own_reader_reads_it_from_the_stand_in(recording: OrderRecording) -> None:
    with StandInRegistry(all_registered()) as registry:
        read = AvroDeserializer(SchemaRegistryClient({"url": registry.url}))
        for each in recording.records:
            context = SerializationContext(recording.topic, MessageField.VALUE, list(each.record.headers))
            assert_is_order(read(each.record.value, context), each)


def test_recordings_agree_on_what_the_registries_know() -> None:
    told = [schema for recording in RECORDINGS.values() for schema in recording.registered]
    merged = all_registered()
    assert all(schema in merged for schema in told)
    for known_by in ("id", "guid"):
        contents = {(getattr(schema, known_by), schema.schema) for schema in merged if getattr(schema, known_by)}
        assert len(contents) == len({value for value, _ in contents})
    global_ids = [schema.global_id for schema in merged if schema.global_id]
    assert len(set(global_ids)) == len(global_ids)


def test_the_stand_in_shows_protobuf_as_text_or_serialized() -> None:
    [schema] = RECORDINGS["confluent-protobuf-prefix"].registered
    with StandInRegistry([schema]) as registry:
        for path in (
            f"schemas/ids/{schema.id}",
            f"schemas/guids/{schema.guid}",
            f"subjects/{schema.subject}/versions/latest",
        ):
            assert asked(f"{registry.url}/{path}")["schema"] == schema.schema
            assert asked(f"{registry.url}/{path}?format=serialized")["schema"] == schema.serialized


def test_the_stand_in_answers_for_apicurios_own_ids() -> None:
    schemas = RECORDINGS["apicurio-avro-headers-global"].registered
    order = schemas[-1]
    with StandInRegistry(schemas) as registry:
        for path in (f"ids/globalIds/{order.global_id}", f"ids/contentIds/{order.id}"):
            assert asked(f"{registry.url}{APICURIO}/{path}") == json.loads(order.schema)
            references = asked(f"{registry.url}{APICURIO}/{path}/references")
            assert [each["artifactId"] for each in references] == [each.subject for each in schemas[:-1]]
        assert asked(f"{registry.url}{COMPATIBLE}/schemas/ids/{order.id}")["references"] == list(order.references)


@pytest.mark.parametrize("path", ["schemas/ids/7", "subjects/x/versions/1", "ids/globalIds/7", "config", ""])
def test_the_stand_in_does_not_find_what_is_not_there(path: str) -> None:
    with StandInRegistry() as registry, pytest.raises(HTTPError, match="404"):
        asked(f"{registry.url}/{path}")


def asked(url: str) -> Any:
    with urlopen(url, timeout=10) as answer:
        return json.loads(answer.read())


def named_schema(record: Record, long_id: bool) -> tuple[str, Any]:
    """How a record names its schema, and by what."""
    headers = dict(record.headers)
    if guid := headers.get("__value_schema_id"):
        assert guid[0] == 1
        return "guid", str(UUID(bytes=guid[1:17]))
    if content_id := headers.get("apicurio.value.contentId"):
        return "id", int.from_bytes(content_id)
    if global_id := headers.get("apicurio.value.globalId"):
        return "global_id", int.from_bytes(global_id)
    value = record.value or b""
    assert value[0] == 0
    return ("global_id", int.from_bytes(value[1:9])) if long_id else ("id", int.from_bytes(value[1:5]))


def plain(record: Record) -> bytes:
    value = record.value or b""
    return zlib.decompress(value[18:]) if value.startswith(GLUE_COMPRESSED) else value


def behind_the_schema(record: Record) -> bytes:
    """What stands behind the GUID or the id of the schema."""
    guid = dict(record.headers).get("__value_schema_id")
    return (record.value or b"")[5:] if guid is None else guid[17:]


def assert_is_order(content: dict[str, Any], recorded: RecordedOrder) -> None:
    assert ("refund_id" in content) == (recorded.expected is None)
    if recorded.expected:
        assert content["order_id"] == recorded.expected.order_id
        assert content["customer"]["id"] == recorded.expected.customer_id
        assert content["lines"][0]["sku"] == recorded.expected.product
        assert content["total"].scaleb(2) == recorded.expected.price_cents
