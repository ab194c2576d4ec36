"""Odd and hostile records of others: an order, or a reason that names path, expected and found."""

from __future__ import annotations

import json
import tracemalloc

import pytest

from pipeline.errors import MappingFileError
from pipeline.orders.mapping.conditions import ConditionError, parse_condition
from pipeline.orders.mapping.paths import EACH, Path, parse_path
from pipeline.orders.mapping.sources import HeaderSource, Parts, parse_source
from pipeline.orders.mapping.values import JsonNumber
from pipeline.records import Order, PassedOver
from pipeline.schema_source import ApicurioGlobalId, RegisteredSchema, SchemaGuid, SchemaId
from tests.support.avro_records import long_bytes, text_bytes
from tests.support.buffer_rows import NOW_MS
from tests.support.mapped import mapped, read_both_ways, read_one, reader_of, record_of, section

SUM = '"sum(lines[].price * lines[].qty)"'


def shop(cents, created_at_ms=NOW_MS, order_id="A-1"):
    return Order(order_id, "C-1", "tea", cents, created_at_ms)


def value(**fields):
    return json.dumps({"id": "A-1", "total": 1} | fields, ensure_ascii=False).encode()


@pytest.mark.parametrize(
    ("total", "price", "reason"),
    [
        (b'{"units":"abc","nanos":0}', '"total"', 'total is a text ("abc"); expected an amount (price)'),
        (b'{"units":[],"nanos":[1]}', '"total"', "total is a list of 0; expected an amount (price)"),
        (b"{}", '"total"', "total is an object; expected an amount (price)"),
        (b'{"units":12,"gross":13}', '"total"', "total is an object; expected an amount (price)"),
        (b'{"currency_code":"EUR","value":"12"}', '"total"', "total is an object; expected an amount (price)"),
        (
            b'{"scale":"x","value":"AQ=="}',
            '"total"',
            'total is a decimal whose scale is a text ("x"); expected an amount',
        ),
        (
            b'{"scale":2,"value":1234}',
            '"total"',
            "total is a number (1234), which is no base64 of a decimal; expected an",
        ),
        (b"9" * 1000, '"total"', "total is a number of 1000 characters; expected an amount (price)"),
        (b"1e9999", '"total"', "total is a number of more than 64 digits; expected an amount (price)"),
        (b"1.005", '"total"', "total is 1.005, more than 2 digits after the point; expected an amount (price)"),
        (b"[1,2]", '"total"', "total is a list of 2; expected an amount (price)"),
        (b'"' + b"x" * 10_000_000 + b'"', '"total"', f'total is a text ("{"x" * 60}… of 10000000 characters")'),
        (b"[" + b"1," * 1_000_000 + b"1]", '"total"', "total is a list of 2000003 bytes; expected an amount (price)"),
        (b"[" + b"1," * 1_000_000 + b"1]", '"sum(total[])"', "total is a list of more than 10000; expected at most so"),
        (b"null", '"total"', "total is missing; expected an amount (price)"),
    ],
)
def test_what_is_no_amount_is_named(total, price, reason):
    found = read_one(reader_of(section(price=price)), record_of(b'{"id":"A-1","total":' + total + b"}"))
    assert isinstance(found, str)
    assert found.startswith(reason)


@pytest.mark.parametrize(
    ("total", "price", "cents"),
    [
        (b'{"units":"12","nanos":340000000}', '"total"', 1234),
        # JSON of proto3 leaves out what is zero.
        (b'{"currencyCode":"XXX","nanos":340000000}', '"total"', 34),
        (b'{"currencyCode":"XXX","units":"-12"}', '"total"', -1200),
        (b'{"units":null,"nanos":-10000000}', '"total"', -1),
        (b'{"units":"12","currency_code":"XXX"}', '"total"', 1200),
        (b'{"currencyCode":"XXX"}', '"total"', 0),
        (b'{"scale":2,"value":"BNI="}', '"total"', 1234),
        (b"12.34", '{ path = "total", base64_scale = 2 }', 1234),
        (b'"BNI="', '{ path = "total", base64_scale = 2 }', 1234),
        (b"1234", '{ path = "total", unit = "minor" }', 1234),
        (b"1.2e1", '"total"', 1200),
    ],
)
def test_amounts_are_read_in_each_of_their_forms(total, price, cents):
    text = section(price=price)
    assert read_one(reader_of(text), record_of(b'{"id":"A-1","total":' + total + b"}")) == shop(cents)


@pytest.mark.parametrize("turned", [False, True])
def test_amounts_too_far_apart_to_be_added_up_are_refused(turned):
    lines = [{"price": "1e64", "qty": "1e64"}, {"price": "1e-64", "qty": "1e-64"}]
    found = read_one(reader_of(section(price=SUM)), record_of(value(lines=lines[::-1] if turned else lines)))
    assert found == "sum(lines[].price * lines[].qty) is a number of more than 64 digits; expected an amount (price)"


@pytest.mark.parametrize("number", [b"1e99999999999999999999", b"-1e99999999999999999999", b"9" * 1000])
@pytest.mark.parametrize("where", ["n > 5", "n < 5", "n == 5", "n in [1, 5]"])
def test_a_number_that_is_far_out_meets_no_condition(number, where):
    reader = reader_of(section(where=json.dumps(where)))
    assert isinstance(read_one(reader, record_of(b'{"id":"A-1","total":1,"n":' + number + b"}")), PassedOver)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), JsonNumber("1e99999")])
def test_a_number_that_is_none_meets_no_condition(number):
    condition = parse_condition("n > 5 or n < 5 or n == 5", lambda source: lambda parts: parts.values[0])
    assert not condition(Parts([number]))


@pytest.mark.parametrize("where", ['"odd name" == 1', '"odd name".x == null', '"key" == "k"', "a.\"in\" == 'x'"])
def test_a_condition_may_begin_with_a_quoted_name(where):
    reader = reader_of(section(where=json.dumps(where)))
    assert read_one(reader, record_of(value(**{"odd name": 1, "key": "k", "a": {"in": "x"}}))) == (
        'where: "odd name" is a number (1); expected an object with x' if ".x" in where else shop(100)
    )


@pytest.mark.parametrize(
    "where", ["'a' == 1", '"" == 1', "== 1", "a =", "a in 5", "a < 'x'", "(a == 1", "a == 1 b", "not"]
)
def test_what_is_no_condition_says_where_it_goes_wrong(where):
    with pytest.raises(ConditionError, match="goes wrong at character"):
        parse_condition(where, lambda source: lambda parts: None)


@pytest.mark.parametrize(
    "name", ["key", "timestamp", "in", "not", "null", "header:x", "2fa", "-1", "'a'", 'q"q', "b\\s", "a b"]
)
def test_a_field_of_any_name_is_read_by_the_path_that_is_shown_for_it(name):
    path = Path((name,))
    assert parse_path(str(path)) == parse_source(str(path)) == path
    assert str(Path(("a", name, EACH, -1))).startswith("a.")
    reader = reader_of(section(order_id=json.dumps(str(path)), where=json.dumps(f"{path} == 'A-1'")))
    assert read_one(reader, record_of(json.dumps({name: "A-1", "total": 1}).encode())) == shop(100)


def test_a_header_of_any_name_is_read_by_what_is_shown_for_it():
    for name in ("ce_type", "odd name", 'q"q'):
        assert parse_source(str(HeaderSource(name))) == HeaderSource(name)


def test_an_order_in_no_currency_is_refused_where_it_has_to_say_one():
    reader = reader_of(section(currency='{ code = "EUR", path = "lines[].currency" }'))
    for lines, found in (
        ([{"currency": "EUR"}, {"currency": "USD"}], 'lines[].currency is a text ("USD"); expected EUR'),
        ([], "lines[].currency is missing; expected EUR"),
        ([{"currency": "EUR"}], shop(100)),
    ):
        assert read_one(reader, record_of(value(lines=lines))) == found
    reader = reader_of(section(currency='{ code = "EUR", path = "all" }'))
    assert read_one(reader, record_of(value(all=["USD"] * 1000))) == "all is a list of 7000 bytes; expected EUR"


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("EUR", shop(100)),
        ("eur", shop(100)),
        ("Eur", shop(100)),
        ("usd", 'currency is a text ("usd"); expected EUR'),
        (" EUR", 'currency is a text (" EUR"); expected EUR'),
        ("", 'currency is a text (""); expected EUR'),
        (978, "currency is a number (978); expected EUR"),
    ],
)
def test_a_currency_s_code_may_be_in_small_letters(code, found):
    reader = reader_of(section(currency='{ code = "EUR", path = "currency" }'))
    assert read_one(reader, record_of(value(currency=code))) == found


def test_a_small_letter_that_only_looks_so_is_another_code():
    reader = reader_of(section(currency='{ code = "INR", path = "currency" }'))
    assert read_one(reader, record_of(value(currency="ınr"))) == 'currency is a text ("ınr"); expected INR'


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("EUR", shop(1234)),
        ("eur", shop(1234)),
        ("", shop(1234)),
        ("USD", 'total is an amount of another currency, a text ("USD"); expected an amount of EUR (price)'),
        ([1], "total is an amount of another currency, a list of 1; expected an amount of EUR (price)"),
    ],
)
def test_money_says_its_own_currency(code, found):
    reader = reader_of(section(currency='"EUR"'))
    total = {"currencyCode": code, "units": "12", "nanos": 340000000}
    assert read_one(reader, record_of(value(total=total))) == found


DEAREST = '{ path = "lines[].sku", line = "dearest" }'


def test_a_bad_price_of_a_line_is_the_price_s_fault_though_the_dearest_line_is_looked_for_first():
    reader = reader_of(section(product=DEAREST, price=SUM))
    lines = [{"sku": "tea", "price": "ten", "qty": 1}]
    reason = 'sum(lines[].price * lines[].qty) has a text ("ten") in line 0; expected an amount (price)'
    assert read_one(reader, record_of(value(lines=lines))) == reason
    blocked = read_one(reader, record_of(value(lines=[{"sku": "tea", "price": {"net": 1}, "qty": 1}])))
    assert blocked == "sum(lines[].price * lines[].qty) has an object in line 0; expected an amount (price)"


def test_an_amount_that_only_the_dearest_line_is_told_by_is_the_product_s_fault():
    by = '{ path = "lines[].sku", line = "dearest", by = "sum(lines[].weight)" }'
    reader = reader_of(section(product=by, price=SUM))
    found = read_one(reader, record_of(value(lines=[{"sku": "tea", "price": 1, "qty": 1, "weight": "light"}])))
    assert found == 'sum(lines[].weight) has a text ("light") in line 0; expected an amount (product)'


@pytest.mark.parametrize(
    ("price", "by", "amounts"),
    [
        ('{ path = "sum(lines[].price)", base64_scale = 2 }', "", ["AQ==", "BNI="]),
        ('{ path = "total", base64_scale = 2 }', ', by = "sum(lines[].price)"', ["AQ==", "BNI="]),
        ('"sum(lines[].price)"', "", [{"units": "1"}, {"units": "1", "nanos": 10**7}]),
        ('"sum(lines[].price)"', "", [{"scale": 1, "value": "AQ=="}, {"scale": 0, "value": "AQ=="}]),
    ],
)
def test_the_dearest_line_is_told_by_amounts_in_each_of_their_forms(price, by, amounts):
    reader = reader_of(section(product=DEAREST.replace(" }", f"{by} }}"), price=price))
    lines = [{"sku": f"line {number}", "price": amount} for number, amount in enumerate(amounts)]
    for turned in (lines, lines[::-1]):
        found = read_one(reader, record_of(value(total="AQ==", lines=turned)))
        assert isinstance(found, Order)
        assert found.product == "line 1"


def test_when_the_broker_wrote_it_matters_to_the_timestamp_alone():
    at = str(NOW_MS).encode()
    for created_at, found in (("key", shop(100)), ("timestamp", None)):
        read = read_one(
            reader_of(section(created_at=json.dumps(created_at))), record_of(value(), key=at, append_time=True)
        )
        assert read == found or (found is None and "LogAppendTime" in str(read))


@pytest.mark.parametrize("millis", [-(10**15), 10**15, 10**17])
def test_a_time_out_of_range_is_refused_at_once_too(millis):
    schema = {"type": "record", "name": "O", "fields": [{"name": "id", "type": "string"}]}
    schema["fields"].append({"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}})
    reader = reader_of(
        section(created_at='"at"', price='{ constant = "1" }'),
        {SchemaId(7): RegisteredSchema("AVRO", json.dumps(schema))},
    )
    found, at_once = read_both_ways(
        reader, [record_of(b"\0\0\0\0\7" + text_bytes("A-1") + long_bytes(at)) for at in (millis, NOW_MS)]
    )
    assert "outside of the years 1 to 9999" in str(found[0])
    assert (found[1], at_once) == (shop(100), 1)


def avro(*names):
    fields = [{"name": name, "type": "string"} for name in names]
    return RegisteredSchema("AVRO", json.dumps({"type": "record", "name": "O", "fields": fields}))


def test_records_of_apicurios_older_ids_are_read_by_their_own_schema_each():
    reader = reader_of(section(), {ApicurioGlobalId(1): avro("id", "total"), ApicurioGlobalId(2): avro("total", "id")})
    bodies = [(1, text_bytes("A-1") + text_bytes("5")), (2, text_bytes("5") + text_bytes("A-1"))]
    found, at_once = read_both_ways(reader, [record_of(b"\0" + n.to_bytes(8, "big") + body) for n, body in bodies])
    assert (found, at_once) == ([shop(500)] * 2, 2)


GUID, OTHER = SchemaGuid(b"g" * 16), SchemaGuid(b"o" * 16)
BODY = text_bytes("A-1") + text_bytes("5")


@pytest.mark.parametrize(
    ("written", "header", "found"),
    [
        (BODY, b"\1" + GUID.value, shop(500)),
        (b"\0\0\0\0\7" + BODY, b"\1" + GUID.value, shop(500)),
        (b"\0\0\0\0\7" + BODY, b"\1" + OTHER.value, shop(500)),
        (b"\0\0\0\0\x09" + BODY, b"\1" + OTHER.value, "as schema id 9: unknown schema id 9; as schema guid"),
        (BODY, b"\1" + OTHER.value, "unknown schema guid"),
        (BODY, b"\1short", "value begins with 0x06: neither"),
        (b"\xc3\x01", b"\1" + GUID.value, "id has a negative length"),
        (b"\xc3\x01", None, "truncated after 2 bytes, in the schema fingerprint"),
        (b"\0\0", None, "truncated after 2 bytes, in the schema id"),
    ],
)
def test_headers_that_lie_are_found_out(written, header, found):
    reader = reader_of(section(), {GUID: avro("id", "total"), SchemaId(7): avro("id", "total")})
    read = read_one(reader, record_of(written, (("__value_schema_id", header),)))
    assert read == found or (isinstance(found, str) and found.lower() in str(read).lower())


NO_DECIMAL = 'payload.total is a text ("ZA=="); expected an amount (price)'
CONNECT = {"type": "struct", "fields": [{"field": "at", "name": "org.apache.kafka.connect.data.Timestamp"}]}
BY_PAYLOAD = section(order_id='"payload.id"', price='"payload.total"', created_at='{ path = "payload.at", unit = "s" }')


def envelope(schema, **more):
    payload = {"id": "A-1", "total": 1, "at": NOW_MS // 1000 * 1000}
    return json.dumps({"schema": schema, "payload": payload} | more, separators=(",", ":")).encode()


AZURE = "avro/binary+"
AZURE_ID = "4b8fe1f2cd9a4d3c9f6a1f3f2b6d7e80"
"""As Azure's registry makes them: 32 digits of a GUID."""


@pytest.mark.parametrize("body", [b"\x06A-1\x02", b'{"id":"A-1","total":1}', b"\x02", b"\x7f"])
def test_azure_s_framing_is_named_with_its_schema_and_what_to_do(body):
    found = read_one(reader_of(section()), record_of(body, (("content-type", (AZURE + AZURE_ID).encode()),)))
    assert found == (
        f"value is Avro of Azure's schema registry (schema {AZURE_ID}), which OrderPulse does not ask; put the schema "
        "into the schemas folder and write single-object encoding"
    )


@pytest.mark.parametrize(("told", "shown"), [(b"x" * 500, "x" * 64), (b"\n\x1b[2J", "\\n\\x1b[2J"), (b"\xff", "\\xff")])
def test_of_azure_s_schema_id_no_more_is_shown_than_an_id_has(told, shown):
    found = read_one(reader_of(section()), record_of(b"\x02", (("content-type", AZURE.encode() + told),)))
    assert found.startswith(f"value is Avro of Azure's schema registry (schema {shown}), which")


def test_azure_s_header_of_another_record_does_not_hide_what_the_value_says():
    schemas = {SchemaId(7): RegisteredSchema("JSON", "{}")}
    headers = (("content-type", (AZURE + AZURE_ID).encode()),)
    record = record_of(b"\0\0\0\0\7" + value(), headers)
    assert read_one(reader_of(section(), schemas), record) == shop(100)
    # What a section says of the format goes before all.
    assert read_one(reader_of(section(format='"json"')), record_of(value(), headers)) == shop(100)


@pytest.mark.parametrize("told", ["application/json", "avro/binary", "AVRO/BINARY+x", ""])
def test_another_content_type_says_nothing(told):
    assert read_one(reader_of(section()), record_of(value(), (("content-type", told.encode()),))) == shop(100)


def test_an_envelope_is_read_by_its_own_schema_alone_and_in_a_batch():
    plain = [record_of(envelope(CONNECT)), record_of(envelope(CONNECT, extra=1))]
    again = envelope(CONNECT)[:-1] + b',"schema":{}}'
    found, at_once = read_both_ways(reader_of(BY_PAYLOAD), [*plain, record_of(again)])
    assert found[0] == shop(100, NOW_MS // 1000 * 1000)
    assert ["outside of the years" in str(each) for each in found] == [False, True, True]
    assert at_once == 1


@pytest.mark.parametrize(
    ("scale", "found"),
    [
        ("2", shop(100)),
        (2, shop(100)),
        (None, shop(10_000)),
        *(
            (each, 'payload.total is a text ("ZA=="); expected an amount (price)')
            for each in ("²", "--2", "9999", "", [])
        ),
        ("999", "payload.total is a decimal of 1 bytes and scale 999; expected an amount (price)"),
    ],
)
def test_a_scale_that_is_none_makes_no_decimal(scale, found):
    schema = {"type": "struct", "fields": [{"field": "total", "name": "org.apache.kafka.connect.data.Decimal"}]}
    schema["fields"][0]["parameters"] = {"scale": scale}
    body = envelope(schema).replace(b'"total":1', b'"total":"ZA=="')
    reader = reader_of(section(order_id='"payload.id"', price='"payload.total"'))
    assert read_one(reader, record_of(body)) == found


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (section(region='"lines[-]"'), "line 7: topics.\"shop.orders\".region: 'lines[-]' is no path"),
        (section() + '\n[topics."^a{99999999999999999999}"]', "is no pattern: the repetition number is too large"),
        (section(descriptor='"a\\u0000b"', message='"M"'), "descriptor: embedded null byte"),
        (section(descriptor='"nowhere.desc"', message='"M"'), "nowhere.desc cannot be read: No such file or directory"),
        (section(price="9" * 5000), "has a number of too many digits"),
        (section(price="1e99999999999999999999"), "has a number of too many digits"),
        (section(product='{ path = "a[].x", line = "dearest" }'), 'line = "dearest" needs `by`'),
        (
            section(product='{ path = "a[].x", line = "dearest", by = "sum(b[].y)" }'),
            "sum(b[].y) adds up another list than that of a[].x",
        ),
        (section(currency='"euro"'), 'must be a currency\'s code such as "EUR"'),
        (section(price='"lines[].price"'), "'lines[].price' goes through a list; sum(…) adds it up"),
        (section(price='"sum(total)"'), "adds up what is no path through a list"),
        (section(where='"lines[].x == 1"'), "lines[].x goes through a list; a condition looks at one value"),
        (section(where='"a ="'), "where: goes wrong at character 3"),
        (section(order_id=""), "order_id is missing"),
        (section(other='"x"'), "other is no key of a topic"),
        (section(created_at='{ path = "a", zone = "Mars/Base" }'), 'must be a time zone such as "Europe/Berlin"'),
        (section(price='{ constant = "x" }'), 'a constant or a default is a text ("x")'),
        (section(price='{ path = "a", constant = "1" }'), "has both path and constant"),
        (section(price="{}"), "needs path or constant"),
    ],
)
def test_a_mapping_file_that_cannot_be_used_says_line_and_why(text, words):
    with pytest.raises(MappingFileError) as caught:
        mapped(text)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("at", "rule", "millis"),
    [
        ("2026-03-29T02:30:00", ', zone = "Europe/Berlin"', 1_774_747_800_000),
        ("2026-10-25T02:30:00", ', zone = "Europe/Berlin"', 1_792_888_200_000),
        ("2026-10-25T02:30:00+01:00", "", 1_792_891_800_000),
        ("2026-01-01T00:00Z", "", 1_767_225_600_000),
        ("2026-01-01 00:00:00.1239+0000", "", 1_767_225_600_123),
        (1_767_225_600.5, ', unit = "s"', 1_767_225_600_500),
        (1_767_225_600_999_999, ', unit = "us"', 1_767_225_600_999),
        ("1767225600123456789", ', unit = "ns"', 1_767_225_600_123),
        (-1, ', unit = "us"', -1),
        ("2026-01-01T00:00:00", "", 'a text ("2026-01-01T00:00:00") without a zone; `zone` would say which'),
        ("2026-02-30T00:00:00Z", "", "which is no date and time"),
        ("2026-01-01T00:00:60Z", "", "which is no date and time"),
        (True, "", "at is a boolean (true); expected a time (created_at)"),
    ],
)
def test_times_are_read_in_each_of_their_forms(at, rule, millis):
    found = read_one(reader_of(section(created_at=f'{{ path = "at"{rule} }}')), record_of(value(at=at)))
    assert found == shop(100, millis) if isinstance(millis, int) else millis in str(found)


def test_what_is_read_of_a_big_value_costs_no_more_memory_than_the_value():
    reader = reader_of(section())
    big = record_of(value(other=[{"a": [1, 2, 3]}] * 50_000))
    tracemalloc.start()
    try:
        assert read_one(reader, big) == shop(100)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 3 * len(big.value or b"")
