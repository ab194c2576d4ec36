"""Exports keep every value, in every format, and no spreadsheet runs what they hold."""

from __future__ import annotations

import base64
import csv
import io
import json
import random
import resource
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as checked
from hypothesis import strategies as st

from pipeline.buffer import (
    Advance,
    Batch,
    Choice,
    DeadLetterFilter,
    DeadLetterRow,
    OrderFilter,
    OrderRow,
    OutboxRow,
    Parked,
    columns_of,
    open_buffer,
    record_id,
    stream,
)
from pipeline.buffer.entities import Entity
from pipeline.buffer.filters import JobItemFilter
from pipeline.errors import BufferUnavailableError, UsageError
from pipeline.exports import FORMULA_STARTS, ExportFormat, export_all, safe_text
from pipeline.records import Order, TopicIdentity
from pipeline.search.query import Named, Query
from pipeline.settings import PROJECT_DIR

NOW_MS = 1_760_000_000_000
# What a Kafka header or an Avro string can hold, and SQLite keep: all of Unicode but lone surrogates.
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
RISKY_TEXTS = st.builds(str.__add__, st.sampled_from(["", "'", "''", *FORMULA_STARTS]), TEXTS)
ENTITIES: tuple[Entity, ...] = (
    "orders", "dead_letters", "groups", "jobs", "job_items", "parked", "alerts", "events", "partitions", "products",
)  # fmt: skip


def fill_orders(path: Path, orders: list[Order], attempts: int = 1) -> None:
    with open_buffer(path) as buffer:
        assignment = buffer.flow.assign("processor", TopicIdentity("c", "orders"), 0, 0, NOW_MS)
        start = assignment.next_offset
        rows = [
            OrderRow(record_id(assignment.ref, start + index), order, attempts) for index, order in enumerate(orders)
        ]
        buffer.flow.commit(Batch(NOW_MS, [Advance(assignment.ref, start, start + len(rows))], rows))


def fill_dead_letters(path: Path, letters: list[dict[str, Any]]) -> None:
    with open_buffer(path) as buffer:
        assignment = buffer.flow.assign("collector", TopicIdentity("c", "orders-dlq"), 0, 0, NOW_MS)
        start = assignment.next_offset
        rows = [dead_letter(assignment.ref, start + index, **letter) for index, letter in enumerate(letters)]
        buffer.dead_letters.collect([Advance(assignment.ref, start, start + len(rows))], rows, NOW_MS)


def dead_letter(ref: int, offset: int, **what: Any) -> DeadLetterRow:
    usual: dict[str, Any] = {
        "timestamp_ms": NOW_MS, "key": b"k", "value": b"v", "headers": (), "dialect": "none", "reason": "broken",
        "fingerprint": "f", "title": "broken", "failed_at_ms": NOW_MS, "dead_letter_id": f"dl-{offset}",
    }  # fmt: skip
    return DeadLetterRow(
        record_id=record_id(ref, offset), topic="orders-dlq", partition=0, offset=offset, **(usual | what)
    )


def an_order(number: int, **what: Any) -> Order:
    usual: dict[str, Any] = {
        "order_id": f"order-{number:06d}", "customer_id": f"customer-{number % 97}", "product": f"product {number % 7}",
        "price_cents": 100 + number, "created_at_ms": NOW_MS + number, "region": "north",
    }  # fmt: skip
    return Order(**(usual | what))


def export(path: Path, entity: Entity, format: ExportFormat, which: Any = None, max_rows: int | None = None) -> bytes:
    out = io.BytesIO()
    written = export_all(path, entity, which, format, out, max_rows)
    assert written.rows == sum(len(chunk) for chunk in stream(path, entity, which, max_rows))
    return out.getvalue()


def stored(path: Path, entity: Entity) -> list[dict[str, Any]]:
    names = [column.name for column in columns_of(entity)]
    return [dict(zip(names, row, strict=True)) for chunk in stream(path, entity, None, None) for row in chunk]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "orderpulse.db"


@pytest.fixture
def everything(path: Path) -> Path:
    fill_orders(path, [an_order(number) for number in range(20)])
    fill_dead_letters(path, [{"reason": f"reason {number}"} for number in range(5)])
    with open_buffer(path) as buffer:
        assignment = buffer.flow.assign("processor", TopicIdentity("c", "orders"), 0, 0, NOW_MS)
        parked = Parked(
            record_id(assignment.ref, 20), NOW_MS, b"key", None, (("h", None),), 1, NOW_MS, NOW_MS, "E", "busy"
        )
        lost = OutboxRow("x", record_id(assignment.ref, 21), NOW_MS, None, b"", ())
        buffer.flow.commit(Batch(NOW_MS, [Advance(assignment.ref, 20, 22)], parked=[parked], outbox=[lost]))
        buffer.watch.fire("dead-letter-rate", 0.25, 0.05, "too many", NOW_MS)
        buffer.watch.event("processor", "info", "rules reloaded", NOW_MS)
    return path


# -- what is streamed


@pytest.mark.parametrize("entity", ENTITIES)
def test_every_entity_streams_the_columns_it_declares(everything: Path, entity: Entity) -> None:
    python_types = {"integer": int, "real": float, "text": str, "json": str, "bytes": bytes}
    rows = stored(everything, entity)

    assert rows or entity in ("jobs", "job_items")
    for row in rows:
        for column in columns_of(entity):
            assert row[column.name] is None or type(row[column.name]) is python_types[column.type], column


@pytest.mark.parametrize("entity", ENTITIES)
@pytest.mark.parametrize("format", ["csv", "jsonl", "parquet"])
def test_every_entity_is_written_in_every_format(everything: Path, entity: Entity, format: ExportFormat) -> None:
    written = export(everything, entity, format)

    assert written if format != "jsonl" else len(written.splitlines()) == len(stored(everything, entity))


def test_columns_are_called_as_the_mapping_file_says_in_every_format(everything: Path) -> None:
    called = {"product": "=SKU", "price": "Total, net", "created_at": "Sold", "region": "topic"}
    columns = [column.name for column in columns_of("orders")]
    # A name that another column has already is not given twice.
    named = {"product": "=SKU", "price_cents": "Total, net (minor units)", "created_at_ms": "Sold (ms)"}
    expected = [named.get(name, name) for name in columns]
    files: dict[ExportFormat, io.BytesIO] = {"csv": io.BytesIO(), "jsonl": io.BytesIO(), "parquet": io.BytesIO()}
    for format_, file in files.items():
        export_all(everything, "orders", None, format_, file, called=called)
    [head, *rows] = csv.reader(io.StringIO(files["csv"].getvalue().decode()))
    assert head == ["'=SKU" if name == "=SKU" else name for name in expected]
    objects = [json.loads(line) for line in files["jsonl"].getvalue().splitlines()]
    assert all(list(each) == expected for each in objects)
    table = pq.read_table(io.BytesIO(files["parquet"].getvalue()))
    assert table.column_names == expected
    # What they hold stays as it is, amounts in minor units.
    prices = [row["price_cents"] for row in stored(everything, "orders")]
    assert table.column("Total, net (minor units)").to_pylist() == prices
    assert [each["Total, net (minor units)"] for each in objects] == prices
    assert [int(row[expected.index("Total, net (minor units)")]) for row in rows] == prices


def test_orders_come_newest_first_and_stop_at_the_cap(path: Path) -> None:
    fill_orders(path, [an_order(number) for number in range(50)])

    lines = export(path, "orders", "jsonl", max_rows=3).splitlines()

    assert [json.loads(line)["order_id"] for line in lines] == ["order-000049", "order-000048", "order-000047"]


def test_only_what_the_filter_means_is_written(path: Path) -> None:
    fill_orders(path, [an_order(number) for number in range(50)])
    fill_dead_letters(path, [{"dialect": "none"}, {"dialect": "arroyo"}])

    orders = export(
        path, "orders", "jsonl", OrderFilter(choices=(Choice("product", ("product 3",)),), max_price_cents=120)
    )
    letters = export(path, "dead_letters", "jsonl", DeadLetterFilter(Query((Named("dialect", "arroyo"),))))

    assert {json.loads(line)["order_id"] for line in orders.splitlines()} == {
        "order-000003", "order-000010", "order-000017",
    }  # fmt: skip
    assert [json.loads(line)["dialect"] for line in letters.splitlines()] == ["arroyo"]


def test_another_entitys_filter_is_refused(everything: Path) -> None:
    for entity, which in (("orders", DeadLetterFilter()), ("jobs", OrderFilter()), ("dead_letters", JobItemFilter(1))):
        with pytest.raises(UsageError, match=entity):
            list(stream(everything, entity, which, None))  # type: ignore[arg-type]


def test_a_missing_buffer_is_named(path: Path) -> None:
    with pytest.raises(BufferUnavailableError, match="no buffer"):
        export_all(path, "orders", None, "csv", io.BytesIO())


def test_a_stream_is_one_snapshot_whatever_is_written_meanwhile(path: Path) -> None:
    fill_orders(path, [an_order(number) for number in range(30)])
    chunks = stream(path, "orders", None, None, chunk_rows=10)
    seen = len(next(chunks))

    fill_orders(path, [an_order(number) for number in range(30, 60)])

    assert seen + sum(len(chunk) for chunk in chunks) == 30
    assert len(stored(path, "orders")) == 60


def test_big_values_make_small_chunks(path: Path) -> None:
    fill_dead_letters(path, [{"value": bytes(3_000_000)} for _ in range(7)])

    assert [len(chunk) for chunk in stream(path, "dead_letters", None, None)] == [2, 2, 2, 1]


@pytest.mark.parametrize("format", ["csv", "jsonl"])
def test_text_ends_with_the_last_row_that_fits(path: Path, format: ExportFormat) -> None:
    fill_orders(path, [an_order(number) for number in range(450)])
    whole = export(path, "orders", format)
    for max_bytes in (len(whole), len(whole) - 1, len(whole) // 2):
        out = io.BytesIO()
        written = export_all(path, "orders", None, format, out, max_bytes=max_bytes)
        assert whole.startswith(out.getvalue())
        assert out.getvalue().endswith(b"\n")
        assert max_bytes - 300 < out.tell() <= max_bytes
        assert written.rows == out.getvalue().count(b"\n") - (format == "csv")
        assert written.cut == (max_bytes < len(whole))


def test_parquet_ends_with_the_group_of_rows_that_reaches_the_limit(path: Path) -> None:
    fill_dead_letters(path, [{"value": random.Random(number).randbytes(3_000_000)} for number in range(7)])
    out = io.BytesIO()
    written = export_all(path, "dead_letters", None, "parquet", out, max_bytes=7_000_000)
    assert written == (4, True)
    assert pq.read_table(io.BytesIO(out.getvalue())).num_rows == 4
    assert export_all(path, "dead_letters", None, "parquet", out, max_bytes=10**9) == (7, False)


# -- CSV


@given(RISKY_TEXTS)
def test_a_safe_text_runs_no_formula_and_gives_the_text_back(text: str) -> None:
    safe = safe_text(text)

    assert not safe.startswith(FORMULA_STARTS)
    assert safe.removeprefix("'") == text


@checked(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(RISKY_TEXTS, RISKY_TEXTS, RISKY_TEXTS, st.binary(max_size=9)), min_size=1, max_size=8))
def test_every_cell_of_a_csv_is_safe_and_reads_back(
    tmp_path_factory: pytest.TempPathFactory, cells: list[tuple[str, str, str, bytes]]
) -> None:
    path = tmp_path_factory.mktemp("csv") / "orderpulse.db"
    letters = [
        {"reason": reason, "error_class": error, "stacktrace": trace, "value": value}
        for reason, error, trace, value in cells
    ]
    fill_dead_letters(path, letters)

    rows = list(csv.DictReader(io.StringIO(export(path, "dead_letters", "csv").decode(), newline="")))

    assert all(not cell.startswith(FORMULA_STARTS) for row in rows for cell in row.values())
    read = [
        (*(row[name].removeprefix("'") for name in ("reason", "error_class", "stacktrace")),
         base64.b64decode(row["value_base64"].removeprefix("'")))
        for row in reversed(rows)
    ]  # fmt: skip
    assert read == cells


def test_csv_leaves_numbers_alone(path: Path) -> None:
    fill_orders(path, [an_order(0, price_cents=-250)])

    header, line = export(path, "orders", "csv").decode().splitlines()

    assert header == ",".join(column.name for column in columns_of("orders"))
    cells = dict(zip(header.split(","), line.split(","), strict=True))
    expected = {
        "topic": '"orders"', "partition": "0", "offset": "0", "order_id": '"order-000000"',
        "customer_id": '"customer-0"', "product": '"product 0"', "region": '"north"', "price_cents": "-250",
        "created_at_ms": str(NOW_MS), "processed_at_ms": str(NOW_MS), "attempts": "1",
    }  # fmt: skip
    assert [name for name in cells if name in expected] == list(expected)
    assert {name: cells[name] for name in expected} == expected


def test_csv_tells_null_from_empty(path: Path) -> None:
    fill_dead_letters(path, [{"key": None, "value": b"", "error_class": "", "stacktrace": None}])

    header, line = export(path, "dead_letters", "csv").decode().splitlines()
    cells = dict(zip(header.split(","), line.split(","), strict=True))

    assert (cells["key_base64"], cells["value_base64"]) == ("", '""')
    assert (cells["stacktrace"], cells["error_class"]) == ("", '""')


# -- JSON Lines and Parquet

LETTERS = st.fixed_dictionaries(
    {
        "key": st.none() | st.binary(max_size=20),
        "value": st.none() | st.binary(max_size=20),
        "headers": st.lists(st.tuples(TEXTS, st.none() | st.binary(max_size=9)), max_size=4).map(tuple),
        "reason": TEXTS,
        "error_class": st.none() | TEXTS,
        "failed_at_ms": st.integers(0, 2**62),
        "attempts": st.none() | st.integers(0, 2**31),
    }
)


@checked(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(LETTERS, max_size=6))
def test_jsonl_and_parquet_keep_every_value(
    tmp_path_factory: pytest.TempPathFactory, letters: list[dict[str, Any]]
) -> None:
    path = tmp_path_factory.mktemp("exact") / "orderpulse.db"
    fill_dead_letters(path, letters)
    rows = stored(path, "dead_letters")
    assert [(row["key"], row["value"]) for row in reversed(rows)] == [(each["key"], each["value"]) for each in letters]

    lines = [json.loads(line) for line in export(path, "dead_letters", "jsonl").decode().split("\n") if line]
    table = pq.read_table(io.BytesIO(export(path, "dead_letters", "parquet")))

    assert table.to_pylist() == rows
    assert [_from_json(line) for line in lines] == [row | {"headers": json.loads(row["headers"])} for row in rows]


def _from_json(line: dict[str, Any]) -> dict[str, Any]:
    raw = {name: line.pop(f"{name}_base64") for name in ("key", "value")}
    return line | {name: None if text is None else base64.b64decode(text) for name, text in raw.items()}


def test_parquet_has_real_types(path: Path) -> None:
    fill_dead_letters(path, [{}])

    schema = pq.read_schema(io.BytesIO(export(path, "dead_letters", "parquet")))

    assert [str(schema.field(name).type) for name in ("id", "key", "value", "headers", "failed_at_ms")] == [
        "int64", "binary", "binary", "string", "int64",
    ]  # fmt: skip


def test_parquet_goes_through_a_pipe(path: Path) -> None:
    fill_orders(path, [an_order(number) for number in range(10)])
    script = (
        "import sys; from pathlib import Path; from pipeline.exports import export_all; "
        "export_all(Path(sys.argv[1]), 'orders', None, 'parquet', sys.stdout.buffer)"
    )

    done = subprocess.run([sys.executable, "-c", script, path], cwd=PROJECT_DIR, capture_output=True, check=True)

    assert pq.read_table(io.BytesIO(done.stdout)).num_rows == 10


# -- memory


class _Nowhere(io.RawIOBase):
    written = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.written += len(data)
        return len(data)


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("many") / "orderpulse.db"
    for start in range(0, 200_000, 20_000):
        fill_orders(path, [an_order(number) for number in range(start, start + 20_000)])
    return path


@pytest.mark.parametrize("format", ["csv", "jsonl", "parquet"])
def test_two_hundred_thousand_rows_need_no_more_memory_than_one_chunk(many: Path, format: ExportFormat) -> None:
    export_all(many, "orders", None, format, _Nowhere(), 10)  # type: ignore[arg-type]  # what is imported late
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    tracemalloc.start()
    out = _Nowhere()
    written = export_all(many, "orders", None, format, out)  # type: ignore[arg-type]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert written.rows == 200_000
    assert peak < 20_000_000
    # SQLite's and Arrow's memory too: what is written is larger than what may be held.
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb) * 1024 < 60_000_000
