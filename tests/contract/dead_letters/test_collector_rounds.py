"""However many dead letters come at once, the buffer is the same as if they had come one at a time."""

from __future__ import annotations

from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.buffer import Advance, DeadLetterFilter, OutboxRow, Sent, open_buffer, recount
from pipeline.dead_letters.letters import undeliverable_row
from pipeline.errors import StaleWriterError
from pipeline.headers import replay_headers
from pipeline.kafka import Gap
from pipeline.records import Order
from tests.contract.conftest import SqliteStore
from tests.support.buffer_rows import DEAD, NOW_MS, collector
from tests.support.collection_in_process import CollectionInProcess, LettersByHand, our_headers
from tests.support.flow_in_process import CODEC
from tests.support.recordings import recordings

THEIRS = sorted(recordings().items())
VALUES = (None, b"", b"noise", CODEC.encode(Order("O-1", "C", "tea", 100, NOW_MS)))
letters = st.tuples(
    st.sampled_from(["ours", "theirs", "a replay that failed", "no dead letter"]),
    st.integers(0, 5),
    st.sampled_from(VALUES),
    st.sampled_from([0, 1]),
)


@contextmanager
def collecting(folder: Path, reader: LettersByHand):
    with open_buffer(SqliteStore(folder).path) as buffer, closing(CollectionInProcess(buffer, reader)) as collection:
        yield collection


@contextmanager
def a_replay_on_its_way(folder: Path):
    """A buffer with six dead letters of ours that were sent again, and nobody has said yet what became of them."""
    reader = LettersByHand()
    for number in range(6):
        reader.give(b"key", VALUES[-1], our_headers(number))
    with collecting(folder, reader) as collection:
        collection.run_dry()
    with open_buffer(SqliteStore(folder).path) as buffer:
        job = buffer.jobs.queue_replay("{}", DeadLetterFilter(), 3, "me", "r", NOW_MS)
        buffer.jobs.next_job(NOW_MS)
        buffer.jobs.open_send_window(job, "{}", [item.replay_id for item in buffer.jobs.planned_items(job, 9)])
    yield reader


def give(reader: LettersByHand, letter) -> None:
    kind, number, value, partition = letter
    headers = our_headers(number)
    if kind == "theirs":
        _, record = THEIRS[number * 7 % len(THEIRS)]
        reader.give(record.key, record.value, record.headers, partition)
    elif kind == "a replay that failed":
        again = our_headers(100 + number, f"again-{number}-{partition}")
        reader.give(b"key", value, (*replay_headers(headers, f"r-{number + 1}", f"{number:032x}"), *again), partition)
    else:
        reader.give(b"key", value, headers if kind == "ours" else (("trace", b"\xff"),), partition)


@pytest.mark.parametrize("big", [1, 1000], ids=["written in a thread", "written at once"])
@given(given_letters=st.lists(letters, max_size=25), at_once=st.integers(2, 30), restart_after=st.integers(0, 25))
@settings(max_examples=40, deadline=None)
def test_a_batch_leaves_the_same_buffer_as_one_dead_letter_at_a_time(given_letters, at_once, restart_after, big):
    found = []
    for size in (1, at_once):
        with pytest.MonkeyPatch.context() as patch, TemporaryDirectory() as folder:
            patch.setattr("pipeline.buffer.batch_writer.BIG_RECORDS", big)
            patch.setattr("pipeline.dead_letters.collector.BATCH_RECORDS", size)
            with a_replay_on_its_way(Path(folder)) as reader:
                for part in (given_letters[:restart_after], given_letters[restart_after:]):
                    for letter in part:
                        give(reader, letter)
                    with collecting(Path(folder), reader) as collection:
                        collection.run_dry()
                        assert reader.committed == {key: reader.ends[key] for key in reader.committed}
            found.append(SqliteStore(Path(folder)).dump())
    assert found[0] == found[1]


@pytest.mark.parametrize("big", [1, 1000], ids=["written in a thread", "written at once"])
def test_a_gap_is_passed_over_after_what_came_before_it(tmp_path, monkeypatch, big):
    monkeypatch.setattr("pipeline.buffer.batch_writer.BIG_RECORDS", big)
    reader = LettersByHand(gaps=[Gap(DEAD.topic, 0, 50, 60)])
    for number in range(3):
        reader.give(b"key", b"noise", our_headers(number))
    with collecting(tmp_path, reader) as collection:
        collection.run_dry()
    store = SqliteStore(tmp_path)
    assert [row["offset"] for row in store.table("dead_letters")] == [0, 1, 2]
    assert [row["message"] for row in store.table("events")] == ["orders-dlq[0] offsets 3 to 49 are gone, uncollected"]
    assert reader.sought == [(DEAD.topic, 0, 50)]
    assert reader.committed[DEAD.topic, 0] == 50


@pytest.mark.parametrize("big", [1, 1000], ids=["written in a thread", "written at once"])
def test_a_second_collector_ends_the_first_before_it_commits_anything_to_kafka(tmp_path, monkeypatch, big):
    monkeypatch.setattr("pipeline.buffer.batch_writer.BIG_RECORDS", big)
    reader = LettersByHand()
    with collecting(tmp_path, reader) as collection:
        with open_buffer(SqliteStore(tmp_path).path) as other:
            other.dead_letters.collect([Advance(collector(other).ref, 0, 7)], [], NOW_MS)
        reader.give(b"key", b"noise", our_headers(0))
        with pytest.raises(StaleWriterError):
            collection.run_dry()
    assert not any(reader.committed.values())
    assert SqliteStore(tmp_path).table("dead_letters") == []


def test_an_id_that_is_none_of_ours_does_not_stop_the_collector(tmp_path):
    reader = LettersByHand()
    for value in (b"one", b"one", b"two"):
        reader.give(b"key", value, our_headers(7, "a\0b"))
    with collecting(tmp_path, reader) as collection:
        collection.run_dry()
    assert [row["value"] for row in SqliteStore(tmp_path).table("dead_letters")] == [b"one", b"two"]


# -- one failure or two, by what others write


CONNECT = (
    ("__connect.errors.topic", b"payments"),
    ("__connect.errors.partition", b"0"),
    ("__connect.errors.offset", b"5"),
)
SPRING = (
    ("kafka_original-topic", b"payments"),
    ("kafka_original-partition", bytes(4)),
    ("kafka_original-offset", (900).to_bytes(8, "big")),
    ("kafka_dlt-original-consumer-group", b"billing"),
)


def said(message: bytes, name: str = "kafka_exception-message"):
    return ((name, message),)


def connector(name: bytes, message: bytes):
    return (*CONNECT, ("__connect.errors.connector.name", name), *said(message, "__connect.errors.exception.message"))


def collected(folder: Path, *headers, partition: int = 0):
    """The dead letters of one record with these headers in turn, as they are afterwards: (status, replay_of) by id."""
    reader = LettersByHand()
    with collecting(folder, reader) as collection:
        # What was collected before stands before it.
        reader.ends[DEAD.topic, partition] = collection.collection._partitions[DEAD.topic, partition].next_offset
        for each in headers:
            reader.give(b"42", b'{"id":7}', each, partition)
        collection.run_dry()
    assert recount(SqliteStore(folder).path) == []
    rows = sorted(SqliteStore(folder).table("dead_letters"), key=lambda row: row["id"])
    return [(row["status"], row["replay_of"]) for row in rows]


def replayed(folder: Path) -> tuple[str, str]:
    """Sends dead letter 1 again; returns the replay's id and the name of what it is a replay of."""
    with open_buffer(SqliteStore(folder).path) as buffer:
        job = buffer.jobs.queue_replay("{}", DeadLetterFilter(ids=(1,)), None, "me", "r", NOW_MS)
        buffer.jobs.next_job(NOW_MS)
        [item] = buffer.jobs.planned_items(job, 9)
        buffer.jobs.open_send_window(job, "{}", [item.replay_id])
        buffer.jobs.close_send_window(job, 1, 0, [Sent(item.replay_id, "payments", 0, 950)], {}, NOW_MS)
        buffer.jobs.finish(job, "done", NOW_MS)
    return item.replay_id, item.public_id


def test_two_connectors_that_fail_one_record_are_two_dead_letters_in_two_groups(tmp_path):
    jdbc, es = connector(b"jdbc-sink", b"duplicate key"), connector(b"es-sink", b"mapping conflict")
    assert collected(tmp_path, jdbc, es, jdbc, es) == [("open", None)] * 2
    assert len(SqliteStore(tmp_path).table("dead_letter_groups")) == 2
    assert [row["dead_letter_id"] for row in SqliteStore(tmp_path).table("dead_letter_copies")] == [1, 2]


def test_two_exceptions_of_one_failure_are_two_dead_letters_and_one_replay(tmp_path):
    place = (("__streams.errors.topic", b"orders"), ("__streams.errors.partition", b"0"))
    sink = (*place, ("__streams.errors.offset", b"3"), ("__streams.errors.message", b"same"))
    assert len(collected(tmp_path, *((*sink, ("__streams.errors.exception", name)) for name in (b"A", b"B")))) == 2
    with open_buffer(SqliteStore(tmp_path).path) as buffer:
        job = buffer.jobs.queue_replay("{}", DeadLetterFilter(), 3, "me", "r", NOW_MS)
        assert buffer.jobs.get(job).total == 2
        assert len(buffer.jobs.planned_items(job, 9)) == 1


def test_a_copy_whose_writer_puts_its_headers_in_another_order_each_time_is_a_copy(tmp_path):
    dapr = (
        ("__topic", b"payments"),
        ("__partition", b"0"),
        ("__offset", b"5"),
        ("pubsubName", b"shop"),
        ("trace", b"1"),
    )
    assert collected(tmp_path, dapr, dapr[::-1], dapr[2:] + dapr[:2]) == [("open", None)]
    another = tuple((name, b"stock" if name == "pubsubName" else value) for name, value in dapr)
    assert collected(tmp_path, another, (*dapr, ("trace", b"2"))) == [("open", None)] * 3


def test_what_is_said_of_a_topic_afterwards_does_not_make_a_second_failure_of_a_copy(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    collected(tmp_path, SPRING)
    file = tmp_path / "said.toml"
    file.write_text(f'["{DEAD.topic}"]\nreason_header = "why"\nerror_class_header = "kind"\n')
    monkeypatch.setenv("ORDERPULSE_DEAD_LETTERS_FILE", str(file))
    said_later = (*SPRING, ("why", b"no stock"), ("kind", b"StockError"))
    assert collected(tmp_path, SPRING) == [("open", None)]
    assert collected(tmp_path, said_later, said_later) == [("open", None)] * 2
    assert [row["reason"] for row in SqliteStore(tmp_path).table("dead_letters")][1] == "no stock"


def test_a_record_that_fails_again_after_it_was_discarded_is_open_again(tmp_path):
    collected(tmp_path, SPRING + said(b"no stock"))
    with open_buffer(SqliteStore(tmp_path).path) as buffer:
        buffer.dead_letters.triage([1], "discarded", NOW_MS)
    assert collected(tmp_path, SPRING + said(b"card declined")) == [("discarded", None), ("open", None)]
    assert collected(tmp_path, SPRING + said(b"card declined")) == [("discarded", None), ("open", None)]


def test_a_replay_of_who_names_the_first_position_only_is_dead_again_by_its_headers(tmp_path):
    collected(tmp_path, SPRING)
    replay_id, name = replayed(tmp_path)
    assert collected(tmp_path, replay_headers(SPRING, replay_id, name)) == [("dead_again", None), ("open", 1)]


def test_a_replay_of_who_keeps_no_header_of_ours_is_dead_again_by_its_identity(tmp_path):
    collected(tmp_path, SPRING)
    replayed(tmp_path)
    assert collected(tmp_path, SPRING) == [("dead_again", None), ("open", 1)]


def test_another_writer_s_failure_of_the_same_record_says_nothing_of_a_replay(tmp_path):
    collected(tmp_path, connector(b"jdbc-sink", b"duplicate key"))
    replayed(tmp_path)
    assert collected(tmp_path, connector(b"es-sink", b"duplicate key")) == [("replayed", None), ("open", None)]


def test_what_the_topic_never_takes_is_a_row_with_the_reason_and_no_position():
    outgoing = OutboxRow("d" * 32, 1, NOW_MS, b"key", b"value", our_headers(7, "d" * 32))
    row = undeliverable_row(outgoing, "orders-dlq takes at most 100,000 bytes", None)
    assert (row.record_id, row.topic, row.partition, row.offset) == (None, None, None, None)
    assert "price 0.00 is below the minimum 0.01" in row.reason
    assert "orders-dlq takes at most 100,000 bytes" in row.reason
    assert (row.dead_letter_id, row.dialect, row.source_topic, row.source_offset) == (
        "d" * 32,
        "orderpulse",
        "orders",
        7,
    )
    assert (row.key, row.value, row.headers) == (outgoing.key, outgoing.value, outgoing.headers)
    assert row.failed_at_ms == NOW_MS + 7
