"""Which librdkafka properties `ORDERPULSE_KAFKA_CONFIG` may hold, and which kind of client each is for.

The two lists are the C and P columns of librdkafka's CONFIGURATION.md.
"""

from __future__ import annotations

from typing import Any, Literal

from pipeline.errors import SettingsError
from pipeline.settings import Settings, variable_of

ClientKind = Literal["producer", "consumer", "admin"]

OURS = frozenset(
    """
    bootstrap.servers metadata.broker.list group.id group.instance.id enable.auto.commit auto.commit.enable
    enable.auto.offset.store auto.offset.reset acks request.required.acks enable.idempotence transactional.id
    partition.assignment.strategy enable.partition.eof delivery.report.only.error default.topic.config enabled_events
    test.mock.num.brokers
    """.split()
)
PRODUCER_ONLY = frozenset(
    """
    batch.num.messages batch.size compression.codec compression.level compression.type delivery.report.only.error
    delivery.timeout.ms enable.gapless.guarantee linger.ms message.send.max.retries message.timeout.ms partitioner
    produce.offset.report queue.buffering.backpressure.threshold queue.buffering.max.kbytes
    queue.buffering.max.messages queue.buffering.max.ms queuing.strategy request.timeout.ms retries
    sticky.partitioning.linger.ms transaction.timeout.ms
    """.split()
)
CONSUMER_ONLY = frozenset(
    """
    check.crcs consume.callback.max.messages coordinator.query.interval.ms fetch.error.backoff.ms fetch.max.bytes
    fetch.message.max.bytes fetch.min.bytes fetch.queue.backoff.ms fetch.wait.max.ms group.protocol
    group.protocol.type group.remote.assignor heartbeat.interval.ms isolation.level max.partition.fetch.bytes
    max.poll.interval.ms queued.max.messages.kbytes queued.min.messages session.timeout.ms auto.commit.interval.ms
    offset.store.method offset.store.path offset.store.sync.interval.ms
    """.split()
)
ALIASES = {"message.timeout.ms": "delivery.timeout.ms", "linger.ms": "queue.buffering.max.ms"}
"""Where librdkafka has two names for one property, the last one set wins: a default must not follow the other name."""

_UNFIT = {"producer": CONSUMER_ONLY, "consumer": PRODUCER_ONLY, "admin": CONSUMER_ONLY | PRODUCER_ONLY}


def properties_for(settings: Settings, kind: ClientKind) -> dict[str, Any]:
    """The properties of the settings that fit this kind of client; others would only make librdkafka warn.

    Raises SettingsError for those that are not for the settings to decide.
    """
    wrong = sorted(OURS & settings.kafka_config.keys())
    if wrong:
        raise SettingsError(
            f"{variable_of('kafka_config')} must not set {', '.join(wrong)}: OrderPulse's guarantees depend on its own"
        )
    return {name: value for name, value in settings.kafka_config.items() if name not in _UNFIT[kind]}


def set_default(config: dict[str, Any], name: str, value: Any) -> None:
    """Sets a property unless it is set, by this name or by its other one."""
    if ALIASES.get(name) not in config:
        config.setdefault(name, value)
