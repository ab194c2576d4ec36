"""Counts the work that orders and dead letters cause, which no busy machine changes: a slow-down fails here.

Limits are a fifth above what was counted when they were written. Who makes it slower on purpose raises them on purpose;
who makes it faster lowers them.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import pytest
from confluent_kafka import Message

from bench.letters import LetterLoad, dead_letters
from pipeline.buffer import Batch, Buffer, DeadLetterFilter, ReplayOutcome, open_buffer
from pipeline.buffer.sqlite.connection import PAGE_BYTES
from pipeline.dead_letters.causes.fingerprint import forget
from pipeline.dead_letters.letters import dead_letter_row
from pipeline.headers.own import TRANSIENT_FAILURES
from pipeline.jobs import pace, replay
from pipeline.jobs.producer import ProduceRun
from pipeline.jobs.replay import ReplayRun
from pipeline.jobs.runs import JobRun
from pipeline.jobs.sending import WindowSender
from pipeline.kafka import Cluster, ClusterView, Sender
from pipeline.orders.sample_requests import ProduceRequest
from pipeline.orders.samples import SampleOrders
from pipeline.records import Order, Record
from pipeline.settings import load_settings
from tests.contract.conftest import SqliteStore
from tests.support.buffer_rows import NOW_MS, collect_many
from tests.support.buffer_rows import ORDERS as TOPIC
from tests.support.collection_in_process import CollectionInProcess, LettersByHand, our_headers
from tests.support.counted import counted
from tests.support.flow_in_process import CODEC, FlowInProcess, Incoming

PARTITIONS = (0, 1, 2, 3)
ORDERS = 4000
LETTERS = 2000


def batch(first: int, transient: int = 0, invalid: int = 0, orders: int = ORDERS) -> list[Incoming]:
    """Orders of as many customers; of each hundred, some fail once and some break a rule."""
    made = []
    for number in range(first, first + orders):
        of_hundred = number % 100
        price_cents = 0 if of_hundred < invalid else 100 + number % 7
        fails = invalid <= of_hundred < invalid + transient
        order = Order(f"ORD-{number:08}", f"C{number}", f"product {number % 15}", price_cents, NOW_MS)
        headers = ((TRANSIENT_FAILURES, b"1"),) if fails else ()
        made.append(Incoming(f"C{number}".encode(), CODEC.encode(order), headers, number % len(PARTITIONS)))
    return made


class ProducerByHand:
    """Confirms whatever it has taken when it is asked."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[None, Message], None]] = []
        self.confirmed = 0

    def produce(self, *record: Any) -> None:
        """Takes a record."""
        self.waiting.append(record[4])

    def poll(self, _: float) -> None:
        """Confirms all."""
        for report in self.waiting:
            report(None, Message(topic=TOPIC.topic, partition=0, offset=self.confirmed))
            self.confirmed += 1
        self.waiting = []


class CountedConnection:
    """Counts statements, and not what triggers do: for each row that they see, SQLite's trace tells the whole again."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.statements = 0

    def execute(self, *arguments: Any) -> Any:
        """Executes a statement."""
        self.statements += 1
        return self._connection.execute(*arguments)

    def __getattr__(self, name: str) -> Any:
        """The rest is the connection's."""
        return getattr(self._connection, name)


def window_sender(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WindowSender:
    """One that knows the orders topic and has no Kafka behind it."""
    producer = ProducerByHand()
    monkeypatch.setattr("pipeline.kafka.sender.new_client", lambda *_: producer)
    settings, cluster = load_settings(data_dir=tmp_path, bootstrap_servers="nowhere:1"), Cluster("nowhere:1")
    made = WindowSender(settings, cluster, cast("ClusterView", None), Sender(settings, cluster))
    made._ends, made._identities = {TOPIC.topic: {0: 0}}, {TOPIC.topic: TOPIC}
    return made


def counted_job(run: JobRun, buffer: Buffer) -> tuple[Counter[str], int]:
    """Calls and statements of a job from its first window to its end."""
    connection = buffer.jobs._connection = CountedConnection(buffer.jobs._connection)

    def to_its_end() -> None:
        while not run.step(0.0):
            pass

    return counted(to_its_end), connection.statements


@pytest.mark.parametrize(
    ("transient", "invalid", "statements", "calls", "c_calls"),
    [(0, 0, 18, 0.25, 0.25), (5, 1, 43, 5.5, 4.1)],
    ids=["all are plain", "6 % fail"],
)
def test_a_batch_takes_few_statements_and_few_calls(
    tmp_path, monkeypatch, transient, invalid, statements, calls, c_calls
):
    # Written at once, in this thread, so that all of it is counted and always in the same order.
    monkeypatch.setattr("pipeline.buffer.batch_writer.BIG_RECORDS", 2 * ORDERS)
    with open_buffer(SqliteStore(tmp_path).path) as buffer, closing(FlowInProcess(buffer, PARTITIONS)) as processor:
        processor.round(batch(0, transient, invalid), pass_ms=2500)
        executed: list[str] = []
        buffer.flow._connection.set_trace_callback(executed.append)
        # What failed in the round before is due now.
        processor.reader.give(batch(ORDERS, transient, invalid))
        found = counted(lambda: processor.flow.round(processor.reader))
    assert len(executed) <= statements
    assert found["call"] / ORDERS <= calls
    assert found["c_call"] / ORDERS <= c_calls


@pytest.mark.parametrize(("orders", "pages"), [(1, 11.2), (10, 37)])
def test_a_small_batch_writes_few_pages(tmp_path, orders, pages):
    batches = 30
    with open_buffer(SqliteStore(tmp_path).path) as buffer, closing(FlowInProcess(buffer, PARTITIONS)) as processor:
        for first in range(0, 5 * ORDERS, ORDERS):
            processor.round(batch(first))
            processor.run_dry()
        # Each page that a commit changes goes into the write-ahead log as a whole.
        assert buffer.upkeep.empty_wal(0)
        for number in range(batches):
            processor.round(batch(5 * ORDERS + number * orders, orders=orders))
        written = buffer.upkeep.wal_bytes() / PAGE_BYTES / batches
    assert written <= pages


def test_a_dead_letter_takes_few_statements_and_few_calls(tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.buffer.batch_writer.BIG_RECORDS", 2 * LETTERS)
    monkeypatch.setattr("pipeline.dead_letters.collector.BATCH_RECORDS", LETTERS)
    reader = LettersByHand()
    for number in range(2 * LETTERS):
        order = Order(f"ORD-{number:08}", f"C{number}", f"product {number % 15}", 0, NOW_MS)
        reader.give(f"C{number}".encode(), CODEC.encode(order), our_headers(number), number % len(PARTITIONS))
    with (
        open_buffer(SqliteStore(tmp_path).path) as buffer,
        closing(CollectionInProcess(buffer, reader, len(PARTITIONS))) as collector,
    ):
        collector.collection.round()
        executed: list[str] = []
        buffer.dead_letters._connection.set_trace_callback(executed.append)
        found = counted(collector.collection.round)
    assert len(SqliteStore(tmp_path).table("dead_letters")) == 2 * LETTERS
    assert len(executed) <= 36
    assert found["call"] / LETTERS <= 112
    assert found["c_call"] / LETTERS <= 134


def test_a_dead_letter_with_another_stack_trace_each_time_takes_few_calls():
    # Ids in their messages: no two stack traces are the same, as from any program that says what it failed on.
    letters = [letter.record for letter in dead_letters(LetterLoad(2 * LETTERS))]

    def read(some: list[Record]) -> None:
        for record in some:
            dead_letter_row(record, 1, TOPIC, None)

    forget()
    read(letters[:LETTERS])
    found = counted(lambda: read(letters[LETTERS:]))
    assert found["call"] / LETTERS <= 95
    assert found["c_call"] / LETTERS <= 131


def test_a_sample_order_takes_few_calls():
    request = ProduceRequest(count=ORDERS, transient_share=0.05)
    samples = SampleOrders(request, 1, "request", "orders", CODEC, lambda: NOW_MS)
    found = counted(lambda: list(samples.between(1, ORDERS)))
    assert found["call"] / ORDERS <= 10.1
    assert found["c_call"] / ORDERS <= 7.7


def test_sample_orders_take_few_statements_a_window_and_few_calls_each(tmp_path, monkeypatch):
    count = 2 * pace.WINDOW_RECORDS
    with open_buffer(SqliteStore(tmp_path).path) as buffer:
        params = json.dumps(asdict(ProduceRequest(count=count)))
        buffer.jobs.queue_produce(params, count, "me", "request", NOW_MS)
        job = buffer.jobs.next_job(NOW_MS)
        sending = window_sender(tmp_path, monkeypatch)
        steady = pace.Pace(load_settings(data_dir=tmp_path, bootstrap_servers="nowhere:1"), lambda: NOW_MS)
        run = ProduceRun(job, buffer, sending, steady, TOPIC.topic, CODEC, lambda: NOW_MS, lambda: NOW_MS)
        found, statements = counted_job(run, buffer)
        assert (buffer.jobs.get(job.id).state, buffer.jobs.get(job.id).done) == ("done", count)
    assert statements <= 26
    assert found["call"] / count <= 18.4
    assert found["c_call"] / count <= 18.5


def test_replays_and_their_outcomes_take_few_statements_a_window_and_few_calls_each(tmp_path, monkeypatch):
    count = 2 * replay.WINDOW_RECORDS
    with open_buffer(SqliteStore(tmp_path).path) as buffer:
        collect_many(buffer, count)
        job_id = buffer.jobs.queue_replay('{"rate": 0}', DeadLetterFilter(), 3, "me", "request", NOW_MS)
        job = buffer.jobs.next_job(NOW_MS)
        names = [item.replay_id for item in buffer.jobs.planned_items(job_id, count)]
        sending = window_sender(tmp_path, monkeypatch)
        steady = pace.Pace(load_settings(data_dir=tmp_path, bootstrap_servers="nowhere:1"), lambda: NOW_MS)
        found, statements = counted_job(
            ReplayRun(job, buffer, sending, steady, TOPIC.topic, lambda: NOW_MS, lambda: NOW_MS), buffer
        )
        assert (buffer.jobs.get(job_id).state, buffer.jobs.get(job_id).done) == ("done", count)
        connection = buffer.flow._connection = CountedConnection(buffer.flow._connection)
        buffer.flow.commit(Batch(NOW_MS, outcomes=[ReplayOutcome(name, "recovered") for name in names]))
    assert statements <= 35
    assert found["call"] / count <= 34.8
    assert found["c_call"] / count <= 31.2
    assert connection.statements <= 6
