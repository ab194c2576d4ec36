"""Every durable step of every role: whoever dies before, inside or after it, nothing is lost and nothing is twice."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator
from itertools import zip_longest

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from pipeline import commands
from pipeline.buffer import DeadLetterFilter, open_buffer
from pipeline.clock import wall_clock_ms
from pipeline.crash_points import POINTS
from pipeline.headers import last_text, replay_id_of
from pipeline.headers.dialects.orderpulse import DEAD_LETTER_ID
from pipeline.jobs.requests import request_produce, request_replay
from pipeline.kafka import ends, records_since
from pipeline.orders.avro_schemas import SchemaStore
from pipeline.orders.sample_requests import ProduceRequest
from pipeline.orders.samples import SAMPLE
from pipeline.orders.serde import OrderCodec
from pipeline.records import Record
from scripts.local.cluster import KafkaCluster
from tests.support.faulty_handler import FAIL_AS_ASKED
from tests.support.kafkas import PARTITIONS, QUICK_FETCHES, own_names
from tests.support.kept_roles import KeptRoles
from tests.support.order_writer import Kind, OrderWriter
from tests.support.running_pipeline import RunningPipeline
from tests.support.told_people import ToldPeople

ROLES = ("processor", "collector", "worker")
FAULTY: dict[int, Kind] = {
    **dict.fromkeys(range(3, 100, 10), "invalid"),
    **dict.fromkeys(range(5, 100, 10), "transient"),
    **dict.fromkeys(range(7, 100, 10), "malformed"),
}
FEW, MANY = 60, 700
"""A batch of many is written in a thread of its own."""
MANY_DEAD = 2500
"""So many wait for the collector that it reads many at once, however they are spread over the partitions."""
SAMPLES = 20
LARGE_KEY, LARGE_BYTES = b"large", 1_048_200
REPLAYED_AT_ONCE = 10
KEPT_S = 5.0

COMES_AFTER = {
    "worker: before an open window is looked for": ("worker: window handed over",),
    "worker: open window looked for": ("worker: window confirmed",),
    "worker: rest of a window handed over": ("worker: window written down",),
}
"""Nobody comes to these points without having died at another one: with some of a window sent, all of it, and none."""
MET_AT_A_START = ("taken over", "old seconds", "old rows", "gap")


def in_pairs(role: str) -> list[tuple[str, ...]]:
    """The points of a role, two and two."""
    points = tuple(point for point in POINTS if point.startswith(role))
    return [points[number : number + 2] for number in range(0, len(points), 2)]


ROUNDS = list(zip_longest(*map(in_pairs, ROLES), fillvalue=()))
"""Where each of the roles dies in the same round, at one point after the other."""


class Outsider:
    """Writes and asks, keeps its own account of both, and holds the buffer and the topics against it."""

    def __init__(self, pipeline: RunningPipeline, writer: OrderWriter) -> None:
        self.pipeline = pipeline
        self.writer = writer
        self.samples = 0
        self.replays = 0
        self.undeliverable = 0
        self._samples_cents = 0
        self._gap_left = False
        self._codec = OrderCodec(SchemaStore(pipeline.settings.schemas_dir))
        self._next_offsets: dict[str, dict[int, int]] = {}
        self._sent: Counter[str] = Counter()
        self._dead: set[str | None] = set()

    def ask_for_jobs(self) -> None:
        """A replay of some dead letters that will fail again, then a run of samples."""
        settings = self.pipeline.settings
        with self.pipeline.reader() as reader:
            found = reader.dead_letters(
                DeadLetterFilter().with_status("open"), limit=REPLAYED_AT_ONCE + self.undeliverable
            )
            # With a replay's headers the orders topic would not take a large one either.
            letters = [each for each in found if (kept := reader.dead_letter(each.id)) and kept.key != LARGE_KEY]
            letters = letters[:REPLAYED_AT_ONCE]
        which = DeadLetterFilter(ids=tuple(letter.id for letter in letters))
        with open_buffer(settings.database_file) as buffer:
            request_replay(settings, buffer, wall_clock_ms, which, "test")
            request_produce(settings, buffer, wall_clock_ms, ProduceRequest(SAMPLES), "test")
        self.replays += len(letters)
        self.samples += SAMPLES

    def leave_a_gap(self, topic: str) -> None:
        """Writes to every partition and has Kafka remove all that is there."""
        self.pipeline.send(*((f"gone-{number}".encode(), b"gone", ()) for number in range(8 * PARTITIONS)), topic=topic)
        client = AdminClient({"bootstrap.servers": self.pipeline.cluster.bootstrap_servers})
        everything = [TopicPartition(topic, partition, -1) for partition in range(PARTITIONS)]
        for removed in client.delete_records(everything).values():
            assert removed.result(10).low_watermark > 0
        self._gap_left = True

    def write_undeliverable(self) -> None:
        """Writes a record that the orders topic just takes, and the dead-letter topic does not: it has more headers."""
        self.pipeline.send((LARGE_KEY, bytes(LARGE_BYTES), ()))
        self.undeliverable += 1

    def settled(self) -> bool:
        """Whether all that was written and asked for has come to an end."""
        with self.pipeline.reader() as reader:
            totals = reader.totals()
            return (
                totals.orders + totals.dead_letters >= sum(self._expected())
                and reader.parked_count() == reader.outbox_count() == 0
                and reader.unfinished_job() is None
                and sum(job.dead_again for job in reader.jobs()) == self.replays
            )

    def dead_letters_sent(self) -> int:
        """How many were ever written to the dead-letter topic."""
        settings = self.pipeline.settings
        return sum(ends(settings, self.pipeline.cluster, settings.own_dlq_topic, PARTITIONS).values())

    def assert_nothing_is_lost_or_doubled(self) -> None:
        """Holds the figures, the ledger and both topics against the account."""
        with self.pipeline.reader() as reader:
            totals = reader.totals()
            jobs = reader.jobs()
            ids = reader._rows("SELECT dead_letter_id FROM dead_letters WHERE topic NOT NULL").column("dead_letter_id")
        settings = self.pipeline.settings
        # 1. What was asked for was sent, each record once.
        self._note_what_was_sent(self._came(settings.orders_topic))
        assert len(self._sent) == self.samples + self.replays
        assert self._sent.total() == len(self._sent)
        assert [(job.done, job.failed) for job in jobs] == [(job.total, 0) for job in jobs]
        # 2. All of it is in the buffer, and no more.
        assert (totals.orders, totals.dead_letters) == self._expected()
        assert totals.revenue_cents == self.writer.account.revenue_cents + self._samples_cents
        # 3. Each dead letter is on its topic.
        self._dead |= {last_text(each.headers, DEAD_LETTER_ID) for each in self._came(settings.own_dlq_topic)}
        assert self._dead == set(ids)
        assert len(ids) == totals.dead_letters - self.undeliverable
        # 4. The product's own check agrees.
        if self._gap_left:
            assert self._check(accept_lost=False) == 1
            assert self._check(accept_lost=True) == 0
            self._gap_left = False
        assert self._check(accept_lost=False) == 0

    def _check(self, accept_lost: bool) -> int:
        return commands.check(self.pipeline.settings, argparse.Namespace(repair=False, accept_lost=accept_lost))

    def _expected(self) -> tuple[int, int]:
        """Orders and dead letters that there must be."""
        account = self.writer.account
        return account.orders + self.samples, account.dead_letters + self.replays + self.undeliverable

    def _note_what_was_sent(self, records: list[Record]) -> None:
        for record in records:
            replay, sample = replay_id_of(record.headers), last_text(record.headers, SAMPLE)
            self._sent.update(name for name in (replay or sample,) if name)
            if sample and not replay:
                self._samples_cents += self._codec.decode(record.value).price_cents

    def _came(self, topic: str) -> list[Record]:
        """What has come to a topic since this was asked last."""
        next_offsets = self._next_offsets.setdefault(topic, dict.fromkeys(range(PARTITIONS), 0))
        records = list(records_since(self.pipeline.settings, self.pipeline.cluster, topic, next_offsets))
        for record in records:
            next_offsets[record.position.partition] = record.position.offset + 1
        return records


@pytest.fixture(scope="module")
def kept(
    tmp_path_factory: pytest.TempPathFactory, apache_kafka: KafkaCluster, people: ToldPeople
) -> Iterator[KeptRoles]:
    """The roles, alive."""
    data_dir = tmp_path_factory.mktemp("crash-points")
    pipeline = RunningPipeline(
        data_dir,
        bootstrap_servers=apache_kafka.bootstrap_servers,
        topic_partitions=PARTITIONS,
        retry_base_ms=50,
        retry_cap_ms=200,
        replay_limit=1000,
        kafka_config=QUICK_FETCHES,
        alert_urls=people.url,
        alert_hold_s=0,
        handler=FAIL_AS_ASKED,
        **own_names(),
    )
    yield KeptRoles(pipeline, data_dir / "die-at", ROLES)
    pipeline.end()


@pytest.fixture(scope="module")
def people() -> Iterator[ToldPeople]:
    """Who is told of alerts."""
    with ToldPeople() as people:
        yield people


@pytest.fixture(scope="module")
def outsider(kept: KeptRoles) -> Iterator[Outsider]:
    """Somebody who has written and seen the first dead letters."""
    kept.pipeline.wait_until_running()
    with OrderWriter(kept.pipeline, 0, FAULTY) as writer:
        writer.write(FEW)
        outsider = Outsider(kept.pipeline, writer)
        kept.wait_for("the first records", outsider.settled)
        yield outsider


@pytest.mark.parametrize("points", ROUNDS)
def test_whoever_dies_at_a_durable_step_loses_and_doubles_nothing(
    kept: KeptRoles, outsider: Outsider, people: ToldPeople, points: tuple[tuple[str, ...], ...]
) -> None:
    for role, its_points in zip(ROLES, points, strict=True):
        have_die(kept, outsider, role, its_points)
    outsider.writer.write(MANY if ROUNDS.index(points) % 3 == 0 else FEW)
    outsider.ask_for_jobs()
    for role in ROLES:
        kept.wait_for(f"the {role}'s deaths", lambda role=role: kept.has_died(role))
    kept.wait_for("the end of all that was asked for", outsider.settled)
    if any("message" in point for point in points[ROLES.index("worker")]):
        kept.wait_for("the message", lambda: f"over: before {points[ROLES.index('worker')][0]}" in people.messages)
    outsider.assert_nothing_is_lost_or_doubled()


def have_die(kept: KeptRoles, outsider: Outsider, role: str, points: tuple[str, ...]) -> None:
    """Has a role die at one point after the other, and brings about what leads there."""
    settings = kept.pipeline.settings
    many_dead = any("dead letters" in point for point in points) and role == "collector"
    at_a_start = many_dead or any(words in point for point in points for words in MET_AT_A_START)
    if at_a_start:
        kept.end(role)
    if many_dead:
        before = outsider.dead_letters_sent()
        outsider.writer.write(MANY_DEAD, "malformed")
        kept.wait_for("the dead letters", lambda: outsider.dead_letters_sent() >= before + MANY_DEAD)
    if any("gap" in point for point in points):
        outsider.leave_a_gap(settings.orders_topic if role == "processor" else settings.own_dlq_topic)
    if any("undeliverable" in point for point in points):
        outsider.write_undeliverable()
    if any("message" in point for point in points):
        with open_buffer(settings.database_file) as buffer:
            # What nobody finds is over at once, and people are told so.
            buffer.watch.fire("a test", 1, 1, f"before {points[0]}", wall_clock_ms())
    if any("old rows" in point for point in points):
        kept.pipeline.environment["ORDERPULSE_ORDERS_KEPT_DAYS"] = str(KEPT_S / 86_400)
    kept.die_at(role, [each for point in points for each in (*COMES_AFTER.get(point, ()), point)])
    if at_a_start:
        kept.start(role)
