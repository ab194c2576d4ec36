"""How long topics keep their records, as their configuration says now."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaException

from pipeline.kafka.connection.client import ANSWER_S, Trouble
from pipeline.kafka.connection.refusals import is_forbidden

_FOREVER = -1


@dataclass(frozen=True, slots=True)
class TopicKeeping:
    """How long a topic keeps its records. `retention_ms` None: for ever; `retention_bytes`, of a partition, too."""

    deletes: bool
    compacts: bool
    retention_ms: int | None
    retention_bytes: int | None


def read_keeping(
    answers: Mapping[str, Future[Any]], trouble: Trouble
) -> tuple[dict[str, TopicKeeping], dict[str, str]]:
    """What was answered of each topic's configuration, and why the others' is not known."""
    found: dict[str, TopicKeeping] = {}
    missing: dict[str, str] = {}
    for topic, answer in answers.items():
        try:
            found[topic] = _keeping(answer.result(ANSWER_S * 2))
        except (KafkaException, TimeoutError) as error:
            if isinstance(error, KafkaException) and is_forbidden(error.args[0].name()):
                missing[topic] = f"this account needs an ACL that allows DescribeConfigs on topic {topic}"
            else:
                missing[topic] = trouble.explain(f"asking for the configuration of {topic}", error)
    return found, missing


def _keeping(config: Mapping[str, Any]) -> TopicKeeping:
    policy = {each.strip() for each in str(config["cleanup.policy"].value).split(",")}
    deletes = "delete" in policy
    return TopicKeeping(
        deletes,
        "compact" in policy,
        _limit(config["retention.ms"].value) if deletes else None,
        _limit(config["retention.bytes"].value) if deletes else None,
    )


def _limit(value: str) -> int | None:
    number = int(value)
    return None if number == _FOREVER else number
