"""Our own headers: what a dead letter of ours says, how replays keep everything, and stacks of several dialects."""

from __future__ import annotations

import json
import struct

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.headers import (
    dead_letter_id_of,
    failure_headers,
    headers_from_json,
    headers_to_json,
    last_text,
    read_failure,
    reason_of,
    replay_headers,
    replay_id_of,
)
from pipeline.headers.own import MESSAGE_LIMIT, STACKTRACE_LIMIT
from pipeline.records import Failure, Headers, Position, TopicIdentity

APP: Headers = (("trace", b"\xff\x00"), ("trace", None), ("trace", b""))
SPRING: Headers = (
    ("kafka_dlt-original-topic", b"shop"),
    ("kafka_dlt-original-partition", struct.pack(">i", 3)),
    ("kafka_dlt-original-offset", struct.pack(">q", 40)),
    ("kafka_dlt-exception-fqcn", b"com.shop.StockException"),
    ("kafka_dlt-exception-message", b"no stock"),
)
CONNECT: Headers = (
    ("__connect.errors.topic", b"orders-copy"),
    ("__connect.errors.partition", b"0"),
    ("__connect.errors.offset", b"2"),
    ("__connect.errors.exception.message", b"bad sink"),
)


def ours(
    offset: int = 417,
    message: str = "price -3.00 is below the minimum 0.01",
    when_ms: int = 1_000,
    stacktrace: str = "Traceback",
) -> Headers:
    return failure_headers(
        Position("orders", 2, offset),
        stage="VALIDATE",
        class_name="pipeline.orders.rules",
        exception_class="RuleBrokenError",
        message=message,
        stacktrace=stacktrace,
        attempts=1,
        first_failed_at_ms=when_ms,
        failed_at_ms=when_ms + 1,
        rule="price",
        dead_letter_id=f"id-of-{offset}",
    )


def test_a_dead_letter_of_ours_reads_back_as_it_was_written() -> None:
    failure = read_failure(APP + ours())
    assert failure == Failure(
        dialect="orderpulse",
        source_topic="orders",
        source_partition=2,
        source_offset=417,
        newest_topic="orders",
        newest_partition=2,
        newest_offset=417,
        error_class="RuleBrokenError",
        message="price -3.00 is below the minimum 0.01",
        stacktrace="Traceback",
        attempts=1,
        stage="VALIDATE",
        rule="price",
        first_failed_at_ms=1_000,
        failed_at_ms=1_001,
        dead_letter_id="id-of-417",
    )
    assert reason_of(failure, None) == "price -3.00 is below the minimum 0.01"


def test_our_headers_are_text_under_kafka_connect_s_names() -> None:
    written = dict(ours())
    assert written["__connect.errors.partition"] == b"2"
    assert written["__connect.errors.class.name"] == b"pipeline.orders.rules"
    assert written["orderpulse.first-failed-at-ms"] == b"1000"


def test_a_long_error_is_cut_so_that_the_dead_letter_still_fits() -> None:
    written = dict(ours(message="m" * (MESSAGE_LIMIT + 1)))
    message = written["__connect.errors.exception.message"]
    assert message is not None
    assert len(message.decode()) == MESSAGE_LIMIT
    assert message.decode().endswith("m…")
    assert STACKTRACE_LIMIT < 20_000


def test_of_a_long_stack_trace_the_innermost_part_is_kept() -> None:
    stacktrace = "outer\n" * 10_000 + "".join(f"frame {number}\n" for number in range(500))
    assert read_failure(ours(stacktrace=stacktrace)).stacktrace == stacktrace[-STACKTRACE_LIMIT:]
    assert read_failure(ours(stacktrace=stacktrace[-STACKTRACE_LIMIT:])).stacktrace == stacktrace[-STACKTRACE_LIMIT:]


def test_a_message_that_utf_8_cannot_hold_is_written_all_the_same() -> None:
    assert read_failure(ours(message="half \ud800")).message == "half \\ud800"


def test_a_replay_keeps_every_header_and_says_which_replay_it_is() -> None:
    sent = replay_headers(APP + ours(), "r-1", "id-of-417")
    assert sent[: len(APP + ours())] == APP + ours()
    assert sent[len(APP + ours()) :] == (("orderpulse.replay-id", b"r-1"), ("orderpulse.replay-of", b"id-of-417"))


def test_a_replay_leaves_out_spring_s_exception_of_the_failure_before() -> None:
    spring: Headers = (("springDeserializerExceptionKey", b"key"), ("springDeserializerExceptionValue", b"value"))
    assert replay_headers((*spring, *APP), "r", "d") == replay_headers(APP, "r", "d")


def test_of_repeated_replays_the_last_counts() -> None:
    sent = replay_headers(replay_headers(APP, "r-1", "d-1"), "r-2", "d-2")
    assert replay_id_of(sent) == "r-2"
    assert (read_failure(sent).replay_id, read_failure(sent).replay_of) == ("r-2", "d-2")
    assert last_text(sent, "orderpulse.replay-of") == "d-2"
    assert sum(name == "orderpulse.replay-id" for name, _ in sent) == 2


def test_a_record_that_was_never_replayed_has_no_replay() -> None:
    assert replay_id_of(APP) is None
    assert last_text(APP, "trace") is None


def test_a_replay_that_fails_again_has_its_first_origin_and_its_newest_failure() -> None:
    again = replay_headers(ours(), "r-1", "id-of-417") + ours(900, "price 0.00 is below the minimum 0.01", 5_000)
    assert read_failure(again) == read_failure(ours(900, "price 0.00 is below the minimum 0.01", 5_000))._replace(
        source_offset=417,
        first_failed_at_ms=1_000,
        replay_id="r-1",
        replay_of="id-of-417",
    )


def test_spring_then_ours_is_spring_s_origin_and_our_failure() -> None:
    failure = read_failure(replay_headers(SPRING, "r-1", "d-1") + ours())
    assert (failure.source_topic, failure.source_partition, failure.source_offset) == ("shop", 3, 40)
    assert (failure.dialect, failure.newest_topic, failure.newest_offset) == ("orderpulse", "orders", 417)
    assert (failure.message, failure.rule) == ("price -3.00 is below the minimum 0.01", "price")


def test_ours_then_spring_is_our_origin_and_spring_s_failure() -> None:
    failure = read_failure(ours() + SPRING)
    assert (failure.source_topic, failure.source_offset) == ("orders", 417)
    assert (failure.dialect, failure.newest_topic, failure.message) == ("spring-kafka", "shop", "no stock")
    assert (failure.rule, failure.dead_letter_id) == (None, None)


def test_ours_then_kafka_connect_is_not_taken_for_ours() -> None:
    failure = read_failure(ours() + CONNECT)
    assert (failure.dialect, failure.message, failure.dead_letter_id) == ("kafka-connect", "bad sink", None)
    assert (failure.source_topic, failure.newest_topic) == ("orders", "orders-copy")


def test_kafka_connect_s_headers_once_are_ours_unless_one_is_there_that_we_never_write() -> None:
    id_first = (ours()[-1], *ours()[:-1])
    assert read_failure(id_first) == read_failure(ours())
    assert read_failure((*id_first, ("__connect.errors.task.id", b"0"))).dialect == "kafka-connect"


def test_kafka_connect_then_ours_is_connect_s_origin_and_our_failure() -> None:
    failure = read_failure(CONNECT + ours())
    assert (failure.dialect, failure.source_topic, failure.newest_topic) == ("orderpulse", "orders-copy", "orders")


def test_an_origin_without_a_topic_is_not_mixed_with_another_position() -> None:
    arroyo: Headers = (("original_partition", b"7"), ("original_offset", b"31"))
    failure = read_failure(arroyo + ours())
    assert (failure.source_topic, failure.source_partition, failure.source_offset) == ("orders", 2, 417)


@settings(max_examples=200)
@given(st.lists(st.tuples(st.text(max_size=5), st.none() | st.binary(max_size=8)), max_size=8))
def test_headers_come_back_from_json_with_order_repeats_nulls_and_bytes(
    headers: list[tuple[str, bytes | None]],
) -> None:
    assert headers_from_json(headers_to_json(tuple(headers))) == tuple(headers)


def test_headers_in_json_are_readable_where_they_are_text() -> None:
    text = headers_to_json((("a", "é".encode()), ("a", None), ("b", b""), ("c", b"\xff")))
    assert json.loads(text) == [["a", "é"], ["a", None], ["b", ""], ["c", {"base64": "/w=="}]]


parts = st.tuples(st.text('ab-1[],"', max_size=4), st.text('ab-1[],"', max_size=4), st.text("ab-1", max_size=2))


@settings(max_examples=200)
@given(
    parts, parts, st.tuples(st.integers(0, 20), st.integers(0, 20)), st.tuples(st.integers(0, 20), st.integers(0, 20))
)
def test_two_records_have_the_same_dead_letter_id_only_when_they_are_one(
    one: tuple[str, str, str], other: tuple[str, str, str], at: tuple[int, int], other_at: tuple[int, int]
) -> None:
    first = dead_letter_id_of(TopicIdentity(*one), *at)
    second = dead_letter_id_of(TopicIdentity(*other), *other_at)
    assert (first == second) == ((one, at) == (other, other_at))
    assert len(first) == 32
