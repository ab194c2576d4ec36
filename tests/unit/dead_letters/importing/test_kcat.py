"""Records as kcat wrote them of Apache Kafka are the records that a consumer gets, byte for byte."""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.dead_letters.importing.kcat import digest_of, may_lack_bytes, record_of
from pipeline.dead_letters.importing.refusals import RefusedError
from pipeline.records import Position, Record
from pipeline.settings import PROJECT_DIR

FOLDER = PROJECT_DIR / "tests" / "data" / "imports"
WRITTEN = (FOLDER / "kcat-1.7.1.jsonl").read_bytes().splitlines()
READ = (FOLDER / "kcat-1.7.1.records.jsonl").read_text().splitlines()
GOOD: dict[str, Any] = {"topic": "dlq", "partition": 0, "offset": 7, "tstype": "create", "ts": 5, "key": "k"}


def as_consumed(line: str) -> Record:
    said = json.loads(line)
    headers = tuple((name, as_bytes(value)) for name, value in said["headers"])
    place = Position("incident-dlq", said["partition"], said["offset"])
    return Record(place, said["timestamp_ms"], as_bytes(said["key"]), as_bytes(said["value"]), headers)


def as_bytes(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text)


def test_every_recorded_line_is_the_record_that_a_consumer_gets() -> None:
    found = sorted(map(record_of, WRITTEN), key=lambda record: (record.position.partition, record.position.offset))
    assert found == [as_consumed(line) for line in READ]
    assert {None, b"", bytes(range(256))} <= {record.value for record in found}


def test_a_record_that_holds_the_replacement_character_may_lack_bytes() -> None:
    records = [record_of(line) for line in WRITTEN]
    assert [each.key for each in records if may_lack_bytes(each.key, each.value, each.headers)] == [b"replaced"]


ANY_BYTES = st.none() | st.binary(max_size=40) | st.text(max_size=20).map(str.encode)


def as_kcat_writes(value: bytes | None) -> bytes:
    """What yajl makes of bytes: only quotes, backslashes and control characters are escaped."""
    if value is None:
        return b"null"
    escaped = {ord('"'): b'\\"', ord("\\"): b"\\\\"} | {code: b"\\u%04X" % code for code in range(32)}
    return b'"' + b"".join(escaped.get(byte, bytes([byte])) for byte in value) + b'"'


@given(ANY_BYTES, ANY_BYTES, st.lists(st.tuples(st.text(max_size=8), ANY_BYTES), max_size=4))
def test_any_bytes_come_back(key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes | None]]) -> None:
    flat = b",".join(as_kcat_writes(name.encode()) + b"," + as_kcat_writes(each) for name, each in headers)
    line = b'{"topic":"t","partition":1,"offset":2,"ts":3,"headers":[%b],"key":%b,"payload":%b}' % (
        flat,
        as_kcat_writes(key),
        as_kcat_writes(value),
    )
    assert record_of(line) == Record(Position("t", 1, 2), 3, key, value, tuple(headers))


@given(st.binary(max_size=200) | st.sampled_from(WRITTEN).flatmap(lambda line: st.just(line[: len(line) // 2])))
def test_whatever_a_line_holds_it_is_a_record_or_refused(line: bytes) -> None:
    with suppress(RefusedError):
        record_of(line)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"topic": ""}, "field topic: expected a topic's name, found ''"),
        ({"partition": "0"}, "field partition: expected a whole number from 0 to 2147483647, found '0'"),
        ({"offset": -1}, "field offset: expected a whole number from 0 to 1099511627775, found -1"),
        ({"offset": True}, "field offset: expected a whole number from 0 to 1099511627775, found True"),
        ({"ts": 1.5}, "field ts: expected a whole number from 0 to 9223372036854775807, found 1.5"),
        ({"payload": {"order": 1}}, "field payload: expected text or null, and kcat has decoded it (its option -s)"),
        ({"payload": "\ud800"}, "field payload: expected Unicode, found '\\ud800'"),
        ({"headers": ["name"]}, "field headers: expected names and values in turn, in one array"),
        ({"headers": [1, "value"]}, "field headers[0]: expected a header's name, found 1"),
        ({"headers": ["name", 1]}, "field headers[1]: expected text or null, found 1"),
    ],
)
def test_what_is_no_record_is_refused_with_its_field(change: dict[str, Any], why: str) -> None:
    with pytest.raises(RefusedError) as refused:
        record_of(json.dumps(GOOD | {"payload": "v"} | change).encode())
    assert str(refused.value).startswith(why)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b'{"topic":"t"', "column 13: the line ends in the middle of the JSON; was the file cut?"),
        (b'{"topic":"t', "column 10: the line ends in the middle of the JSON; was the file cut?"),
        (b"{'topic'}", "column 2: is no JSON (Expecting property name enclosed in double quotes)"),
        (b"[" * 100_000, "it is nested too deeply"),
        (b'{"ts":' + b"9" * 5000 + b"}", "is no JSON that can be read"),
        (b"[]", "expected a JSON object, found another value"),
        (b'{"topic":"t"}', "field partition: expected, as `kcat -J` writes it, and is not there"),
    ],
)
def test_a_broken_line_is_refused_with_its_place(line: bytes, why: str) -> None:
    with pytest.raises(RefusedError) as refused:
        record_of(line)
    assert str(refused.value).startswith(why)


def test_headers_whose_names_are_no_text_cannot_be_read_as_with_the_client() -> None:
    line = b'{"topic":"t","partition":0,"offset":0,"headers":["\xff","1"],"key":null,"payload":"v"}'
    assert record_of(line) == Record(Position("t", 0, 0), -1, None, b"v", (), headers_readable=False)


def test_a_record_is_told_from_another_one_by_all_that_it_says() -> None:
    digests = {digest_of(record_of(line)) for line in WRITTEN}
    assert len(digests) == len(WRITTEN)
