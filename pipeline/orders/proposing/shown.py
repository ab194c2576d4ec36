"""Records of a sample as people read them: decoded, and cut where they are long."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from pipeline.orders.mapping.values import Instant, JsonNumber, ValueMismatchError, described
from pipeline.records import Headers

SHOWN_CHARACTERS = 4_000
SHOWN_BYTES = 256
SHOWN_HEADERS = 30
SHOWN_TEXT = 300
SHOWN_ITEMS = 20
_DIGITS = "\ue000"
"""Around digits, so that they are no text once they are written; no text is to have it."""


def value_text(value: Any, raw: bytes | None) -> str:
    """A value that was read, as indented JSON; one that was not, as text or in hexadecimal."""
    if value is None:
        return bytes_text(raw, SHOWN_CHARACTERS)
    text = _json_text(_plain(value, 0))
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}\n… of {len(text):,} letters"


def key_text(key: bytes | None) -> str:
    """A key."""
    return bytes_text(key, SHOWN_TEXT)


def shown_headers(headers: Headers) -> list[tuple[str, str]]:
    """The first headers, by name and value."""
    return [(name[:SHOWN_TEXT], bytes_text(value, SHOWN_TEXT)) for name, value in headers[:SHOWN_HEADERS]]


def bytes_text(raw: bytes | None, characters: int) -> str:
    """Bytes as text where they are some, else in hexadecimal."""
    if raw is None:
        return "null"
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = ""
    if text.isprintable() and (text or not raw):
        return text if len(text) <= characters else f"{text[:characters]}… of {len(text):,} letters"
    more = f" … of {len(raw):,} bytes" if len(raw) > SHOWN_BYTES else ""
    return raw[:SHOWN_BYTES].hex(" ") + more


def _json_text(value: Any) -> str:
    """Indented JSON, numbers with the digits that they came with."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return text.replace(f'"{_DIGITS}', "").replace(f'{_DIGITS}"', "")


def _plain(value: Any, depth: int) -> Any:
    """What JSON can write."""
    if depth > 20:
        return "…"
    if isinstance(value, Mapping):
        return {
            str(name).replace(_DIGITS, "\ufffd"): _plain(each, depth + 1) for name, each in list(value.items())[:200]
        }
    if isinstance(value, list):
        more = [f"… of {len(value):,}"] if len(value) > SHOWN_ITEMS else []
        return [*(_plain(each, depth + 1) for each in value[:SHOWN_ITEMS]), *more]
    if isinstance(value, Instant | ValueMismatchError):
        return described(value)
    if isinstance(value, JsonNumber | Decimal):
        return f"{_DIGITS}{value}{_DIGITS}"
    if isinstance(value, bytes | bytearray):
        return bytes_text(bytes(value), SHOWN_TEXT)
    if isinstance(value, str):
        text = value.replace(_DIGITS, "\ufffd")
        return text if len(text) <= SHOWN_TEXT else f"{text[:SHOWN_TEXT]}… of {len(text):,} letters"
    return value if isinstance(value, bool | int | float | None) else str(value)
