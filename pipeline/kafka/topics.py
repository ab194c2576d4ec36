"""Topics and groups, as the cluster describes them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicCollection, Uuid
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import ConfigResource
from confluent_kafka.cimpl import NewTopic

from pipeline.clock import Wait, pause
from pipeline.errors import KafkaUnavailableError
from pipeline.kafka.cluster import Cluster
from pipeline.kafka.connection.certificates import why_not_trusted
from pipeline.kafka.connection.client import (
    ANSWER_S,
    SPREADING_S,
    TRIES_S,
    Trouble,
    client_config,
    is_not_known_yet,
    new_client,
)
from pipeline.kafka.connection.membership import BROKERS_SESSION_MS, session_ms
from pipeline.kafka.connection.refusals import UNTRUSTED, Asked, is_forbidden
from pipeline.kafka.connection.tokens import endpoint_trouble
from pipeline.kafka.keeping import TopicKeeping, read_keeping
from pipeline.records import TopicIdentity
from pipeline.settings import Settings

log = logging.getLogger(__name__)

_NO_TOPIC_ID = str(Uuid(0, 0))
"""What the library makes of an answer without one: brokers before 2.8 know none."""


class ClusterView:
    """What the cluster says of its topics. `wait` pauses until a topic that was just made is known."""

    def __init__(self, settings: Settings, cluster: Cluster, wait: Wait = pause) -> None:
        self.cluster = cluster
        self._wait = wait
        self._settings = settings
        self._trouble = Trouble(cluster)
        self._admin = new_client(AdminClient, settings, client_config(settings, cluster, "admin", self._trouble))

    def partitions(self) -> dict[str, int]:
        """All topics that this account may see, with the count of their partitions."""
        found = self._metadata("listing the topics")
        return {name: len(topic.partitions) for name, topic in found.topics.items() if topic.error is None}

    def ensure_topic(self, topic: str) -> None:
        """Makes a topic that is not there, with the partitions, replicas and retention of the settings.

        Raises KafkaUnavailableError with the command that makes it, where this account may not.
        """
        if topic in self.partitions():
            return
        if self.cluster.demo_id:
            self._metadata(f"making topic {topic}", topic)
            return
        wanted = _new_topic(self._settings, topic)
        future = self._admin.create_topics([wanted], request_timeout=ANSWER_S)[topic]
        try:
            future.result(ANSWER_S * 2)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise KafkaUnavailableError(_not_made(error.args[0], topic, self.cluster, wanted)) from error

    def identities(self, topics: Sequence[str]) -> dict[str, TopicIdentity]:
        """Cluster and topic ids. The demo cluster knows no topic ids. Raises KafkaUnavailableError."""
        found, missing = self.look_up(topics)
        for why in missing.values():
            raise KafkaUnavailableError(why)
        return found

    def look_up(self, topics: Sequence[str]) -> tuple[dict[str, TopicIdentity], dict[str, str]]:
        """The same, of those topics that the cluster describes, and why it does not describe the others.

        Raises KafkaUnavailableError when there is no answer at all.
        """
        if self.cluster.demo_id:
            return {topic: TopicIdentity(self.cluster.demo_id, topic) for topic in topics}, {}
        if not topics:
            return {}, {}
        cluster_id = self._metadata(f"looking up {', '.join(topics)}").cluster_id or ""
        ids, missing = self.topic_ids(topics)
        return {topic: TopicIdentity(cluster_id, topic, topic_id) for topic, topic_id in ids.items()}, missing

    def topic_ids(self, topics: Sequence[str]) -> tuple[dict[str, str], dict[str, str]]:
        """Kafka's own ids of topics, with one question, and why it tells none of the others.

        An id is empty where the broker tells none at all.
        """
        self._trouble.clear()
        ids: dict[str, str] = {}
        missing: dict[str, str] = {}
        for topic, described in self._described(topics).items():
            if isinstance(described, Exception):
                asked = Asked("Describe", topic)
                missing[topic] = self._trouble.explain(f"looking up {topic}", described, asked)
            else:
                told = str(described.topic_id)
                ids[topic] = "" if told == _NO_TOPIC_ID else told
        return ids, missing

    def _described(self, topics: Sequence[str]) -> dict[str, Any]:
        """What the cluster says of each topic, or the error that it has instead."""
        answers: dict[str, Any] = {}
        for wait_s in (*SPREADING_S, None):
            asked = [topic for topic in topics if topic not in answers or is_not_known_yet(answers[topic])]
            answers |= self._describe(asked)
            if not any(map(is_not_known_yet, answers.values())) or wait_s is None or self._wait(wait_s):
                break
        return answers

    def _describe(self, topics: Sequence[str]) -> dict[str, Any]:
        answers: dict[str, Any] = {}
        self._admin.poll(0)  # calls the token callback, where a new token is due
        futures = self._admin.describe_topics(TopicCollection(list(topics)), request_timeout=ANSWER_S)
        for topic, future in futures.items():
            try:
                answers[topic] = future.result(ANSWER_S * 2)
            except (KafkaException, TimeoutError) as error:
                answers[topic] = error
        self._admin.poll(0)  # hands the library's complaints to _trouble
        return answers

    def session_ms(self) -> int:
        """How long Kafka waits for a silent member of the processors' group before it deals out its partitions.

        Where the brokers decide, it is asked of them, and their default where this account may not ask.
        """
        known = session_ms(self._settings, self.cluster)
        return self._session_of_brokers() if known is None else known

    def _session_of_brokers(self) -> int:
        group = ConfigResource(ConfigResource.Type.GROUP, self._settings.group_id)
        try:
            found = self._admin.describe_configs([group], request_timeout=ANSWER_S)[group].result(ANSWER_S * 2)
            return int(found["consumer.session.timeout.ms"].value)
        except (KafkaException, TimeoutError, KeyError, ValueError) as error:
            log.info("the group's session is taken for %d ms, the default: %s", BROKERS_SESSION_MS, error)
            return BROKERS_SESSION_MS

    def may_be_compacted(self, topics: Sequence[str]) -> set[str]:
        """Those of these topics whose records compaction may have taken, by their `cleanup.policy` now.

        One that this account may not ask about (DescribeConfigs on the topic) is among them. Raises
        KafkaUnavailableError when nobody answers.
        """
        if self.cluster.demo_id or not topics:
            return set()
        return {topic for topic, answer in self._configs(topics).items() if self._may_be_compacted(topic, answer)}

    def keeping(self, topics: Sequence[str]) -> tuple[dict[str, TopicKeeping], dict[str, str]]:
        """How long these topics keep their records, and of the others why it is not known.

        The demo cluster describes no configuration.
        """
        if self.cluster.demo_id or not topics:
            return {}, dict.fromkeys(topics, "the demo cluster keeps the newest 5 MB of a partition, however old")
        self._trouble.clear()
        return read_keeping(self._configs(topics), self._trouble)

    def _configs(self, topics: Sequence[str]) -> dict[str, Any]:
        """What will be answered of each topic's configuration."""
        resources = [ConfigResource(ConfigResource.Type.TOPIC, topic) for topic in topics]
        answers = self._admin.describe_configs(resources, request_timeout=ANSWER_S)
        return {resource.name: answer for resource, answer in answers.items()}

    def _may_be_compacted(self, topic: str, answer: Any) -> bool:
        try:
            return "compact" in str(answer.result(ANSWER_S * 2)["cleanup.policy"].value)
        except (KafkaException, TimeoutError) as error:
            if isinstance(error, KafkaException) and is_forbidden(error.args[0].name()):
                return True
            raise KafkaUnavailableError(self._trouble.explain(f"asking for the policy of {topic}", error)) from error

    def _metadata(self, doing: str, *topic: str) -> Any:
        self._trouble.clear()
        self._admin.poll(0)  # calls the token callback, where a new token is due
        for timeout_s in TRIES_S:
            try:
                return self._admin.list_topics(*topic, timeout=timeout_s)
            except KafkaException as error:
                failed = error
            self._admin.poll(0)  # hands the library's complaints to _trouble
            if self._trouble.refusal or self._trouble.without_token:
                break
        raise KafkaUnavailableError(self._explain(doing, failed)) from failed

    def _explain(self, doing: str, error: KafkaException) -> str:
        text = self._trouble.explain(doing, error)
        if not self._trouble.last and (token := endpoint_trouble(self._settings)):
            return f"{doing}: no token: {token}"
        if UNTRUSTED not in text:
            return text
        reason = why_not_trusted(self._trouble.refused_by, self._settings.kafka_config)
        return text.replace(UNTRUSTED, f"{UNTRUSTED}: {reason}") if reason else text


def _new_topic(settings: Settings, topic: str) -> NewTopic:
    retention_h = settings.orders_retention_h if topic == settings.own_orders_topic else settings.dlq_retention_h
    retention_ms = -1 if retention_h < 0 else retention_h * 3_600_000
    return NewTopic(
        topic,
        num_partitions=settings.topic_partitions or -1,
        replication_factor=settings.topic_replication or -1,
        config={"retention.ms": str(retention_ms)} if retention_h else {},
    )


def _create_command(cluster: Cluster, wanted: NewTopic) -> str:
    """What somebody who may make the topic would type."""
    options = [f"--partitions {wanted.num_partitions}"] if wanted.num_partitions > 0 else []
    options += [f"--replication-factor {wanted.replication_factor}"] if wanted.replication_factor > 0 else []
    options += [f"--config {name}={value}" for name, value in (wanted.config or {}).items()]
    command = f"kafka-topics.sh --bootstrap-server {cluster.bootstrap_servers} --create --topic {wanted.topic}"
    return " ".join([command, *options])


def _not_made(error: KafkaError, topic: str, cluster: Cluster, wanted: NewTopic) -> str:
    command = f"`{_create_command(cluster, wanted)}`"
    if is_forbidden(error.name()):
        return (
            f"topic {topic}: this account may neither see nor make it ({error.str()}). If it is there, allow the "
            f"account Read and Write on topic {topic}; if not, make it with {command}, or allow Create on it"
        )
    return f"topic {topic} is not there and could not be made ({error.str()}); make it with {command}"
