"""What an administrator does to a cluster while a test runs, and can say of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from confluent_kafka import IsolationLevel, TopicPartition
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    OffsetSpec,
    ResourcePatternType,
    ResourceType,
)

from scripts.waiting import wait_for

ANSWER_S = 10.0
EVERYBODY = "User:ANONYMOUS"
"""All who come by a plaintext listener."""


class KafkaAdmin:
    """Asks these brokers, and changes what they do for as long as a context lasts."""

    def __init__(self, bootstrap_servers: str) -> None:
        self._client = AdminClient({"bootstrap.servers": bootstrap_servers, "log_level": 0})

    def topics(self) -> set[str]:
        """All that there are."""
        return set(self._client.list_topics(timeout=ANSWER_S).topics)

    def ends(self, topic: str, decided: bool = False) -> dict[int, int]:
        """The offset after the newest record of each partition that has a leader.

        With `decided`, that of the newest one that no open transaction holds back.
        """
        isolation = IsolationLevel.READ_COMMITTED if decided else IsolationLevel.READ_UNCOMMITTED
        partitions = self._client.list_topics(topic, timeout=ANSWER_S).topics[topic].partitions.values()
        led = [TopicPartition(topic, each.id) for each in partitions if each.leader >= 0]
        newest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
        asked = dict.fromkeys(led, newest)
        answers = self._client.list_offsets(asked, isolation_level=isolation, request_timeout=ANSWER_S)
        return {partition.partition: answer.result().offset for partition, answer in answers.items()}

    @contextmanager
    def forbidding(self, topic: str, operation: AclOperation) -> Iterator[None]:
        """Nobody may do that to a topic, all else everybody; needs an authorizer that allows what no ACL is about."""
        # Where a topic has an ACL, only what one allows is allowed.
        acls = [
            _acl(topic, AclOperation.ALL, AclPermissionType.ALLOW),
            _acl(topic, operation, AclPermissionType.DENY),
        ]
        for made in self._client.create_acls(acls, request_timeout=ANSWER_S).values():
            made.result()
        try:
            yield
        finally:
            which = AclBindingFilter(
                ResourceType.TOPIC,
                topic,
                ResourcePatternType.LITERAL,
                EVERYBODY,
                "*",
                AclOperation.ANY,
                AclPermissionType.ANY,
            )
            self._client.delete_acls([which], request_timeout=ANSWER_S)[which].result()

    @contextmanager
    def topic_config(self, topic: str, name: str, value: str) -> Iterator[None]:
        """A topic has this property; afterwards the brokers' own again."""
        self._configure(topic, ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET))
        wait_for(f"{name} of {topic}", lambda: self._config_of(topic, name) == value)
        try:
            yield
        finally:
            self._configure(topic, ConfigEntry(name, None, incremental_operation=AlterConfigOpType.DELETE))

    def _configure(self, topic: str, entry: ConfigEntry) -> None:
        resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
        self._client.incremental_alter_configs([resource], request_timeout=ANSWER_S)[resource].result()

    def _config_of(self, topic: str, name: str) -> str:
        resource = ConfigResource(ResourceType.TOPIC, topic)
        return str(self._client.describe_configs([resource], request_timeout=ANSWER_S)[resource].result()[name].value)


def _acl(topic: str, operation: AclOperation, permission: AclPermissionType) -> AclBinding:
    return AclBinding(ResourceType.TOPIC, topic, ResourcePatternType.LITERAL, EVERYBODY, "*", operation, permission)
