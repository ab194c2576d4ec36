"""What a buffer promises about topics that are not read on before somebody says from where, and those read again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from pipeline.records import TopicIdentity

if TYPE_CHECKING:
    from pipeline.buffer.contract import Generation, Role

HOW_TO_GO_ON = "`python -m pipeline reread --topic {} --from latest` (or earliest, or a time) says how it goes on"
"""What to do about a topic that is held, with its name to be filled in."""

RereadState = Literal["held", "asked", "draining", "taking", "done"]
"""How far a reread is.

- `held`: nobody has said yet from where on the topic is to be read.
- `asked`: somebody has; where that is has to be looked up in Kafka.
- `draining`: what is parked or on its way to the dead-letter topic comes to its end.
- `taking`: its orders go out of rows and figures.
- `done`: a new generation of the topic is read.
"""


class Span(NamedTuple):
    """A partition that is read again: from `start` on, and where it ended when that was looked up."""

    partition: int
    start: int
    end: int


class Cut(NamedTuple):
    """The orders of a partition of the buffer from this offset on."""

    ref: int
    offset: int


class HeldRecord(NamedTuple):
    """A record that may be a copy: the first that was met."""

    partition: int
    offset: int
    timestamp_ms: int


class PriorReading(NamedTuple):
    """Another cluster that the same topic was read from, and the latest timestamp read there; -1: there was none."""

    cluster_id: str
    newest_ms: int


class TakenOrders(NamedTuple):
    """Orders that go out of the figures, and what they make."""

    orders: int
    revenue_cents: int


class WaitingRows(NamedTuple):
    """What waits of a topic."""

    parked: int
    outbox: int


@dataclass(frozen=True, slots=True)
class RereadPlan:
    """What a reread is to change. `newest_ms`: of what was read from other clusters, which is decided with it."""

    role: Role
    identity: TopicIdentity
    start: str
    spans: list[Span]
    cuts: list[Cut]
    newest_ms: int = -1


@dataclass(frozen=True, slots=True)
class HeldTopic:
    """A topic that is not read now: until somebody says from where, or since it is about to be read again.

    `partition`, `offset`, `timestamp_ms` are those of the record that may be a copy, `clusters` what was read before
    and `newest_ms` the latest timestamp there. `start` is `earliest`, `latest` or epoch milliseconds.
    """

    id: int
    role: Role
    topic: str
    cluster_id: str
    state: RereadState
    held_at_ms: int | None
    partition: int | None
    offset: int | None
    timestamp_ms: int | None
    clusters: str
    newest_ms: int | None
    start: str | None
    asked_by: str | None
    asked_at_ms: int | None
    topic_id: str | None
    spans_json: str | None
    cuts_json: str | None
    orders: int
    revenue_cents: int

    @property
    def spans(self) -> list[Span]:
        """What is read again, once that was looked up."""
        return [Span(*each) for each in json.loads(self.spans_json or "[]")]

    @property
    def cuts(self) -> list[Cut]:
        """What goes out of rows and figures, once that was looked up."""
        return [Cut(*each) for each in json.loads(self.cuts_json or "[]")]

    @property
    def start_in_words(self) -> str:
        """From where on it is read again."""
        return time_text(int(self.start)) if self.start and self.start.lstrip("-").isdigit() else str(self.start)

    def __str__(self) -> str:
        if self.state == "held":
            return (
                f"reading of {self.topic} is stopped: offset {self.offset} of partition {self.partition} is of "
                f"{time_text(self.timestamp_ms)}, and records up to {time_text(self.newest_ms)} were read from cluster "
                f"{self.clusters} before. It and what follows may be copies of those, which would count twice"
            )
        doing = {
            "asked": "it is looked up where that is",
            "draining": "what waits for a retry or on its way to the dead-letter topic comes to its end first",
            "taking": f"{self.orders:,} of its orders are out of the figures so far",
        }
        return (
            f"reading of {self.topic} is stopped: it is to be read again from {self.start_in_words}, as "
            f"{self.asked_by} asked; {doing.get(self.state, 'it goes on')}"
        )


def time_text(at_ms: int | None) -> str:
    """A time as people read it, in UTC; records may hold any number."""
    try:
        return f"{datetime.fromtimestamp((at_ms or 0) / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC" if at_ms != -1 else "no time"
    except (OverflowError, ValueError, OSError):
        return f"{at_ms} ms"


class RereadStore(Protocol):
    """Topics that are not read on before somebody says from where, and those that are read again."""

    def unfinished(self) -> list[HeldTopic]:
        """All that are not done."""

    def prior(self, role: Role, cluster_id: str, topic: str) -> list[PriorReading]:
        """Other clusters that this topic was read from, the newest first, where nobody has decided about them yet.

        A topic of another cluster is the same by its name, or if one's name ends with a point and the other's.
        """

    def hold(
        self, role: Role, topic: str, cluster_id: str, prior: Sequence[PriorReading], record: HeldRecord, now_ms: int
    ) -> None:
        """Stops reading of a topic before a record that may be a copy, with an event; nothing when it is stopped."""

    def ask(self, role: Role, topic: str, cluster_id: str, start: str, by: str, now_ms: int) -> int:
        """Notes from where on a topic is to be read again; returns the reread's number.

        Raises UsageError when it is being read again already.
        """

    def begin(self, plan: RereadPlan, by: str, now_ms: int) -> int:
        """As `ask`, with all that was looked up: what waits is brought to its end from now on."""

    def refuse(self, number: int, reason: str, now_ms: int) -> None:
        """Notes, with an event, that a reread that was asked for cannot be done; what was held is held again."""

    def waiting(self, cluster_id: str, topic: str) -> WaitingRows:
        """What waits of this topic, in whatever generation and of whatever cluster."""

    def orders_from(self, cuts: Sequence[Cut]) -> TakenOrders:
        """How many orders there are from these offsets on."""

    def partitions(self, role: Role, cluster_id: str, topic: str) -> list[Generation]:
        """The topic's partitions in all its generations, those on other clusters too."""

    def pruned_below(self, refs: Iterable[int]) -> dict[int, int]:
        """Of partitions with pruned orders, which stay counted, the offset behind them."""

    def close_partitions(self, number: int) -> bool:
        """Ends the writing to the topic's generations, when nothing of them waits any more; false: something does."""

    def take_orders(self, number: int, now_ms: int) -> int:
        """Takes the next few orders, then what was passed over, out of rows and figures, and returns how many records.

        When there are none, it makes the new generation, and the reread is done.
        """
