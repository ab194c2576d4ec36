"""What a replay carries: nothing that makes it final, and whatever tells the first origin."""

from __future__ import annotations

import struct

import pytest

from pipeline.headers import read_failure, replay_headers, why_not_replayed
from pipeline.headers.own import SOURCE_OFFSET, SOURCE_PARTITION, SOURCE_TOPIC
from pipeline.records import Headers
from tests.support.dialect_samples import SAMPLES


def names(headers: Headers) -> set[str]:
    return {name for name, _ in headers}


@pytest.mark.parametrize(
    ("dialect", "counter"),
    [
        ("spring-kafka", ("retry_topic-attempts", struct.pack(">i", 5))),
        ("spring-kafka", ("retry_topic-original-timestamp", b"\x01\x8b\xcf\xe5\x68\x00")),
        ("spring-kafka", ("retry_topic-backoff-timestamp", b"\x01\x8b\xcf\xe5\x7f\x70")),
        ("smallrye", ("delayed-retry-count", b"3")),
        ("kafkajs-async-retry", ("asyncRetry", b'{"ttl":0,"top":"payments","att":5}')),
        ("wolverine", ("wolverine-kafka-retry-attempt", b"3")),
        ("silverback", ("x-failed-attempts", b"3")),
        ("masstransit", ("MT-Redelivery-Count", b"3")),
        ("nservicebus", ("NServiceBus.DelayedRetries", b"3")),
        ("brighter", ("HandledCount", b"3")),
    ],
)
def test_a_counter_that_makes_a_replay_final_is_left_out(dialect, counter):
    headers = (*SAMPLES[dialect].headers, counter)
    assert counter[0] not in names(replay_headers(headers, "r", "d"))


def test_what_no_dialect_knows_is_sent_as_it_came():
    headers: Headers = (("trace", b"\xff\n"), ("trace", None), ("retry", b"3"))
    assert replay_headers(headers, "r", "d")[:-2] == headers


def test_nothing_is_added_where_what_is_sent_tells_the_origin():
    sent = replay_headers(SAMPLES["spring-kafka"].headers, "r", "d")
    assert SOURCE_TOPIC not in names(sent)


def test_an_origin_that_only_a_counter_told_is_in_headers_of_ours():
    sent = dict(replay_headers(SAMPLES["smallrye"].headers, "r", "d"))
    assert (sent[SOURCE_TOPIC], sent[SOURCE_PARTITION], sent[SOURCE_OFFSET]) == (b"orders", b"3", b"417")


def test_dapr_is_given_no_header_that_it_cannot_hand_over():
    stack: Headers = (
        ("__connect.errors.topic", b"payments"),
        ("__connect.errors.exception.stacktrace", b"a\n\tat b"),
        ("__connect.errors.exception.message", None),
        ("kafka_dlt-original-offset", struct.pack(">q", 2**40 + 255)),
    )
    sent = replay_headers(stack + SAMPLES["dapr"].headers, "r", "d")
    assert names(sent) >= {"__connect.errors.topic", "__topic", "__partition", "__offset"}
    assert all(value is not None and b"\n" not in value and value.decode() for _, value in sent)
    elsewhere = replay_headers(stack, "r", "d")
    assert elsewhere[: len(stack)] == stack


# -- what is read


def test_karafka_up_to_2_4_is_not_arroyo():
    position: Headers = (("original_partition", b"2"), ("original_offset", b"31"))
    old = (("original_topic", b"payments"), *position, ("original_consumer_group", b"billing"))
    failure = read_failure((*old, ("original_attempts", b"3")))
    assert (failure.dialect, failure.source_topic, failure.source_partition, failure.source_offset) == (
        "karafka",
        "payments",
        2,
        31,
    )
    assert (failure.newest_topic, failure.attempts, failure.consumer_group) == ("payments", 3, "billing")
    assert read_failure(position).dialect == "arroyo"
    assert read_failure((("original_topic", b"payments"),)).dialect == "none"


def test_watermill_in_any_order_tells_reason_and_topic():
    headers: Headers = (("topic_poisoned", b"payments"), ("reason_poisoned", b"card declined"))
    for each in (headers, headers[::-1]):
        failure = read_failure(each)
        assert (failure.dialect, failure.source_topic, failure.message) == ("watermill", "payments", "card declined")
    assert read_failure(headers[1:]).source_topic is None
    assert read_failure((("_watermill_message_uuid", b"1"),)).dialect == "none"


def test_wolverine_names_the_first_topic_behind_its_retry_topics():
    replaced = {"original-destination": b"kafka://topic/payments.retry.30s", "original-offset": b"7"}
    headers = tuple((name, replaced.get(name, value)) for name, value in SAMPLES["wolverine"].headers)
    failure = read_failure(headers)
    assert (failure.source_topic, failure.source_partition, failure.source_offset) == ("payments", None, None)
    assert (failure.newest_topic, failure.newest_offset) == ("payments.retry.30s", 7)


@pytest.mark.parametrize("address", [b"rabbitmq://host/payments", b"kafka://elsewhere/payments", b"payments", b""])
def test_an_address_of_another_transport_names_no_topic(address):
    wolverine = (("exception-type", b"E"), ("exception-message", b"m"), ("failed-at", b"1"))
    assert read_failure((*wolverine, ("original-destination", address))).source_topic is None
    assert read_failure((("MT-Fault-InputAddress", address),)).source_topic is None


@pytest.mark.parametrize(
    "value", [b"[", b"[]", b"7", b'"top"', b'{"top":7,"att":"x"}', b'{"top":"\\ud800"}', b"[" * 2_000, b'{"att":true}']
)
def test_json_that_is_not_kafkajs_async_retry_s_tells_nothing(value):
    failure = read_failure((("asyncRetry", value),))
    assert failure == failure._replace(dialect="kafkajs-async-retry", source_topic=None, attempts=None)


def test_what_a_rule_kept_from_being_written_cannot_be_replayed():
    written = tuple((n, b"WRITE" if n == "__rule.mode" else v) for n, v in SAMPLES["confluent-rules"].headers)
    assert "could not be written" in why_not_replayed(written, None, b"{}")
    assert why_not_replayed(SAMPLES["confluent-rules"].headers, None, b"{}") == ""


def test_streams_letters_without_a_body_name_the_record():
    headers: Headers = (
        ("__streams.errors.topic", b"orders"),
        ("__streams.errors.partition", b"3"),
        ("__streams.errors.offset", b"417"),
    )
    assert "orders[3] offset 417" in why_not_replayed(headers, None, None)
    assert why_not_replayed(headers, b"k", None) == ""
    punctuation: Headers = (("__streams.errors.topic", None), ("__streams.errors.offset", b"-1"))
    assert "names no record" in why_not_replayed(punctuation, None, None)
