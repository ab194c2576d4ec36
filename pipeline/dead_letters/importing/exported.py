"""Reads dead letters out of our own exports, JSON Lines and Parquet, cell by cell: nothing of a file is taken on trust.

A field of an order may have another name in an export, as the mapping file of its pipeline called it. Its columns stand
between `headers` and `error_class`, in the order of the fields, and are known by that.
"""

from __future__ import annotations

import json
from base64 import b64decode
from binascii import Error as NoBase64
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from pipeline.buffer import DeadLetterStatus, ExportedLetter, columns_of
from pipeline.buffer.entities import DEAD_LETTER_ORDER_COLUMNS, Column, ColumnType
from pipeline.dead_letters.causes import fingerprint
from pipeline.dead_letters.importing.lines import object_in
from pipeline.dead_letters.importing.refusals import RefusedError, refuse, shown
from pipeline.errors import UsageError
from pipeline.headers.codec import headers_to_json
from pipeline.headers.values import LAST_TIMESTAMP_MS
from pipeline.records import Headers

if TYPE_CHECKING:
    import pyarrow.parquet

COLUMNS = columns_of("dead_letters")
FIELDS = ("dead_letter_id", "fingerprint", "status")
"""Each line of an export has them, and no line of kcat's."""
ROWS_AT_ONCE = 500
_LAST_ID = 1 << 53
_INTEGERS = range(-(1 << 63), 1 << 63)
_TIMES = {column.name for column in COLUMNS if column.name.endswith("_ms")} - {
    column.name for column in DEAD_LETTER_ORDER_COLUMNS
}
_DEFAULTS: dict[str, object] = {"replays": 0, "failed_at_known": 1, "concluded": 0}
"""Of columns that an export of an older version does not have."""
_NEVER_NULL = {
    "id",
    "headers",
    "reason",
    "dialect",
    "fingerprint",
    "timestamp_ms",
    "failed_at_ms",
    "received_at_ms",
    "status",
    "status_at_ms",
    "dead_letter_id",
    *_DEFAULTS,
}
_MUST_BE_THERE = _NEVER_NULL - _DEFAULTS.keys()
_STATUSES = get_args(DeadLetterStatus)
_OF_TITLE = tuple(
    [column.name for column in COLUMNS].index(name)
    for name in ("error_class", "reason", "rule", "source_topic", "stacktrace", "topic")
)


def letter_of_line(line: bytes) -> ExportedLetter:
    """The dead letter in a line of JSON. Raises RefusedError."""
    cells = object_in(line)
    names = _names_in(tuple(cells), True)
    return _letter([_cell(column, name, cells, _IN_JSON) for column, name in zip(COLUMNS, names, strict=True)])


def letters_of_parquet(path: Path) -> Iterator[tuple[int, ExportedLetter | RefusedError]]:
    """The dead letters of a Parquet file, each with the number of its row, from 1 on.

    Raises UsageError where the file cannot be read, or is no export of dead letters.
    """
    # Slow to import, and nobody else needs it.
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

    row = 0
    try:
        # In small parts: a group of rows that somebody else's tool has made may be as large as the file.
        with ParquetFile(path, pre_buffer=False, buffer_size=1 << 20) as file:
            names = _names_of_parquet(path, file)
            wanted = [name for name in names if name is not None]
            for batch in file.iter_batches(ROWS_AT_ONCE, columns=wanted):
                for cells in batch.to_pylist():
                    row += 1
                    yield row, _letter_of_cells(names, cells)
                del batch
                pa.default_memory_pool().release_unused()
    except (pa.ArrowException, OSError) as error:
        where = f"behind row {row:,}" if row else "at its beginning"
        raise UsageError(f"{path} is no Parquet file that can be read, {where}: {_first_line(error)}") from error


def _names_of_parquet(path: Path, file: pyarrow.parquet.ParquetFile) -> Sequence[str | None]:
    try:
        return _names_in(tuple(file.schema_arrow.names), False)
    except RefusedError as error:
        raise UsageError(f"{path} is no export of dead letters: {error}") from error


def _letter_of_cells(names: Sequence[str | None], cells: Mapping[str, Any]) -> ExportedLetter | RefusedError:
    try:
        return _letter([_cell(column, name, cells, _IN_PARQUET) for column, name in zip(COLUMNS, names, strict=True)])
    except RefusedError as error:
        return error


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


@lru_cache(8)
def _names_in(found: tuple[str, ...], in_json: bool) -> Sequence[str | None]:
    """What each of our columns is called in a file that has these, in the order of ours; None where it has it not."""
    ours = [f"{column.name}_base64" if in_json and column.type == "bytes" else column.name for column in COLUMNS]
    missing = [name for name in ours if name in _MUST_BE_THERE and name not in found]
    if missing:
        raise RefusedError(f"field {missing[0]}: expected, as an export of dead letters has it, and is not there")
    called = dict(zip(ours, (name if name in found else None for name in ours), strict=True))
    renamed = [column.name for column in DEAD_LETTER_ORDER_COLUMNS if called[column.name] is None]
    between = found[found.index("headers") + 1 : found.index("error_class") if "error_class" in found else 0]
    others = [name for name in between if name not in called]
    if renamed and others:
        if len(renamed) != len(others):
            raise RefusedError(
                f"field {shown(others[0])}: which of an order's {', '.join(renamed)} it is cannot be told"
            )
        called |= dict(zip(renamed, others, strict=True))
    return tuple(called.values())


def _letter(row: list[Any]) -> ExportedLetter:
    _, title = fingerprint(*(row[index] for index in _OF_TITLE))
    return ExportedLetter(tuple(row), title)


# -- cells


_Check = Callable[[str, Any], object]


def _cell(column: Column, name: str | None, cells: Mapping[str, Any], checks: Mapping[ColumnType, _Check]) -> object:
    """A cell as the buffer stores it. Raises RefusedError."""
    found = None if name is None else cells[name]
    if found is None:
        if name is None and column.name in _DEFAULTS:
            return _DEFAULTS[column.name]
        if column.name in _NEVER_NULL:
            raise refuse(name or column.name, _EXPECTED[column.type], None)
        return None
    called = name or column.name
    value = checks[column.type](called, found)
    special = _SPECIAL.get(column.name)
    if special is not None:
        special(called, value)
    return value


def _integer(name: str, found: Any) -> int:
    if type(found) is not int or found not in _INTEGERS:
        raise refuse(name, _EXPECTED["integer"], found)
    return found


def _text(name: str, found: Any) -> str:
    if not isinstance(found, str):
        raise refuse(name, _EXPECTED["text"], found)
    try:
        found.encode()
    except UnicodeEncodeError as error:
        raise refuse(name, "Unicode", found[error.start : error.end]) from error
    return found


def _base64(name: str, found: Any) -> bytes:
    if not isinstance(found, str):
        raise refuse(name, _EXPECTED["bytes"], found)
    try:
        return b64decode(found, validate=True)
    except (NoBase64, ValueError) as error:
        raise RefusedError(f"field {name}: expected base64, found something else ({error})") from error


def _bytes(name: str, found: Any) -> bytes:
    if not isinstance(found, bytes):
        raise refuse(name, "bytes", found)
    return found


def _headers(name: str, found: Any) -> str:
    """Headers as the buffer has them, whatever spaces and escapes the file was written with."""
    if not isinstance(found, list):
        raise refuse(name, _EXPECTED["json"], found)
    headers: Headers = tuple(_header(f"{name}[{index}]", each) for index, each in enumerate(found))
    return headers_to_json(headers)


def _header(name: str, found: Any) -> tuple[str, bytes | None]:
    if not isinstance(found, list) or len(found) != 2:
        raise refuse(name, "a name and a value", found)
    header, value = found
    _text(f"{name}[0]", header)
    if value is None:
        return header, None
    if isinstance(value, dict) and value.keys() == {"base64"}:
        return header, _base64(f"{name}[1].base64", value["base64"])
    return header, _text(f"{name}[1]", value).encode()


def _headers_as_text(name: str, found: Any) -> str:
    try:
        return _headers(name, json.loads(_text(name, found)))
    except (ValueError, RecursionError) as error:
        raise RefusedError(f"field {name}: expected {_EXPECTED['json']} as JSON ({error})") from error


_EXPECTED: dict[ColumnType, str] = {
    "integer": "a whole number of 64 bits",
    "text": "text",
    "bytes": "base64 or null",
    "json": "an array of names and values",
}
_IN_JSON: dict[ColumnType, _Check] = {"integer": _integer, "text": _text, "bytes": _base64, "json": _headers}
_IN_PARQUET: dict[ColumnType, _Check] = {
    "integer": _integer,
    "text": _text,
    "bytes": _bytes,
    "json": _headers_as_text,
}


def _is_id(name: str, found: Any) -> None:
    if not 1 <= found <= _LAST_ID:
        raise refuse(name, f"a number from 1 to {_LAST_ID}", found)


def _is_name(name: str, found: Any) -> None:
    # The buffer could not look for one with a NUL.
    if not found or "\0" in found:
        raise refuse(name, "the name of a dead letter", found)


def _is_status(name: str, found: Any) -> None:
    if found not in _STATUSES:
        raise refuse(name, f"one of {', '.join(_STATUSES)}", found)


def _is_flag(name: str, found: Any) -> None:
    if found not in (0, 1):
        raise refuse(name, "0 or 1", found)


def _is_time(name: str, found: Any) -> None:
    if not 0 <= found <= LAST_TIMESTAMP_MS:
        raise refuse(name, "milliseconds since 1970, before the year 9999", found)


_SPECIAL: dict[str, Callable[[str, Any], None]] = dict.fromkeys(sorted(_TIMES), _is_time) | {
    "id": _is_id,
    "dead_letter_id": _is_name,
    "status": _is_status,
    "failed_at_known": _is_flag,
    "concluded": _is_flag,
}
