"""Records of a sample as people read them: decoded, and cut where they are long."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.orders.formats.plain_values import json_text, plain_leaf
from pipeline.orders.mapping.values import JsonNumber
from pipeline.records import Headers

SHOWN_CHARACTERS = 4_000
SHOWN_BYTES = 256
SHOWN_HEADERS = 30
SHOWN_TEXT = 300
SHOWN_ITEMS = 20


def value_text(value: Any, raw: bytes | None) -> str:
    """A value that was read, as indented JSON; one that was not, as text or in hexadecimal."""
    if value is None:
        return bytes_text(raw, SHOWN_CHARACTERS)
    text = json_text(_cut(value, 0), indent=2)
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


def _cut(value: Any, depth: int) -> Any:
    """Plain data with the beginning of what is long."""
    if depth > 20:
        return "…"
    if isinstance(value, Mapping):
        return {str(plain_leaf(str(name))): _cut(each, depth + 1) for name, each in list(value.items())[:200]}
    if isinstance(value, list):
        more = [f"… of {len(value):,}"] if len(value) > SHOWN_ITEMS else []
        return [*(_cut(each, depth + 1) for each in value[:SHOWN_ITEMS]), *more]
    if isinstance(value, bytes | bytearray):
        return bytes_text(bytes(value), SHOWN_TEXT)
    found = plain_leaf(value)
    if not isinstance(found, str) or isinstance(found, JsonNumber) or len(found) <= SHOWN_TEXT:
        return found
    return f"{found[:SHOWN_TEXT]}… of {len(found):,} letters"
