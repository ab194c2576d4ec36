"""What is looked at every few seconds, each in a thread of its own, while a role works."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Mapping

from pipeline.errors import KafkaUnavailableError, TopicChangedError
from pipeline.kafka.cluster import find_cluster
from pipeline.kafka.topics import ClusterView
from pipeline.records import TopicIdentity
from pipeline.settings import Settings

log = logging.getLogger(__name__)

IDENTITY_EVERY_S = 2.0


class IdentityWatch:
    """Looks every 2 s, in a thread of its own, whether the topics are still the same ones; `confirm` asks at once."""

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

    def confirm(self, topics: Iterable[str]) -> None:
        """Asks, once for all, whether these still are the same: all that was read before this call is theirs then.

        Of a topic that was recreated the client library reads on as if nothing had been, so between two looks records
        of the new one would be taken for the old one's. Raises TopicChangedError, or KafkaUnavailableError when there
        is no answer.
        """
        if self._view.cluster.demo_id:
            return  # it recreates no topic
        asked = sorted(set(topics))
        if not asked:
            return
        ids, missing = self._view.topic_ids(asked)
        for topic, topic_id in ids.items():
            if topic_id != self._expected[topic].topic_id:
                raise TopicChangedError(f"topic {topic} was recreated")
        for why in missing.values():
            raise KafkaUnavailableError(why)

    def expect(self, identities: Mapping[str, TopicIdentity]) -> None:
        """Looks after these topics too."""
        self._expected = {**self._expected, **identities}

    def forget(self, topics: Iterable[str]) -> None:
        """Looks after these no more."""
        forgotten = set(topics)
        self._expected = {topic: identity for topic, identity in self._expected.items() if topic not in forgotten}

    def close(self) -> None:
        """Ends the thread, without waiting for an answer that may never come."""
        self._stop.set()

    def _watch(self) -> None:
        while not self._changed and not self._stop.wait(IDENTITY_EVERY_S):
            try:
                if find_cluster(self._settings) != self._view.cluster:
                    self._changed = "the demo cluster is another one"
                elif not self._view.cluster.demo_id:
                    # One that is gone or hidden keeps nobody from noticing what became of the others.
                    self._compare(self._view.look_up(list(self._expected))[0])
            except KafkaUnavailableError as error:
                log.debug("identity not known: %s", error)  # the readers and senders report what is away

    def _compare(self, found: Mapping[str, TopicIdentity]) -> None:
        changed = [
            topic for topic, identity in self._expected.items() if _differs(identity, found.get(topic, identity))
        ]
        if changed:
            self._changed = f"topic {', '.join(changed)} was recreated"


def _differs(expected: TopicIdentity, found: TopicIdentity) -> bool:
    """A cluster that begins to tell ids, as it does after an upgrade, has the same topics as before."""
    return found.cluster_id != expected.cluster_id or (bool(expected.topic_id) and found.topic_id != expected.topic_id)
