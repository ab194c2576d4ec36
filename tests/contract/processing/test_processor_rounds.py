"""Whatever fails beside them, orders end once, in the order of their key; dead letters are sent once and then gone."""

from __future__ import annotations

import gc
from collections import defaultdict
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.buffer import Batch, DeadLetterFilter, Reader, open_buffer, recount, unaccounted
from pipeline.errors import TopicChangedError
from pipeline.headers.dialects.kafka_connect import CLASS_NAME
from pipeline.headers.dialects.orderpulse import DEAD_LETTER_ID
from pipeline.headers.own import REPLAY_ID, TRANSIENT_FAILURES, last_text
from pipeline.kafka import Gap
from pipeline.orders.handlers import accept, simulate_failures
from pipeline.records import Order
from pipeline.settings import Settings, load_settings
from tests.contract.conftest import SqliteStore
from tests.support.buffer_rows import NOW_MS, ORDERS, collect_many, outbox_row
from tests.support.flow_in_process import CODEC, FlowInProcess, Incoming
from tests.support.mapping_files import section_of_order

KINDS = (
    "plain",
    "plain",
    "plain",
    "fails once",
    "fails twice",
    "fails for good",
    "breaks a rule",
    "is no order",
    "is passed over",
)
ANOTHER_EVENT = ("event", b"another")
WHERE = 'where = "header:event != \\"another\\""\n'
FAILURES = {"fails once": 1, "fails twice": 2, "fails for good": 9}


def incoming(number: int, key: bytes | None, kind: str, partition: int) -> Incoming:
    order = Order(f"O-{number}", "C", "tea", 0 if kind == "breaks a rule" else 100, NOW_MS)
    value = b"noise" if kind in ("is no order", "is passed over") else CODEC.encode(order)
    failures = FAILURES.get(kind)
    headers = ((TRANSIENT_FAILURES, str(failures).encode()),) if failures else ()
    return Incoming(key, value, (*headers, ANOTHER_EVENT) if kind == "is passed over" else headers, partition)


@contextmanager
def processing(folder: Path, partitions=(0, 1), **more):
    mapping_file = folder / "mapping.toml"
    mapping_file.write_text(section_of_order(ORDERS.topic) + WHERE)
    more = {"settings": Settings(mapping_file=mapping_file)} | more
    with open_buffer(SqliteStore(folder).path) as buffer, closing(FlowInProcess(buffer, partitions, **more)) as flow:
        yield flow


def passed_over(store):
    """How many records were passed over; the buffer agrees with itself."""
    assert recount(store.path) == []
    with Reader(store.path) as reader:
        return dict(reader.passed_over().rows).get("orders", 0)


def test_without_a_handler_s_interest_no_header_keeps_an_order_from_being_accepted_at_once(tmp_path):
    with open_buffer(SqliteStore(tmp_path).path) as buffer, closing(FlowInProcess(buffer, handler=accept)) as processor:
        processor.round([incoming(number, b"a", "fails for good", 0) for number in range(3)])
        processor.run_dry()
    assert len(SqliteStore(tmp_path).table("order_rows")) == 3
    assert SqliteStore(tmp_path).table("retries") == []


def test_what_was_read_before_a_gap_is_kept(tmp_path):
    with processing(tmp_path) as processor:
        processor.reader.gaps = [Gap(ORDERS.topic, 0, 10, 12)]
        processor.round([incoming(number, b"a", "plain", 0) for number in range(3)])
        processor.round([incoming(number, b"a", "plain", 0) for number in (3, 4)])
        processor.run_dry()
    store = SqliteStore(tmp_path)
    assert [row["order_id"] for row in store.table("order_rows")] == [f"O-{number}" for number in range(5)]
    assert [(row["first_offset"], row["next_offset"]) for row in store.table("lost_offsets")] == [(3, 10)]


def test_a_dead_letter_names_the_default_handler(tmp_path):
    with processing(tmp_path) as processor:
        processor.round([incoming(1, b"a", "breaks a rule", 0)])
        processor.run_dry()
        [headers] = processor.sender.sent
    assert last_text(headers, CLASS_NAME) == "pipeline.orders.handlers:accept"


@pytest.mark.parametrize("handler", [accept, simulate_failures, lambda *_: None])
def test_what_is_passed_over_is_neither_an_order_nor_a_dead_letter(tmp_path, handler):
    with processing(tmp_path, handler=handler) as processor:
        kinds = ["plain", "is passed over", "is passed over", "is no order", "is passed over", "plain"]
        processor.round([incoming(number, b"a", kind, 0) for number, kind in enumerate(kinds)])
        processor.round([incoming(9, b"a", "is passed over", 0)])
        processor.run_dry()
    store = SqliteStore(tmp_path)
    assert [row["offset"] for row in store.table("orders")] == [0, 5]
    assert len(processor.sender.sent) == 1
    assert passed_over(store) == 4
    assert nowhere(store) == [3]


def nowhere(store):
    """The offsets of partition 0 that no row and no bit knows."""
    [assigned] = [row for row in store.table("partitions") if row["partition"] == 0]
    offsets = range(assigned["next_offset"])
    return unaccounted(store.path, assigned["partition_ref"], offsets, [""] * len(offsets))


def test_a_parked_record_may_be_passed_over_when_it_is_tried_again_and_lets_its_key_go_on(tmp_path):
    with processing(tmp_path) as processor:
        first = incoming(1, b"a", "fails for good", 0)
        processor.round([first, incoming(2, b"a", "is passed over", 0), incoming(3, b"a", "plain", 0)])
        assert passed_over(SqliteStore(tmp_path)) == 0
        processor.map_by(section_of_order(ORDERS.topic) + WHERE[:-2] + f' and header:{TRANSIENT_FAILURES} == null"\n')
        processor.run_dry()
    store = SqliteStore(tmp_path)
    assert passed_over(store) == 2
    assert [row["order_id"] for row in store.table("orders")] == ["O-3"]
    assert store.table("retries") == processor.sender.sent == []


records = st.tuples(st.sampled_from([None, b"", b"a", b"b", b"c"]), st.sampled_from(KINDS), st.sampled_from([0, 1]))


@pytest.mark.parametrize("big", [1, 1000], ids=["written in a thread", "written at once"])
@pytest.mark.parametrize("at_hand", [0, 2, 1000])
@given(batches=st.lists(st.lists(records, max_size=12), max_size=8))
@settings(max_examples=25, deadline=None)
def test_every_record_ends_once_and_those_of_a_key_in_their_order(batches, big, at_hand):
    with pytest.MonkeyPatch.context() as patch, TemporaryDirectory() as folder:
        patch.setattr("pipeline.buffer.batch_writer.BIG_RECORDS", big)
        patch.setattr("pipeline.processing.attempts.BIG_RECORDS", big)
        patch.setattr("pipeline.processing.parking.ROWS_AT_HAND", at_hand)
        numbered, wanted, failed, passed = 0, {}, 0, 0
        with processing(Path(folder)) as processor:
            for batch in batches:
                made = []
                for key, kind, partition in batch:
                    numbered += 1
                    made.append(incoming(numbered, key, kind, partition))
                    failing = kind in ("fails for good", "breaks a rule", "is no order")
                    failed += failing
                    passed += kind == "is passed over"
                    if not failing and kind != "is passed over":
                        wanted[f"O-{numbered}"] = (partition, key, 1 + FAILURES.get(kind, 0))
                processor.round(made, pass_ms=700)
            processor.run_dry()
            ids = [last_text(headers, DEAD_LETTER_ID) for headers in processor.sender.sent]
        rows = SqliteStore(Path(folder)).table("orders")
        assert {row["order_id"]: row["attempts"] for row in rows} == {name: each[2] for name, each in wanted.items()}
        assert len(ids) == len(set(ids)) == failed
        assert passed_over(SqliteStore(Path(folder))) == passed
        assert SqliteStore(Path(folder)).table("outbox") == SqliteStore(Path(folder)).table("retries") == []
        times = defaultdict(list)
        for row in sorted(rows, key=lambda row: row["offset"]):
            partition, key, _ = wanted[row["order_id"]]
            if key is not None:
                times[partition, key].append(row["processed_at_ms"])
        assert all(each == sorted(each) for each in times.values())


@pytest.mark.parametrize("big", [1, 1000], ids=["written in a thread", "written at once"])
@given(batches=st.lists(st.lists(records, max_size=6), min_size=1, max_size=4))
@settings(max_examples=25, deadline=None)
def test_every_replayed_record_has_its_outcome_however_it_is_judged(batches, big):
    many = sum(map(len, batches))
    with pytest.MonkeyPatch.context() as patch, TemporaryDirectory() as folder:
        patch.setattr("pipeline.buffer.batch_writer.BIG_RECORDS", big)
        store, wanted = SqliteStore(Path(folder)), {}
        with open_buffer(store.path) as buffer:
            collect_many(buffer, many)
            job_id = buffer.jobs.queue_replay('{"rate": 0}', DeadLetterFilter(), 3, "me", "click", NOW_MS)
            replay_ids = [item.replay_id for item in buffer.jobs.planned_items(job_id, many)]
            buffer.jobs.next_job(NOW_MS)
            buffer.jobs.open_send_window(job_id, "{}", replay_ids)
        with processing(Path(folder)) as processor:
            for batch in batches:
                made = []
                for key, kind, partition in batch:
                    replay_id = replay_ids[len(wanted)]
                    plain = incoming(len(wanted), key, kind, partition)
                    # An order that nobody replays beside each, of a key of its own.
                    made += [replace(plain, headers=(*plain.headers, (REPLAY_ID, replay_id.encode())))]
                    made += [incoming(1000 + len(wanted), b"%d" % len(wanted), "plain", partition)]
                    failing = kind in ("fails for good", "breaks a rule", "is no order")
                    wanted[replay_id] = "dead_again" if failing else "recovered"
                processor.round(made, pass_ms=700)
            processor.run_dry()
        assert {item["replay_id"]: item["state"] for item in store.table("job_items")} == wanted
        statuses = [row["status"] for row in sorted(store.table("dead_letters"), key=lambda row: row["id"])]
        assert statuses == list(wanted.values())


def test_reading_stops_when_most_orders_fail_and_goes_on_until_they_do_again(tmp_path):
    braked = load_settings(brake_share=0.5, brake_min_records=20, brake_window_s=60)
    with open_buffer(SqliteStore(tmp_path).path) as person:
        with processing(tmp_path, settings=braked) as processor:

            def judge(*kinds):
                processor.round([incoming(n, None, kind, 0) for n, kind in enumerate(kinds)], pass_ms=600)
                return processor.reader.held_back

            assert not judge(*["is no order"] * 19)
            assert not judge(*["plain"] * 20)
            # What is older than the window does not count.
            processor.now_ms += 60_000
            assert not judge(*["is no order"] * 9, *["plain"] * 10)
            assert judge("is no order")
            assert [(each.topic, each.accepted, each.failed) for each in person.watch.stopped()] == [("orders", 10, 10)]
            assert judge()
            assert person.watch.resume("me", processor.now_ms) == ["orders"]
            assert not judge()
            # The window is a new one.
            assert not judge(*["is no order"] * 19)
            assert judge("is no order")
        # Another session begins as this one ended, whatever the settings are then.
        with processing(tmp_path, partitions=(2,)) as processor:
            processor.flow.hold_back(processor.reader)
            assert processor.reader.held_back


def test_what_failed_is_freed_without_the_garbage_collector(tmp_path):
    with processing(tmp_path) as processor:
        # What reads each kind is made when it is first met.
        processor.round([incoming(n, b"a%d" % n, kind, 0) for n, kind in enumerate(KINDS * 9)])
        while gc.collect():
            pass  # the types that other tests have made are freed one after another
        gc.disable()
        try:
            processor.round([incoming(n, b"%d" % n, kind, 0) for n, kind in enumerate(KINDS * 9)])
            assert gc.collect() == 0
        finally:
            gc.enable()


def test_dead_letters_that_were_not_taken_are_sent_again_from_the_outbox(tmp_path):
    with processing(tmp_path) as processor:
        processor.sender.answer = "no"
        processor.round([incoming(n, None, "is no order", 0) for n in range(5)])
        processor.round(pass_ms=60_000)
        assert processor.sender.sent == []
        assert len(SqliteStore(tmp_path).table("outbox")) == 5
        processor.sender.answer = ""
        processor.run_dry()
        assert len(processor.sender.sent) == 5
    assert SqliteStore(tmp_path).table("outbox") == []


@pytest.mark.parametrize("answer", ["", "no"])
def test_a_dead_letter_that_is_answered_while_it_is_sent_is_sent_once(tmp_path, answer):
    with processing(tmp_path) as processor:
        sends = []
        processor.sender.at_once, processor.sender.answer = True, answer
        processor.sender.on_send = lambda: sends.append(1)
        processor.round([incoming(1, None, "is no order", 0)])
        assert len(sends) == 1


def test_a_dead_letter_is_in_the_outbox_before_it_is_sent(tmp_path):
    with processing(tmp_path) as processor:
        processor.sender.on_send = lambda: stored.append(len(SqliteStore(tmp_path).table("outbox")))
        stored = []
        processor.round([incoming(n, None, "is no order", 0) for n in range(3)])
    assert stored == [3, 3, 3]


def test_dead_letters_of_a_partition_that_went_while_they_were_on_their_way_do_not_hide_those_that_stay(tmp_path):
    with processing(tmp_path) as processor:
        processor.sender.answer = None
        processor.round([incoming(n, None, "is no order", 1) for n in range(3)])
        # Another partition's rows are in the outbox from before: they are found when partitions are dealt out again.
        with open_buffer(SqliteStore(tmp_path).path) as buffer:
            buffer.flow.commit(Batch(NOW_MS, outbox=[outbox_row(1, 0)]))
        processor.flow.revoked("orders", 1)
        processor.round()
        processor.sender.answer = ""
        for _ in range(3):
            processor.round()
    assert SqliteStore(tmp_path).table("outbox") == []


def test_records_of_another_topic_than_the_one_that_is_read_are_not_written(store):
    """Whatever was dealt out to us, and however it came to be fetched."""
    renamed = replace(ORDERS, topic="renamed", topic_id="renamed-id")
    with open_buffer(store.path) as buffer, closing(FlowInProcess(buffer, identity=renamed)) as flow:
        before = store.dump()
        with pytest.raises(TopicChangedError, match="records of orders came as those of renamed"):
            flow.round([incoming(1, b"k", "plain", 0)])
        assert store.dump() == before
