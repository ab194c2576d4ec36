"""The data types that travel through the pipeline. All are frozen and hold no behaviour beyond their own text.

Those that come by the ten thousand are tuples, which are made in a third of a frozen dataclass's time.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Literal, NamedTuple

Header = tuple[str, bytes | None]
Headers = tuple[Header, ...]
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

    `topic_id` is Kafka's own (empty where the broker does not tell it). A topic that people have had read again is
    another one for the buffer: `reading` counts how often that was; a cluster never tells it.
    """

    cluster_id: str
    topic: str
    topic_id: str = ""
    reading: int = 0


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
    append_time: bool = False
    """Whether the timestamp is when the broker appended it (LogAppendTime), and not what its writer said."""


class LastRead(NamedTuple):
    """The last record of a partition that was read: where it stands, and a digest of what it says.

    A cluster that tells no topic ids has no other sign that a topic was recreated.
    """

    offset: int
    digest: str

    @classmethod
    def of(cls, offset: int, timestamp_ms: int, key: bytes | None, value: bytes | None) -> LastRead:
        """A record as the one that was read last."""
        digest = hashlib.blake2b(repr((timestamp_ms, key)).encode(), digest_size=16)
        digest.update(b"-" if value is None else b"+" + value)
        return cls(offset, digest.hexdigest())


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


class Currency(NamedTuple):
    """What amounts are in: an ISO 4217 code, empty where nobody has said, and the digits behind the point.

    Of a currency with two digits the minor unit is a cent. `symbol` is what people want to see before an amount.
    """

    code: str = ""
    digits: int = 2
    symbol: str = ""

    def text(self, minor_units: int) -> str:
        """An amount as text without a symbol: 1999 is "19.99", with no digits "1999"."""
        whole, rest = divmod(abs(minor_units), 10**self.digits)
        sign = "-" if minor_units < 0 else ""
        return f"{sign}{whole}.{rest:0{self.digits}}" if self.digits else f"{sign}{whole}"

    def apart(self, minor_units: float) -> str:
        """An amount as people read it, with thousands apart: 199900 is "1,999.00"."""
        # A sum may have more digits than a float can hold.
        return f"{Decimal(minor_units).scaleb(-self.digits):,.{self.digits}f}"

    def __str__(self) -> str:
        digits = "1 digit" if self.digits == 1 else f"{self.digits} digits"
        return f"{self.code or 'a currency that was not named'} ({digits})"


OrderFieldKind = Literal["text", "cents", "millis"]
"""What a field of an order holds: text, whole cents (an Avro decimal of scale 2), or epoch milliseconds (UTC)."""


@dataclass(frozen=True, slots=True)
class OrderField:
    """What is declared of a field of an order, once, in `Order`.

    What reads, stores, filters, shows and exports orders follows from it. CONTRIBUTING.md lists what a new field takes.
    """

    label: str
    """What pages call it."""
    kind: OrderFieldKind = "text"
    avro_name: str = ""
    """Its name in schemas and messages to people, which has no unit in it; empty: its name in `Order`."""
    names_table: str = ""
    """For text that repeats from order to order: the table that keeps each once. People filter by choosing some."""
    in_dead_letters: bool = False
    """Whether a dead letter has a column of it."""
    name: str = ""
    """Filled in from `Order`, as is the default."""
    default: str | int | None = None
    """What it is in orders of those who do not send it; None: everybody has to."""

    @property
    def column(self) -> str:
        """The column of the table `order_rows` that has it; of a text that repeats, it refers to `names_table`."""
        return f"{self.name}_ref" if self.names_table else self.name


@dataclass(frozen=True, slots=True)
class Order:
    """A decoded order. Money is integer minor units, time is epoch milliseconds (UTC)."""

    order_id: Annotated[str, OrderField("Order", in_dead_letters=True)]
    customer_id: Annotated[str, OrderField("Customer", in_dead_letters=True)]
    product: Annotated[str, OrderField("Product", names_table="products", in_dead_letters=True)]
    price_cents: Annotated[int, OrderField("Price", kind="cents", avro_name="price", in_dead_letters=True)]
    created_at_ms: Annotated[int, OrderField("Created", kind="millis", avro_name="created_at", in_dead_letters=True)]
    region: Annotated[str, OrderField("Region", names_table="regions")] = "unknown"


@dataclass(frozen=True, slots=True)
class PassedOver:
    """Why a record is no order and need not be one, in words: it is neither an order nor a dead letter."""

    reason: str


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
    there; `newest_*` is where the record stood when it failed last, and `record_timestamp_ms` its own time there.
    Times are epoch milliseconds.
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
    record_timestamp_ms: int | None = None
