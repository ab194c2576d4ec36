"""kafkajs-async-retry (Node): one header with JSON that names the topic and counts attempts, but not why it failed."""

from __future__ import annotations

import json
from typing import Any

from pipeline.headers.dialect import Dialect
from pipeline.headers.values import HeadersByName, as_text
from pipeline.records import Failure

RETRY = "asyncRetry"
_MAX_LENGTH = 1_000
_MAX_ATTEMPTS = 2**31 - 1


def read(headers: HeadersByName) -> Failure:
    """A second failure replaces the header."""
    first, last = _told(headers.first(RETRY)), _told(headers.last(RETRY))
    attempts = last.get("att")
    return Failure(
        dialect="kafkajs-async-retry",
        source_topic=_topic(first),
        newest_topic=_topic(last),
        attempts=attempts if type(attempts) is int and 0 <= attempts <= _MAX_ATTEMPTS else None,
    )


def _told(value: bytes | None) -> dict[str, Any]:
    text = as_text(value)
    # A longer one is not of its making, and may be nested deeply.
    if text is None or len(text) > _MAX_LENGTH:
        return {}
    try:
        told = json.loads(text)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _topic(told: dict[str, Any]) -> str | None:
    topic = told.get("top")
    # Half of a surrogate pair, which JSON can spell, cannot be stored.
    return topic if isinstance(topic, str) and topic and topic.isprintable() else None


DIALECT = Dialect(
    name="kafkajs-async-retry",
    header_names=frozenset({RETRY}),
    read=read,
    header_order="appended",
    not_replayed=frozenset({RETRY}),
    # README, "Kafka Setup": `<group>-dlq`; `RetryTopicNaming`: `<group>-retry-<attempt>` or `<group>-retry-<seconds>s`.
    topics=r"-dlq$|-retry-\d+s?$",
)
