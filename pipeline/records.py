"""The data types that travel through the pipeline. All are frozen and hold no behaviour beyond their own text.

Those that come by the ten thousand are tuples, which are made in a third of a frozen dataclass's time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

Headers = tuple[tuple[str, bytes | None], ...]
"""Kafka headers as they came: in order, with repeats, bytes untouched, None for a null value."""


@dataclass(frozen=True, slots=True)
class Position:
    """Where a record stands in Kafka."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}[{self.partition}] offset {self.offset}"


@dataclass(frozen=True, slots=True)
class TopicIdentity:
    """Which topic this is, beyond its name: a recreated topic or a wiped broker is another one.

    `topic_id` is Kafka's own (empty where the broker does not tell it).
    """

    cluster_id: str
    topic: str
    topic_id: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """One record as Kafka gave it. `timestamp_ms` is -1 where the broker has none.

    `headers_readable` is false where the client library could not read them: a header's name is not UTF-8.
    """

    position: Position
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    headers_readable: bool = True


class Outgoing(NamedTuple):
    """One record to send. `send_id` is in its headers too, which is how it is found again."""

    send_id: str
    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers
    partition: int | None = None
    refused: str = ""
    """Why it must not be sent, if so."""


@dataclass(frozen=True, slots=True)
class Order:
    """A decoded order. Money is integer minor units, time is epoch milliseconds (UTC)."""

    order_id: str
    customer_id: str
    product: str
    price_cents: int
    created_at_ms: int
    region: str = "unknown"


@dataclass(frozen=True, slots=True)
class RecordContext:
    """What a handler is told besides the order. `attempt` is 1 at the first try."""

    position: Position
    key: bytes | None
    headers: Headers
    attempt: int


class Failure(NamedTuple):
    """What the headers of a dead letter tell about its failure; None where the dialect does not say.

    `source` fields are the first origin (a replayed record keeps it), `source_timestamp_ms` the time of the record
    there; `newest_*` is where the record stood when it failed last. Times are epoch milliseconds.
    """

    dialect: str
    source_topic: str | None = None
    source_partition: int | None = None
    source_offset: int | None = None
    source_timestamp_ms: int | None = None
    newest_topic: str | None = None
    newest_partition: int | None = None
    newest_offset: int | None = None
    error_class: str | None = None
    message: str | None = None
    stacktrace: str | None = None
    attempts: int | None = None
    consumer_group: str | None = None
    stage: str | None = None
    rule: str | None = None
    first_failed_at_ms: int | None = None
    failed_at_ms: int | None = None
    dead_letter_id: str | None = None
    replay_id: str | None = None
    replay_of: str | None = None
