"""Every dialect's headers are read exactly as the program behind it writes them."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.headers import DIALECTS, read_failure, reason_of
from pipeline.headers.values import as_big_integer
from pipeline.records import Failure, Headers

WRAPPER = b"org.springframework.kafka.listener.ListenerExecutionFailedException"
NPE = b"java.lang.NullPointerException"


def int32(number: int) -> bytes:
    return struct.pack(">i", number)


def int64(number: int) -> bytes:
    return struct.pack(">q", number)


def fields_of(headers: Headers) -> dict[str, Any]:
    """The fields that are read, without those that are None."""
    return {name: value for name, value in read_failure(headers)._asdict().items() if value is not None}


def spring(topic: bytes, partition: int, offset: int, prefix: str = "kafka_dlt-") -> Headers:
    return (
        (f"{prefix}original-topic", topic),
        (f"{prefix}original-partition", int32(partition)),
        (f"{prefix}original-offset", int64(offset)),
    )


def position(topic: str | None, partition: int, offset: int) -> dict[str, Any]:
    """Source and newest position, when they are one and the same."""
    names = {"partition": partition, "offset": offset} | ({"topic": topic} if topic else {})
    return {f"{kind}_{name}": value for kind in ("source", "newest") for name, value in names.items()}


def test_spring_kafka() -> None:
    headers = (
        *spring(b"orders", 3, 2**40),
        ("kafka_dlt-original-consumer-group", b"billing"),
        ("kafka_dlt-exception-fqcn", b"com.shop.StockException"),
        ("kafka_dlt-exception-cause-fqcn", NPE),
        ("kafka_dlt-exception-message", b"no stock"),
        ("kafka_dlt-exception-stacktrace", b"at com.shop.Stock"),
    )
    assert fields_of(headers) == {
        "dialect": "spring-kafka",
        **position("orders", 3, 2**40),
        "error_class": "com.shop.StockException",
        "message": "no stock",
        "stacktrace": "at com.shop.Stock",
        "consumer_group": "billing",
    }


def test_spring_s_listener_wrapper_gives_way_to_the_cause() -> None:
    wrapped = (("kafka_dlt-exception-fqcn", WRAPPER), ("kafka_dlt-exception-cause-fqcn", NPE))
    assert read_failure(wrapped).error_class == NPE.decode()
    assert read_failure(wrapped[:1]).error_class == WRAPPER.decode()
    assert read_failure(wrapped[1:]).error_class == NPE.decode()


def test_spring_s_exception_of_the_key_is_read_when_there_is_no_other() -> None:
    headers = (
        ("kafka_dlt-key-exception-fqcn", b"DeserializationException"),
        ("kafka_dlt-key-exception-message", b"bad key"),
        ("kafka_dlt-key-exception-stacktrace", b"at Key"),
    )
    failure = read_failure(headers)
    assert (failure.error_class, failure.message, failure.stacktrace) == (
        "DeserializationException",
        "bad key",
        "at Key",
    )


@pytest.mark.parametrize("attempts", [int32(4), b"\x04"])
def test_spring_s_retryable_topic_leaves_out_dlt_but_for_the_group(attempts: bytes) -> None:
    headers = (
        *spring(b"orders", 1, 5, "kafka_"),
        ("kafka_dlt-original-consumer-group", b"billing"),
        ("kafka_exception-fqcn", WRAPPER),
        ("kafka_exception-cause-fqcn", NPE),
        ("kafka_exception-message", b"no stock"),
        ("retry_topic-attempts", attempts),
        ("retry_topic-original-timestamp", bytes.fromhex("018bcfe56800")),
        ("retry_topic-backoff-timestamp", bytes.fromhex("018bcfe56801")),
    )
    assert fields_of(headers) == {
        "dialect": "spring-kafka",
        **position("orders", 1, 5),
        "source_timestamp_ms": 1_700_000_000_000,
        "error_class": NPE.decode(),
        "message": "no stock",
        "attempts": 4,
        "consumer_group": "billing",
        "failed_at_ms": 1_700_000_000_001,
    }


@pytest.mark.parametrize(
    ("raw", "number"),
    [
        (b"\x00", 0),
        (b"\x7f", 127),
        (b"\x00\x80", 128),
        (b"\x01\x00", 256),
        (bytes.fromhex("018bcfe56800"), 1_700_000_000_000),
    ],
)
def test_a_java_big_integer_has_as_many_bytes_as_it_takes(raw: bytes, number: int) -> None:
    assert as_big_integer(raw) == number


def test_spring_s_first_position_is_the_origin_and_its_last_the_newest() -> None:
    headers = (
        *spring(b"orders", 3, 40),
        ("app", b"1"),
        *spring(b"orders-retry-0", 1, 7, "kafka_"),
        *spring(b"x", 2, 9),
    )
    failure = read_failure(headers)
    assert (failure.source_topic, failure.source_partition, failure.source_offset) == ("orders", 3, 40)
    assert (failure.newest_topic, failure.newest_partition, failure.newest_offset) == ("x", 2, 9)


def test_spring_cloud_stream() -> None:
    headers = (
        ("x-original-topic", b"orders"),
        ("x-original-partition", int32(2)),
        ("x-original-offset", int64(77)),
        ("x-original-timestamp", int64(1_700_000_000_000)),
        ("x-original-timestamp-type", b"CreateTime"),
        ("x-exception-fqcn", NPE),
        ("x-exception-message", b"no stock"),
        ("x-exception-stacktrace", b"at com.shop.Stock"),
    )
    assert fields_of(headers) == {
        "dialect": "spring-cloud-stream",
        **position("orders", 2, 77),
        "source_timestamp_ms": 1_700_000_000_000,
        "error_class": NPE.decode(),
        "message": "no stock",
        "stacktrace": "at com.shop.Stock",
    }


def connect(topic: bytes, partition: bytes, offset: bytes, message: bytes | None) -> Headers:
    return (
        ("__connect.errors.topic", topic),
        ("__connect.errors.partition", partition),
        ("__connect.errors.offset", offset),
        ("__connect.errors.connector.name", b"jdbc"),
        ("__connect.errors.task.id", b"0"),
        ("__connect.errors.stage", b"VALUE_CONVERTER"),
        ("__connect.errors.class.name", b"org.apache.kafka.connect.json.JsonConverter"),
        ("__connect.errors.exception.class.name", b"org.apache.kafka.connect.errors.DataException"),
        ("__connect.errors.exception.message", message),
        ("__connect.errors.exception.stacktrace", b"at Json"),
    )


def test_kafka_connect() -> None:
    assert fields_of(connect(b"orders", b"3", b"417", b"bad json")) == {
        "dialect": "kafka-connect",
        **position("orders", 3, 417),
        "error_class": "org.apache.kafka.connect.errors.DataException",
        "message": "bad json",
        "stacktrace": "at Json",
        "stage": "VALUE_CONVERTER",
    }


def test_kafka_connect_may_have_no_message() -> None:
    failure = read_failure(connect(b"orders", b"3", b"417", None))
    assert failure.message is None
    assert reason_of(failure, b"{}") == "org.apache.kafka.connect.errors.DataException"


def test_kafka_connect_s_newest_failure_is_the_last_even_when_it_has_no_message() -> None:
    failure = read_failure(connect(b"orders", b"3", b"417", b"old") + connect(b"orders-2", b"4", b"5", None))
    assert (failure.source_topic, failure.newest_topic, failure.message) == ("orders", "orders-2", None)


def test_kafka_streams() -> None:
    headers = tuple(
        (f"__streams.errors.{name}", value)
        for name, value in {
            "exception": b"org.apache.kafka.streams.errors.StreamsException",
            "message": b"cannot deserialize",
            "stacktrace": b"at Streams",
            "topic": b"orders",
            "partition": b"0",
            "offset": b"12",
        }.items()
    )
    assert fields_of(headers) == {
        "dialect": "kafka-streams",
        **position("orders", 0, 12),
        "error_class": "org.apache.kafka.streams.errors.StreamsException",
        "message": "cannot deserialize",
        "stacktrace": "at Streams",
    }


def test_share_groups() -> None:
    headers = tuple(
        (f"__dlq.errors.{name}", value)
        for name, value in {
            "topic": b"orders",
            "partition": b"0",
            "offset": b"12",
            "group": b"shippers",
            "delivery.count": b"5",
            "message": b"rejected",
        }.items()
    )
    assert fields_of(headers) == {
        "dialect": "share-group",
        **position("orders", 0, 12),
        "message": "rejected",
        "attempts": 5,
        "consumer_group": "shippers",
    }


def test_smallrye() -> None:
    headers = (
        ("dead-letter-exception-class-name", b"java.lang.IllegalStateException"),
        ("dead-letter-cause-class-name", NPE),
        ("dead-letter-reason", b"no stock"),
        ("dead-letter-cause", b"stock was null"),
        ("dead-letter-topic", b"orders"),
        ("dead-letter-partition", b"1"),
        ("dead-letter-offset", b"8"),
    )
    assert fields_of(headers) == {
        "dialect": "smallrye",
        **position("orders", 1, 8),
        "error_class": "java.lang.IllegalStateException",
        "message": "no stock",
    }


def test_smallrye_s_retry_topics_come_before_its_dead_letter() -> None:
    headers = (
        ("delayed-retry-topic", b"orders"),
        ("delayed-retry-partition", b"1"),
        ("delayed-retry-offset", b"8"),
        ("delayed-retry-count", b"3"),
        ("dead-letter-topic", b"orders_retry_10000"),
        ("dead-letter-partition", b"0"),
        ("dead-letter-offset", b"2"),
        ("dead-letter-reason", b"no stock"),
    )
    failure = read_failure(headers)
    assert (failure.source_topic, failure.source_partition, failure.source_offset) == ("orders", 1, 8)
    assert (failure.newest_topic, failure.attempts) == ("orders_retry_10000", 3)


def test_smallrye_puts_its_newest_failure_first() -> None:
    headers = (
        ("dead-letter-topic", b"orders"),
        ("dead-letter-partition", b"1"),
        ("dead-letter-offset", b"900"),
        ("dead-letter-reason", b"sold out"),
        ("dead-letter-topic", b"orders"),
        ("dead-letter-partition", b"1"),
        ("dead-letter-offset", b"8"),
        ("dead-letter-reason", b"no stock"),
    )
    failure = read_failure(headers)
    assert (failure.source_offset, failure.newest_offset, failure.message) == (8, 900, "sold out")
    assert read_failure(headers[4:] + headers[:4]) == failure


def test_a_time_beyond_every_calendar_counts_as_missing() -> None:
    late = int64(2**62)
    assert read_failure((("kafka_dlt-original-timestamp", late),)).source_timestamp_ms is None
    assert read_failure((("retry_topic-backoff-timestamp", late),)).failed_at_ms is None
    assert read_failure((("x-original-timestamp", late),)).source_timestamp_ms is None
    text = str(2**62).encode()
    assert read_failure((("delayed-retry-original-timestamp", text),)).source_timestamp_ms is None
    ours = (("orderpulse.dead-letter-id", b"d"), ("orderpulse.failed-at-ms", text))
    assert read_failure(ours).failed_at_ms is None


def test_the_newer_of_spring_s_failures_of_key_and_value_counts() -> None:
    value = (("kafka_dlt-exception-fqcn", b"ValueError"), ("kafka_dlt-exception-message", b"bad value"))
    key = (("kafka_dlt-key-exception-fqcn", b"KeyError"), ("kafka_dlt-key-exception-message", b"bad key"))
    assert (read_failure(value + key).error_class, read_failure(value + key).message) == ("KeyError", "bad key")
    assert (read_failure(key + value).error_class, read_failure(key + value).message) == ("ValueError", "bad value")


def test_smallrye_s_deserialization_failure() -> None:
    headers = (
        ("deserialization-failure-reason", b"not a number"),
        ("deserialization-failure-cause", b"x"),
        ("deserialization-failure-topic", b"orders"),
    )
    failure = read_failure(headers)
    assert (failure.dialect, failure.source_topic, failure.message) == ("smallrye", "orders", "not a number")


def test_karafka() -> None:
    headers = (
        ("source_topic", b"orders"),
        ("source_partition", b"2"),
        ("source_offset", b"31"),
        ("source_consumer_group", b"billing"),
        ("source_attempts", b"3"),
        ("source_trace_id", b"f00"),
    )
    assert fields_of(headers) == {
        "dialect": "karafka",
        **position("orders", 2, 31),
        "attempts": 3,
        "consumer_group": "billing",
    }


def test_arroyo() -> None:
    headers = (("original_partition", b"2"), ("original_offset", b"31"))
    assert fields_of(headers) == {"dialect": "arroyo", **position(None, 2, 31)}
    assert reason_of(read_failure(headers), b"") == "arroyo gives no reason"


def test_nservicebus() -> None:
    headers = (
        ("NServiceBus.FailedQ", b"sales@shop"),
        ("NServiceBus.ExceptionInfo.ExceptionType", b"System.TimeoutException"),
        ("NServiceBus.ExceptionInfo.InnerExceptionType", b"System.IO.IOException"),
        ("NServiceBus.ExceptionInfo.Message", b"too slow"),
        ("NServiceBus.ExceptionInfo.Source", b"Sales"),
        ("NServiceBus.ExceptionInfo.StackTrace", b"at Sales"),
    )
    assert fields_of(headers) == {
        "dialect": "nservicebus",
        "source_topic": "sales@shop",
        "newest_topic": "sales@shop",
        "error_class": "System.TimeoutException",
        "message": "too slow",
        "stacktrace": "at Sales",
    }


@pytest.mark.parametrize(
    "headers",
    [
        (),
        (("traceparent", b"00-1"), ("dlq_replay_count", b"2")),
        (("source_topic", b"crm"),),
        (("original_offset", b"7"),),
        (("topic_poisoned", None),),
    ],
)
def test_headers_of_no_dialect_tell_nothing(headers: Headers) -> None:
    assert fields_of(headers) == {"dialect": "none"}
    assert reason_of(read_failure(headers), b"{}") == "no failure headers"
    assert reason_of(read_failure(headers), None) == "no failure headers, no value"


def test_a_reason_is_the_message_else_the_class_and_never_blank() -> None:
    assert reason_of(Failure("spring-kafka", message="no stock", error_class="E"), None) == "no stock"
    assert reason_of(Failure("spring-kafka", message=" \n", error_class="E"), None) == "E"


ALL_NAMES = sorted(
    {name for dialect in DIALECTS for name in dialect.header_names}
    | {"orderpulse.replay-id", "orderpulse.replay-of", "other"}
)
values = st.one_of(
    st.none(),
    st.binary(max_size=10),
    st.sampled_from([b"", b"-1", b"1e3", b"9" * 30, b"\xff\xfe", int32(-1), int64(-1), int64(2**62)]),
    st.integers(0, 2**40).map(lambda number: str(number).encode()),
)


@settings(max_examples=300)
@given(st.lists(st.tuples(st.sampled_from(ALL_NAMES), values), max_size=12))
def test_no_value_of_any_header_does_more_than_tell_nothing(headers: list[tuple[str, bytes | None]]) -> None:
    failure = read_failure(tuple(headers))
    assert reason_of(failure, None).strip()
    for name, value in failure._asdict().items():
        if name.endswith(("partition", "offset", "attempts", "_ms")):
            assert value is None or 0 <= value < 2**63
        else:
            assert value is None or (isinstance(value, str) and value)


@pytest.mark.parametrize("raw", [None, b"", b"3", int64(3), int32(-3), b"\x00" * 9])
def test_a_partition_of_the_wrong_form_counts_as_missing_and_the_rest_is_read(raw: bytes | None) -> None:
    failure = read_failure((("kafka_dlt-original-topic", b"orders"), ("kafka_dlt-original-partition", raw)))
    assert (failure.source_topic, failure.source_partition) == ("orders", None)


@pytest.mark.parametrize("raw", [None, b"", b"3.0", b"-3", int32(3), b" 3", "３".encode(), str(2**31).encode()])
def test_a_partition_that_is_no_decimal_text_counts_as_missing_and_the_rest_is_read(raw: bytes | None) -> None:
    failure = read_failure((("__connect.errors.topic", b"orders"), ("__connect.errors.partition", raw)))
    assert (failure.source_topic, failure.source_partition) == ("orders", None)


def test_a_topic_that_is_not_utf_8_counts_as_missing_and_the_rest_is_read() -> None:
    failure = read_failure((("__connect.errors.topic", b"\xff"), ("__connect.errors.offset", b"5")))
    assert (failure.source_topic, failure.source_offset) == (None, 5)
