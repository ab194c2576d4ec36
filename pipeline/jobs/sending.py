"""Sends a window of records so that a crash at any moment sends none of them twice.

A window and the ends of the partitions it may go to are in the buffer before its first record is sent. Whoever finds
an open window looks for its records in Kafka from those ends on; what is not there was not sent.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pipeline.buffer import Sent
from pipeline.errors import KafkaUnavailableError
from pipeline.headers import last_text
from pipeline.kafka import Cluster, ClusterView, Delivery, Sender, ends, records_since
from pipeline.records import Outgoing, TopicIdentity
from pipeline.settings import Settings

CLUSTER_REPLACED = "the cluster or topic was replaced while this was being sent; look at it and send it again"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a window: what stands in Kafka and what could not be sent, by send id."""

    sent: list[Sent]
    errors: dict[str, str]


class WindowSender:
    """Sends windows, one after another, and knows how to look for the records of an open one."""

    def __init__(self, settings: Settings, cluster: Cluster, view: ClusterView, sender: Sender) -> None:
        self._settings = settings
        self._cluster = cluster
        self._view = view
        self._sender = sender
        self._ends: dict[str, dict[int, int]] = {}
        self._identities: dict[str, TopicIdentity] = {}
        self._waiting = 0
        self.under_way = 0
        """Records of a window that were handed over and whose positions are not known yet."""
        self._sent: list[Sent] = []
        self._errors: dict[str, str] = {}

    def describe(self, topics: Iterable[str]) -> dict[str, object]:
        """What must be written down before records go to these topics; those that are not there are left out.

        Raises KafkaUnavailableError.
        """
        topics = sorted(set(topics))
        missing = [topic for topic in topics if topic not in self._ends]
        if missing:
            self._look_at(missing)
        return {
            topic: {"identity": _as_list(self._identities[topic]), "ends": self._ends[topic]}
            for topic in topics
            if topic in self._ends
        }

    def _look_at(self, topics: list[str]) -> None:
        for topic in topics:
            if self._ours_to_make(topic):
                self._view.ensure_topic(topic)
        partitions = self._view.partitions()
        found = [topic for topic in topics if topic in partitions]
        for topic in topics:
            if topic not in partitions and self._ours_to_make(topic):
                # The controller has made it and the brokers do not know yet: that is no reason to refuse its records.
                raise KafkaUnavailableError(f"the topic {topic} was made just now, and the brokers do not list it yet")
        self._identities |= self._view.identities(found)
        for topic in found:
            self._ends[topic] = ends(self._settings, self._cluster, topic, partitions[topic])

    def _ours_to_make(self, topic: str) -> bool:
        """The demo cluster has no topics but those we make; on a real one somebody else's may be gone on purpose."""
        return bool(self._cluster.demo_id) or (topic == self._settings.own_orders_topic and self._settings.sends_orders)

    def begin(self, records: Sequence[Outgoing]) -> None:
        """Hands a window to Kafka; what `describe` returned for its topics is in the buffer."""
        self._sent, self._errors = [], {}
        fit = [record for record in records if not self._why_not(record)]
        self._waiting = self.under_way = len(fit)
        for record in fit:
            # A partition that the topic does not have (any more) leaves the choice to the key.
            partition = record.partition if record.partition in self._ends[record.topic] else None
            self._sender.send(
                record.topic,
                record.key,
                record.value,
                record.headers,
                self._done,
                partition,
                send_id=record.send_id,
            )

    def _why_not(self, record: Outgoing) -> str:
        why_not = record.refused or ("" if record.topic in self._ends else f"the topic {record.topic} is not there")
        if why_not:
            self._errors[record.send_id] = why_not
        return why_not

    def poll(self, timeout_s: float) -> Outcome | None:
        """Waits for confirmations; the outcome once there is one for every record."""
        if self._waiting:
            self._sender.poll(timeout_s)
        if self._waiting:
            return None
        for each in self._sent:
            ends_of_topic = self._ends[each.topic]
            ends_of_topic[each.partition] = max(ends_of_topic.get(each.partition, 0), each.offset + 1)
        self.under_way = 0
        return Outcome(self._sent, self._errors)

    def ends_of(self, topics: Iterable[str]) -> dict[str, Mapping[int, int]]:
        """The offset after the newest record that we know of, by topic and partition; none of one not described yet."""
        return {topic: self._ends.get(topic, {}) for topic in topics}

    def look_for(self, send_ids: set[str], header: str, described: Mapping[str, object]) -> Outcome:
        """What became of the records of a window that nobody closed; `described` as it came from `describe`.

        What is in none of the outcome's two parts was not sent.
        """
        sent: dict[str, Sent] = {}
        errors: dict[str, str] = {}
        found = self._view.identities(list(described))
        for topic, before in described.items():
            assert isinstance(before, dict)
            if _as_list(found[topic]) != before["identity"]:
                # Nobody can say what the old cluster or topic had got: a person must.
                errors |= dict.fromkeys(send_ids, CLUSTER_REPLACED)
                continue
            offsets = {int(partition): int(offset) for partition, offset in before["ends"].items()}
            # Ours are there, also behind those of somebody's transaction that nobody may read yet.
            for record in records_since(self._settings, self._cluster, topic, offsets, undecided=True):
                send_id = last_text(record.headers, header)
                if send_id in send_ids:
                    position = record.position
                    sent.setdefault(send_id, Sent(send_id, topic, position.partition, position.offset))
        return Outcome(list(sent.values()), {send_id: why for send_id, why in errors.items() if send_id not in sent})

    def _done(self, delivery: Delivery) -> None:
        self._waiting -= 1
        if delivery.error:
            self._errors[delivery.send_id] = delivery.error
        else:
            self._sent.append(Sent(delivery.send_id, delivery.topic, delivery.partition, delivery.offset))


def window_json(described: Mapping[str, object], **more: object) -> str:
    """The text of a window for the buffer."""
    return json.dumps({"topics": described, **more})


def _as_list(identity: TopicIdentity) -> list[str]:
    return [identity.cluster_id, identity.topic, identity.topic_id]
