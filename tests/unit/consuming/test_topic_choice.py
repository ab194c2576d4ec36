"""Which topics are read as orders, and which a pattern never takes in."""

from __future__ import annotations

import pytest

from pipeline.consuming.topic_choice import HasSection, choose_dead_letter_topics, choose_orders_topics, may_hold_orders
from pipeline.consuming.topic_names import known_use
from pipeline.settings import Settings, load_settings

EVERY: HasSection = bool
NONE: HasSection = {}.__contains__


def everything(*topics: str) -> dict[str, int]:
    return dict.fromkeys(topics, 3)


def wanting(orders: str, dead_letters: str = "orders-dlq") -> Settings:
    return load_settings(orders_topic=orders, dlq_topics=dead_letters)


def test_a_topic_that_is_named_needs_no_section():
    chosen = choose_orders_topics(wanting("orders, web"), {"orders": 4, "web": 2, "other": 1}, NONE)
    assert (chosen.read, chosen.left_out) == ({"orders": 4, "web": 2}, {})


def test_a_pattern_takes_in_what_has_a_section():
    there = everything("orders", "shop-a", "shop-b", "shop-dlq", "workshop")
    chosen = choose_orders_topics(wanting("orders,^shop-"), there, {"shop-a", "workshop", "shop-dlq"}.__contains__)
    assert chosen.read == everything("orders", "shop-a")
    assert chosen.without_section == ["shop-b"]
    assert chosen.no_orders == {"shop-dlq": "is of the kind that orderpulse writes"}
    assert chosen.left_out.keys() == {"shop-b", "shop-dlq"}


def test_what_is_collected_as_dead_letters_is_not_read_as_orders_whatever_its_name_is():
    there = everything("orders-web", "orders-broken", "orders-late-1", "orders-own")
    chosen = choose_orders_topics(wanting("^orders", "orders-own,orders-broken,^orders-late-"), there, EVERY)
    assert chosen.read == everything("orders-web")
    assert set(chosen.no_orders.values()) == {"is collected as dead letters"}
    assert not may_hold_orders(wanting("^orders", "orders-own"), "orders-own")


def test_our_own_dead_letters_are_collected_under_the_name_made_of_the_first_orders_topic():
    settings = wanting("^x,web,orders", "^foreign")
    assert (settings.own_orders_topic, settings.own_dlq_topic) == ("web", "web-dlq")
    there = everything("web", "orders", "web-dlq", "foreign-1", "orders-dlq")
    assert choose_dead_letter_topics(settings, there) == everything("web-dlq", "foreign-1")
    assert choose_orders_topics(settings, there, NONE).read == everything("web", "orders")


def test_a_topic_that_is_named_is_read_though_its_name_looks_like_something_else():
    assert choose_orders_topics(wanting("orders-retry"), everything("orders-retry"), NONE).read == everything(
        "orders-retry"
    )


@pytest.mark.parametrize(
    "topic",
    """
    __consumer_offsets __transaction_state __share_group_state _schemas _schemas_v2 kafkasql-journal
    _confluent-metrics _confluent-ksql-default__command_topic _redpanda.audit_log
    connect-configs connect-offsets connect-status docker-connect-configs _connect-configs my_connect_statuses
    mm2-configs.west.internal mm2-offset-syncs.west.internal west.checkpoints.internal heartbeats west.heartbeats
    orders-app-KSTREAM-AGGREGATE-STATE-STORE-0000000003-changelog orders-app-totals-repartition
    orders-app-KTABLE-FK-JOIN-SUBSCRIPTION-REGISTRATION-0000000006-subscription-registration-topic
    orders.DLT orders-dlt orders-retry orders-retry-0 orders-retry-1000 orders-retry-5000-0
    error.orders.billing orders-dlq billing-dlq billing-retry-2 billing-retry-30s
    dead-letter-topic-orders orders_retry_10000 wolverine-dead-letter-queue orders.retry.30s
    dlq.orders orders_error orders_skipped error dlq-lcc-abc123 orders.dlq orders_dlq orders-DLQ orders.dlq.billing
    snuba-dead-letter-orders orders-dead-letters poison_queue poison poisonMessages orders.retry orders-retries
    """.split(),
)
def test_topics_of_kafka_and_of_frameworks_are_known_by_their_names(topic):
    assert known_use(topic)
    assert not may_hold_orders(wanting("^.*"), topic)


@pytest.mark.parametrize(
    "topic",
    """
    orders orders-v2 shop.orders web_orders connected-orders my-connect-orders orders-status orders-configs
    error-free-orders retryable-orders orders-internal checkpoints heartbeats-of-orders letters dltp changelog
    poisonous-plants terror skipped-orders
    """.split(),
)
def test_other_names_say_nothing(topic):
    assert known_use(topic) == ""
