"""Lets the rule action DLQ of confluent-kafka 2.16.1 write dead letters: `python write.py FILE`.

No broker and no registry are needed: both are stand-ins of the client's own, and the producer writes down what it is to
send. The rule is one of ours, as the library's need further packages; the action does not look at it.
"""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path
from typing import Any

from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.json_schema import JSONDeserializer, JSONSerializer
from confluent_kafka.schema_registry.rule_registry import RuleRegistry
from confluent_kafka.schema_registry.rules.dlq.dlq_action import DlqAction
from confluent_kafka.schema_registry.schema_registry_client import Rule, RuleKind, RuleMode, RuleSet
from confluent_kafka.schema_registry.serde import RuleContext, RuleExecutor
from confluent_kafka.serialization import MessageField, SerializationContext, SerializationError

SCHEMA = '{"title": "Order", "type": "object", "properties": {"amount": {"type": "number"}}}'


class AmountIsPositive(RuleExecutor):
    """Refuses an order of nothing."""

    def type(self) -> str:
        return "AMOUNT"

    def transform(self, ctx: RuleContext, message: Any) -> Any:
        return message["amount"] > 0


class Recording:
    """What a producer is given, as JSON lines."""

    def __init__(self) -> None:
        self.name = ""
        self.lines: list[str] = []

    def produce(self, topic: str, *, key: Any, value: Any, headers: Any, on_delivery: Any) -> None:
        pairs = [[name, encoded(each)] for name, each in headers]
        record = {"name": self.name, "topic": topic, "partition": None, "timestamp_ms": None}
        self.lines.append(json.dumps(record | {"key": encoded(key), "value": encoded(value), "headers": pairs}))

    def poll(self, _: float) -> None:
        """There is nothing to wait for."""

    def flush(self) -> None:
        """Nor here."""


def encoded(value: bytes | str | None) -> str | None:
    data = value.encode() if isinstance(value, str) else value
    return None if data is None else base64.b64encode(data).decode()


def client(mode: RuleMode | None) -> SchemaRegistryClient:
    registry = SchemaRegistryClient.new_client({"url": f"mock://{mode}"})
    rule = Rule(
        "amountIsPositive", "", RuleKind.CONDITION, mode, "AMOUNT", None, None, "message.amount > 0", None, "DLQ", False
    )
    rules = None if mode is None else RuleSet([], [rule])
    registry.register_schema("orders-value", Schema(SCHEMA, "JSON", [], None, rules))
    return registry


def main(file: str) -> None:
    recording = Recording()
    rules = RuleRegistry()
    rules.register_executor(AmountIsPositive())
    rules.register_action(DlqAction({"dlq.topic": "orders-dlq", "producer": recording}))
    context = SerializationContext("orders", MessageField.VALUE, [("trace", b"t-1")])
    conf = {"auto.register.schemas": False, "use.latest.version": True}

    recording.name = "not-written"
    writing = JSONSerializer(SCHEMA, client(RuleMode.WRITE), conf=conf, rule_registry=rules)
    refused(lambda: writing({"amount": -3}, context))

    recording.name = "not-read"
    reading_registry = client(RuleMode.READ)
    written = JSONSerializer(SCHEMA, reading_registry, conf=conf, rule_registry=rules)({"amount": -3}, context)
    reading = JSONDeserializer(
        SCHEMA, schema_registry_client=reading_registry, conf={"use.latest.version": True}, rule_registry=rules
    )
    refused(lambda: reading(written, context))
    Path(file).write_text("\n".join(recording.lines) + "\n", encoding="utf-8")


def refused(call: Any) -> None:
    try:
        call()
    except SerializationError:
        return
    raise SystemExit("the rule let it pass")


if __name__ == "__main__":
    main(sys.argv[1])
