"""Headers as JSON and back, without losing order, repeats, nulls or bytes."""

from __future__ import annotations

import base64
import json

from pipeline.records import Headers

NO_HEADERS = "[]"
_encoded = json.JSONEncoder(ensure_ascii=False).encode


def headers_to_json(headers: Headers) -> str:
    """A JSON array of [name, value]: text where the bytes are UTF-8, null, or {"base64": "…"}."""
    if not headers:
        return NO_HEADERS
    return _encoded([[name, _shown(value)] for name, value in headers])


def headers_from_json(text: str) -> Headers:
    """The headers that `headers_to_json` made the text from."""
    if text == NO_HEADERS:
        return ()
    return tuple((name, _raw(shown)) for name, shown in json.loads(text))


def _shown(value: bytes | None) -> str | dict[str, str] | None:
    if value is None:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode()}


def _raw(shown: str | dict[str, str] | None) -> bytes | None:
    if shown is None:
        return None
    return shown.encode() if isinstance(shown, str) else base64.b64decode(shown["base64"])
