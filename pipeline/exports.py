"""Writes a filtered set to a file as CSV, JSON Lines or Parquet, in constant memory.

What the formats keep, and how:

========  ==================================================================================================
CSV       UTF-8, a header line, CRLF (RFC 4180). Text is quoted, numbers are bare. NULL is an empty cell, empty
          text is `""`, as PostgreSQL's COPY and DuckDB write it. A text that a spreadsheet would run as a formula
          begins with an apostrophe; one that begins with an apostrophe gets another, so that taking away the first
          apostrophe always gives the text back.
JSONL     One object a line, UTF-8. `headers` and `params` are JSON, not text that holds JSON.
Parquet   64-bit integers, doubles, strings, and binary for keys and values.
========  ==================================================================================================

Decoded payloads of dead letters are added where somebody asks for them: as JSON that keeps every digit, in JSONL as
part of the line, and a column for each path into them. There numbers are bare in CSV and JSONL, text in Parquet;
objects and lists are JSON.

CSV and JSON have no bytes: the columns `key` and `value` are base64 there and named `key_base64` and `value_base64`.

Where the mapping file gives a field of an order another name, its column has that in all formats, with the unit of what
it holds: `Total (minor units)` for `price_cents`. What it holds stays as it is.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, NamedTuple

from pipeline.buffer import columns_of, stream
from pipeline.buffer.entities import Column, ColumnType, Entity, Row
from pipeline.buffer.filters import RowFilter
from pipeline.orders.fields import ORDER_FIELDS
from pipeline.orders.formats.plain_values import is_number, json_text, plain_text
from pipeline.records import OrderFieldKind

if TYPE_CHECKING:
    import pyarrow as pa

ExportFormat = Literal["csv", "jsonl", "parquet"]
ROW_GROUP_BYTES = 4_000_000
ROW_GROUP_ROWS = 100_000
LINES_AT_ONCE = 200
_WITH_ORDER_FIELDS: tuple[Entity, ...] = ("orders", "dead_letters", "products")
_UNITS: dict[OrderFieldKind, str] = {"text": "", "cents": " (minor units)", "millis": " (ms)"}
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""What makes a spreadsheet run a cell's text (OWASP, "CSV injection"), full-width forms included."""


@dataclass(frozen=True, slots=True)
class AddedColumns:
    """Columns behind those of the entity, made of its rows."""

    columns: tuple[Column, ...]
    cells: Callable[[Row], Row]
    """The cells that are added to a row of the entity."""


class Written(NamedTuple):
    """How many rows a file has, and whether more would have come but for the limit of its bytes."""

    rows: int
    cut: bool


def export_all(
    path: Path,
    entity: Entity,
    which: RowFilter | None,
    format: ExportFormat,
    out: BinaryIO,
    max_rows: int | None = None,
    max_bytes: int | None = None,
    called: Mapping[str, str] | None = None,
    added: AddedColumns | None = None,
) -> Written:
    """Writes the rows of the buffer at `path` that `which` means to `out`.

    `called` has what people call fields of an order, by their names in the mapping file. Text ends with the last row
    that fits into `max_bytes`, Parquet with the group of rows that reaches them.
    Raises BufferUnavailableError, BufferCorruptError; UsageError when the filter is another entity's.
    """
    columns = _named(entity, called or {})
    chunks: Iterable[list[Row]] = stream(path, entity, which, max_rows)
    if added is not None:
        chunks = _with_added(chunks, added)
        columns += added.columns
    return _WRITERS[format](columns, chunks, out, max_bytes)


def _with_added(chunks: Iterable[list[Row]], added: AddedColumns) -> Iterator[list[Row]]:
    for chunk in chunks:
        # In small parts: what is made of a chunk takes several times its room.
        for start in range(0, len(chunk), LINES_AT_ONCE):
            yield [(*row, *added.cells(row)) for row in chunk[start : start + LINES_AT_ONCE]]


def _named(entity: Entity, called: Mapping[str, str]) -> tuple[Column, ...]:
    """The columns of an entity, those of an order's fields as people call them; no two are called alike."""
    columns = columns_of(entity)
    if entity not in _WITH_ORDER_FIELDS:
        return columns
    names = {column.name for column in columns}
    named = []
    for column in columns:
        field = next((each for each in ORDER_FIELDS if each.name == column.name), None)
        name = called[field.avro_name] + _UNITS[field.kind] if field and field.avro_name in called else column.name
        if name != column.name and name not in names:
            names.add(name)
            column = replace(column, name=name)
        named.append(column)
    return tuple(named)


def safe_text(text: str) -> str:
    """The text as a spreadsheet may show it: one that would be run as a formula begins with an apostrophe.

    `safe_text(text).removeprefix("'")` is the text again.
    """
    return f"'{text}" if text.startswith((*FORMULA_STARTS, "'")) else text


# -- CSV


def _write_csv(
    columns: tuple[Column, ...], chunks: Iterable[list[Row]], out: BinaryIO, max_bytes: int | None
) -> Written:
    cells = [_CSV_CELLS[column.type] for column in columns]

    def line(row: Row) -> str:
        return ",".join("" if cell is None else show(cell) for show, cell in zip(cells, row, strict=True)) + "\r\n"

    head = (",".join(_csv_name(_plain_name(column)) for column in columns) + "\r\n").encode()
    out.write(head)
    return _write_lines(chunks, line, out, None if max_bytes is None else max_bytes - len(head))


def _csv_name(name: str) -> str:
    return name if name.isidentifier() else _quoted(name)


def _quoted(text: str) -> str:
    # The csv module writes NULL and empty text alike, so the quotes are ours.
    return '"' + safe_text(text).replace('"', '""') + '"'


def _quoted_bytes(value: bytes) -> str:
    return _quoted(_base64(value))  # it may begin with `+`


def _bare_or_quoted(found: Any) -> str:
    text = plain_text(found)
    return text if is_number(found) else _quoted(text)


_CSV_CELLS: dict[ColumnType, Callable[[Any], str]] = {
    "integer": str,
    "real": repr,
    "text": _quoted,
    "json": _quoted,
    "exact_json": _quoted,
    "plain": _bare_or_quoted,
    "bytes": _quoted_bytes,
}


# -- JSON Lines


def _write_jsonl(
    columns: tuple[Column, ...], chunks: Iterable[list[Row]], out: BinaryIO, max_bytes: int | None
) -> Written:
    # Those whose digits count are written behind the others: an encoder would make floats of them, or texts.
    own = [index for index, column in enumerate(columns) if column.type not in _EXACT_CELLS]
    exact = [
        (index, f",{json.dumps(column.name)}:", _EXACT_CELLS[column.type])
        for index, column in enumerate(columns)
        if column.type in _EXACT_CELLS
    ]
    names = [_plain_name(columns[index]) for index in own]
    shown = [
        (at, _JSON_CELLS[columns[index].type]) for at, index in enumerate(own) if columns[index].type in _JSON_CELLS
    ]
    encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

    def line(row: Row) -> str:
        if not exact:
            return encode(dict(zip(names, _in_json(row, shown), strict=True))) + "\n"
        text = encode(dict(zip(names, _in_json(tuple(row[index] for index in own), shown), strict=True)))
        more = (name + ("null" if row[index] is None else show(row[index])) for index, name, show in exact)
        return f"{text[:-1]}{''.join(more)}}}\n"

    return _write_lines(chunks, line, out, max_bytes)


def _in_json(row: Row, shown: list[tuple[int, Callable[[Any], Any]]]) -> Iterable[Any]:
    if not shown:
        return row
    cells = list(row)
    for index, show in shown:
        if cells[index] is not None:
            cells[index] = show(cells[index])
    return cells


def _plain_name(column: Column) -> str:
    return f"{column.name}_base64" if column.type == "bytes" else column.name


def _base64(value: bytes) -> str:
    return b64encode(value).decode()


_JSON_CELLS: dict[ColumnType, Callable[[Any], Any]] = {"bytes": _base64, "json": json.loads}
_EXACT_CELLS: dict[ColumnType, Callable[[Any], str]] = {"exact_json": str, "plain": json_text}
"""What makes JSON of a cell that keeps its digits."""


def _write_lines(
    chunks: Iterable[list[Row]], line: Callable[[Row], str], out: BinaryIO, max_bytes: int | None
) -> Written:
    rows = size = 0
    for chunk in chunks:
        # Some hundred rows at once: a chunk of large values is not held as rows, as text and as bytes at the same time.
        for start in range(0, len(chunk), LINES_AT_ONCE):
            part = chunk[start : start + LINES_AT_ONCE]
            data = "".join(map(line, part)).encode()
            if max_bytes is not None and size + len(data) > max_bytes:
                return Written(rows + _write_what_fits(map(line, part), out, max_bytes - size), cut=True)
            out.write(data)
            rows, size = rows + len(part), size + len(data)
    return Written(rows, cut=False)


def _write_what_fits(lines: Iterable[str], out: BinaryIO, room_bytes: int) -> int:
    rows = 0
    for line in lines:
        data = line.encode()
        room_bytes -= len(data)
        if room_bytes < 0:
            break
        out.write(data)
        rows += 1
    return rows


# -- Parquet


def _write_parquet(
    columns: tuple[Column, ...], chunks: Iterable[list[Row]], out: BinaryIO, max_bytes: int | None
) -> Written:
    # Slow to import, and the roles never need it.
    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter

    types = {
        "integer": pa.int64(),
        "real": pa.float64(),
        "text": pa.string(),
        "json": pa.string(),
        "exact_json": pa.string(),
        "plain": pa.string(),
        "bytes": pa.binary(),
    }
    schema = pa.schema([(column.name, types[column.type]) for column in columns])
    texts = [index for index, column in enumerate(columns) if column.type == "plain"]
    # A dictionary of values that are all different is as large as they are.
    words = [column.name for column in columns if column.type != "bytes"]
    counting = _Counting(out)
    written = 0
    with ParquetWriter(counting, schema, compression="zstd", use_dictionary=words) as writer:
        # A group is in memory until it is whole: as many rows as are good to read at once, fewer of large ones.
        for group in _row_groups(_with_texts(chunks, texts) if texts else chunks, schema):
            if max_bytes is not None and counting.tell() >= max_bytes:
                return Written(written, cut=True)
            writer.write_table(group, row_group_size=len(group))
            written += len(group)
            del group
            # Arrow would keep the memory of large groups for later ones, for as long as the app runs.
            pa.default_memory_pool().release_unused()
    return Written(written, cut=False)


def _with_texts(chunks: Iterable[list[Row]], indexes: list[int]) -> Iterator[list[Row]]:
    for chunk in chunks:
        rows = []
        for row in chunk:
            cells = list(row)
            for index in indexes:
                cells[index] = None if cells[index] is None else plain_text(cells[index])
            rows.append(tuple(cells))
        yield rows


def _row_groups(chunks: Iterable[list[Row]], schema: pa.Schema) -> Iterable[pa.Table]:
    import pyarrow as pa

    batches: list[pa.RecordBatch] = []
    for chunk in chunks:
        cells = [pa.array(values, field.type) for values, field in zip(zip(*chunk, strict=True), schema, strict=True)]
        batches.append(pa.record_batch(cells, schema=schema))
        del chunk, cells
        if sum(batch.nbytes for batch in batches) >= ROW_GROUP_BYTES or sum(map(len, batches)) >= ROW_GROUP_ROWS:
            yield pa.Table.from_batches(batches, schema)
            batches = []
    if batches:
        yield pa.Table.from_batches(batches, schema)


class _Counting:
    """A file that knows its position by itself: Parquet needs it, a pipe has none."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._position = 0
        self.closed = False

    def write(self, data: bytes) -> int:
        self._out.write(data)
        self._position += len(data)
        return len(data)

    def tell(self) -> int:
        return self._position

    def flush(self) -> None:
        self._out.flush()

    def close(self) -> None:
        """The file is its owner's to close."""


_Writer = Callable[[tuple[Column, ...], Iterable[list[Row]], BinaryIO, int | None], Written]
_WRITERS: dict[ExportFormat, _Writer] = {
    "csv": _write_csv,
    "jsonl": _write_jsonl,
    "parquet": _write_parquet,
}
