"""However many dead letters come at once, the buffer is the same as if they had come one at a time."""

from __future__ import annotations

from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.buffer import Advance, DeadLetterFilter, open_buffer
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
