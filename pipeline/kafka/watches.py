"""What is looked at every few seconds, each in a thread of its own, while a role works."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping

from confluent_kafka import ConsumerGroupState

from pipeline.errors import KafkaUnavailableError, TopicChangedError
from pipeline.kafka.cluster import find_cluster
from pipeline.kafka.topics import ClusterView
from pipeline.records import TopicIdentity
from pipeline.settings import Settings

log = logging.getLogger(__name__)

IDENTITY_EVERY_S = 2.0
OWNERS_EVERY_S = 3.0


class IdentityWatch:
    """Looks every 2 s, in a thread of its own, whether the topics are still the same ones."""

    def __init__(self, settings: Settings, view: ClusterView, expected: Mapping[str, TopicIdentity]) -> None:
        self._settings = settings
        self._view = view
        self._expected = dict(expected)
        self._changed = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="identity-watch", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raises TopicChangedError once the cluster or a topic is another one."""
        if self._changed:
            raise TopicChangedError(self._changed)

    def close(self) -> None:
        """Ends the thread, without waiting for an answer that may never come."""
        self._stop.set()

    def _watch(self) -> None:
        while not self._changed and not self._stop.wait(IDENTITY_EVERY_S):
            try:
                if find_cluster(self._settings) != self._view.cluster:
                    self._changed = "the demo cluster is another one"
                elif not self._view.cluster.demo_id:
                    self._compare(self._view.identities(list(self._expected)))
            except KafkaUnavailableError as error:
                log.debug("identity not known: %s", error)  # the readers and senders report what is away

    def _compare(self, found: Mapping[str, TopicIdentity]) -> None:
        changed = [topic for topic, identity in self._expected.items() if found.get(topic, identity) != identity]
        if changed:
            self._changed = f"topic {', '.join(changed)} was made anew"


class OwnersWatch:
    """Looks every 3 s, in a thread of its own, whether every partition of a topic has an owner in the group.

    Partitions move in two steps: the old owner gives them up and joins again, then the new one gets them. Where the
    old owner is restarted between the two, as a static member, nobody asks for the second step, and the partitions
    stay without an owner until something else makes the group rebalance. New partitions are without one at first too.
    """

    def __init__(self, settings: Settings, view: ClusterView, instance_id: str) -> None:
        self._settings = settings
        self._view = view
        self._instance_id = instance_id
        self._nobodys: list[int] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="owners-watch", daemon=True)
        if not view.cluster.demo_id:  # it rebalances whenever somebody joins
            self._thread.start()

    def take_nobodys(self) -> list[int]:
        """Partitions that have had no owner for two looks, if it is for this member to do something about it."""
        nobodys, self._nobodys = self._nobodys, []
        return nobodys

    def close(self) -> None:
        """Ends the thread, without waiting for an answer that may never come."""
        self._stop.set()

    def _watch(self) -> None:
        seen: list[int] = []
        while not self._stop.wait(OWNERS_EVERY_S):
            try:
                found = self._look()
            except KafkaUnavailableError as error:
                log.debug("owners not known: %s", error)  # the readers and senders report what is away
                found = []
            if found and found == seen:
                self._nobodys, seen = found, []
            else:
                seen = found

    def _look(self) -> list[int]:
        topic = self._settings.orders_topic
        group = self._view.group(self._settings.group_id)
        if group.state != ConsumerGroupState.STABLE:
            return []
        owned: dict[str, set[int]] = {
            member.group_instance_id or member.member_id: {
                place.partition for place in member.assignment.topic_partitions if place.topic == topic
            }
            for member in group.members
        }
        # One for all: that of our members that has the least.
        ours = [
            (len(owned[member.group_instance_id]), member.group_instance_id)
            for member in group.members
            if member.group_instance_id
        ]
        if not ours or min(ours)[1] != self._instance_id:
            return []
        return sorted(set(range(self._view.partitions().get(topic, 0))).difference(*owned.values()))
