"""Records of any format under any mapping: an order, none, or a reason; many at once are read no other way."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

from google.protobuf import message_factory
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import MappingFileError
from pipeline.orders.formats.json_values import JsonReader
from pipeline.orders.formats.schemas import Schemas
from pipeline.orders.mapped_reader import MappedReader
from pipeline.orders.mapping.paths import PathError, parse_path
from pipeline.schema_source import RegisteredSchema, SchemaGuid, SchemaId
from tests.fuzz.cases import cases
from tests.support.avro_records import SchemaMaker, drawn_value, names_of, paths_into
from tests.support.mapped import STORE, TOPIC, mapped, read_both_ways, reader_of, record_of, section
from tests.support.protobuf_records import ORDER_TYPES, PATHS, PROTOBUF, fill, message_types, shop_file, wrapped

JSON_RULES = section(
    where="'kind != \"other\" and n < 9'",
    order_id='["id", "order.id", "key"]',
    product='{ path = "lines[].sku", line = "dearest", by = "sum(lines[].price * lines[].n)", default = "none" }',
    price='["total", "sum(lines[].price * lines[].n)"]',
    created_at='{ path = ["at", "header:at", "timestamp"], unit = "s", zone = "Europe/Berlin" }',
    currency='{ code = "EUR", path = ["currency", "header:currency"] }',
)
READER = reader_of(JSON_RULES)
PAYLOAD_READER = reader_of(
    section(order_id='"payload.id"', price='{ path = "payload.total", base64_scale = 2 }', created_at='"payload.at"')
)
WORDS = st.sampled_from(
    "id order lines sku price n total at currency kind EUR other schema payload key units nanos".split()
)
NUMBERS = st.sampled_from([0, -1, 7, 1.5, 10**30, 1e300, 1_700_000_000, 2**63])
JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | NUMBERS
    | WORDS
    | st.sampled_from(["AQ==", "2026-10-25T02:30", "2026-01-01T00:00:00Z", "²"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=6),
    max_leaves=15,
)
ORDERS = st.fixed_dictionaries(
    {},
    optional={
        "id": JSON_VALUES,
        "order": JSON_VALUES,
        "kind": JSON_VALUES,
        "n": JSON_VALUES,
        "total": JSON_VALUES,
        "at": JSON_VALUES,
        "currency": st.just("EUR") | JSON_VALUES,
        "lines": st.lists(
            st.fixed_dictionaries({}, optional={k: JSON_VALUES for k in ("sku", "price", "n")}), max_size=3
        )
        | JSON_VALUES,
    },
)
HEADERS = st.lists(
    st.tuples(
        st.sampled_from(["at", "currency", "content-type", "__value_schema_id", "apicurio.value.contentId"]),
        st.none() | st.binary(max_size=18),
    ),
    max_size=2,
).map(tuple)


@cases(20_000)
@given(st.lists(st.tuples(ORDERS.map(lambda o: json.dumps(o).encode()) | st.binary(max_size=20), HEADERS), max_size=3))
def test_json_of_any_shape_is_an_order_or_has_a_reason(made):
    read_both_ways(READER, [record_of(value, headers) for value, headers in made])


@cases(10_000)
@given(schema=JSON_VALUES, payload=JSON_VALUES | ORDERS, more=st.dictionaries(WORDS, JSON_VALUES, max_size=1))
def test_connects_envelope_of_any_schema_is_an_order_or_has_a_reason(schema, payload, more):
    fields = {"type": "struct", "fields": [{"field": "at", "name": "org.apache.kafka.connect.data.Timestamp"}]}
    values = [{"schema": each, "payload": payload} | more for each in (schema, fields)]
    read_both_ways(PAYLOAD_READER, [record_of(json.dumps(v, separators=(",", ":")).encode()) for v in values * 2])


@st.composite
def avro_batches(draw):
    """A mapping of some paths, and records of one schema with some bytes changed."""
    schema = SchemaMaker(draw, draw(st.booleans())).record()
    names = names_of(schema)
    written = [
        ".".join(map(str, each)) for each in paths_into(schema, names)[1:] if all(isinstance(s, str) for s in each)
    ]
    text = st.sampled_from([path.replace(".[]", "[]") for path in written])
    single = text.filter(lambda path: "[]" not in path)
    fields = {
        "order_id": json.dumps(draw(text)),
        "product": json.dumps(draw(text)) if draw(st.booleans()) else '{ constant = "p" }',
        "price": f'{{ path = {json.dumps(draw(single))}, float = true, default = "1" }}',
        "created_at": f'{{ path = {json.dumps(draw(text))}, unit = "us", zone = "UTC" }}'
        if draw(st.booleans())
        else '"timestamp"',
    }
    values = []
    for _ in range(draw(st.integers(1, 4))):
        value = drawn_value(draw, schema, names).encoded
        at = draw(st.integers(0, len(value)))
        changed = value[:at] + draw(st.binary(max_size=2)) + value[at + draw(st.integers(0, 2)) :]
        values.append(draw(st.sampled_from([value, value, changed])))
    return section(**fields), json.dumps(schema), values


@cases(15_000)
@given(avro_batches())
def test_avro_of_any_schema_is_an_order_or_has_a_reason(batch):
    text, schema, values = batch
    registered = RegisteredSchema("AVRO", schema)
    reader = reader_of(text, {SchemaId(7): registered, SchemaGuid(bytes(16)): registered})
    framed = [record_of(b"\0\0\0\0\7" + value) for value in values]
    read_both_ways(reader, framed + [record_of(value, (("__value_schema_id", b"\1" + bytes(16)),)) for value in values])


MESSAGE = message_factory.GetMessageClass(ORDER_TYPES["proto3"])
SINGLE_PATHS = [each for each in PATHS if "[]" not in each]
NEXT_INDEXES = [b"\0", b"\2\0", b"\4\0\0", b"\2\2", b"\1", b"\x7f", b"\7\n\5Order", b""]
"""Behind the id: the first message, in short and at length, one inside of it, none; and by its name."""


@st.composite
def protobuf_batches(draw):
    """A mapping of some paths, and messages of one schema with some bytes changed."""
    single = st.sampled_from(SINGLE_PATHS)
    fields = {
        "order_id": json.dumps(draw(single)),
        "product": f'{{ path = {json.dumps(draw(st.sampled_from(PATHS)))}, default = "none" }}',
        "price": draw(
            st.sampled_from(['"sum(lines[].small * lines[].again.cash)"', '{ path = "double", float = true }'])
        )
        if draw(st.booleans())
        else f'{{ path = {json.dumps(draw(single))}, float = true, default = "1" }}',
        "created_at": draw(st.sampled_from(['"at"', '"timestamp"', '{ path = "again.at", default = "1" }'])),
    }
    if draw(st.booleans()):
        fields["where"] = json.dumps(f'{draw(single)} != "NEW" or @type == "Order"')
    values = []
    for _ in range(draw(st.integers(1, 4))):
        value = fill(draw, MESSAGE()).SerializeToString()
        if draw(st.integers(0, 5)) == 0:
            value = wrapped(value, draw(st.integers(1, 130)))
        at = draw(st.integers(0, len(value)))
        changed = value[:at] + draw(st.binary(max_size=2)) + value[at + draw(st.integers(0, 2)) :]
        values.append(draw(st.sampled_from([value, value, changed])))
    return section(**fields), values


@cases(15_000)
@given(protobuf_batches(), st.sampled_from(NEXT_INDEXES))
def test_protobuf_of_any_message_is_an_order_or_has_a_reason(batch, indexes):
    text, values = batch
    reader = reader_of(text, {SchemaId(8): PROTOBUF, SchemaGuid(bytes(16)): PROTOBUF})
    prefixed = [record_of(b"\0\0\0\0\x08" + indexes + value) for value in values]
    by_header = (("__value_schema_id", b"\1" + bytes(16) + indexes),)
    read_both_ways(reader, prefixed + [record_of(value, by_header) for value in values])


@cases(10_000)
@given(protobuf_batches())
def test_protobuf_without_a_framing_is_an_order_or_has_a_reason(batch):
    text, values = batch
    recipe = mapped(text).recipe(TOPIC)
    recipe = replace(recipe, section=replace(recipe.section, message="shop.Order"))
    reader = MappedReader(recipe, Schemas(STORE, None), message_types("proto3"))
    read_both_ways(reader, [record_of(value) for value in values])


@cases(5_000)
@given(st.data())
def test_a_schema_of_protobuf_that_is_damaged_is_read_by_or_has_a_reason(data):
    file = shop_file("proto3").SerializeToString()
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(file) - 1))
        file = file[:at] + data.draw(st.binary(max_size=2)) + file[at + data.draw(st.integers(0, 2)) :]
    try:
        FileDescriptorProto.FromString(file)
    except DecodeError:
        return  # the text of a schema then, which a compiler of its own process reads
    schema = RegisteredSchema("PROTOBUF", base64.b64encode(file).decode())
    message = fill(data.draw, MESSAGE()).SerializeToString()
    fields = section(order_id='"text"', price='{ path = "double", float = true }', created_at='"again.at"')
    read_both_ways(reader_of(fields, {SchemaId(8): schema}), [record_of(b"\0\0\0\0\x08\0" + message)])


@cases(20_000)
@given(st.text("ab.[]\"\\0-1@ k'ey:(),", max_size=12))
def test_a_path_is_written_as_it_is_read_or_is_none(text):
    try:
        path = parse_path(text)
    except PathError:
        return
    assert parse_path(str(path)) == path
    JsonReader([path]).read(b"{}")


TOML_VALUES = st.recursive(
    st.sampled_from(
        [
            '"id"',
            '"lines[].x"',
            '"sum(a[].b)"',
            '"²"',
            "1",
            "true",
            "1e5",
            "nan",
            "[]",
            '""',
            '"key"',
            "2026-01-01",
            '"x == 1"',
        ]
    ),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda each: f"[{', '.join(each)}]")
        | st.dictionaries(
            st.sampled_from("path constant default line by unit zone code base64_scale float".split()),
            inner,
            max_size=3,
        ).map(lambda each: "{" + ", ".join(f"{key} = {value}" for key, value in each.items()) + "}")
    ),
    max_leaves=6,
)
KEYS = st.sampled_from(
    "order_id customer_id product price created_at region where currency format descriptor message other".split()
)


@cases(5_000)
@given(
    st.dictionaries(KEYS, TOML_VALUES, max_size=8),
    st.sampled_from([TOPIC, "^shop", "^(", "^a{99999999999999999999}", "ü"]),
)
def test_a_mapping_file_of_anything_is_read_or_refused_in_one_line(keys, topic):
    text = f"[topics.{json.dumps(topic, ensure_ascii=False)}]\n" + "\n".join(
        f"{key} = {value}" for key, value in keys.items()
    )
    try:
        mapped(text)
    except MappingFileError as error:
        refused = str(error)
    else:
        return
    assert refused.startswith("the mapping file mapping.toml")
    assert "\n" not in refused
