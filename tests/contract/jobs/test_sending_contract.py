"""What is written down of the topics before records go there."""

from __future__ import annotations

import json
import uuid

from pipeline.errors import KafkaUnavailableError
from pipeline.headers.own import REPLAY_ID
from pipeline.jobs.sending import WindowSender
from pipeline.kafka import ClusterView, Sender
from pipeline.records import Outgoing
from scripts.waiting import wait_for
from tests.support.kafkas import Kafka, on_kafka
from tests.support.transactions import TransactionalWriter

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


@on_kafka("topic_changes")
def test_what_was_sent_is_found_behind_an_undecided_transaction(kafka: Kafka):
    """Else it would be sent again: nobody may read it before the transaction of somebody else is over."""
    kafka.make_topic()
    sender = Sender(kafka.settings, kafka.cluster)
    window_sender = WindowSender(kafka.settings, kafka.cluster, kafka.view(), sender)
    described = window_sender.describe([kafka.topic])
    # As a window in a buffer is: JSON knows no other keys.
    window = json.loads(json.dumps(described))
    others = TransactionalWriter(kafka.cluster.bootstrap_servers)
    others.begin(kafka.topic, [b"undecided"])
    window_sender.begin([Outgoing("one", kafka.topic, b"k", b"v", ((REPLAY_ID, b"one"),), 0)])
    assert sender.flush(10) == 0
    found = window_sender.look_for({"one", "never-sent"}, REPLAY_ID, window)
    assert [(sent.send_id, sent.partition, sent.offset) for sent in found.sent] == [("one", 0, 1)]
    others.abort()


def never(topic: str) -> bool:
    raise AssertionError(f"{topic} was left out, so its records would be refused")
