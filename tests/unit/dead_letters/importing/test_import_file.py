"""A file of dead letters becomes dead letters of a buffer of its own: the same ones, each once, and none of it half."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.buffer import Advance, DeadLetterFilter, DeadLetterRow, Reader, columns_of, open_buffer, recount, stream
from pipeline.dead_letters.collector import orders_in
from pipeline.dead_letters.importing import lines
from pipeline.dead_letters.importing.import_file import FileImport, Summary, Understanding
from pipeline.dead_letters.letters import dead_letter_row
from pipeline.dead_letters.topics_file import NOTHING
from pipeline.errors import RegistryUnavailableError, UsageError
from pipeline.exports import ExportFormat, export_all
from pipeline.orders.avro_schemas import SchemaStore
from pipeline.orders.order_reader import OrderReader
from pipeline.orders.serde import OrderCodec
from pipeline.settings import PROJECT_DIR
from tests.support.buffer_rows import DEAD, NOW_MS, collect, collector, dead_letter
from tests.support.sample_buffer import fill
from tests.unit.dead_letters.importing.test_kcat import FOLDER, READ, as_consumed

FORMATS: tuple[ExportFormat, ...] = ("jsonl", "parquet")
KCAT = FOLDER / "kcat-1.7.1.jsonl"
NAMES = [column.name for column in columns_of("dead_letters")]
NOTHING_TO_READ = cast("BufferedReader", BytesIO())
STACK = (
    "java.lang.IllegalStateException: \u007f\x01 “no stock”" + "\n\tat com.example.Listener.on(Listener.java:42)" * 5
)
ImportFile = Callable[..., Summary]


def reader_of_orders() -> OrderReader:
    return OrderReader(OrderCodec(SchemaStore(PROJECT_DIR / "schemas"), None))


def import_file(path: Path, database: Path, order_reader: OrderReader | None = None) -> Summary:
    understanding = Understanding(order_reader or reader_of_orders(), NOTHING)
    with open_buffer(database) as buffer:
        importing = FileImport(buffer, understanding, lambda: NOW_MS, lambda: None, lambda _: None)
        return importing.run(str(path), NOTHING_TO_READ)


def export(database: Path, out: Path, format: ExportFormat) -> bytes:
    with out.open("wb") as file:
        export_all(database, "dead_letters", None, format, file)
    return out.read_bytes()


def rows_of(database: Path) -> list[dict[str, Any]]:
    return [
        dict(zip(NAMES, row, strict=True)) for chunk in stream(database, "dead_letters", None, None) for row in chunk
    ]


def odd_buffer(database: Path) -> None:
    """Of all that a dead letter may be: statuses, replays, stacks, null and empty, orders or none, and no position."""
    fill(database, dead_letters=12)
    with open_buffer(database) as buffer:
        place = collector(buffer, 1)
        headers = (("kafka_dlt-exception-stacktrace", STACK.encode()), ("null", None), ("bytes", b"\xff"), ("", b""))
        odd: tuple[dict[str, Any], ...] = (
            {"key": None, "value": None},
            {"key": b"", "value": b"", "headers": ()},
            {"stacktrace": STACK, "headers": headers, "dialect": "spring-kafka"},
            {"reason": "<script>alert(1)</script> \0 \u2028 😀", "failed_at_ms": None, "attempts": 2**62},
            {"headers": tuple((f"h{number}", b"x") for number in range(10_000))},
            {"stacktrace": STACK, "headers": headers * 2, "error_class": "", "source_topic": None},
        )
        rows = [dead_letter(place.ref, number, f"odd-{number}", **fields) for number, fields in enumerate(odd)]
        rows.append(dead_letter(place.ref, 6, "again", replay_of="odd-0", replay_id="replay-13"))
        collect(buffer, place, 0, *rows)
        buffer.dead_letters.triage([14, 15], "discarded", NOW_MS)
        buffer.jobs.queue_replay("{}", DeadLetterFilter(ids=(17,)), 3, "app", "replay", NOW_MS)


@pytest.mark.parametrize("format", FORMATS)
def test_an_export_that_is_imported_and_exported_again_is_the_same_file(tmp_path: Path, format: ExportFormat) -> None:
    odd_buffer(tmp_path / "theirs.db")
    exported = export(tmp_path / "theirs.db", tmp_path / f"theirs.{format}", format)
    assert import_file(tmp_path / f"theirs.{format}", tmp_path / "ours.db") == Summary(imported=19)
    assert export(tmp_path / "ours.db", tmp_path / f"ours.{format}", format) == exported
    assert recount(tmp_path / "ours.db") == []
    statuses = {row["status"] for row in rows_of(tmp_path / "ours.db")}
    assert statuses == {"open", "discarded", "replaying"}
    # Whatever becomes of it here, the same file changes nothing of it.
    with open_buffer(tmp_path / "ours.db") as buffer:
        assert buffer.dead_letters.triage([3], "discarded", NOW_MS) == 1
    before = rows_of(tmp_path / "ours.db")
    assert import_file(tmp_path / f"theirs.{format}", tmp_path / "ours.db") == Summary(already_there=19)
    assert rows_of(tmp_path / "ours.db") == before


TEXTS = st.text(max_size=30) | st.text("ab\0\x1f\x7f\"\\\u2028\ufffd😀<'", max_size=300)
MAYBE_TEXT = st.none() | TEXTS
MAYBE_BYTES = st.none() | st.binary(max_size=30)
ODD_ROWS = st.fixed_dictionaries(
    {
        "key": MAYBE_BYTES,
        "value": MAYBE_BYTES,
        "headers": st.lists(st.tuples(TEXTS, MAYBE_BYTES | TEXTS.map(str.encode)), max_size=3).map(tuple),
        "reason": TEXTS,
        "error_class": MAYBE_TEXT,
        "stacktrace": MAYBE_TEXT,
        "stage": MAYBE_TEXT,
        "source_topic": MAYBE_TEXT,
        "source_offset": st.none() | st.integers(-(1 << 63), (1 << 63) - 1),
        "failed_at_ms": st.none() | st.integers(0, NOW_MS),
    }
)


@given(st.lists(ODD_ROWS, min_size=1, max_size=4), st.sampled_from(FORMATS))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_dead_letters_hold_comes_back(
    tmp_path_factory: pytest.TempPathFactory, odd: list[dict[str, Any]], format: ExportFormat
) -> None:
    folder = tmp_path_factory.mktemp("round")
    with open_buffer(folder / "theirs.db") as buffer:
        place = collector(buffer)
        collect(buffer, place, 0, *(dead_letter(place.ref, at, **fields) for at, fields in enumerate(odd)))
    exported = export(folder / "theirs.db", folder / "theirs", format)
    assert import_file(folder / "theirs", folder / "ours.db").imported == len(odd)
    assert export(folder / "ours.db", folder / "ours", format) == exported
    assert recount(folder / "ours.db") == []


def test_a_replay_whose_earlier_dead_letter_is_not_in_the_file_names_none(tmp_path: Path) -> None:
    odd_buffer(tmp_path / "theirs.db")
    with (tmp_path / "some.jsonl").open("wb") as file:
        export_all(tmp_path / "theirs.db", "dead_letters", DeadLetterFilter(ids=(19, 14)), "jsonl", file)
    assert import_file(tmp_path / "some.jsonl", tmp_path / "ours.db") == Summary(imported=2, without_earlier=1)
    assert [(row["id"], row["replay_of"]) for row in rows_of(tmp_path / "ours.db")] == [(19, None), (14, None)]
    # A file that has it says so later.
    export(tmp_path / "theirs.db", tmp_path / "all.jsonl", "jsonl")
    assert import_file(tmp_path / "all.jsonl", tmp_path / "ours.db") == Summary(imported=17, already_there=2)
    assert rows_of(tmp_path / "ours.db") == rows_of(tmp_path / "theirs.db")


def test_dead_letters_of_two_buffers_keep_apart(tmp_path: Path) -> None:
    for name in ("one", "two"):
        with open_buffer(tmp_path / f"{name}.db") as buffer:
            place = collector(buffer)
            rows = [dead_letter(place.ref, 0, f"{name}-a"), dead_letter(place.ref, 1, f"{name}-b")]
            collect(buffer, place, 0, *rows, dead_letter(place.ref, 2, f"{name}-c", replay_of=f"{name}-a"))
        export(tmp_path / f"{name}.db", tmp_path / f"{name}.jsonl", "jsonl")
        assert import_file(tmp_path / f"{name}.jsonl", tmp_path / "ours.db").imported == 3
    found = {row["dead_letter_id"]: row for row in rows_of(tmp_path / "ours.db")}
    assert len({row["id"] for row in found.values()}) == 6
    for name in ("one", "two"):
        assert found[f"{name}-c"]["replay_of"] == found[f"{name}-a"]["id"]
    assert recount(tmp_path / "ours.db") == []


def test_records_of_kcat_are_what_the_collector_makes_of_them(tmp_path: Path) -> None:
    summary = import_file(KCAT, tmp_path / "ours.db")
    assert summary == Summary(imported=len(READ), may_lack_bytes=1)
    collect_as_consumed(tmp_path / "theirs.db")
    # Only what a file cannot tell is another: which cluster it was, and when it was collected.
    others = {"id", "dead_letter_id", "failed_at_ms"}
    ours, theirs = (
        sorted(
            ({name: value for name, value in row.items() if name not in others} for row in rows_of(tmp_path / name)),
            key=lambda row: (row["partition"], row["offset"]),
        )
        for name in ("ours.db", "theirs.db")
    )
    assert ours == theirs
    for row in rows_of(tmp_path / "ours.db"):
        assert row["failed_at_known"] or row["failed_at_ms"] == row["timestamp_ms"] > 0
    assert recount(tmp_path / "ours.db") == []
    assert import_file(KCAT, tmp_path / "ours.db") == Summary(already_there=len(READ), may_lack_bytes=1)
    assert len(rows_of(tmp_path / "ours.db")) == len(READ)


def collect_as_consumed(database: Path) -> None:
    records = [as_consumed(line) for line in READ]
    with open_buffer(database) as buffer:
        places = {partition: collector(buffer, partition) for partition in (0, 1)}
        rows: list[DeadLetterRow] = []
        for record, order in zip(records, orders_in(records, reader_of_orders()), strict=True):
            rows.append(dead_letter_row(record, places[record.position.partition].ref, DEAD, order))
        counts = {partition: sum(row.partition == partition for row in rows) for partition in places}
        buffer.dead_letters.collect(
            [Advance(place.ref, 0, counts[partition]) for partition, place in places.items()], rows, NOW_MS
        )


def test_records_of_one_position_in_two_clusters_are_two(tmp_path: Path) -> None:
    line = b'{"topic":"dlq","partition":0,"offset":0,"ts":5,"key":"k","payload":"%b"}\n'
    (tmp_path / "both.jsonl").write_bytes(line % b"one" + line % b"another" + line % b"one")
    assert import_file(tmp_path / "both.jsonl", tmp_path / "ours.db") == Summary(imported=2, already_there=1)


def test_lines_that_cannot_be_used_are_refused_with_their_places_and_the_others_imported(tmp_path: Path) -> None:
    fill(tmp_path / "theirs.db", dead_letters=4)
    good = export(tmp_path / "theirs.db", tmp_path / "theirs.jsonl", "jsonl").splitlines()
    no_number = json.dumps(json.loads(good[1]) | {"attempts": "<b>3</b>"}).encode()
    (tmp_path / "broken.jsonl").write_bytes(
        b"\xef\xbb\xbf"
        + b"\n".join([good[0], b"", no_number, b"{}", KCAT.read_bytes().splitlines()[0], good[2]])
        + b"\n"
        + good[3][:40]
    )
    summary = import_file(tmp_path / "broken.jsonl", tmp_path / "ours.db")
    assert [str(each) for each in summary.first_refusals] == [
        "line 3, field attempts: expected a whole number of 64 bits, found '<b>3</b>'",
        "line 4, field id: expected, as an export of dead letters has it, and is not there",
        "line 5, field id: expected, as an export of dead letters has it, and is not there",
        "line 7, column 41: the line ends in the middle of the JSON; was the file cut?",
    ]
    assert (summary.imported, summary.refused) == (2, 4)
    assert recount(tmp_path / "ours.db") == []


def test_of_many_refusals_the_first_ten_are_kept(tmp_path: Path) -> None:
    lines_ = [KCAT.read_bytes().splitlines()[0], *[b"{"] * 1000]
    (tmp_path / "broken.jsonl").write_bytes(b"\n".join(lines_))
    summary = import_file(tmp_path / "broken.jsonl", tmp_path / "ours.db")
    assert (summary.imported, summary.refused, len(summary.first_refusals)) == (1, 1000, 10)


def test_a_letter_of_ten_megabytes_is_imported_and_a_longer_line_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = b'{"topic":"dlq","partition":0,"offset":%d,"ts":5,"key":"k","payload":"%b"}\n'
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", 11_000_000)
    (tmp_path / "large.jsonl").write_bytes(
        line % (0, b"\xff" * 10_000_000) + line % (1, b"x" * 11_000_000) + line % (2, b"small")
    )
    summary = import_file(tmp_path / "large.jsonl", tmp_path / "ours.db")
    assert [str(each) for each in summary.first_refusals] == ["line 2, it is longer than 11 MB"]
    values = {row["offset"]: row["value"] for row in rows_of(tmp_path / "ours.db")}
    assert values == {0: b"\xff" * 10_000_000, 2: b"small"}


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "it has no line"),
        (b"id,topic\r\n1,orders\r\n", "line 1, column 1: is no JSON"),
        (b'{"order_id":"A-1"}\n', "line 1, it has other fields"),
        (b"\x1f\x8b\x08", "is packed (gzip); unpack it first"),
        (b"PAR1 and nothing more", "is no Parquet file that can be read, at its beginning"),
    ],
)
def test_a_file_that_is_none_of_ours_is_refused_and_leaves_nothing(tmp_path: Path, content: bytes, why: str) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(UsageError) as refused:
        import_file(tmp_path / "file", tmp_path / "ours.db")
    assert why in str(refused.value)
    with Reader(tmp_path / "ours.db") as reader:
        assert reader.imports().rows == []


def test_a_parquet_file_of_something_else_is_refused(tmp_path: Path) -> None:
    fill(tmp_path / "theirs.db")
    with (tmp_path / "orders.parquet").open("wb") as file:
        export_all(tmp_path / "theirs.db", "orders", None, "parquet", file)
    with pytest.raises(UsageError, match=r"orders.parquet is no export of dead letters: field id: expected, as an exp"):
        import_file(tmp_path / "orders.parquet", tmp_path / "ours.db")


def test_rows_of_parquet_that_cannot_be_used_are_refused_with_their_numbers(tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    fill(tmp_path / "theirs.db", dead_letters=3)
    export(tmp_path / "theirs.db", tmp_path / "theirs.parquet", "parquet")
    table = parquet.read_table(tmp_path / "theirs.parquet")
    headers = pa.array([table["headers"][0].as_py(), '[["a", 1]]', "[["])
    parquet.write_table(table.set_column(table.schema.get_field_index("headers"), "headers", headers), tmp_path / "odd")
    summary = import_file(tmp_path / "odd", tmp_path / "ours.db")
    assert (summary.imported, summary.refused) == (1, 2)
    assert [str(each) for each in summary.first_refusals] == [
        "row 2, field headers[0][1]: expected text, found 1",
        "row 3, field headers: expected an array of names and values as JSON (Expecting value: line 1 column 3 "
        "(char 2))",
    ]


def test_a_parquet_file_that_was_cut_is_refused(tmp_path: Path) -> None:
    fill(tmp_path / "theirs.db", dead_letters=3)
    content = export(tmp_path / "theirs.db", tmp_path / "theirs.parquet", "parquet")
    (tmp_path / "cut.parquet").write_bytes(content[:-100])
    with pytest.raises(UsageError, match=r"cut.parquet is no Parquet file that can be read, at its beginning"):
        import_file(tmp_path / "cut.parquet", tmp_path / "ours.db")


def test_a_registry_that_does_not_answer_ends_the_import_which_is_done_again_later(tmp_path: Path) -> None:
    class Away(OrderReader):
        def read_many(self, topic: str, records: Any) -> Any:
            raise RegistryUnavailableError("the registry does not answer")

    away = Away(OrderCodec(SchemaStore(PROJECT_DIR / "schemas"), None))
    with pytest.raises(RegistryUnavailableError):
        import_file(KCAT, tmp_path / "ours.db", away)
    assert rows_of(tmp_path / "ours.db") == []
    assert import_file(KCAT, tmp_path / "ours.db").imported == len(READ)


def test_nothing_is_imported_beside_a_cluster(tmp_path: Path) -> None:
    fill(tmp_path / "theirs.db", dead_letters=3)
    export(tmp_path / "theirs.db", tmp_path / "theirs.jsonl", "jsonl")
    before = rows_of(tmp_path / "theirs.db")
    with pytest.raises(UsageError, match=r"the buffer belongs to a cluster already \(it has read orders, orders-dlq\)"):
        import_file(tmp_path / "theirs.jsonl", tmp_path / "theirs.db")
    assert rows_of(tmp_path / "theirs.db") == before


def test_a_record_that_went_on_to_a_further_topic_is_linked_with_the_one_of_an_earlier_file(tmp_path: Path) -> None:
    for topic, offset, source in (("orders-dlq", 5, "orders"), ("orders-dlq-2", 0, "orders-dlq")):
        headers = [f"__connect.errors.{name}" for name in ("topic", "partition", "offset")]
        told = [each for pair in zip(headers, (source, "0", "5"), strict=True) for each in pair]
        line = {"topic": topic, "partition": 0, "offset": offset, "ts": NOW_MS, "headers": told}
        (tmp_path / topic).write_text(json.dumps(line | {"key": "C-1", "payload": "bad"}) + "\n")
        assert import_file(tmp_path / topic, tmp_path / "ours.db") == Summary(imported=1)
    later, earlier = rows_of(tmp_path / "ours.db")
    assert (earlier["topic"], earlier["status"], earlier["replay_of"]) == ("orders-dlq", "dead_again", None)
    assert (later["topic"], later["status"], later["replay_of"]) == ("orders-dlq-2", "open", earlier["id"])
    assert recount(tmp_path / "ours.db") == []
