"""A section is proposed of records of any kind: the parser takes it, people can edit it, and it is tried on them."""

from __future__ import annotations

import json
import tomllib
from functools import partial

from google.protobuf import message_factory
from hypothesis import given
from hypothesis import strategies as st

from pipeline.dead_letters.fingerprints import without_varying_parts
from pipeline.errors import UsageError
from pipeline.orders.mapping.mapping_file import parse_mappings
from pipeline.orders.order_reader import OrderReader
from pipeline.orders.proposing.cells import EDITED_KEYS, Cells, section_of_cells
from pipeline.orders.proposing.propose import propose
from pipeline.orders.proposing.sample import look_through
from pipeline.orders.proposing.shown import key_text, shown_headers, value_text
from pipeline.orders.proposing.trial import try_records
from pipeline.orders.rules import Rules
from pipeline.orders.serde import OrderCodec
from pipeline.orders.whole_reader import WholeReader
from pipeline.schema_source import RegisteredSchema, SchemaId
from pipeline.settings import PROJECT_DIR
from tests.fuzz.cases import cases
from tests.support.avro_records import SchemaMaker, drawn_value, names_of
from tests.support.buffer_rows import NOW_MS
from tests.support.mapped import STORE, TOPIC, RegistryByHand, record_of
from tests.support.protobuf_records import ORDER_TYPES, PROTOBUF, fill, wrapped

NAMES = st.sampled_from(
    "id order_id orderId customer user lines items sku product price unit_price qty quantity total amount units nanos "
    "scale value currency created_at time type status op before after payload schema source region country key "
    'timestamp header:x a.b sum(x) c"d @type'.split()
)
WORDS = st.sampled_from(
    ["EUR", "usd", "c", "d", "order.created", "o-1", "o-2", "19.99", "AQ==", "2026-01-01T00:00:00Z", "2026-10-25 02:30"]
)
NUMBERS = st.sampled_from([0, -1, 7, 19.99, 0.1 + 0.2, 1e300, 10**30, 2**63, 1_700_000_000, 1_700_000_000_000])
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | WORDS | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES | st.text(max_size=3), inner, max_size=6),
    max_leaves=20,
)
JSON = st.dictionaries(NAMES, VALUES, max_size=8).map(lambda each: json.dumps(each).encode())
MESSAGE = message_factory.GetMessageClass(ORDER_TYPES["proto3"])
HEADERS = st.lists(st.tuples(st.text(max_size=6) | NAMES, st.none() | st.binary(max_size=12)), max_size=3).map(tuple)


@st.composite
def samples(draw):
    """Records of one topic, each written in one of several ways or damaged, and a registry that knows their schemas."""
    schema = SchemaMaker(draw).record()
    names = names_of(schema)
    kinds = {
        "json": lambda: draw(JSON),
        "avro": lambda: b"\0\0\0\0\7" + drawn_value(draw, schema, names).encoded,
        "protobuf": lambda: b"\0\0\0\0\x08\0" + fill(draw, MESSAGE()).SerializeToString(),
        "deep": lambda: b"\0\0\0\0\x08\0" + wrapped(b"", draw(st.integers(1, 130))),
        "bytes": lambda: draw(st.binary(max_size=20)),
        "null": lambda: None,
    }
    # Most topics have records of one kind, with a few others among them.
    usual, records = draw(st.sampled_from(list(kinds))), []
    for offset in range(draw(st.integers(1, 6))):
        value = kinds[draw(st.sampled_from([usual, usual, usual, *kinds]))]()
        if value and draw(st.integers(0, 4)) == 0:
            at = draw(st.integers(0, len(value)))
            value = value[:at] + draw(st.binary(max_size=2)) + value[at + draw(st.integers(0, 2)) :]
        key = draw(st.none() | st.just(b"C-7") | st.binary(max_size=4))
        timestamp_ms = draw(st.sampled_from([NOW_MS, -1, 0]))
        records.append(record_of(value, draw(HEADERS), key, timestamp_ms, draw(st.booleans()), offset))
    known = {SchemaId(7): RegisteredSchema("AVRO", json.dumps(schema)), SchemaId(8): PROTOBUF}
    return records, OrderCodec(STORE, RegistryByHand(known))


@cases(3_000)
@given(samples(), st.sampled_from(["", "EUR", "JPY"]))
def test_of_any_records_a_section_is_proposed_that_can_be_edited_and_tried(sampled, code):
    records, codec = sampled
    sample = look_through(TOPIC, records, WholeReader(codec.schemas), without_varying_parts)
    proposal = propose(sample, code)
    assert all(letter.isprintable() or letter == "\n" for letter in proposal.text)

    mapped = parse_mappings(proposal.text.encode(), PROJECT_DIR / "mapping.toml")
    assert tomllib.loads(proposal.text)["topics"][TOPIC] == proposal.table
    cells = {key: Cells.of(proposal.table.get(key)) for key in EDITED_KEYS}
    written = section_of_cells(TOPIC, cells, {})
    assert parse_mappings(written.encode(), PROJECT_DIR / "mapping.toml").mappings == mapped.mappings

    read = partial(OrderReader(codec, mapped).read, TOPIC)
    trial = try_records(records, read, Rules(()), mapped.mappings.currency, without_varying_parts, NOW_MS)
    assert trial.records == len(records)
    assert sum(count for count, _ in trial.reasons) == trial.refused
    assert all(reason and "\n" not in reason for _, reason in trial.reasons)

    for each in sample.records:
        shown = [value_text(each.value, each.record.value), key_text(each.record.key)]
        shown += [text for pair in shown_headers(each.record.headers) for text in pair]
        json.dumps(shown).encode()


@cases(4_000)
@given(st.text(max_size=30), st.text("path=\"'{}[],.a1 ", max_size=30), st.sampled_from(EDITED_KEYS))
def test_whatever_is_typed_into_the_cells_is_a_section_or_said_to_be_none(source, options, key):
    try:
        text = section_of_cells(TOPIC, {key: Cells(source, options)}, {key: source}, [options])
    except UsageError as error:
        refused = str(error)
    else:
        assert set(tomllib.loads(text)["topics"][TOPIC]) <= {key}
        return
    assert "\n" not in refused
