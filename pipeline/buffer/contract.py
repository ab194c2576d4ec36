"""What a buffer promises to the roles. SQLite keeps these promises today; another database must keep the same ones.

Every method that writes is one transaction: after it returned, all of it is there; when it raised, nothing is.
Every method may raise BufferUnavailableError (wait and try again) and BufferCorruptError.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, Self

from pipeline.buffer.filters import DeadLetterFilter
from pipeline.buffer.group_contract import GroupStore
from pipeline.buffer.import_contract import ImportStore
from pipeline.buffer.lookup_contract import LookupStore
from pipeline.buffer.regroup_contract import RegroupStore
from pipeline.buffer.reread_contract import RereadStore
from pipeline.buffer.text_contract import TextIndexStore
from pipeline.records import Currency, Headers, LastRead, Order, Position, TopicIdentity

if TYPE_CHECKING:
    from pipeline.orders.columns import OrderColumns  # needs numpy, and most commands ask only for figures

Role = Literal["processor", "collector"]
TriageStatus = Literal["open", "discarded", "recovered"]
"""What people may set a dead letter to."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """A partition of one topic generation and where its reader goes on."""

    ref: int
    topic: str
    partition: int
    next_offset: int


@dataclass(frozen=True, slots=True)
class Generation:
    """A partition of one generation of a topic; what is left of old generations has to be finished too."""

    ref: int
    identity: TopicIdentity
    partition: int


class ReadUpTo(NamedTuple):
    """How far a partition was read. `last` None: what was read last is not known."""

    next_offset: int
    last: LastRead | None
    read_from: int = 0
    """Where it was begun, if not at the oldest record there was."""


@dataclass(frozen=True, slots=True)
class TopicGeneration:
    """A generation of a topic, and how far a role has read it, by partition."""

    topic_ref: int
    identity: TopicIdentity
    read: dict[int, ReadUpTo]


@dataclass(frozen=True, slots=True)
class Advance:
    """The move of one partition's `next_offset`; refused when it is not at `expected` any more."""

    ref: int
    expected: int
    next_offset: int
    last: LastRead | None = None
    """The last record before `next_offset`; None leaves the one that is known."""
    newest_ms: int = -1
    """The latest timestamp of the records read; -1: none has one."""


@dataclass(frozen=True, slots=True)
class OrderRow:
    """An accepted order and its position; `record_id` as made by `buffer.record_id`."""

    record_id: int
    order: Order
    attempts: int


@dataclass(frozen=True, slots=True)
class OrderBlock:
    """Accepted orders of one partition, one or more, each at its first attempt.

    `record_ids[i]` is the position of order i.
    """

    record_ids: list[int]
    orders: OrderColumns


class Parked(NamedTuple):
    """A record kept for later. `due_at_ms` None: it waits behind an earlier one of its key, untried."""

    record_id: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    attempts: int
    due_at_ms: int | None
    first_failed_at_ms: int | None = None
    error_class: str | None = None
    reason: str | None = None
    headers_readable: bool = True
    append_time: bool = False
    """As of Record, so that it is judged as it was the first time."""


class ParkedEntry(NamedTuple):
    """What a processor keeps in memory of a parked record."""

    record_id: int
    key: bytes | None
    due_at_ms: int | None


class OutboxRow(NamedTuple):
    """A failed record on its way to the dead-letter topic, headers complete."""

    dead_letter_id: str
    record_id: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers


class Attempted(NamedTuple):
    """A parked record that was tried, and how many attempts it had before."""

    record_id: int
    attempts: int


@dataclass(frozen=True, slots=True)
class ReplayOutcome:
    """What became of a replayed record."""

    replay_id: str
    state: Literal["recovered", "dead_again"]


@dataclass(slots=True)
class Batch:
    """The whole effect of one round of a processor, written at once."""

    now_ms: int
    advances: list[Advance] = field(default_factory=list)
    orders: list[OrderRow] = field(default_factory=list)
    blocks: list[OrderBlock] = field(default_factory=list)
    """More orders, many at once."""
    parked: list[Parked] = field(default_factory=list)
    """New parked records, and known ones with a new attempt count or due time."""
    taken: list[Attempted] = field(default_factory=list)
    """Every parked record tried in this round; refused when another writer tried it."""
    settled: list[int] = field(default_factory=list)
    """Those of `taken` that are parked no more: accepted or dead."""
    outbox: list[OutboxRow] = field(default_factory=list)
    outcomes: list[ReplayOutcome] = field(default_factory=list)
    failed_attempts: Counter[int] = field(default_factory=Counter)
    """Attempts that failed and are parked, by their partition's reference."""
    passed_over: list[int] = field(default_factory=list)
    """Records that are no orders and need not be, new ones and those of `settled`, by their `record_id`."""
    currency: Currency | None = None
    """What the prices of its orders are in; refused when another one was agreed on meanwhile. None: as it was."""

    @property
    def empty(self) -> bool:
        """Whether there is nothing to write."""
        return not (self.advances or self.taken or self.parked)


FailureIdentity = Literal["carried", "timed", "inferred"]
"""Where a dead letter's `dead_letter_id` comes from.

- `carried`: its headers carry it. It names the failed record's position, which is another one in a replay.
- `timed`: it is made from what its headers say. The same again at the same time of failure is a copy.
- `inferred`: the same, but nothing tells the time of failure. The same again may be another failure.
"""


class DeadLetterRow(NamedTuple):
    """A dead letter as collected. `None`: its dialect or value does not say. Times are epoch ms.

    One that its dead-letter topic will never take has no `record_id`, topic, partition and offset.
    `dead_letter_id` is the same for the same failure; a later life of it gets a name of its own from the store.
    """

    record_id: int | None
    topic: str | None
    partition: int | None
    offset: int | None
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    dialect: str
    reason: str
    fingerprint: str
    title: str
    failed_at_ms: int | None
    dead_letter_id: str
    source_topic: str | None = None
    source_partition: int | None = None
    source_offset: int | None = None
    source_timestamp_ms: int | None = None
    order: Order | None = None
    error_class: str | None = None
    stacktrace: str | None = None
    rule: str | None = None
    stage: str | None = None
    consumer_group: str | None = None
    attempts: int | None = None
    first_failed_at_ms: int | None = None
    replay_of: str | None = None
    """`dead_letter_id` of the dead letter whose replay this is."""
    replay_id: str | None = None
    """Which of its replays."""
    identity: FailureIdentity = "carried"
    failed_in: Position | None = None
    """Where its record stood when it failed, if that is a dead-letter topic that is collected too."""
    fingerprint_version: int = 1
    """Of the rule that made the fingerprint."""
    split_from: tuple[str, str] | None = None
    """Fingerprint and title that it had before a rule of people took it out of its group; set by the store."""


@dataclass(frozen=True, slots=True)
class Job:
    """A job as the worker sees it. `send_window`: JSON of what was being sent when the worker last wrote."""

    id: int
    kind: Literal["produce", "replay"]
    state: str
    params: str
    done: int
    failed: int
    total: int
    request_id: str
    send_window: str | None


@dataclass(frozen=True, slots=True)
class ReplayItem:
    """One dead letter of a replay job with what must be sent; `topic` and `partition` are where it goes.

    `public_id` is the `dead_letter_id` that headers carry. `partition` None: its key decides.
    """

    dead_letter_id: int
    replay_id: str
    public_id: str
    topic: str | None
    partition: int | None
    key: bytes | None
    value: bytes | None
    headers: Headers


SourceOf = Callable[[str], str | None]
"""The source topic that people have named for a dead-letter topic; None where nobody has."""


def nobody_named(_topic: str) -> str | None:
    """A SourceOf for those who have named no topic."""
    return None


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Matching dead letters that a replay cannot take, each counted once, by what is in the way."""

    without_body: int = 0
    """Their headers tell where the record is, and they have neither its key nor its value."""
    bodies_at: tuple[str, ...] = ()
    """Where the records of the first of them stand."""
    without_target: dict[str, int] = field(default_factory=dict)
    """They name no source topic, and nobody has named one for their dead-letter topic, by which they are counted."""
    never_written: int = 0
    """They could not be written to their source topic, and hold their record in another form."""
    beyond_limit: int = 0
    """They were replayed as often as is allowed: a forced replay takes them."""
    imported: int = 0
    """They were imported, and are sent nowhere."""

    @property
    def impossible(self) -> int:
        """How many no replay takes, forced or not."""
        return self.imported + self.without_body + self.never_written + sum(self.without_target.values())


@dataclass(frozen=True, slots=True)
class ReplayPreview:
    """A dead letter that a replay would send, as people are asked to confirm it."""

    dead_letter_id: int
    topic: str
    order_id: str | None
    reason: str


class Sent(NamedTuple):
    """A confirmed delivery: where the record with this send id stands."""

    send_id: str
    topic: str
    partition: int
    offset: int


class FlowStore(Protocol):
    """What processors and the collector know about partitions, and what processors write."""

    def assign(
        self,
        role: Role,
        identity: TopicIdentity,
        partition: int,
        start_offset: int,
        now_ms: int,
        end_offset: int | None = None,
    ) -> Assignment:
        """Where to go on reading. A partition met for the first time begins at `start_offset`.

        Dead letters below the `end_offset` that it had then raise no alert.
        """

    def begin_topic(
        self, role: Role, identity: TopicIdentity, starts: Mapping[int, int], now_ms: int, message: str
    ) -> bool:
        """Decides, with an event, where each partition of a topic begins that this cluster's buffer does not know yet.

        What lies before is as if it had never been. False, and nothing changes, when the topic is known by now: then
        somebody else has decided it.
        """

    def generations(self, role: Role, topic: str, partition: int) -> list[Generation]:
        """All generations of a partition, oldest first: whoever owns the newest looks after the others' leftovers."""

    def waiting(self) -> list[Generation]:
        """Processors' partitions of which records are parked or on their way to the dead-letter topic."""

    def topic_generations(self, role: Role, cluster_id: str, topic: str) -> list[TopicGeneration]:
        """All generations of a cluster's topic, oldest first."""

    def skip(self, ref: int, expected: int, next_offset: int, now_ms: int, message: str) -> None:
        """Moves over offsets that Kafka no longer has, and keeps them with an event as lost. Guarded as a batch is."""

    def commit(self, batch: Batch) -> None:
        """Writes a batch. Raises StaleWriterError, with nothing written, when a guard fails.

        `totals` and all figures change with the rows they count.
        """

    def agree_currency(self, currency: Currency) -> str:
        """Has the buffer sum this currency; returns why it cannot, empty when it does.

        It can while there are no orders, and when it does so already. An empty code is any currency with these digits,
        and one that was not named may be named later. Whoever was quicker is refused with its next batch that has
        orders, see `Batch.currency`.
        """

    def parked(self, refs: Sequence[int]) -> list[ParkedEntry]:
        """The parked records of these partitions in offset order."""

    def load_parked(self, record_ids: Iterable[int]) -> list[Parked]:
        """Parked records with their bytes, in offset order."""

    def outbox_size(self, refs: Sequence[int]) -> int:
        """How many records of these partitions are on their way to the dead-letter topic."""

    def outbox(self, refs: Sequence[int], limit: int, without: Collection[str] = ()) -> list[OutboxRow]:
        """The oldest records of these partitions that are still on their way to the dead-letter topic, fewer than
        `limit` when they are large.

        `without` are the dead-letter ids of those that are not asked for.
        """

    def delivered(self, dead_letter_ids: Sequence[str]) -> None:
        """Removes confirmed records from the outbox."""

    def undeliverable(self, rows: Sequence[DeadLetterRow], now_ms: int) -> int:
        """Keeps records that the dead-letter topic will never take as open dead letters without a position there.

        They leave the outbox in the same transaction; what is not in it (any more) is left out. Returns how many were
        added. `pipeline.dead_letters.letters.undeliverable_row` makes the rows.
        """


class DeadLetterStore(Protocol):
    """What the collector writes, and triage."""

    def collect(self, advances: Sequence[Advance], rows: Sequence[DeadLetterRow], now_ms: int) -> int:
        """Adds dead letters with the offsets after them; returns how many were new.

        A row whose `dead_letter_id` is known, with the same key, value and headers, is a copy: the same failure was
        written to the topic twice. Its position is noted beside the dead letter that it is a copy of. Those whose
        identity is inferred are copies only close to the first, and while that is neither settled nor replayed. With
        other contents it is a second failure: a row with an id of its own. A row with a known `replay_of` turns the
        dead letter it names to `dead_again`; so does another failure of one that was replayed, unless it carries its
        identity, and so does one with `failed_in` the open dead letter that stands there, as a row or a copy, or will
        when it is collected. Raises StaleWriterError.
        """

    def triage(self, ids: Sequence[int], status: TriageStatus, now_ms: int) -> int:
        """Sets dead letters by hand; returns how many changed.

        Discards open and replayed ones, opens discarded ones, and takes replayed ones for recovered, with those whose
        record was sent with theirs.
        """


class JobStore(Protocol):
    """Jobs, and the ledger of replays."""

    def queue_produce(self, params: str, total: int, by: str, request_id: str, now_ms: int) -> int:
        """Queues a produce job; a known `request_id` returns the job it made."""

    def queue_replay(
        self,
        params: str,
        which: DeadLetterFilter,
        limit: int | None,
        by: str,
        request_id: str,
        now_ms: int,
        source_of: SourceOf = nobody_named,
    ) -> int | None:
        """Queues a replay of the matching dead letters that are not on their way; None when there is none.

        Without statuses in the filter, open ones are meant. `limit`: leave out what was replayed so often; None takes
        all, and what is named by id whatever its status. A known `request_id` returns the job it made.

        Each goes to its source topic, or to that of `source_of`; the ledger keeps which. What has neither, or has lost
        key and value, is left out.
        """

    def preview_replay(
        self, which: DeadLetterFilter, limit: int | None, source_of: SourceOf = nobody_named
    ) -> Iterator[ReplayPreview]:
        """What `queue_replay` would take just now."""

    def count_left_out(self, which: DeadLetterFilter, limit: int | None, source_of: SourceOf = nobody_named) -> LeftOut:
        """What of the matching dead letters, that could be taken by their status, `queue_replay` would leave out."""

    def get(self, job_id: int) -> Job | None:
        """The job as it stands."""

    def next_job(self, now_ms: int) -> Job | None:
        """The oldest unfinished job, now `running` (or still `cancelling`)."""

    def ask_to_cancel(self, job_id: int, now_ms: int) -> bool:
        """Marks a job to end early; a queued one ends at once. False when it has ended already."""

    def open_send_window(self, job_id: int, send_window: str, sending: Sequence[str] = ()) -> bool:
        """Writes down what is about to be sent, before it is; `sending` are replay ids. False: the job is cancelled."""

    def close_send_window(
        self, job_id: int, done: int, failed: int, sent: Sequence[Sent], errors: dict[str, str], now_ms: int
    ) -> None:
        """Writes down what was sent. `errors` by send id.

        `done` and `failed` are added to a produce job's counts; those of a replay job are always what its ledger says.
        """

    def planned_items(self, job_id: int, limit: int) -> list[ReplayItem]:
        """The next planned replays, fewer than `limit` when they are large."""

    def sending_items(self, job_id: int) -> list[ReplayItem]:
        """Replays of a window that was never closed: sent or not, only the topic knows."""

    def finish(self, job_id: int, state: Literal["done", "failed", "cancelled"], now_ms: int, error: str = "") -> None:
        """Ends a job. Items never sent are cancelled, and their dead letters are what they were before."""


@dataclass(frozen=True, slots=True)
class AlertWindow:
    """What happened in the alert window."""

    orders: int
    dead_letters: int


class FiringAlert(NamedTuple):
    """The rule of an alert that fires, and its message."""

    rule: str
    message: str


@dataclass(frozen=True, slots=True)
class PendingNotification:
    """An alert that people are to be notified of: that it began or, if `over`, that it ended."""

    alert_id: int
    message: str
    over: bool


class LostOffsets(NamedTuple):
    """Offsets of a topic that Kafka removed before they were read, and that nobody has said are known."""

    topic: str
    offsets: int


class BrakeLimit(NamedTuple):
    """Reading of a topic stops when this share of at least so many records of the window has failed."""

    share: float
    records: int
    window_ms: int


class StoppedTopic(NamedTuple):
    """A topic whose reading is stopped, and what was in the window that stopped it."""

    topic: str
    stopped_at_ms: int
    accepted: int
    failed: int

    def __str__(self) -> str:
        records = self.accepted + self.failed
        return f"reading of {self.topic} is stopped: {self.failed / records:.1%} of {records:,} records failed"


class WatchStore(Protocol):
    """Alerts, events and upkeep."""

    def alert_window(self, from_ms: int) -> AlertWindow:
        """Orders processed and dead letters that failed since `from_ms`.

        Without dead letters that were there before their partition was met, or failed more than a day before they were
        collected.
        """

    def lost_offsets(self) -> list[LostOffsets]:
        """What was lost and is not accepted, by topic."""

    def accept_losses(self, now_ms: int) -> int:
        """Notes that what was lost so far is known; returns how many offsets that are."""

    def count_judged(self, topic: str, accepted: int, failed: int, limit: BrakeLimit, now_ms: int) -> None:
        """Adds judged records of a topic to its brake's window, and stops reading of it when the limit is reached."""

    def stopped(self) -> list[StoppedTopic]:
        """The topics whose reading is stopped."""

    def resume(self, by: str, now_ms: int) -> list[str]:
        """Lets all topics be read again, each with an empty window; returns which were stopped."""

    def fire(
        self, rule: str, value: float, threshold: float, message: str, now_ms: int, notify: bool = False
    ) -> int | None:
        """Raises an alert, or updates the worst value of the one that fires; returns the id of a new one.

        `notify`: there are people to notify: a pending notification, until `noticed` notes what became of it.
        """

    def firing(self) -> list[FiringAlert]:
        """The alerts that fire."""

    def resolve(self, rule: str, now_ms: int, notify: bool = False) -> int | None:
        """Ends the alert that fires; returns its id, None when none did. `notify` as with `fire`."""

    def pending_notifications(self) -> list[PendingNotification]:
        """Alerts whose beginning or end people are still to be notified of, oldest first."""

    def noticed(self, alert_id: int, notice: str) -> None:
        """Notes whether people were notified."""

    def event(self, role: str, level: Literal["info", "warning", "error"], message: str, now_ms: int) -> None:
        """Leaves a note for the operator; the newest thousand are kept."""

    def event_of_change(self, role: str, subject: str, message: str, now_ms: int) -> None:
        """Notes that a subject is another than before: unless this is what its last event says.

        `message` begins with the subject.
        """

    def prune_seconds(self, before_ms: int) -> None:
        """Drops per-second figures older than that; minutes keep their sums."""


@dataclass(frozen=True, slots=True)
class Retention:
    """What may be pruned: rows older than these times (epoch ms, None: no limit), and the oldest ones above a size.

    An order is as old as its processing, a dead letter as its last change of status. `max_bytes` 0: no limit.
    """

    orders_before_ms: int | None = None
    dead_letters_before_ms: int | None = None
    max_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Pruned:
    """How many rows one step of pruning took."""

    orders: int = 0
    dead_letters: int = 0
    jobs: int = 0

    def __bool__(self) -> bool:
        return bool(self.orders or self.dead_letters or self.jobs)


class Compaction(NamedTuple):
    """How far dead letters of an older layout are stored as new ones are: so many of about so many."""

    done: int
    total: int


class UpkeepStore(Protocol):
    """The buffer's size: retention, and what the database gives back. Each call is one short step."""

    def prune(self, retention: Retention) -> Pruned:
        """Takes away the next few rows that may go; false when there are none.

        What goes stays in the figures: each counts the rows that are there and those that were pruned, which are added
        to its `pruned_` column in the same transaction. Orders go from the lowest offsets on. Dead letters go once they
        are settled: discarded, recovered, or dead again with the dead letter that their replay became in the buffer;
        their ledger items go with them, and jobs whose items are all gone. Never those that are open or on their way,
        nor those that a job which has not ended names; of a record's several lives the oldest goes first. Finished
        produce jobs go with the orders of their time.
        """

    def conclude(self, replayed_before_ms: int, now_ms: int) -> int:
        """Takes the next few dead letters that were replayed before then, and have no outcome yet, for recovered.

        Nobody proved it, which `concluded` says; one that fails again later is dead again. Returns how many they were.
        """

    def note_for_search(self) -> bool:
        """Notes what the newest dead letters hold for which that is to be done, or done again, so that search need not
        look at each of them; false when there are none. A few thousand each time.
        """

    def used_bytes(self) -> int:
        """What rows and indexes take, without space that is free for new ones."""

    def compact(self) -> Compaction | None:
        """Stores a few dead letters of an older layout as new ones are; returns how far that is.

        None when there is nothing to do. What anybody reads of them is the same before and after.
        """

    def incremental_vacuum(self) -> int:
        """Returns free space to the file system, a little at once; 0 when only a small reserve is left."""

    def wal_bytes(self) -> int:
        """Size of the write-ahead log."""

    def empty_wal(self, above_bytes: int = ...) -> bool:
        """Empties a write-ahead log that is bigger than this; false while somebody who still reads prevents it.

        Waits for nobody. Without a size, what SQLite keeps for the next round is not taken for big.
        """


class Buffer(Protocol):
    """An open buffer. One a process, used by one thread at a time; who writes batches leaves it to a BatchWriter."""

    @property
    def flow(self) -> FlowStore: ...
    @property
    def dead_letters(self) -> DeadLetterStore: ...
    @property
    def jobs(self) -> JobStore: ...
    @property
    def watch(self) -> WatchStore: ...
    @property
    def rereads(self) -> RereadStore: ...
    @property
    def lookups(self) -> LookupStore: ...
    @property
    def groups(self) -> GroupStore: ...
    @property
    def regrouping(self) -> RegroupStore: ...
    @property
    def imports(self) -> ImportStore: ...
    @property
    def texts(self) -> TextIndexStore: ...
    @property
    def upkeep(self) -> UpkeepStore: ...

    def check_file(self) -> None:
        """Raises BufferUnavailableError when the buffer's file is not the one that was opened: moved or replaced."""

    def reserve(self, thread_id: int | None) -> None:
        """From now on only this thread (`threading.get_ident`) may use the stores; None: any may.

        In another one every call of a store raises RuntimeError, before it touches the database.
        """

    def close(self) -> None:
        """Lets go of the file."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
