"""What a query of dead letters finds in a real buffer, and how it says what it did not look at."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.buffer import DeadLetterFilter, Reader, open_buffer
from pipeline.buffer.sqlite.search import find, inside
from pipeline.buffer.sqlite.search.find import FOUND_CAP
from pipeline.buffer.views import Found
from pipeline.dead_letters.asked_once import AskedOnce
from pipeline.dead_letters.decoded_columns import PayloadDecoder
from pipeline.dead_letters.decoding import Decoder
from pipeline.errors import UsageError
from pipeline.orders.avro_schemas import SchemaStore
from pipeline.orders.formats.schemas import Schemas
from pipeline.orders.serde import OrderCodec
from pipeline.schema_source import RegisteredSchema, SchemaId, SchemaRef, SchemaSource
from pipeline.search.parser import parse
from pipeline.search.query import quoted
from tests.support.buffer_rows import NOW_MS, collect, collect_many, collector, dead_letter, order

HOUR_MS = 3_600_000
SCHEMA = Path("schemas/order.v2.avsc").read_text()
STACK = "java.lang.IllegalStateException: deep\n" + "\tat shop.Stock.reserve(Stock.java:7)\n" * 20


def payload_decoder(registry: SchemaSource | None = None) -> PayloadDecoder:
    """What reads values by the schemas folder and a registry."""
    return PayloadDecoder(Decoder(Schemas(SchemaStore(Path("schemas")), registry)), lambda topic: None)


READS = payload_decoder()


class FewSchemas:
    """A registry with these schemas."""

    def __init__(self, schemas: dict[SchemaRef, RegisteredSchema]) -> None:
        self._schemas = schemas

    def get(self, ref: SchemaRef) -> RegisteredSchema | None:
        return self._schemas.get(ref)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "orderpulse.db"


@pytest.fixture
def shop(path: Path) -> Path:
    """Six dead letters that differ in all that is asked for, ids 1 to 6."""
    with open_buffer(path) as buffer:
        place = collector(buffer)
        various = (
            {"reason": "Stock is missing", "fingerprint": "stock", "title": "Stock is missing", "key": b"cust-42"},
            {
                "reason": "ÜBERWEISUNG fehlt",
                "error_class": "shop.pay.TransferError",
                "order": order("A-9", "kettle", 9995),
            },
            {"reason": "заказ ЖДЁТ", "dialect": "spring-kafka", "source_topic": "payments", "key": "Ключ".encode()},
            {"reason": "100% of a_b", "headers": (("trace-id", b"ABC"), ("raw", b"\xff"), ("none", None))},
            {"reason": "deep", "stacktrace": STACK, "headers": (("stack", STACK.encode()),), "error_class": "Oops"},
            {
                "reason": 'say "hi"',
                "headers": (("note", b'a "quoted" \\ one\nmore'), ("long", b"needle" * 99)),
                "key": None,
            },
        )
        rows = [
            dead_letter(place.ref, number, failed_at_ms=NOW_MS - number * HOUR_MS, attempts=number, **fields)
            for number, fields in enumerate(various)
        ]
        collect(buffer, place, 0, *rows)
        buffer.dead_letters.triage((6,), "discarded", NOW_MS)
    return path


def ids(path: Path, query: str, now_ms: int = NOW_MS) -> list[int]:
    with Reader(path) as reader:
        found = reader.find(DeadLetterFilter(parse(query, now_ms)))
        assert not found.cut
        assert not found.more
        listed = [row.id for row in reader.dead_letters(DeadLetterFilter(parse(query, now_ms)))]
        assert listed == list(found.ids)
        return listed


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", [6, 5, 4, 3, 2, 1]),
        ("status:discarded", [6]),
        ("-status:discarded price>0", [2]),
        ("status:open OR status:discarded", [6, 5, 4, 3, 2, 1]),
        # texts, in any case and script
        ("stock", [5, 1]),
        ("STOCK", [5, 1]),
        ("überweisung", [2]),
        ("U\u0308BERWEISUNG", [2]),
        ("ждёт", [3]),
        ("ключ", [3]),
        ("%", [4]),
        ("a_b", [4]),
        ("_", [4]),
        ("Ж", [3]),
        ("cust", [1]),
        ("kettle", [2]),
        ("reserve", [5]),
        ('"Stock.reserve(stock.java:7)"', [5]),
        (r'"\"quoted\" \\ one"', [6]),
        ('"one\nmore"', [6]),
        ("needle", []),
        ("abc", [4]),
        ("trace-id", []),
        ("dl-3", [4]),
        ("nowhere", []),
        # fields
        ('group:"stock is"', [1]),
        ("group:stock", [1]),
        ("group:price", [6, 5, 4, 3, 2]),
        ("class:TransferError", [2]),
        ("class:shop.pay.transfererror", [2]),
        ("class:pay.TransferError", []),
        ("reason:fehlt", [2]),
        ("source:PAYMENTS", [3]),
        ("topic:orders-dlq dialect:spring-kafka", [3]),
        ("key:CUST-42", [1]),
        ("key:КЛЮЧ", [3]),
        ("key:cust", []),
        ("-key:key", [6, 3, 1]),
        ("product:Kettle order:a-9 customer:c-1", [2]),
        ("stack:reserve", [5]),
        # numbers, amounts, times
        ("price:99.95", [2]),
        ("price>99.94 price<99.96", [2]),
        ("price<=99.94", []),
        ("-price>0", [6, 5, 4, 3, 1]),
        ("id>=3 attempts<4", [4, 3]),
        ("source-offset:2", [3]),
        ("failed:<2h", [2, 1]),
        ("failed:<=2h", [3, 2, 1]),
        ("failed:>4h", [6]),
        ("failed:>=4h", [6, 5]),
        ("failed:2023-11-14T20", [3]),
        ("failed<2023-11-14T20", [6, 5, 4]),
        ("failed<=2023-11-14T20", [6, 5, 4, 3]),
        ("failed>2023-11-14T20", [2, 1]),
        ("failed>=2023-11-14T20", [3, 2, 1]),
        ("failed:2023-11-14T22+02:00", [3]),
        # headers
        ("header.trace-id:abc", [4]),
        ("header.Trace-Id:abc", []),
        ("header.trace-id:ab", []),
        ("header.none:x", []),
        ("-header.trace:1", [6, 5, 4]),
        # together
        ("(stock OR kettle) -deep", [2, 1]),
        ("NOT (stock OR kettle OR status:discarded)", [4, 3]),
        ("NOT -stock", [5, 1]),
        ("id:1 OR id:6", [6, 1]),
    ],
)
def test_finds(shop: Path, query: str, expected: list[int]) -> None:
    assert ids(shop, query) == expected


def test_a_header_with_a_stack_that_is_stored_once_is_found_by_all_of_it(shop: Path) -> None:
    assert ids(shop, f'header.stack:"{STACK}"') == [5]


def test_a_filter_takes_ids_and_leaves_out_what_came_later(shop: Path) -> None:
    with Reader(shop) as reader:
        assert reader.find(DeadLetterFilter(ids=(5, 2, 2, 99))).ids == (5, 2)
        assert reader.find(DeadLetterFilter(ids=())).ids == ()
        assert reader.find(DeadLetterFilter(up_to_id=2)).ids == (2, 1)
        assert reader.find(DeadLetterFilter(parse("status:open", NOW_MS), up_to_id=2)).ids == (2, 1)


def test_finds_nothing_where_there_is_nothing(path: Path) -> None:
    open_buffer(path).close()
    assert ids(path, "") == []
    assert ids(path, "text") == []


@pytest.mark.parametrize(("count", "more"), [(FOUND_CAP, False), (FOUND_CAP + 1, True), (2 * FOUND_CAP + 1, True)])
@pytest.mark.parametrize("query", ["", "negative", "status:open", "-status:discarded", "failed:<1h"])
def test_counts_exactly_up_to_ten_thousand(path: Path, count: int, more: bool, query: str) -> None:
    with open_buffer(path) as buffer:
        collect_many(buffer, count)
    with Reader(path, limit_ms=60_000) as reader:
        found = reader.find(DeadLetterFilter(parse(query, NOW_MS)))
    assert found.ids == tuple(range(count, count - FOUND_CAP, -1))
    assert (found.more, found.cut) == (more, "")
    assert str(found.count) == ("10,000+" if more else "10,000")


def test_what_time_did_not_allow_is_said(path: Path) -> None:
    with open_buffer(path) as buffer:
        collect_many(buffer, 3000)
    with Reader(path, limit_ms=0) as reader:
        found = reader.find(DeadLetterFilter(parse("nowhere", NOW_MS)))
    assert found.more
    assert found.cut.startswith("stopped by the time limit")


def test_facets_count_what_was_found(shop: Path) -> None:
    with Reader(shop) as reader:
        facets = reader.facets(reader.find(DeadLetterFilter(parse("-id:6", NOW_MS))))
        nothing = reader.facets(reader.find(DeadLetterFilter(parse("nowhere", NOW_MS))))
    shown = {name: [(value.value, value.dead_letters) for value in values] for name, values in facets.items()}
    assert shown["group"] == [("price", 4), ("stock", 1)]
    assert [value.title for value in facets["group"]][1] == "Stock is missing"
    assert shown["source"] == [("orders", 4), ("payments", 1)]
    assert shown["topic"] == [("orders-dlq", 5)]
    assert shown["class"] == [("Oops", 1), ("shop.pay.TransferError", 1)]
    assert shown["dialect"] == [("orderpulse", 4), ("spring-kafka", 1)]
    assert shown["status"] == [("open", 5)]
    assert shown["product"] == [("kettle", 1)]
    assert shown["failed"] == [(f"2023-11-14T{hour}", 1) for hour in (22, 21, 20, 19, 18)]
    assert set(nothing) == set(facets)
    assert not any(nothing.values())


def test_each_facet_finds_as_many_as_it_says(shop: Path) -> None:
    with Reader(shop) as reader:
        facets = reader.facets(reader.find(DeadLetterFilter()))
    for name, values in facets.items():
        for value in values:
            assert len(ids(shop, f"{name}:{quoted(value.value)}")) == value.dead_letters


# -- inside of values


@pytest.fixture
def valued(path: Path) -> Path:
    """Dead letters with values of all kinds, ids from 1 on."""
    values = (
        b'{"customer": {"country": "DE"}, "total": 100.10, "lines": [{"sku": "A", "qty": 2}, {"sku": "b", "qty": 12}]}',
        b'{"customer": {"country": "fr"}, "total": 9, "lines": [], "paid": true, "note": null}',
        b'{"customer": "nobody", "total": "100.10", "at": "2026-01-01T10:00:00Z"}',
        b'{"total": 12345678901234567890.000000001}',
        b"\x01no json",
        b'{"total": NaN}',
        b"[" * 100_000,
        b'{"total": 1, "pad": "' + b"x" * 1_000_001 + b'"}',
        b"",
        None,
    )
    with open_buffer(path) as buffer:
        place = collector(buffer)
        rows = [dead_letter(place.ref, number, value=value) for number, value in enumerate(values)]
        collect(buffer, place, 0, *rows)
    return path


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("value.customer.country:de", [1]),
        ("value.customer.country:FR", [2]),
        ("value.customer:nobody", [3]),
        ("value.total:100.1", [1]),
        ("value.total:100.10", [3, 1]),
        ("value.total>99 value.total<1000", [1]),
        ("value.total:12345678901234567890.000000001", [4]),
        ("value.total>12345678901234567890", [4]),
        ("value.lines[].sku:B", [1]),
        ("value.lines[0].qty:2", [1]),
        ("value.lines[].qty>11", [1]),
        ("value.lines:x", []),
        ("value.paid:true", [2]),
        ('value.note:""', []),
        ("value.at>2026-01-01T09", [3]),
        ("-value.customer.country:de id<4", [3, 2]),
        ("value.customer.country:de OR id:5", [5, 1]),
        ("value.nothing:x", []),
        ("value.total:nan", []),
    ],
)
def test_finds_inside_of_values(valued: Path, query: str, expected: list[int]) -> None:
    with Reader(valued, limit_ms=60_000) as reader:
        # Larger ones are not looked into, see below.
        found = reader.find(DeadLetterFilter(parse(f"({query}) -id:8", NOW_MS)), READS.read)
    assert (found.ids, found.more, found.cut) == (tuple(expected), False, "")


def test_looks_inside_of_values_in_any_format_that_can_be_decoded(path: Path, tmp_path: Path) -> None:
    codec = OrderCodec(SchemaStore(Path("schemas")))
    avro = codec.encode(order("A-7", "kettle", 9995))
    by_id = b"\0\0\0\0\x07" + avro[10:]
    registry = AskedOnce(FewSchemas({SchemaId(7): RegisteredSchema("AVRO", SCHEMA)}))
    values = (avro, by_id, b'{"product": "kettle", "price": 99.95}')
    with open_buffer(path) as buffer:
        place = collector(buffer)
        collect(buffer, place, 0, *(dead_letter(place.ref, at, value=value) for at, value in enumerate(values)))
    read = payload_decoder(registry).read
    with Reader(path, limit_ms=60_000) as reader:
        for query in ("value.product:KETTLE", "value.price:99.95", "value.price>99 value.product:kettle"):
            found = reader.find(DeadLetterFilter(parse(query, NOW_MS)), read)
            assert (found.ids, found.cut) == ((3, 2, 1), "")


def test_says_which_values_it_could_not_read(path: Path) -> None:
    values = [b"\0\0\0\0\x07\x02a", b"\0\0\0\0\x07\x02b", b"plain text", b'{"a": 1}', b'{"a": "' + b"x" * 1_000_001]
    with open_buffer(path) as buffer:
        place = collector(buffer)
        collect(buffer, place, 0, *(dead_letter(place.ref, at, value=value) for at, value in enumerate(values)))
    read = payload_decoder(AskedOnce(FewSchemas({}))).read
    with Reader(path, limit_ms=60_000) as reader:
        found = reader.find(DeadLetterFilter(parse("value.a:1", NOW_MS)), read)
        assert (found.ids, found.more) == ((4,), True)
        assert found.cut == "3 values could not be read: unknown schema id 7; more than 1,000,000 bytes"
        # What needs no value to be told reads none.
        assert reader.find(DeadLetterFilter(parse("id:4 OR value.a:1 id>4", NOW_MS)), read).ids == (4,)
        with pytest.raises(UsageError, match="which nothing reads here"):
            reader.find(DeadLetterFilter(parse("value.a:1", NOW_MS)))


def test_looks_inside_the_newest_that_all_else_leaves_and_says_how_far(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_buffer(path) as buffer:
        collect_many(buffer, 1000, value=b'{"a": 1}')
    monkeypatch.setattr(find, "INSIDE_CAP", 600)
    monkeypatch.setattr(inside, "LIMIT_MS", 60_000)
    which = DeadLetterFilter(parse("value.a:1 id<=900", NOW_MS))
    with Reader(path, limit_ms=60_000) as reader:
        found = reader.find(which, READS.read)
        assert found.ids == tuple(range(900, 300, -1))
        assert found.cut == "looked into the values of the newest 600 of 600+ dead letters that all else leaves"
        monkeypatch.setattr(inside, "LIMIT_MS", 0)
        assert reader.find(which, READS.read) == Found((), True, found.cut.replace("newest 600", "newest 0"))
        assert reader.find(DeadLetterFilter(parse("value.a:1 id>1000", NOW_MS)), READS.read) == Found((), False)


def test_a_filter_for_all_that_match_takes_those_that_were_found_inside(valued: Path) -> None:
    which = DeadLetterFilter(parse("value.total>0 id<3", NOW_MS))
    with Reader(valued) as reader, pytest.raises(UsageError, match="inside of values"):
        reader.dead_letters(which)
    with Reader(valued) as reader:
        settled = which.settled(reader.find(which, READS.read).ids)
        assert [row.id for row in reader.dead_letters(settled)] == [2, 1]
    plain = DeadLetterFilter(parse("id<3", NOW_MS))
    assert plain.settled((1,)) is plain
    assert str(settled.replayable().query) == "id<3 status:open"
    assert plain.replayable() is plain
    discarded = DeadLetterFilter(parse("status:discarded", NOW_MS), ids=(1,))
    assert discarded.replayable() is discarded
