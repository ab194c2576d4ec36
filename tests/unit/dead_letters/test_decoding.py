"""Keys and values of dead letters as people read them: by every reader in its turn, with the reasons of the others."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.clock import wall_clock_ms
from pipeline.dead_letters.asked_once import MOST_UNKNOWN, AskedOnce
from pipeline.dead_letters.decoding import MAXIMUM_BYTES, Decoded, Decoder
from pipeline.errors import RegistryUnavailableError, SchemaPendingError
from pipeline.kafka.schema_registry import RegistryClient
from pipeline.orders.avro_schemas import SchemaStore
from pipeline.orders.formats.plain_values import SHOWN_BYTES, json_text, plain
from pipeline.orders.formats.schemas import Schemas
from pipeline.orders.mapping.mapping_file import Mapped, parse_mappings
from pipeline.orders.mapping.values import Instant, JsonNumber, Unread, ValueMismatchError
from pipeline.schema_source import ReferencedSchema, RegisteredSchema, SchemaId
from pipeline.settings import PROJECT_DIR, load_settings
from tests.support.mapped import RegistryByHand
from tests.support.order_recordings import FOLDER, SCHEMA_FOLDER, all_registered, order_recordings
from tests.support.recordings import recordings
from tests.support.stand_in_registry import COMPATIBLE, StandInRegistry

RECORDED = order_recordings()
LETTERS = recordings()
STORE = SchemaStore(PROJECT_DIR / "schemas")
GLUE = {"glue-avro", "glue-avro-zlib"}


@pytest.fixture(scope="module")
def mapped() -> Mapped:
    return parse_mappings((FOLDER / "mapping.toml").read_bytes(), FOLDER / "mapping.toml")


@pytest.fixture(scope="module")
def decoder(mapped: Mapped, tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("schemas")
    for file in (*(PROJECT_DIR / "schemas").glob("*.avsc"), SCHEMA_FOLDER / "order.avsc"):
        (folder / file.name).write_bytes(file.read_bytes())
    with StandInRegistry(all_registered()) as registry:
        settings = load_settings(schema_registry_url=f"{registry.url}{COMPATIBLE}")
        client = RegistryClient(settings, wall_clock_ms)
        yield Decoder(Schemas(SchemaStore(folder), client), lambda: mapped)


PLAIN = Decoder(Schemas(STORE, None))


def avro(schema: object, *referenced: object) -> Decoder:
    """What decodes schema id 1 as this schema."""
    found = RegisteredSchema(
        "AVRO", json.dumps(schema), tuple(ReferencedSchema(str(each), json.dumps(each)) for each in referenced)
    )
    return Decoder(Schemas(STORE, RegistryByHand({SchemaId(1): found})))


def framed(body: bytes, schema_id: int = 1) -> bytes:
    return b"\0" + schema_id.to_bytes(4, "big") + body


def reasons(decoded: Decoded) -> dict[str, str]:
    return {each.reader: each.reason for each in decoded.declined}


# ---- recorded streams


@pytest.mark.parametrize("name", sorted(set(RECORDED) - GLUE))
def test_values_of_every_recorded_stream_are_data_with_the_order_in_it(name: str, decoder: Decoder) -> None:
    recording = RECORDED[name]
    for each in recording.records:
        found = decoder.value(each.record.value, each.record.headers, recording.topic)
        if not each.record.value:
            assert found.format == "null"
            continue
        assert found.is_data, (each.name, found.declined)
        text = json_text(found.value)
        assert json.loads(text, parse_float=Decimal) is not None
        if each.expected is not None:
            assert json_text(each.expected.order_id) in text
            assert json_text(each.expected.product) in text


@pytest.mark.parametrize("name", sorted(name for name in RECORDED if "avro" in name and name not in GLUE))
def test_logical_types_of_avro_are_readable(name: str, decoder: Decoder) -> None:
    recording = RECORDED[name]
    each = next(each for each in recording.records if each.expected is not None)
    assert each.expected is not None
    found = decoder.value(each.record.value, each.record.headers, recording.topic)
    text = json_text(found.value)
    assert f'"total":{each.expected.price_cents // 100}.{each.expected.price_cents % 100:02}' in text
    assert '"2023-11-14T22:13:20.000' in text
    assert found.format == "Avro"


@pytest.mark.parametrize("name", sorted(GLUE))
def test_a_framing_that_is_not_read_is_named_and_shown_in_hexadecimal(name: str, decoder: Decoder) -> None:
    record = RECORDED[name].records[0].record
    found = decoder.value(record.value, record.headers, name)
    assert found.format == "hex"
    assert "AWS Glue's schema registry" in reasons(found)["registry"]
    assert list(reasons(found)) == ["registry", "schemas folder", "JSON", "text"]


@pytest.mark.parametrize(
    "name", ["debezium-avro", "debezium-avro-headers", "debezium-json-bare", "debezium-json-schemas"]
)
def test_keys_are_decoded_as_values_are(name: str, decoder: Decoder) -> None:
    record = RECORDED[name].records[0].record
    found = decoder.key(record.key, record.headers)
    assert found.is_data
    assert '"id":"A-1001"' in json_text(found.value)


def test_schemas_are_named_with_what_the_record_says_of_them(decoder: Decoder) -> None:
    def schema(name: str) -> str:
        record = RECORDED[name].records[0].record
        found = decoder.value(record.value, record.headers, name)
        return f"{found.format}: {found.schema}"

    assert schema("confluent-avro-prefix") == "Avro: shop.Order, schema id 100001"
    assert schema("confluent-protobuf-second") == "Protobuf: shop.checkout.SubscriptionOrder, schema id 100004"
    assert schema("confluent-json-prefix") == "JSON: Order, schema id 100002"
    assert schema("python-protobuf") == "Protobuf: shop.Order, schemas/shop.desc"
    assert schema("avro-java-single") == "Avro: shop.Order, schema fingerprint 40a1a6c209cf92e5"
    assert schema("connect-json-schemas") == "JSON of Kafka Connect: "


@pytest.mark.parametrize("name", sorted(LETTERS))
def test_every_recorded_dead_letter_has_an_answer(name: str, decoder: Decoder) -> None:
    each = LETTERS[name]
    for found in (decoder.value(each.value, each.headers, "orders"), decoder.key(each.key, each.headers)):
        assert found.format
        json.loads(json_text(found.value))


# ---- the order, and the reasons


def test_each_reader_that_came_before_says_why_it_declined() -> None:
    assert reasons(PLAIN.value(b"caf\xc3\xa9 <b>bold</b>")) == {
        "registry": "value names no schema: it begins with 0x63, and no header has an id",
        "schemas folder": "value does not begin with C3 01 and a fingerprint, as single-object encoding does",
        "JSON": "value begins with 0x63: no object, no list and no quoted text",
    }
    found = PLAIN.key(b"\xff\xfe")
    assert (found.format, found.value) == ("hex", "hex:fffe")
    assert reasons(found)["text"] == "key is no text: byte 0 is no UTF-8"
    assert reasons(PLAIN.value(b"a\tb\x07"))["text"] == (
        "value is no text: U+0007 at byte 3 is no letter that can be shown"
    )


def test_text_stays_text_and_null_is_not_empty() -> None:
    found = PLAIN.value(b"<script>alert(1)</script>\n")
    assert (found.format, found.value, found.is_data) == ("text", "<script>alert(1)</script>\n", False)
    assert PLAIN.value(None) == Decoded("null", None)
    assert PLAIN.key(b"") == Decoded("empty", None)


@pytest.mark.parametrize("bare", [b"42", b"00042", b"true", b"null", b"-1.50"])
def test_a_bare_number_or_word_is_text_as_ids_are(bare: bytes) -> None:
    assert (PLAIN.key(bare).format, PLAIN.key(bare).value) == ("text", bare.decode())


def test_json_keeps_every_digit() -> None:
    numbers = "[1.10, 12345678901234567890, 1e400, -0, 90071992547409.93]"
    assert json_text(PLAIN.value(numbers.encode()).value) == numbers.replace(" ", "")
    broken = PLAIN.value(b'{"a": 1,}')
    assert broken.format == "text"
    assert reasons(broken)["JSON"].startswith("value is no JSON: ")


def test_without_a_registry_it_is_said_which_setting_is_missing() -> None:
    found = PLAIN.value(framed(b"\x02"))
    assert found.format == "hex"
    assert reasons(found)["registry"] == "schema id 1 needs a registry (ORDERPULSE_SCHEMA_REGISTRY_URL is not set)"


@pytest.mark.parametrize(
    "error", [SchemaPendingError("unknown schema id 1, so far"), RegistryUnavailableError("it does not answer")]
)
def test_what_may_still_be_known_is_said_to_wait(error: Exception) -> None:
    found = Decoder(Schemas(STORE, RegistryByHand({SchemaId(1): error}))).value(framed(b"\x02"))
    assert (found.format, found.waits, reasons(found)["registry"]) == ("hex", True, str(error))


def test_the_file_that_the_section_of_the_source_topic_names_comes_first(mapped: Mapped) -> None:
    registry = RegistryByHand()
    decoder = Decoder(Schemas(STORE, registry), lambda: mapped)
    bare = RECORDED["python-protobuf"].records[0].record.value
    assert decoder.value(bare, (), "python-protobuf").schema == "shop.Order, schemas/shop.desc"
    assert not registry.asked
    elsewhere = decoder.value(bare, (), "others")
    assert not elsewhere.is_data
    assert "mapping file" not in reasons(elsewhere)
    # Protobuf takes this for fields that the message has not.
    unknown = decoder.value(b"\xfa\x7f\x00", (), "python-protobuf")
    assert reasons(unknown)["mapping file"] == "value has no field of shop.Order"
    json_there = decoder.value(b'{"order_id": "A"}', (), "python-protobuf")
    assert json_there.format == "JSON"


def test_a_changed_mapping_file_counts_at_once(mapped: Mapped) -> None:
    now = [Mapped(mapped.mappings, {})]
    decoder = Decoder(Schemas(STORE, None), lambda: now[0])
    bare = RECORDED["python-protobuf"].records[0].record.value
    assert not decoder.value(bare, (), "python-protobuf").is_data
    now[0] = mapped
    assert decoder.value(bare, (), "python-protobuf").is_data


# ---- types


def test_types_of_avro_are_readable_and_exact() -> None:
    fields = {
        "decimal": {"type": "bytes", "logicalType": "decimal", "precision": 20, "scale": 4},
        "micros": {"type": "long", "logicalType": "timestamp-micros"},
        "local": {"type": "long", "logicalType": "local-timestamp-millis"},
        "date": {"type": "int", "logicalType": "date"},
        "uuid": {"type": "fixed", "size": 16, "name": "U", "logicalType": "uuid"},
        "raw": "bytes",
        "enum": {"type": "enum", "name": "E", "symbols": ["NEW", "OLD"]},
        "map": {"type": "map", "values": "long"},
        "union": ["null", "string"],
        "double": "double",
        "float": "float",
    }
    schema = {"type": "record", "name": "T", "fields": [{"name": name, "type": kind} for name, kind in fields.items()]}
    body = (
        b"\x06\x01\xe2\x40"  # 123456: 12.3456
        b"\x82\x80\xf2\x81\x83\x89\x85\x06"
        b"\x01"  # -1 ms
        b"\x02"  # one day
        + bytes(range(16))
        + b"\x04\x00\xff"
        + b"\x02"
        + b"\x02\x02a\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00"
        + b"\x02\x02x"
        + bytes.fromhex("9a9999999999b93f")
        + bytes.fromhex("cdcccc3d")
    )
    found = avro(schema).value(framed(body))
    assert found.format == "Avro", found.declined
    assert json_text(found.value) == (
        '{"decimal":12.3456,"micros":"2023-11-14T22:13:20.000001Z","local":"1969-12-31T23:59:59.999",'
        '"date":"1970-01-02","uuid":"00010203-0405-0607-0809-0a0b0c0d0e0f","raw":"hex:00ff","enum":"OLD",'
        '"map":{"a":9223372036854775807},"union":"x","double":0.1,"float":0.1}'
    )


def test_plain_data_says_what_cannot_be_data() -> None:
    odd = {
        "nan": float("nan"),
        "infinite": float("-inf"),
        "far": Instant(10**18, 1),
        "wrong": ValueMismatchError("a decimal of 70 bytes and scale 3"),
        "long": b"\0" * (SHOWN_BYTES + 1),
        "unread": Unread("a list of 90000 bytes"),
        "half": "\ud800",
        "exponent": Decimal("1E+5000"),
        "hundreds": Decimal("1E+3"),
        "places": Decimal("1.500"),
    }
    made = plain(odd)
    assert made["nan"] == "NaN"
    assert made["infinite"] == "-Infinity"
    assert made["far"].startswith("a time (1000000000000000000")
    assert made["wrong"] == "unreadable: a decimal of 70 bytes and scale 3"
    assert made["long"].endswith("… of 4,097 bytes")
    assert (made["unread"], made["half"]) == ("a list of 90000 bytes", "?")
    assert json_text([made["exponent"], made["hundreds"], made["places"]]) == "[1E+5000,1000,1.500]"


def test_pretty_json_is_indented_and_ends_where_there_is_room_for_no_more() -> None:
    value = {"a": [1, JsonNumber("2.50")], "b": {}, "c": []}
    assert json_text(value, indent=2) == '{\n  "a": [\n    1,\n    2.50\n  ],\n  "b": {},\n  "c": []\n}'
    assert len(json_text(["x" * 10] * 100_000, maximum_letters=1_000)) < 1_100


def test_a_schema_that_cannot_be_read_is_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = RegistryByHand({SchemaId(1): RegisteredSchema("PROTOBUF", "syntax = nonsense")})
    decoder = Decoder(Schemas(STORE, registry))
    first = reasons(decoder.value(framed(b"\x00")))["registry"]
    assert first.startswith("schema id 1 cannot be read: protoc refuses it")
    monkeypatch.setattr("subprocess.run", lambda *_, **__: pytest.fail("compiled again"))
    assert reasons(decoder.value(framed(b"\x00")))["registry"] == first
    assert len(registry.asked) == 1


def test_a_command_asks_for_each_schema_once_and_not_for_any_number_that_there_are_not() -> None:
    registry = RegistryByHand({SchemaId(1): SCHEMAS_OF_ALL_KINDS[5]})
    asked_once = AskedOnce(registry)
    for schema_id in [*range(2, MOST_UNKNOWN + 100), 2]:
        decoder = Decoder(Schemas(STORE, asked_once))
        assert "schema id" in reasons(decoder.value(framed(b"\xff", schema_id)))["registry"]
    assert len(registry.asked) == MOST_UNKNOWN
    assert "is not asked for: 1,000 others were unknown" in reasons(decoder.value(framed(b"", 5000)))["registry"]


# ---- bounds


def test_what_is_large_or_deep_is_not_taken_apart() -> None:
    large = PLAIN.value(b'["' + b"x" * MAXIMUM_BYTES + b'"]')
    assert (large.format, large.cut) == ("text", f"the first 10,000,000 of {MAXIMUM_BYTES + 4:,} bytes")
    assert reasons(large) == {"all": "value has 10,000,004 bytes; at most 10,000,000 are decoded"}
    assert PLAIN.value(b'["' + b"x" * (MAXIMUM_BYTES - 4) + b'"]').format == "JSON"
    many = PLAIN.value(b"[" + b"0," * 300_000 + b"0]")
    assert many.format == "text"
    assert "more than 200,000 values" in reasons(many)["JSON"]
    for depth, reason in ((200, "nested more than 100 deep"), (100_000, "nested more than 400 deep")):
        deep = PLAIN.value(b"[" * depth + b"]" * depth)
        assert deep.format == "text"
        assert reason in reasons(deep)["JSON"]
    binary = PLAIN.value(b"\xff" * (MAXIMUM_BYTES + 1))
    assert binary.format == "hex"
    assert len(binary.value) < 3 * SHOWN_BYTES


SCHEMAS_OF_ALL_KINDS = {
    1: RegisteredSchema("AVRO", (SCHEMA_FOLDER / "order_of_references.avsc").read_text(), ()),
    2: RegisteredSchema("AVRO", (SCHEMA_FOLDER / "order.avsc").read_text(), ()),
    3: RegisteredSchema("PROTOBUF", (SCHEMA_FOLDER / "shop.proto").read_text(), ()),
    4: RegisteredSchema("JSON", (SCHEMA_FOLDER / "order.schema.json").read_text(), ()),
    5: RegisteredSchema("AVRO", '"bytes"', ()),
}
ALL_KINDS = Decoder(
    Schemas(STORE, RegistryByHand({SchemaId(number): each for number, each in SCHEMAS_OF_ALL_KINDS.items()})),
    lambda: parse_mappings((FOLDER / "mapping.toml").read_bytes(), FOLDER / "mapping.toml"),
)
HEADER_NAMES = ("__value_schema_id", "__key_schema_id", "apicurio.value.contentId", "content-type", "x")


@given(
    st.one_of(
        st.binary(max_size=300),
        st.builds(framed, st.binary(max_size=300), st.integers(0, 6)),
        st.builds(lambda body: b"\xc3\x01" + body, st.binary(max_size=40)),
        st.text(max_size=100).map(lambda text: text.encode("utf-8", "surrogatepass")),
        st.recursive(st.text(max_size=5) | st.floats() | st.integers(), lambda inner: st.lists(inner)).map(
            lambda value: json.dumps(value).encode()
        ),
    ),
    st.lists(st.tuples(st.sampled_from(HEADER_NAMES), st.binary(max_size=20) | st.none()), max_size=3).map(tuple),
)
def test_any_bytes_have_an_answer(data: bytes, headers) -> None:
    for found in (ALL_KINDS.value(data, headers, "python-protobuf"), ALL_KINDS.key(data, headers)):
        text = json_text(found.value)
        json.loads(text)
        text.encode()
        assert found.format != "hex" or [each.reader for each in found.declined][-1] == "text"


@given(
    st.recursive(
        st.text() | st.integers() | st.booleans() | st.none(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_what_is_written_as_json_reads_the_same(value) -> None:
    for indent in (None, 2):
        assert json.loads(json_text(plain(value), indent)) == value
