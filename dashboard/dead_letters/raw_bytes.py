"""Bytes as people can read them, without pretending: null is not empty, and what is no text is not shown as text."""

from __future__ import annotations

import codecs
from dataclasses import dataclass

from pipeline.headers import binary_number_of

HEX_WIDTH = 16
SHOWN_BYTES = 4_096
CELL_BYTES = 16_384
UTF8 = codecs.getincrementaldecoder("utf-8")


@dataclass(frozen=True, slots=True)
class Shown:
    """A value in words, and which kind it is: text, hex, number, empty or null."""

    text: str
    kind: str


def as_text(value: bytes, limit: int = SHOWN_BYTES) -> str | None:
    """The text that the first `limit` of these UTF-8 bytes are; None when they are none, or hold control characters."""
    try:
        text = UTF8().decode(value[:limit], final=len(value) <= limit)
    except UnicodeDecodeError:
        return None
    return text if all(letter.isprintable() or letter in "\t\r\n" for letter in text) else None


def in_a_line(name: str, value: bytes | None) -> Shown:
    """A header's value for a table's cell: the number where its name tells that it holds one, text, or hexadecimal."""
    if value is None:
        return Shown("", "null")
    if not value:
        return Shown("", "empty")
    number = binary_number_of(name, value)
    if number is not None:
        return Shown(str(number), "number")
    text = as_text(value, CELL_BYTES)
    rest = f"… ({len(value):,} bytes)" if len(value) > CELL_BYTES else ""
    if text is not None:
        return Shown(text + rest, "text")
    return Shown(value[:CELL_BYTES].hex(" ") + rest, "hex")


def hex_dump(value: bytes, limit: int = SHOWN_BYTES) -> str:
    """Offset, hexadecimal and ASCII, 16 bytes a line."""
    lines = []
    for start in range(0, min(len(value), limit), HEX_WIDTH):
        part = value[start : min(start + HEX_WIDTH, limit)]
        readable = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
        lines.append(f"{start:08x}  {part.hex(' '):<{HEX_WIDTH * 3 - 1}}  {readable}")
    return "\n".join(lines)
