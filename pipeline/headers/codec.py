"""Headers as JSON and back, without losing order, repeats, nulls or bytes."""

from __future__ import annotations

import base64
import json
from json.encoder import encode_basestring as quoted

from pipeline.records import Headers

NO_HEADERS = "[]"


def headers_to_json(headers: Headers) -> str:
    """A JSON array of [name, value]: text where the bytes are UTF-8, null, or {"base64": "…"}."""
    try:
        # Nearly always all of them are text. By hand: an encoder takes twice as long over a list of lists.
        shown = [f"[{quoted(name)}, {quoted(value.decode())}]" for name, value in headers]  # type: ignore[union-attr]
    except (AttributeError, UnicodeDecodeError):
        shown = [f"[{quoted(name)}, {value_to_json(value)}]" for name, value in headers]
    return f"[{', '.join(shown)}]"


def headers_from_json(text: str) -> Headers:
    """The headers that `headers_to_json` made the text from."""
    if text == NO_HEADERS:
        return ()
    return tuple((name, _raw(shown)) for name, shown in json.loads(text))


def value_to_json(value: bytes | None) -> str:
    """How a header's value stands in `headers_to_json`."""
    if value is None:
        return "null"
    try:
        return quoted(value.decode())
    except UnicodeDecodeError:
        return f'{{"base64": "{base64.b64encode(value).decode()}"}}'


def _raw(shown: str | dict[str, str] | None) -> bytes | None:
    if shown is None:
        return None
    return shown.encode() if isinstance(shown, str) else base64.b64decode(shown["base64"])
