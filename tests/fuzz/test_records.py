"""Avro bytes, schemas and headers of any kind: an order, a dead letter, or one of our errors; no byte is lost."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.buffer import Advance, Parked, open_buffer, record_id
from pipeline.dead_letters.causes import TITLE_LIMIT, fingerprint
from pipeline.dead_letters.collector import dead_letter_row, orders_in
from pipeline.errors import RegistryUnavailableError, TransientError, UndecodableError
from pipeline.headers import DIALECTS, headers_from_json, headers_to_json, read_failure, reason_of
from pipeline.orders.avro import FIRST_MS, LAST_MS
from pipeline.orders.avro_schemas import SchemaStore
from pipeline.orders.formats.framing import SINGLE_OBJECT_MARK
from pipeline.orders.order_reader import OrderReader
from pipeline.orders.serde import OrderCodec
from pipeline.records import Order, Position, Record, TopicIdentity
from pipeline.schema_source import RegisteredSchema, SchemaId, SchemaRef
from pipeline.settings import PROJECT_DIR
from tests.fuzz.cases import cases
from tests.support.buffer_rows import NOW_MS, batch, collector, processor

STORE = SchemaStore(PROJECT_DIR / "schemas")
IDENTITY = TopicIdentity("cluster-1", "orders-dlq", "dlq-id")
ANY_TEXT = st.text(st.characters(exclude_categories=())) | st.sampled_from(["\ud800", "a \udfff b"])
"""With halves of surrogate pairs, which a handler's error may hold and UTF-8 does not."""
KAFKA_TEXT = st.text(st.characters(exclude_categories=["Cs"]))
MAYBE_BYTES = st.none() | st.binary(max_size=40)


class Registry:
    """Schemas by id, among them some that are none; one id stands for a registry that is away."""

    def __init__(self) -> None:
        self.schemas: dict[SchemaRef, str] = {SchemaId(version): STORE.version(version).text for version in (1, 2)}

    def get(self, ref: SchemaRef) -> RegisteredSchema | None:
        if ref == SchemaId(3):
            raise RegistryUnavailableError("it is away")
        text = self.schemas.get(ref)
        return None if text is None else RegisteredSchema("AVRO", text)

    def recheck(self) -> None:
        """Nothing was left unanswered."""


REGISTRY = Registry()
CODEC = OrderCodec(STORE, REGISTRY)
ORDERS = st.builds(
    Order,
    KAFKA_TEXT,
    KAFKA_TEXT,
    KAFKA_TEXT,
    st.integers(-(10**12) + 1, 10**12 - 1),
    st.integers(FIRST_MS, LAST_MS),
    KAFKA_TEXT,
)


def decoded(codec, value):
    """The order, or the error that decoding is allowed to end in."""
    try:
        order = codec.decode(value)
    except (UndecodableError, RegistryUnavailableError) as error:
        return error
    assert isinstance(order, Order)
    assert isinstance(order.price_cents, int)
    assert abs(order.price_cents) < 10**12
    return order


@cases(50_000)
@given(
    mark=st.sampled_from(
        [b"", SINGLE_OBJECT_MARK, SINGLE_OBJECT_MARK + STORE.latest.fingerprint(), b"\x00\x00\x00\x00\x02", b"\x00"]
    ),
    body=st.binary(max_size=200),
)
def test_any_bytes_are_an_order_or_undecodable(mark, body):
    assert str(decoded(CODEC, mark + body))


@cases(15_000)
@given(order=ORDERS, version=st.sampled_from([1, 2]))
def test_every_order_is_read_as_it_was_written(order, version):
    if version == 1:
        order = Order(order.order_id, order.customer_id, order.product, order.price_cents, order.created_at_ms)
    assert CODEC.decode(CODEC.encode(order, version)) == order
    assert CODEC.decode(CODEC.encode_confluent(order, version, version)) == order


@cases(25_000)
@given(order=ORDERS, byte_at=st.integers(0, 300), new=st.binary(max_size=8), taken=st.integers(0, 8))
def test_an_order_with_a_few_bytes_changed_is_an_order_or_undecodable(order, byte_at, new, taken):
    value = CODEC.encode(order)
    byte_at %= len(value) + 1
    decoded(CODEC, value[:byte_at] + new + value[byte_at + taken :])


AVRO_WORDS = st.sampled_from(
    "null boolean int long float double bytes string record enum fixed array map decimal timestamp-millis Order "
    "order_id customer_id product price created_at region name type fields items values symbols size logicalType "
    "precision scale default aliases namespace".split()
)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 2**40) | AVRO_WORDS | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(AVRO_WORDS | st.text(max_size=4), inner, max_size=6),
    max_leaves=25,
)


@st.composite
def writer_schemas(draw):
    """The Order schema with a part of it replaced, or any JSON at all."""
    schema = json.loads(STORE.latest.text)
    if draw(st.integers(0, 4)) == 0:
        return draw(JSON_VALUES)
    field = draw(st.sampled_from(schema["fields"]))
    field[draw(st.sampled_from(["type", "name", "default", "aliases"]))] = draw(JSON_VALUES)
    if draw(st.booleans()):
        schema["fields"].append({"name": "more", "type": draw(JSON_VALUES)})
    return schema


@cases(5_000)
@given(schema=writer_schemas(), body=st.binary(max_size=60))
def test_bytes_of_any_writers_schema_are_an_order_or_undecodable(schema, body):
    REGISTRY.schemas[SchemaId(9)] = json.dumps(schema)
    # A codec remembers the plan of an id.
    error = decoded(OrderCodec(STORE, REGISTRY), b"\x00\x00\x00\x00\x09" + body)
    str(error).encode("utf-8", "backslashreplace")


HEADER_NAMES = sorted({name for dialect in DIALECTS for name in dialect.header_names})
NAMES = st.sampled_from([*HEADER_NAMES, "orderpulse.replay-of", "spring-id"]) | KAFKA_TEXT
NUMBERS = st.integers(-(2**63), 2**63 - 1)
HEADER_VALUES = st.one_of(
    MAYBE_BYTES,
    KAFKA_TEXT.map(str.encode),
    NUMBERS.map(lambda number: str(number).encode()),
    NUMBERS.map(lambda number: number.to_bytes(8, "big", signed=True)),
    st.integers(-(2**31), 2**31 - 1).map(lambda number: number.to_bytes(4, "big", signed=True)),
    JSON_VALUES.map(lambda value: json.dumps(value).encode()),
)
HEADERS = st.lists(st.tuples(NAMES, HEADER_VALUES), max_size=12).map(tuple)


@cases(35_000)
@given(headers=HEADERS, value=MAYBE_BYTES)
def test_any_headers_tell_of_a_failure_and_never_raise(headers, value):
    failure = read_failure(headers)
    assert reason_of(failure, value)
    for number in (failure.source_partition, failure.source_offset, failure.failed_at_ms, failure.attempts):
        assert number is None or 0 <= number < 2**63


@cases(20_000)
@given(headers=st.lists(st.tuples(KAFKA_TEXT, MAYBE_BYTES | KAFKA_TEXT.map(str.encode)), max_size=8).map(tuple))
def test_headers_as_json_are_the_same_headers(headers):
    assert headers_from_json(headers_to_json(headers)) == headers


@pytest.fixture(scope="module")
def collection(tmp_path_factory):
    """A buffer with one collector and one processor, and the offsets where each goes on."""
    with open_buffer(tmp_path_factory.mktemp("fuzz") / "orderpulse.db") as buffer:
        buffer._connection.execute("PRAGMA synchronous = OFF")
        yield buffer, collector(buffer), processor(buffer), [0, 0]


@cases(3_000)
@given(
    headers=HEADERS,
    key=MAYBE_BYTES,
    value=MAYBE_BYTES | ORDERS.map(CODEC.encode),
    timestamp_ms=st.sampled_from([-1, 0, NOW_MS, 2**63 - 1]),
    readable=st.booleans(),
)
def test_a_dead_letter_is_in_the_buffer_with_every_byte(collection, headers, key, value, timestamp_ms, readable):
    buffer, assignment, _, offsets = collection
    offset = offsets[0]
    record = Record(Position("orders-dlq", 0, offset), timestamp_ms, key, value, headers, readable)
    try:
        row = dead_letter_row(record, assignment.ref, IDENTITY, *orders_in([record], OrderReader(CODEC)))
    except RegistryUnavailableError:
        return
    new = buffer.dead_letters.collect([Advance(assignment.ref, offset, offset + 1)], [row], NOW_MS)
    offsets[0] += 1
    stored = buffer._connection.execute(
        "SELECT key, value, headers FROM dead_letters WHERE record_id = ?", (row.record_id,)
    ).fetchone()
    if new:
        assert (stored[0], stored[1], headers_from_json(stored[2])) == (key, value, headers)


@cases(2_000)
@given(headers=HEADERS, key=MAYBE_BYTES, value=MAYBE_BYTES, reason=ANY_TEXT)
def test_a_parked_record_is_in_the_buffer_with_every_byte_whatever_the_handler_says(
    collection, headers, key, value, reason
):
    buffer, _, assignment, offsets = collection
    offset = offsets[1]
    parked = Parked(
        record_id(assignment.ref, offset),
        NOW_MS,
        key,
        value,
        headers,
        1,
        NOW_MS,
        NOW_MS,
        "Their.Error",
        TransientError(reason).reason,
    )
    step = batch(assignment.ref, offset, offset + 1)
    step.parked = [parked]
    buffer.flow.commit(step)
    offsets[1] += 1
    [loaded] = buffer.flow.load_parked([parked.record_id])
    assert (loaded.key, loaded.value, loaded.headers) == (key, value, headers)


REASONS = st.one_of(
    ANY_TEXT,
    st.tuples(
        st.sampled_from(["0", "a", "'", '"', "1.", "A-1", "-", "[0] offset ", "0x", " "]), st.integers(1, 4000)
    ).map(lambda part: part[0] * part[1]),
    st.lists(
        st.sampled_from(["orders[0] offset 7", "'x", '"', "ORD-1", "2026-01-01T00:00", "0xff", "1,000.5", "@"])
    ).map("".join),
)


@cases(25_000)
@given(error_class=st.none() | ANY_TEXT, reason=REASONS, rule=st.none() | ANY_TEXT, topic=st.none() | ANY_TEXT)
def test_any_reason_has_a_fingerprint_and_a_title_that_can_be_stored(error_class, reason, rule, topic):
    digest, title = fingerprint(error_class, reason, rule, topic)
    assert len(digest) == 16
    assert 0 < len(title) <= TITLE_LIMIT
    assert fingerprint(error_class, reason, rule, topic) == (digest, title)
