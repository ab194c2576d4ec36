"""What readers are given: rows and figures as people look at them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from pipeline.records import Headers

OrderSort = Literal["created_at_ms", "price_cents", "order_id"]
Grain = Literal["second", "minute"]


@dataclass(frozen=True, slots=True)
class Rows:
    """A query's answer. `cut` says in words what is missing from it; empty when nothing is."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    cut: str = ""

    def column(self, name: str) -> list[Any]:
        """The values of one column."""
        index = self.columns.index(name)
        return [row[index] for row in self.rows]

    def dicts(self) -> list[dict[str, Any]]:
        """Each row by the names of its columns."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


@dataclass(frozen=True, slots=True)
class Count:
    """A number of rows; `more` when counting stopped there."""

    rows: int
    more: bool

    def __str__(self) -> str:
        return f"{self.rows:,}{'+' if self.more else ''}"


@dataclass(frozen=True, slots=True)
class Found:
    """The ids of dead letters that were found, newest first. `more`: there are, or may be, others.

    `cut` says in words how far was looked; empty when all that was asked for was found. `note` says what took time and
    cut nothing.
    """

    ids: tuple[int, ...]
    more: bool
    cut: str = ""
    note: str = ""

    @property
    def count(self) -> Count:
        """How many were found."""
        return Count(len(self.ids), self.more)


@dataclass(frozen=True, slots=True)
class FacetValue:
    """A value that some of the dead letters found have, and how many of them. The title is for people."""

    value: str
    title: str
    dead_letters: int


@dataclass(frozen=True, slots=True)
class Totals:
    """The buffer's totals. Money in cents."""

    orders: int
    revenue_cents: int
    dead_letters: int

    @property
    def average_cents(self) -> float | None:
        """The running average price; None without orders."""
        return self.revenue_cents / self.orders if self.orders else None


@dataclass(frozen=True, slots=True)
class JobView:
    """A job as people see it. Times are epoch ms; `recovered` and `dead_again` count a replay's outcomes so far."""

    id: int
    kind: str
    state: str
    params: str
    requested_by: str
    created_at_ms: int
    started_at_ms: int | None
    finished_at_ms: int | None
    done: int
    failed: int
    total: int
    error: str | None
    recovered: int
    dead_again: int


@dataclass(frozen=True, slots=True)
class DeadLetterView:
    """A dead letter as a table shows it."""

    id: int
    order_id: str | None
    product: str | None
    price_cents: int | None
    created_at_ms: int | None
    failed_at_ms: int
    first_failed_at_ms: int | None
    reason: str
    error_class: str | None
    attempts: int | None
    status: str
    replays: int
    source_topic: str | None
    source_partition: int | None
    source_offset: int | None
    dialect: str
    fingerprint: str
    topic: str | None
    partition: int | None
    offset: int | None
    failed_at_known: bool
    imported: bool

    @property
    def position(self) -> str:
        """Where it stands in its dead-letter topic; empty for one that is in none."""
        return "" if self.topic is None else f"{self.topic}[{self.partition}] offset {self.offset}"

    @property
    def source(self) -> str:
        """The source position as far as its dialect tells it."""
        if self.source_topic is None:
            return ""
        partition = "" if self.source_partition is None else f"[{self.source_partition}]"
        return f"{self.source_topic}{partition}" + (
            "" if self.source_offset is None else f" offset {self.source_offset}"
        )


@dataclass(frozen=True, slots=True)
class Payload:
    """What a dead letter holds, as far as there is room for it."""

    id: int
    topic: str | None
    source_topic: str | None
    key: bytes | None
    value: bytes | None
    headers: Headers
    left_out_bytes: int
    """How large key, value and headers are together where they were left out for it; else 0."""


@dataclass(frozen=True, slots=True)
class DeadLetterDetail:
    """All there is of one dead letter."""

    row: DeadLetterView
    key: bytes | None
    value: bytes | None
    headers: Headers
    stacktrace: str | None
    rule: str | None
    stage: str | None
    consumer_group: str | None
    customer_id: str | None
    source_timestamp_ms: int | None
    timestamp_ms: int
    received_at_ms: int
    status_at_ms: int
    replay_of: int | None
    dead_letter_id: str
    concluded: bool
    """Whether its replay was settled by hand or by the time that passed: nobody proved it."""
    imported_from: str | None
    """The file that it was imported from; None: it was collected."""
    import_kind: str | None
    """Who wrote that file, as in ImportKind."""


class GroupNote(NamedTuple):
    """What somebody wrote down of a group."""

    note: str
    written_by: str
    written_at_ms: int


class MergedFingerprint(NamedTuple):
    """A fingerprint that people have merged into a group; `total` dead letters have it."""

    fingerprint: str
    title: str
    total: int
    merged_by: str
    merged_at_ms: int


class GroupSplit(NamedTuple):
    """A rule that takes dead letters out of a group, in words, and its number."""

    number: int
    fingerprint: str
    """Of that group."""
    rule: str
    split_by: str
    split_at_ms: int


class Spread(NamedTuple):
    """What the newest dead letters of a group have in common."""

    looked_at: int
    is_exact: bool
    """Whether these are all."""
    keys: int
    """Different keys."""
    sources: tuple[tuple[str, int], ...]
    """Partitions that the records came from, `topic[partition]`, with how many dead letters of each; the first 20."""
    topics: tuple[tuple[str, int], ...]
    """Dead-letter topics; the first 20."""


@dataclass(frozen=True, slots=True)
class GroupDetail:
    """All there is of one group. `row` has the columns of `Reader.groups`."""

    row: dict[str, Any]
    merged: tuple[MergedFingerprint, ...]
    notes: tuple[GroupNote, ...]
    splits: tuple[GroupSplit, ...]
    made_by: tuple[GroupSplit, ...]
    """The rules of other groups that bring dead letters here."""
    spread: Spread
    moving: bool
    """Whether dead letters are still being moved, of whatever group."""
