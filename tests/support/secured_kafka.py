"""Apache Kafka with every listener and ACLs, and what an administrator does to it while a test runs."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from confluent_kafka import Producer
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ConfigResource,
    NewTopic,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from scripts.local.certificates import CertificateAuthority
from scripts.local.cluster import KafkaCluster
from scripts.local.server_properties import Security

ANSWER_S = 10
MANAGER = "manager"
"""A user that may do everything."""
OTHER_HOST = "kafka.example.internal"


def unique(name: str) -> str:
    """A name that no other test uses."""
    return f"{name}-{uuid.uuid4().hex[:8]}"


class SecuredKafka:
    """One broker. SSL demands a client certificate; SASL_SSL and SASL_PLAINTEXT take SCRAM-SHA-512 and PLAIN."""

    def __init__(self, folder: Path, users: Mapping[str, str]) -> None:
        self.authority = CertificateAuthority(folder / "authority")
        self.stranger = CertificateAuthority(folder / "stranger")
        self.users = {MANAGER: "m4nager-Secret", **users}
        listeners = ("SSL", "SASL_SSL", "SASL_PLAINTEXT")
        self.cluster = KafkaCluster(
            folder / "kafka",
            security=Security(
                listeners, self.users, self.authority, client_certificates=True, acls=True, super_users=(MANAGER,)
            ),
        )

    def __enter__(self) -> Self:
        self.cluster.__enter__()
        self.admin = AdminClient({"bootstrap.servers": self.cluster.bootstrap_servers, "log_level": 0})
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cluster.__exit__(kind, error, trace)

    def settings(self, listener: str, user: str = "", mechanism: str = "SCRAM-SHA-512", **more: Any) -> dict[str, Any]:
        """Settings of a pipeline with topics and groups of its own; `more` are settings too."""
        orders = unique("orders")
        config = self.cluster.client_config(listener, user, mechanism)
        return {
            "bootstrap_servers": self.cluster.addresses(listener),
            "kafka_config": config,
            "orders_topic": orders,
            "dlq_topics": f"{orders}-dlq",
            "group_id": f"{orders}-group",
            "topic_partitions": 2,
        } | more

    def set_password(self, user: str, password: str) -> None:
        """As `kafka-configs --alter --entity-type users` does; for SCRAM only."""
        credential = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
        change = UserScramCredentialUpsertion(user, credential, password.encode())
        self.admin.alter_user_scram_credentials([change])[user].result(ANSWER_S)

    def allow(self, user: str, topic: str = "", group: str = "", *operations: str) -> None:
        """Adds an ACL for each operation (Read, Write, …) on a topic or a group."""
        for operation in operations:
            binding = _binding(user, topic, group, operation)
            self.admin.create_acls([binding])[binding].result(ANSWER_S)

    def forbid(self, user: str, topic: str = "", group: str = "", *operations: str) -> None:
        """Takes ACLs away."""
        for operation in operations:
            which = _binding(user, topic, group, operation)
            wanted = AclBindingFilter(
                which.restype,
                which.name,
                which.resource_pattern_type,
                which.principal,
                which.host,
                which.operation,
                which.permission_type,
            )
            self.admin.delete_acls([wanted])[wanted].result(ANSWER_S)

    def make_topics(self, *topics: str) -> None:
        """One partition each."""
        for future in self.admin.create_topics([NewTopic(topic, 1) for topic in topics]).values():
            future.result(ANSWER_S)

    def send(self, topic: str, value: bytes, headers: Iterable[tuple[str, bytes]]) -> None:
        """Writes a record, as an application of somebody else's does."""
        producer = Producer({"bootstrap.servers": self.cluster.bootstrap_servers, "log_level": 0})
        producer.produce(topic, key=b"k", value=value, headers=list(headers))
        assert producer.flush(ANSWER_S) == 0

    def topics(self) -> dict[str, Any]:
        """All topics."""
        return dict(self.admin.list_topics(timeout=ANSWER_S).topics)

    def topic_config(self, topic: str, name: str) -> str:
        """One property of a topic, as the broker says."""
        resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
        return str(self.admin.describe_configs([resource])[resource].result(ANSWER_S)[name].value)

    def delete_topic(self, topic: str) -> None:
        """Deletes a topic and waits until it is gone."""
        self.admin.delete_topics([topic])[topic].result(ANSWER_S)

    def exists(self, topic: str) -> bool:
        """Whether a topic is there; asks in a way that makes none."""
        return topic in self.topics()


class TlsKafka:
    """One broker whose SSL listener asks for no client certificate; its SASL_SSL certificate is for another host."""

    def __init__(self, folder: Path) -> None:
        self.authority = CertificateAuthority(folder / "authority")
        wrong = self.authority.server((OTHER_HOST,)).pem_file()
        self.users = {MANAGER: "m4nager-Secret"}
        self.cluster = KafkaCluster(
            folder / "kafka",
            properties={
                "listener.name.sasl_ssl.ssl.keystore.location": str(wrong),
                "listener.name.sasl_ssl.ssl.keystore.type": "PEM",
            },
            security=Security(("SSL", "SASL_SSL"), self.users, self.authority),
        )

    def settings(self, listener: str, user: str = "") -> dict[str, Any]:
        """As `SecuredKafka.settings`."""
        orders = unique("orders")
        return {
            "bootstrap_servers": self.cluster.addresses(listener),
            "kafka_config": self.cluster.client_config(listener, user),
            "orders_topic": orders,
            "dlq_topics": f"{orders}-dlq",
            "group_id": f"{orders}-group",
        }


def _binding(user: str, topic: str, group: str, operation: str) -> AclBinding:
    return AclBinding(
        ResourceType.TOPIC if topic else ResourceType.GROUP,
        topic or group,
        ResourcePatternType.LITERAL if topic else ResourcePatternType.PREFIXED,
        f"User:{user}",
        "*",
        AclOperation[operation.upper()],
        AclPermissionType.ALLOW,
    )
