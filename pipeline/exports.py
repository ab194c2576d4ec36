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

CSV and JSON have no bytes: the columns `key` and `value` are base64 there and named `key_base64` and `value_base64`.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, BinaryIO, Literal

from pipeline.buffer import columns_of, stream
from pipeline.buffer.entities import Column, ColumnType, Entity, Row
from pipeline.buffer.filters import RowFilter

ExportFormat = Literal["csv", "jsonl", "parquet"]
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""What makes a spreadsheet run a cell's text (OWASP, "CSV injection"), full-width forms included."""


def export_all(
    path: Path,
    entity: Entity,
    which: RowFilter | None,
    format: ExportFormat,
    out: BinaryIO,
    max_rows: int | None = None,
) -> int:
    """Writes the rows of the buffer at `path` that `which` means to `out`, and returns how many there were.

    Raises BufferUnavailableError, BufferCorruptError; UsageError when the filter is another entity's.
    """
    chunks = stream(path, entity, which, max_rows)
    return _WRITERS[format](columns_of(entity), chunks, out)


def safe_text(text: str) -> str:
    """The text as a spreadsheet may show it: one that would be run as a formula begins with an apostrophe.

    `safe_text(text).removeprefix("'")` is the text again.
    """
    return f"'{text}" if text.startswith((*FORMULA_STARTS, "'")) else text


# -- CSV


def _write_csv(columns: tuple[Column, ...], chunks: Iterable[list[Row]], out: BinaryIO) -> int:
    written = 0
    cells = [_CSV_CELLS[column.type] for column in columns]
    out.write((",".join(_plain_name(column) for column in columns) + "\r\n").encode())
    for chunk in chunks:
        lines = (
            ",".join("" if cell is None else show(cell) for show, cell in zip(cells, row, strict=True)) for row in chunk
        )
        out.write(("\r\n".join(lines) + "\r\n").encode())
        written += len(chunk)
    return written


def _quoted(text: str) -> str:
    # The csv module writes NULL and empty text alike, so the quotes are ours.
    return '"' + safe_text(text).replace('"', '""') + '"'


def _quoted_bytes(value: bytes) -> str:
    return _quoted(_base64(value))  # it may begin with `+`


_CSV_CELLS: dict[ColumnType, Callable[[Any], str]] = {
    "integer": str,
    "real": repr,
    "text": _quoted,
    "json": _quoted,
    "bytes": _quoted_bytes,
}


# -- JSON Lines


def _write_jsonl(columns: tuple[Column, ...], chunks: Iterable[list[Row]], out: BinaryIO) -> int:
    written = 0
    names = [_plain_name(column) for column in columns]
    shown = [(index, _JSON_CELLS[column.type]) for index, column in enumerate(columns) if column.type in _JSON_CELLS]
    encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
    for chunk in chunks:
        out.write("".join(encode(dict(zip(names, _in_json(row, shown), strict=True))) + "\n" for row in chunk).encode())
        written += len(chunk)
    return written


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


# -- Parquet


def _write_parquet(columns: tuple[Column, ...], chunks: Iterable[list[Row]], out: BinaryIO) -> int:
    # Slow to import, and the roles never need it.
    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter

    types = {
        "integer": pa.int64(),
        "real": pa.float64(),
        "text": pa.string(),
        "json": pa.string(),
        "bytes": pa.binary(),
    }
    schema = pa.schema([(column.name, types[column.type]) for column in columns])
    written = 0
    with ParquetWriter(_Counting(out), schema, compression="zstd") as writer:
        for chunk in chunks:
            cells = [
                pa.array(values, field.type) for values, field in zip(zip(*chunk, strict=True), schema, strict=True)
            ]
            writer.write_batch(pa.record_batch(cells, schema=schema))
            written += len(chunk)
    return written


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


_WRITERS: dict[ExportFormat, Callable[[tuple[Column, ...], Iterable[list[Row]], BinaryIO], int]] = {
    "csv": _write_csv,
    "jsonl": _write_jsonl,
    "parquet": _write_parquet,
}
