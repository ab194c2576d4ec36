"""The outbox while partitions come and go."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.buffer import Batch, Buffer, OutboxRow, open_buffer, record_id
from pipeline.buffer.batch_writer import BatchWriter
from pipeline.clock import steady_clock_ms, wall_clock_ms
from pipeline.kafka import Delivery, Sender
from pipeline.processing.outbox import FRESH_ROWS, IN_FLIGHT, LONGEST_WAIT_MS, OutboxDrain
from pipeline.records import TopicIdentity
from scripts.waiting import wait_for
from tests.support.kafkas import Kafka, on_kafka


def none_is_refused(rows: Sequence[tuple[OutboxRow, str]]) -> None:
    raise AssertionError(rows)


@on_kafka()
def test_what_is_confirmed_of_a_partition_that_went_is_not_taken_for_one_of_those_that_stay(kafka: Kafka, tmp_path):
    topic = kafka.make_topic()
    with open_buffer(tmp_path / "orderpulse.db") as buffer:
        identity = TopicIdentity("cluster", "orders", "")
        gone, ours = (buffer.flow.assign("processor", identity, number, 0, 1).ref for number in range(2))
        refs = [gone, ours]
        drain = OutboxDrain(
            BatchWriter(buffer, 1, steady_clock_ms),
            Sender(kafka.settings, kafka.cluster),
            topic,
            lambda: refs,
            none_is_refused,
            wall_clock_ms,
        )
        buffer.flow.commit(Batch(1, outbox=[OutboxRow("first", record_id(gone, 0), 1, b"k", b"v", ())]))
        drain.pump()
        assert drain.busy
        refs.remove(gone)
        drain.recount()
        buffer.flow.commit(Batch(1, outbox=[OutboxRow("second", record_id(ours, 0), 1, b"k", b"v", ())]))
        drain.pump()

        def emptied() -> bool:
            drain.pump()
            return buffer.flow.outbox_size([gone, ours]) == 0

        wait_for("an empty outbox", emptied, 15.0)
        assert [record.value for record in kafka.read_all(2)] == [b"v", b"v"]


@on_kafka()
def test_dead_letters_of_a_key_come_to_the_topic_in_their_order_however_many_wait(kafka: Kafka, tmp_path):
    topic, many = kafka.make_topic(), FRESH_ROWS * 2 + 10
    with open_buffer(tmp_path / "orderpulse.db") as buffer:
        assignment = buffer.flow.assign("processor", TopicIdentity("cluster", "orders", ""), 0, 0, 1)
        sender = Sender(kafka.settings, kafka.cluster)
        writer = BatchWriter(buffer, 1, steady_clock_ms)
        drain = OutboxDrain(writer, sender, topic, lambda: [assignment.ref], none_is_refused, wall_clock_ms)
        drain.pump()
        for first in range(0, many, many // 2):
            rows = [
                OutboxRow(f"{number}", record_id(assignment.ref, number), 1, b"k", b"%d" % number, ())
                for number in range(first, first + many // 2)
            ]
            buffer.flow.commit(Batch(1, outbox=rows))
            drain.added(rows)
            drain.pump()

        def emptied() -> bool:
            drain.pump()
            return buffer.flow.outbox_size([assignment.ref]) == 0

        wait_for("an empty outbox", emptied, 30.0)
        assert [int(record.value) for record in kafka.read_all(many)] == list(range(many))


@dataclass(slots=True)
class TopicByHand:
    """Takes what it is sent, but for partitions without a leader and bytes that it never takes."""

    leaderless: set[int] = field(default_factory=set)
    keyless_to: int = 0
    taken: list[str] = field(default_factory=list)
    waiting: list[tuple[str, bytes, Callable[[Delivery], None]]] = field(default_factory=list)

    def send(self, topic: str, key: bytes | None, value: bytes, headers: object, done: Any, **more: Any) -> None:
        """The key is the partition; what has none goes to `keyless_to`."""
        partition = self.keyless_to if key is None else int(key)
        self.waiting.append((more["send_id"], value, partial(self._answer, partition, done)))

    def poll(self) -> None:
        """Answers all."""
        waiting, self.waiting = self.waiting, []
        for send_id, value, answer in waiting:
            answer(send_id, value)

    def _answer(self, partition: int, done: Callable[[Delivery], None], send_id: str, value: bytes) -> None:
        if value == b"large":
            done(Delivery(send_id, "dlq", -1, -1, "it is too large", refused=True))
        elif partition in self.leaderless:
            done(Delivery(send_id, "dlq", partition, -1, "timed out"))
        else:
            self.taken.append(send_id)
            done(Delivery(send_id, "dlq", partition, len(self.taken), ""))


class DrainInProcess:
    """A drain, and an outbox that it drains."""

    def __init__(self, buffer: Buffer) -> None:
        self.buffer = buffer
        self.topic = TopicByHand()
        self.now_ms = 1_000_000
        self.kept: list[tuple[str, str]] = []
        self.count = 0
        identity = TopicIdentity("cluster", "orders", "")
        self.ref = self.buffer.flow.assign("processor", identity, 0, 0, 1).ref
        self.drain = OutboxDrain(
            BatchWriter(self.buffer, 1, self.clock),
            self.topic,  # type: ignore[arg-type] # only what a drain asks of it
            "dlq",
            lambda: [self.ref],
            self.keep,
            self.clock,
        )

    def clock(self) -> int:
        return self.now_ms

    def keep(self, rows: Sequence[tuple[OutboxRow, str]]) -> None:
        self.kept += [(row.dead_letter_id, why) for row, why in rows]
        self.buffer.flow.delivered([row.dead_letter_id for row, _ in rows])

    def add(self, partition: int | None, value: bytes = b"small", count: int = 1) -> list[str]:
        """Rows with the key that brings them to the partition; None: without a key."""
        numbers = range(self.count, self.count + count)
        self.count += count
        key = None if partition is None else b"%d" % partition
        rows = [OutboxRow(f"{n:05}", record_id(self.ref, n), 1, key, value, ()) for n in numbers]
        self.buffer.flow.commit(Batch(1, outbox=rows))
        self.drain.added(rows)
        return [row.dead_letter_id for row in rows]

    def pump(self, times: int = 4) -> None:
        for _ in range(times):
            self.drain.pump()
            self.now_ms += 1


@contextmanager
def a_drain(folder: Path) -> Iterator[DrainInProcess]:
    with open_buffer(folder / "orderpulse.db") as buffer:
        yield DrainInProcess(buffer)


def test_what_the_topic_will_never_take_is_kept_and_holds_up_nothing(tmp_path):
    with a_drain(tmp_path) as outbox:
        outbox.pump()
        large = outbox.add(0, b"large", 2 * IN_FLIGHT)
        small = outbox.add(0)
        outbox.pump(8)
        assert outbox.topic.taken == small
        assert outbox.kept == [(send_id, "it is too large") for send_id in large]
        assert (outbox.drain.waiting, outbox.drain.error) == (0, "")


def test_a_partition_that_takes_nothing_waits_ever_longer_and_the_others_go_on(tmp_path):
    with a_drain(tmp_path) as outbox:
        outbox.topic.leaderless = {1}
        outbox.pump()
        waiting = outbox.add(1, count=3)
        taken = outbox.add(0, count=3)
        outbox.pump()
        assert outbox.topic.taken == taken
        assert outbox.drain.error == "dlq[1]: timed out"
        assert outbox.drain.waiting == 3
        # It is tried ever less often, and what comes for others meanwhile passes by.
        outbox.now_ms += 10 * LONGEST_WAIT_MS
        more = outbox.add(0, count=3)
        outbox.pump()
        assert outbox.topic.taken == taken + more
        # When it has a leader again, its rows come in their order.
        outbox.topic.leaderless = set()
        waiting += outbox.add(1)
        outbox.now_ms += LONGEST_WAIT_MS
        outbox.pump()
        assert sorted(outbox.topic.taken[6:]) == waiting
        assert outbox.drain.error == ""
        assert outbox.drain.waiting == 0


def test_rows_without_a_key_wait_for_a_partition_only_until_another_one_takes_them(tmp_path):
    with a_drain(tmp_path) as outbox:
        outbox.topic.leaderless, outbox.topic.keyless_to = {1}, 1
        outbox.pump()
        keyless = outbox.add(None, count=3)
        outbox.pump()
        assert (outbox.topic.taken, outbox.drain.error) == ([], "dlq[1]: timed out")
        # The library deals them out anew with each try.
        outbox.topic.keyless_to = 0
        outbox.now_ms += LONGEST_WAIT_MS
        outbox.pump()
        assert outbox.topic.taken == keyless
        assert (outbox.drain.waiting, outbox.drain.error) == (0, "")
        # Nothing of that wait is left for those that come later.
        outbox.topic.leaderless = set()
        later = outbox.add(1)
        outbox.pump()
        assert outbox.topic.taken == keyless + later
