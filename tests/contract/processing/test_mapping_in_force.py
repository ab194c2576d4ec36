"""The mapping file in the processor's rounds: it holds from the next batch on, and never mixes currencies."""

from __future__ import annotations

import json
from contextlib import closing, contextmanager
from dataclasses import replace

import pytest

from pipeline.buffer import Reader, open_buffer
from pipeline.errors import MappingFileError
from pipeline.headers.dialects.kafka_connect import EXCEPTION_MESSAGE
from pipeline.headers.own import TRANSIENT_FAILURES, last_text
from pipeline.settings import Settings
from tests.contract.conftest import SqliteStore
from tests.support.buffer_rows import NOW_MS, ORDERS
from tests.support.flow_in_process import FlowInProcess, Incoming

BY_TOTAL = """
[topics.orders]
order_id = "id"
customer_id = "key"
product = { path = "lines[].sku", line = "dearest", by = "sum(lines[].price)" }
price = "total"
created_at = "timestamp"
"""
EUROS = BY_TOTAL + 'currency = "EUR"\n'


def order(number, headers=(), **more):
    value = {"id": f"O-{number}", "total": 9.99, "lines": [{"sku": "cup", "price": 1}, {"sku": "tea", "price": 8.99}]}
    return Incoming(b"C-1", json.dumps(value | more).encode(), headers)


@contextmanager
def reading_by(folder, text):
    path = folder / "mapping.toml"
    path.write_text(text)
    more = {"settings": Settings(mapping_file=path)}
    with open_buffer(SqliteStore(folder).path) as buffer, closing(FlowInProcess(buffer, **more)) as flow:
        yield flow


def orders(folder):
    rows = sorted(SqliteStore(folder).table("orders"), key=lambda row: row["offset"])
    return [(row["order_id"], row["product"], row["price_cents"], row["created_at_ms"]) for row in rows]


def reasons(flow):
    return [last_text(headers, EXCEPTION_MESSAGE) for headers in flow.sender.sent]


def test_orders_are_read_as_the_mapping_says(tmp_path):
    with reading_by(tmp_path, BY_TOTAL) as flow:
        flow.round([order(number) for number in range(3)])
        flow.run_dry()
    assert orders(tmp_path) == [(f"O-{number}", "tea", 999, NOW_MS) for number in range(3)]


def test_what_was_changed_between_two_batches_holds_from_the_second_on(tmp_path):
    with reading_by(tmp_path, BY_TOTAL) as flow:
        flow.round([order(0)])
        flow.map_by(BY_TOTAL.replace('"total"', '{ path = "sum(lines[].price)" }') + 'where = "id != \\"O-2\\""')
        flow.round([order(1, total=5), order(2)])
        flow.run_dry()
    assert orders(tmp_path) == [("O-0", "tea", 999, NOW_MS), ("O-1", "tea", 999, NOW_MS)]
    with Reader(SqliteStore(tmp_path).path) as reader:
        assert dict(reader.passed_over().rows) == {"orders": 1}


def test_a_broken_file_leaves_the_one_before_in_force_and_says_why(tmp_path):
    with reading_by(tmp_path, BY_TOTAL) as flow:
        flow.round([order(0)])
        flow.map_by(BY_TOTAL.replace('"total"', '"lines[].total"'))
        flow.round([order(1)])
        flow.run_dry()
        assert "line 6: topics.orders.price: 'lines[].total' goes through a list; sum(…)" in flow.mapping_file.error
    assert [row[0] for row in orders(tmp_path)] == ["O-0", "O-1"]


def test_a_parked_record_is_read_by_the_mapping_that_holds_when_it_is_tried_again(tmp_path):
    with reading_by(tmp_path, BY_TOTAL) as flow:
        flow.round([order(0, ((TRANSIENT_FAILURES, b"1"),), other=5)])
        flow.map_by(BY_TOTAL.replace('"total"', '"other"'))
        flow.run_dry()
    assert orders(tmp_path) == [("O-0", "tea", 500, NOW_MS)]


@pytest.mark.parametrize("at_hand", [0, 1000], ids=["read back from the buffer", "at hand"])
def test_a_record_that_waited_is_judged_as_it_would_have_been_at_once(tmp_path, monkeypatch, at_hand):
    monkeypatch.setattr("pipeline.processing.parking.ROWS_AT_HAND", at_hand)
    waiting = [replace(order(1), append_time=True), replace(order(2, at=NOW_MS), headers=None)]
    with reading_by(tmp_path, BY_TOTAL.replace('"timestamp"', '["at", "timestamp"]')) as flow:
        # All of them have one key, and what comes first is tried again later.
        flow.round([order(0, ((TRANSIENT_FAILURES, b"1"),), at=NOW_MS), *waiting])
        assert len(SqliteStore(tmp_path).table("retries")) == 3
        flow.run_dry()
        assert reasons(flow) == [
            f"{ORDERS.topic}[0] offset 1: the record's timestamp is when the broker wrote it (LogAppendTime), which "
            "`append_time = true` would take; expected a time (created_at) (rule mapping)",
            f"{ORDERS.topic}[0] offset 2: a header's name is not UTF-8; key and value are kept, headers are not "
            "(rule headers)",
        ]
    assert [row[0] for row in orders(tmp_path)] == ["O-0"]


def test_without_its_section_a_topic_is_read_as_orders_of_our_own(tmp_path):
    with reading_by(tmp_path, BY_TOTAL) as flow:
        flow.round([order(0)])
        flow.map_by("")
        flow.round([order(1)])
        flow.run_dry()
        assert len(flow.sender.sent) == 1
    assert [row[0] for row in orders(tmp_path)] == ["O-0"]


def test_a_mapping_of_another_currency_is_refused_as_long_as_the_buffer_sums_the_first(tmp_path):
    with reading_by(tmp_path, EUROS) as flow:
        flow.round([order(0)])
        flow.map_by(EUROS.replace("EUR", "JPY"))
        flow.round([order(1)])
        flow.run_dry()
        assert "JPY" in flow.flow._mapping.error
        assert "EUR" in flow.flow._mapping.error
        with pytest.raises(MappingFileError, match="JPY"):
            flow.flow._mapping.begin(flow._writer)
        flow.map_by(EUROS)
        flow.round([order(2)])
        assert flow.flow._mapping.error == ""
        flow.run_dry()
    assert [row[2] for row in orders(tmp_path)] == [999, 999, 999]


def test_an_order_in_another_currency_is_a_dead_letter_that_says_so(tmp_path):
    with reading_by(tmp_path, BY_TOTAL + 'currency = { code = "EUR", path = "currency" }\n') as flow:
        flow.round([order(0, currency="EUR"), order(1, currency="USD"), order(2)])
        flow.run_dry()
        assert reasons(flow) == [
            f'{ORDERS.topic}[0] offset 1: currency is a text ("USD"); expected EUR (rule mapping)',
            f"{ORDERS.topic}[0] offset 2: currency is missing; expected EUR (rule mapping)",
        ]
    assert [row[0] for row in orders(tmp_path)] == ["O-0"]
