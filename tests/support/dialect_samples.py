"""A dead letter of each dialect, as its writer writes it, and what is read of it.

The tests of tests/unit/headers go through this table, so a dialect needs an entry here and no test of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pipeline.headers import failure_headers
from pipeline.headers.dialect import HeaderOrder
from pipeline.records import Failure, Headers, Position
from tests.support.recordings import recordings

CAME_WITH: Headers = (("trace", b"t-1"), ("tenant", b"shop"), ("priority", b"7"))
"""The headers that every sample's record had before it failed, in this order."""

SOURCE_MS = 1_700_000_000_000
ILLEGAL_STATE = "java.lang.IllegalStateException"
_RECORDED = recordings()


@dataclass(frozen=True, slots=True)
class Sample:
    """All headers of a dead letter, in the order in which its writer writes them, and the failure they tell of.

    The record failed once, and had CAME_WITH before: where these stand shows what the writer does with headers that are
    there. The writer's own have every header that it can write at once.
    """

    headers: Headers
    failure: Failure

    @property
    def own(self) -> Headers:
        """The headers that the writer added."""
        return tuple(header for header in self.headers if header not in CAME_WITH)

    @property
    def header_order(self) -> HeaderOrder:
        """What the sample shows of it."""
        if self.headers == CAME_WITH + self.own:
            return "appended"
        return "prepended" if self.headers == self.own + CAME_WITH else "unordered"


def _recorded(name: str) -> Headers:
    return tuple(header for header in _RECORDED[name].headers if header[0] != "trace")


def _text(name: str, header: str) -> str:
    return (dict(_RECORDED[name].headers)[header] or b"").decode()


def _at(topic: str | None, partition: int, offset: int) -> dict[str, Any]:
    """Source and newest position of a record that failed once."""
    position = {"topic": topic, "partition": partition, "offset": offset}
    return {f"{kind}_{name}": value for kind in ("source", "newest") for name, value in position.items()}


SPRING_KAFKA = "spring-kafka/retry-topic-first-failure"
SPRING_CLOUD_STREAM = "spring-cloud-stream/dead-letter"
KAFKA_CONNECT = "kafka-connect/with-context"
KAFKA_STREAMS = "kafka-streams/processing-failure"

SAMPLES: dict[str, Sample] = {
    "orderpulse": Sample(
        CAME_WITH
        + failure_headers(
            Position("orders", 3, 417),
            stage="VALUE_CONVERTER",
            class_name="pipeline.orders.rules",
            exception_class="RuleBrokenError",
            message="price -3.00 is below the minimum 0.01",
            stacktrace="at rules",
            timestamp_ms=900,
            attempts=2,
            first_failed_at_ms=1_000,
            failed_at_ms=2_000,
            rule="price",
            dead_letter_id="d-1",
        ),
        Failure(
            "orderpulse",
            **_at("orders", 3, 417),
            source_timestamp_ms=900,
            record_timestamp_ms=900,
            error_class="RuleBrokenError",
            message="price -3.00 is below the minimum 0.01",
            stacktrace="at rules",
            attempts=2,
            stage="VALUE_CONVERTER",
            rule="price",
            first_failed_at_ms=1_000,
            failed_at_ms=2_000,
            dead_letter_id="d-1",
        ),
    ),
    "spring-kafka": Sample(
        CAME_WITH + _recorded(SPRING_KAFKA),
        Failure(
            "spring-kafka",
            **_at("orders", 3, 417),
            source_timestamp_ms=SOURCE_MS,
            error_class=ILLEGAL_STATE,
            message="Listener method could not be invoked; no stock",
            stacktrace=_text(SPRING_KAFKA, "kafka_exception-stacktrace"),
            attempts=2,
            consumer_group="billing",
            failed_at_ms=SOURCE_MS + 6_000,
        ),
    ),
    "spring-cloud-stream": Sample(
        CAME_WITH + _recorded(SPRING_CLOUD_STREAM),
        Failure(
            "spring-cloud-stream",
            **_at("orders", 3, 417),
            source_timestamp_ms=SOURCE_MS,
            error_class="org.springframework.messaging.MessageHandlingException",
            message="failed in the listener; no stock",
            stacktrace=_text(SPRING_CLOUD_STREAM, "x-exception-stacktrace"),
        ),
    ),
    "kafka-connect": Sample(
        CAME_WITH + _recorded(KAFKA_CONNECT),
        Failure(
            "kafka-connect",
            **_at("orders", 3, 417),
            error_class="org.apache.kafka.connect.errors.DataException",
            message="Converting byte[] to Kafka Connect data failed",
            stacktrace=_text(KAFKA_CONNECT, "__connect.errors.exception.stacktrace"),
            stage="VALUE_CONVERTER",
        ),
    ),
    "kafka-streams": Sample(
        CAME_WITH + _recorded(KAFKA_STREAMS),
        Failure(
            "kafka-streams",
            **_at("orders", 0, 1),
            error_class=ILLEGAL_STATE,
            message="no stock",
            stacktrace=_text(KAFKA_STREAMS, "__streams.errors.stacktrace"),
        ),
    ),
    "share-group": Sample(
        CAME_WITH + _recorded("share-group/with-body"),
        Failure(
            "share-group",
            **_at("orders", 3, 418),
            message="rejected by a client",
            attempts=5,
            consumer_group="shippers",
        ),
    ),
    "smallrye": Sample(
        _recorded("smallrye/delayed-retry") + CAME_WITH,
        Failure(
            "smallrye",
            **_at("orders", 3, 417),
            source_timestamp_ms=SOURCE_MS,
            error_class=ILLEGAL_STATE,
            message="no stock",
            attempts=0,
        ),
    ),
    "karafka": Sample(
        CAME_WITH
        + (
            ("source_topic", b"orders"),
            ("source_partition", b"2"),
            ("source_offset", b"31"),
            ("source_consumer_group", b"billing"),
            ("source_attempts", b"3"),
            ("source_trace_id", b"f0"),
        ),
        Failure("karafka", **_at("orders", 2, 31), attempts=3, consumer_group="billing"),
    ),
    "arroyo": Sample(
        CAME_WITH + (("original_partition", b"2"), ("original_offset", b"31")),
        Failure("arroyo", *(None, 2, 31, None), *(None, 2, 31)),
    ),
    "nservicebus": Sample(
        CAME_WITH
        + (
            ("NServiceBus.FailedQ", b"sales@shop"),
            ("NServiceBus.ExceptionInfo.ExceptionType", b"System.TimeoutException"),
            ("NServiceBus.ExceptionInfo.InnerExceptionType", b"System.IO.IOException"),
            ("NServiceBus.ExceptionInfo.Message", b"too slow"),
            ("NServiceBus.ExceptionInfo.Source", b"Sales"),
            ("NServiceBus.ExceptionInfo.StackTrace", b"at Sales"),
        ),
        Failure(
            "nservicebus",
            "sales@shop",
            newest_topic="sales@shop",
            error_class="System.TimeoutException",
            message="too slow",
            stacktrace="at Sales",
        ),
    ),
    "watermill": Sample(
        # All headers in random order, as Go's maps have them.
        (
            ("handler_poisoned", b"charge"),
            CAME_WITH[1],
            ("reason_poisoned", b"card declined"),
            ("_watermill_message_uuid", b"6b0b3d5e"),
            CAME_WITH[0],
            ("topic_poisoned", b"payments"),
            CAME_WITH[2],
            ("subscriber_poisoned", b"kafka.Subscriber"),
        ),
        Failure("watermill", "payments", newest_topic="payments", message="card declined", stage="charge"),
    ),
    "dapr": Sample(
        # In random order too.
        (
            ("__offset", b"31"),
            CAME_WITH[2],
            ("__topic", b"payments"),
            ("__key", b"C-1"),
            CAME_WITH[0],
            ("__timestamp", b"1700000000000"),
            ("pubsubName", b"shop"),
            CAME_WITH[1],
            ("__partition", b"2"),
        ),
        Failure("dapr", **_at("payments", 2, 31), source_timestamp_ms=SOURCE_MS),
    ),
    "wolverine": Sample(
        CAME_WITH
        + (
            ("wolverine-kafka-retry-source", b"payments"),
            ("wolverine-kafka-retry-tier", b"1"),
            ("wolverine-kafka-retry-attempt", b"3"),
            ("wolverine-kafka-retry-first-failed", b"638355968000000000"),
            ("wolverine-kafka-retry-exception-type", b"System.TimeoutException"),
            ("wolverine-kafka-retry-exception-message", b"too slow"),
            ("exception-type", b"System.IO.IOException"),
            ("exception-message", b"no route"),
            ("exception-stack", b"at Payments"),
            ("failed-at", b"1700000000000"),
            ("original-destination", b"kafka://topic/payments"),
            ("original-partition", b"2"),
            ("original-offset", b"31"),
        ),
        Failure(
            "wolverine",
            **_at("payments", 2, 31),
            error_class="System.IO.IOException",
            message="no route",
            stacktrace="at Payments",
            attempts=3,
            failed_at_ms=SOURCE_MS,
        ),
    ),
    "silverback": Sample(
        CAME_WITH
        + (
            ("x-failed-attempts", b"3"),
            ("x-failure-reason", b"System.TimeoutException in Shop.Payments"),
            ("x-source-consumer-group-id", b"billing"),
            ("x-source-topic", b"payments"),
            ("x-source-partition", b"2"),
            ("x-source-offset", b"31"),
            ("x-source-timestamp", b"2023-11-14T22:13:20.0000000Z"),
        ),
        Failure(
            "silverback",
            **_at("payments", 2, 31),
            source_timestamp_ms=SOURCE_MS,
            error_class="System.TimeoutException",
            message="System.TimeoutException in Shop.Payments",
            attempts=3,
            consumer_group="billing",
        ),
    ),
    "brighter": Sample(
        CAME_WITH
        + (
            ("OriginalTopic", b"payments"),
            ("RejectionTimestamp", b"2023-11-14T22:13:20.0000000+00:00"),
            ("OriginalType", b"MT_COMMAND"),
            ("RejectionReason", b"DeliveryError"),
            ("RejectionMessage", b"card declined"),
        ),
        Failure(
            "brighter",
            "payments",
            newest_topic="payments",
            error_class="DeliveryError",
            message="card declined",
            failed_at_ms=SOURCE_MS,
        ),
    ),
    "masstransit": Sample(
        CAME_WITH
        + (
            ("MT-Reason", b"fault"),
            ("MT-Fault-ExceptionType", b"System.TimeoutException"),
            ("MT-Fault-Message", b"too slow"),
            ("MT-Fault-Timestamp", b"2023-11-14T22:13:20.0000000Z"),
            ("MT-Fault-StackTrace", b"at Payments"),
            ("MT-Fault-InputAddress", b"loopback://localhost/kafka/payments/billing"),
            ("MT-Fault-ConsumerType", b"Shop.Charge"),
            ("MT-Fault-RetryCount", b"2"),
        ),
        Failure(
            "masstransit",
            "payments",
            newest_topic="payments",
            error_class="System.TimeoutException",
            message="too slow",
            stacktrace="at Payments",
            attempts=2,
            consumer_group="billing",
            stage="Shop.Charge",
            failed_at_ms=SOURCE_MS,
        ),
    ),
    "kafkajs-async-retry": Sample(
        CAME_WITH + (("asyncRetry", b'{"ttl":0,"top":"payments","att":3}'),),
        Failure("kafkajs-async-retry", "payments", newest_topic="payments", attempts=3),
    ),
    "laravel-kafka": Sample(
        CAME_WITH
        + (
            ("kafka_throwable_message", b"card declined"),
            ("kafka_throwable_code", b"402"),
            ("kafka_throwable_class_name", b"App\\Exceptions\\CardDeclined"),
        ),
        Failure("laravel-kafka", error_class="App\\Exceptions\\CardDeclined", message="card declined"),
    ),
    "confluent-rules": Sample(
        CAME_WITH
        + (
            ("__rule.name", b"amountIsPositive"),
            ("__rule.mode", b"READ"),
            ("__rule.subject", b"payments-value"),
            ("__rule.topic", b"payments"),
            ("__rule.exception", b"Rule expr failed: message.amount > 0"),
        ),
        Failure(
            "confluent-rules",
            "payments",
            newest_topic="payments",
            message="Rule expr failed: message.amount > 0",
            stage="READ",
            rule="amountIsPositive",
        ),
    ),
}
"""By the name of the dialect, in the order of DIALECTS."""
