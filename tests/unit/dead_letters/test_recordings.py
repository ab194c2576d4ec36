"""What the collector makes of dead letters that the frameworks themselves have written."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.buffer import DeadLetterRow
from pipeline.dead_letters.collector import dead_letter_row, orders_in
from pipeline.headers import (
    failure_headers,
    original_key_and_value,
    read_failure,
    replay_headers,
    why_not_replayed,
)
from pipeline.orders.avro_schemas import SchemaStore
from pipeline.orders.order_reader import OrderReader
from pipeline.orders.serde import OrderCodec
from pipeline.records import Headers, Position, Record, TopicIdentity
from tests.support.dialect_samples import SAMPLES
from tests.support.recordings import DEAD_LETTER_TIMESTAMP_MS, recordings

RECORDED = recordings()
SOURCE_MS = 1_700_000_000_000
CODEC = OrderCodec(SchemaStore(Path("schemas")))
LISTENER = "org.springframework.kafka.listener.ListenerExecutionFailedException"
MESSAGING = "org.springframework.messaging.MessageHandlingException"
DATA = "org.apache.kafka.connect.errors.DataException"
SERIALIZATION = "org.apache.kafka.common.errors.SerializationException"
STATE, ARGUMENT, NULL = (
    f"java.lang.{name}" for name in ("IllegalStateException", "IllegalArgumentException", "NullPointerException")
)
NOT_A_LONG = "Size of data received by LongDeserializer is not 8"
CONVERTING = "Converting byte[] to Kafka Connect data failed"
FAILED_IN_LISTENER = "Listener method could not be invoked; "

# (partition, offset) in `orders`, source time, class, reason, attempts, group
EXPECTED: dict[str, tuple[Any, ...]] = {
    "confluent-rules/not-written": ((None, None), None, None, "Rule expr failed: message.amount > 0", None, None),
    "confluent-rules/not-read": ((None, None), None, None, "Rule expr failed: message.amount > 0", None, None),
    "kafkajs-async-retry/given-up": (None, None, None, "no failure headers", None, None),
    "kafkajs-async-retry/retry": ((None, None), None, None, "kafkajs-async-retry gives no reason", 1, None),
    "kafkajs-async-retry/second-retry": ((None, None), None, None, "kafkajs-async-retry gives no reason", 2, None),
    "kafkajs-async-retry/retries-exhausted": ((None, None), None, None, "kafkajs-async-retry gives no reason", 2, None),
    "watermill/poisoned": ((None, None), None, None, "charging: no stock", None, None),
    "watermill/repeated-headers": ((None, None), None, None, "no stock", None, None),
    "watermill/failed-twice": ((None, None), None, None, "sold out", None, None),
    "kafka-connect/with-context": ((3, 417), SOURCE_MS, DATA, CONVERTING, None, None),
    "kafka-connect/null-message": ((3, 418), SOURCE_MS, NULL, NULL, None, None),
    "kafka-connect/without-context": (None, None, None, "no failure headers", None, None),
    "kafka-connect/failed-twice": ((3, 417), None, NULL, NULL, None, None),
    "kafka-streams/not-deserialized": ((0, 0), SOURCE_MS, SERIALIZATION, NOT_A_LONG, None, None),
    "kafka-streams/processing-failure": ((0, 1), SOURCE_MS, STATE, "no stock", None, None),
    "kafka-streams/null-message": ((0, 2), SOURCE_MS, STATE, STATE, None, None),
    "share-group/without-body": ((3, 417), None, None, "rejected by a client", 5, "shippers"),
    "share-group/with-body": ((3, 418), None, None, "rejected by a client", 5, "shippers"),
    "share-group/without-reason": ((3, 419), None, None, "share-group gives no reason", 5, "shippers"),
    "smallrye/dead-letter": ((3, 417), None, STATE, "no stock", None, None),
    "smallrye/failed-twice": ((3, 417), None, ARGUMENT, "sold out", None, None),
    "smallrye/null-message": ((3, 418), None, STATE, STATE, None, None),
    "smallrye/not-deserialized": ((3, 419), None, STATE, "no stock", None, None),
    "smallrye/delayed-retry": ((3, 417), SOURCE_MS, STATE, "no stock", 0, None),
    "smallrye/delayed-retries-exhausted": ((3, 417), SOURCE_MS, ARGUMENT, "still no stock", 1, None),
    "spring-cloud-stream/dead-letter": ((3, 417), SOURCE_MS, MESSAGING, "failed in the listener; no stock", None, None),
    "spring-cloud-stream/failed-again": (
        (3, 417),
        SOURCE_MS,
        MESSAGING,
        "failed in the listener; still no stock",
        None,
        None,
    ),
    "spring-kafka/listener-failure": ((3, 417), SOURCE_MS, STATE, f"{FAILED_IN_LISTENER}no stock", None, "billing"),
    "spring-kafka/replayed-and-failed-again": ((3, 417), SOURCE_MS, ARGUMENT, FAILED_IN_LISTENER, None, "billing"),
    "spring-kafka/failure-outside-a-listener": ((0, 5), SOURCE_MS, STATE, "no stock", None, None),
    "spring-kafka/tombstone": ((2, 6), SOURCE_MS, STATE, f"{FAILED_IN_LISTENER}no stock", None, "billing"),
    "spring-kafka/value-not-deserialized": (
        (3, 419),
        SOURCE_MS,
        ARGUMENT,
        "failed to deserialize: not an order",
        None,
        "billing",
    ),
    "spring-kafka/key-not-deserialized": (
        (3, 418),
        SOURCE_MS,
        ARGUMENT,
        "failed to deserialize: not an order",
        None,
        "billing",
    ),
    "spring-kafka/value-not-deserialized-header-retained": (
        (3, 419),
        SOURCE_MS,
        ARGUMENT,
        "failed to deserialize: not an order",
        None,
        "billing",
    ),
    "spring-kafka/retry-topic-first-failure": (
        (3, 417),
        SOURCE_MS,
        STATE,
        f"{FAILED_IN_LISTENER}no stock",
        2,
        "billing",
    ),
    "spring-kafka/retry-topic-dead-letter": (
        (3, 417),
        SOURCE_MS,
        STATE,
        f"{FAILED_IN_LISTENER}no stock",
        3,
        "billing",
    ),
}
SOURCE_TOPICS = {"watermill/failed-twice": "poison"}
"""Of those whose second failure has replaced the origin; that of all others is `orders`."""
NEWEST_OFFSETS = {
    "kafka-connect/failed-twice": 900,
    "smallrye/failed-twice": 900,
    "smallrye/delayed-retries-exhausted": 2,
    "spring-cloud-stream/failed-again": 900,
    "spring-kafka/replayed-and-failed-again": 900,
}
FAILED_AT_MS = {
    # The failure, five seconds after the record, and the second that the retry topic waits.
    "spring-kafka/retry-topic-first-failure": SOURCE_MS + 6_000,
    "spring-kafka/retry-topic-dead-letter": SOURCE_MS + 5_000,
}


def row_of(record: Record) -> DeadLetterRow:
    return dead_letter_row(
        record, 1, TopicIdentity("cluster", record.position.topic), *orders_in([record], OrderReader(CODEC))
    )


def with_headers(name: str, headers: Headers) -> Record:
    return replace(RECORDED[name], headers=headers)


def ours(offset: int = 950) -> Headers:
    return failure_headers(
        Position("orders", 3, offset),
        stage="VALUE_CONVERTER",
        class_name="pipeline.orders.rules",
        exception_class="RuleBrokenError",
        message="price -3.00 is below the minimum 0.01",
        stacktrace="at rules",
        attempts=2,
        first_failed_at_ms=1_000,
        failed_at_ms=2_000,
        rule="price",
        dead_letter_id="d-1",
    )


def test_every_recording_is_expected_and_no_other() -> None:
    assert EXPECTED.keys() == RECORDED.keys()


@pytest.mark.parametrize("name", RECORDED)
def test_what_a_framework_writes_is_read_exactly(name: str) -> None:
    row = row_of(RECORDED[name])
    position, timestamp_ms, error_class, reason, attempts, group = EXPECTED[name]
    writer = name.partition("/")[0]
    assert row.dialect == ("none" if position is None else writer)
    assert (row.source_topic, row.source_partition, row.source_offset) == (
        (SOURCE_TOPICS.get(name, "orders"), *position) if position else (None, None, None)
    )
    assert row.source_timestamp_ms == timestamp_ms
    assert (row.error_class, row.reason, row.attempts, row.consumer_group) == (error_class, reason, attempts, group)
    untold = position is None or writer in ("kafka-connect", "kafka-streams")
    assert row.failed_at_ms == (None if untold else FAILED_AT_MS.get(name, RECORDED[name].timestamp_ms))
    failure = read_failure(RECORDED[name].headers)
    assert failure.newest_offset == NEWEST_OFFSETS.get(name, position and position[1])


@pytest.mark.parametrize("name", RECORDED)
def test_every_byte_and_every_header_is_kept(name: str) -> None:
    record = RECORDED[name]
    row = row_of(record)
    assert (row.key, row.value, row.headers) == (record.key, record.value, record.headers)


@pytest.mark.parametrize("name", [name for name in RECORDED if name.startswith(("spring", "kafka", "smallrye"))])
def test_a_stack_trace_is_kept_where_the_framework_writes_one(name: str) -> None:
    failure = read_failure(RECORDED[name].headers)
    writes_one = failure.dialect not in ("none", "smallrye", "kafkajs-async-retry")
    assert bool(failure.stacktrace and failure.stacktrace.startswith(("java", "org."))) == writes_one


def test_the_wrapper_of_a_listener_is_not_the_class_that_groups() -> None:
    headers = dict(RECORDED["spring-kafka/listener-failure"].headers)
    assert headers["kafka_dlt-exception-fqcn"] == LISTENER.encode()
    assert row_of(RECORDED["spring-kafka/listener-failure"]).error_class == STATE


# -- stacks


@pytest.mark.parametrize("name", [name for name in RECORDED if EXPECTED[name][0]])
def test_what_fails_here_after_a_framework_has_that_one_s_origin_and_our_failure(name: str) -> None:
    before = row_of(RECORDED[name])
    row = row_of(with_headers(name, replay_headers(RECORDED[name].headers, "r-9", "d-9") + ours()))
    assert (row.dialect, row.rule, row.attempts) == ("orderpulse", "price", 2)
    assert (row.source_partition, row.source_offset) == EXPECTED[name][0]
    assert row.source_timestamp_ms in (before.source_timestamp_ms, None)
    assert (row.replay_id, row.replay_of) == ("r-9", "d-9")


@pytest.mark.parametrize("name", [name for name in RECORDED if EXPECTED[name][0]])
def test_what_fails_in_a_framework_after_us_has_our_origin_and_that_one_s_failure(name: str) -> None:
    came_with_it = replay_headers(ours(12), "r-9", "d-1")
    its_own = RECORDED[name].headers
    prepends = name.startswith("smallrye")
    row = row_of(with_headers(name, its_own + came_with_it if prepends else came_with_it + its_own))
    alone = row_of(RECORDED[name])
    assert (row.dialect, row.error_class, row.attempts) == (alone.dialect, alone.error_class, alone.attempts)
    assert (row.source_topic, row.source_partition, row.source_offset) == ("orders", 3, 12)


def test_smallrye_after_spring_is_seen_by_a_replay_or_by_the_offset() -> None:
    spring = RECORDED["spring-kafka/listener-failure"].headers
    smallrye = RECORDED["smallrye/null-message"].headers
    replayed = replay_headers(spring, "r-9", "d-9")
    assert read_failure(smallrye + replayed).dialect == "smallrye"
    assert read_failure(smallrye + spring).dialect == "smallrye"
    assert read_failure(smallrye + spring).source_timestamp_ms == SOURCE_MS
    assert read_failure(replay_headers(smallrye, "r-9", "d-9") + spring).dialect == "spring-kafka"


def test_a_record_that_went_through_all_of_them_has_the_first_origin_and_the_newest_failure() -> None:
    headers: Headers = ()
    for name in ("kafka-connect/with-context", "kafka-streams/processing-failure", "spring-kafka/tombstone"):
        headers += RECORDED[name].headers
    row = row_of(with_headers("spring-kafka/tombstone", headers))
    assert (row.dialect, row.error_class) == ("spring-kafka", STATE)
    assert (row.source_partition, row.source_offset) == (3, 417)


# -- times


@pytest.mark.parametrize("name", ["kafka-connect/with-context", "kafka-streams/processing-failure"])
def test_a_broker_s_append_time_is_the_failure_s_and_not_the_source_s(name: str) -> None:
    row = row_of(replace(RECORDED[name], timestamp_ms=DEAD_LETTER_TIMESTAMP_MS, append_time=True))
    assert (row.failed_at_ms, row.source_timestamp_ms) == (DEAD_LETTER_TIMESTAMP_MS, None)


@pytest.mark.parametrize("timestamp_ms", [-1, 0, 86_400_000])
def test_a_share_group_s_time_of_1970_is_none(timestamp_ms: int) -> None:
    assert row_of(replace(RECORDED["share-group/with-body"], timestamp_ms=timestamp_ms)).failed_at_ms is None


def test_ours_has_the_time_of_the_failure_and_tells_the_record_s() -> None:
    headers = failure_headers(
        Position("orders", 3, 950),
        stage="VALUE_CONVERTER",
        class_name="pipeline.orders.rules",
        exception_class="RuleBrokenError",
        message="m",
        stacktrace="",
        timestamp_ms=SOURCE_MS,
        attempts=1,
        first_failed_at_ms=DEAD_LETTER_TIMESTAMP_MS,
        failed_at_ms=DEAD_LETTER_TIMESTAMP_MS,
        rule="price",
        dead_letter_id="d-1",
    )
    row = row_of(Record(Position("orders-dlq", 0, 7), DEAD_LETTER_TIMESTAMP_MS, b"k", b"v", headers))
    assert (row.timestamp_ms, row.source_timestamp_ms) == (SOURCE_MS, SOURCE_MS)
    assert row.failed_at_ms == DEAD_LETTER_TIMESTAMP_MS


# -- the identity of a failure


def identity_of(name: str, *more: tuple[str, bytes]) -> str:
    record = RECORDED[name]
    return row_of(replace(record, headers=(*record.headers, *more))).dead_letter_id


def test_two_who_failed_the_same_record_are_told_apart() -> None:
    connect, streams = "kafka-connect/with-context", "kafka-streams/processing-failure"
    assert identity_of(connect) != identity_of(connect, ("__connect.errors.connector.name", b"es-sink"))
    assert identity_of(connect) != identity_of(connect, ("__connect.errors.task.id", b"7"))
    assert identity_of(streams) != identity_of(streams, ("__streams.errors.exception", b"Another"))
    assert identity_of("spring-kafka/tombstone") != identity_of(
        "spring-kafka/tombstone", ("kafka_dlt-original-consumer-group", b"another")
    )


@pytest.mark.parametrize(
    ("dialect", "header"),
    [
        ("silverback", "x-source-consumer-group-id"),
        ("karafka", "source_consumer_group"),
        ("share-group", "__dlq.errors.group"),
        ("dapr", "pubsubName"),
        # Nothing names who failed it, but two of them hardly fail the same way.
        ("wolverine", "exception-type"),
    ],
)
def test_who_failed_it_is_a_header_of_its_dialect_or_the_error_s_class(dialect: str, header: str) -> None:
    headers = SAMPLES[dialect].headers
    assert header in dict(headers)
    changed = tuple((name, b"Another" if name == header else value) for name, value in headers)
    others = tuple((name, b"x" if name == "trace" else value) for name, value in headers)
    one, other, same = (
        row_of(Record(Position("dlq", 0, offset), SOURCE_MS, b"k", b"v", each)).dead_letter_id
        for offset, each in enumerate((headers, changed, others))
    )
    assert one != other
    assert one == same


@pytest.mark.parametrize(
    "dialect",
    ["arroyo", "brighter", "confluent-rules", "kafkajs-async-retry", "laravel-kafka", "masstransit", "watermill"],
)
def test_where_a_dialect_names_no_position_each_dead_letter_counts_for_itself(dialect: str) -> None:
    headers = SAMPLES[dialect].headers
    rows = [row_of(Record(Position("dlq", 0, offset), SOURCE_MS, b"k", b"v", headers)) for offset in range(2)]
    assert rows[0].dead_letter_id != rows[1].dead_letter_id


def test_what_tells_nothing_of_who_failed_it_changes_nothing() -> None:
    assert identity_of("kafka-connect/with-context") == identity_of("kafka-connect/with-context", ("trace", b"1"))


# -- replays


def test_a_replay_strips_spring_s_exceptions_and_keeps_the_rest() -> None:
    headers = RECORDED["spring-kafka/value-not-deserialized-header-retained"].headers
    assert headers[0][0] in ("springDeserializerExceptionKey", "springDeserializerExceptionValue")
    kept = tuple(header for header in headers if header[0].startswith("kafka_dlt-original-"))
    assert len(kept) == 6
    assert replay_headers(headers, "r-1", "d-1")[:-2] == kept


@pytest.mark.parametrize("name", RECORDED)
def test_what_has_no_body_and_what_was_never_written_is_not_replayed(name: str) -> None:
    record = RECORDED[name]
    why = why_not_replayed(record.headers, record.key, record.value)
    if name == "confluent-rules/not-written":
        assert "could not be written" in why
    elif name in ("share-group/without-body", "share-group/without-reason"):
        assert "has no body" in why
        assert f"orders[3] offset {EXPECTED[name][0][1]}" in why
    else:
        assert why == ""


def test_what_smallrye_could_not_deserialize_is_sent_with_its_original_bytes() -> None:
    record = RECORDED["smallrye/not-deserialized"]
    assert original_key_and_value(record.headers, record.key, record.value) == (b"C-1", b"undecodable")
    key: Headers = (("deserialization-failure-key-data", b"key"),)
    assert original_key_and_value(key, None, None) == (b"key", None)
    assert original_key_and_value(record.headers, record.key, b"there") == (b"C-1", b"there")


# -- malformed headers

MALFORMED = st.one_of(
    st.none(),
    st.binary(max_size=12),
    st.sampled_from(
        [b"", b"-1", b"1e3", b" 3", b"9" * 40, b"\xff\xfe", struct.pack(">q", -1), struct.pack(">q", 2**62)]
    ),
)


@settings(max_examples=400, deadline=None)
@given(st.data(), st.sampled_from(sorted(SAMPLES)), MALFORMED)
def test_a_dead_letter_with_a_malformed_header_is_a_row_with_every_header(
    data: st.DataObject, dialect: str, value: bytes | None
) -> None:
    headers = SAMPLES[dialect].headers
    index = data.draw(st.integers(0, len(headers) - 1))
    malformed = (*headers[:index], (headers[index][0], value), *headers[index + 1 :])
    row = row_of(Record(Position("orders-dlt", 0, 7), DEAD_LETTER_TIMESTAMP_MS, b"k", b"v", malformed))
    assert (row.dialect, row.headers) == (dialect, malformed)
    assert row.reason.strip()
