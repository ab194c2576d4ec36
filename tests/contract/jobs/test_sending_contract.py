"""What is written down of the topics before records go there."""

from __future__ import annotations

import uuid

from pipeline.errors import KafkaUnavailableError
from pipeline.jobs.sending import WindowSender
from pipeline.kafka import ClusterView, Sender
from scripts.waiting import wait_for
from tests.support.kafkas import Kafka, on_kafka

TOPICS = 10


@on_kafka()
def test_a_topic_that_was_made_just_now_is_waited_for_and_never_taken_for_one_that_is_not_there(kafka: Kafka):
    """Brokers list a topic a moment after the controller has made it; its records must not be refused meanwhile."""

    def described(window_sender: WindowSender, topic: str) -> bool:
        try:
            return topic in window_sender.describe([topic]) or never(topic)
        except KafkaUnavailableError:
            return False  # not yet

    for _ in range(TOPICS):
        settings = kafka.with_settings(orders_topic=f"new-{uuid.uuid4().hex[:8]}")
        view = ClusterView(settings, kafka.cluster)
        window_sender = WindowSender(settings, kafka.cluster, view, Sender(settings, kafka.cluster))
        wait_for(
            "the topic",
            lambda window_sender=window_sender, topic=settings.orders_topic: described(window_sender, topic),
        )


def never(topic: str) -> bool:
    raise AssertionError(f"{topic} was left out, so its records would be refused")
