"""Reads JSON Lines of any size in bounded memory, each line with its number."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

from pipeline.dead_letters.importing.refusals import Refusal, RefusedError

MAX_LINE_BYTES = 32_000_000
"""Of a record of 10 MB, base64 is 13 MB. A longer line is refused, and never held as a whole."""
_SKIPPED_BYTES = 1_000_000
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Line(NamedTuple):
    """A line without its end; numbers begin at 1."""

    number: int
    data: bytes

    @property
    def place(self) -> str:
        """How people find it."""
        return f"line {self.number}"


def lines_of(file: BinaryIO) -> Iterator[Line | Refusal]:
    """The lines of a file that are not blank, and a refusal in place of one that is too long."""
    number = 0
    while data := file.readline(MAX_LINE_BYTES + 1):
        number += 1
        if len(data) > MAX_LINE_BYTES and not data.endswith(b"\n"):
            _skip_rest(file)
            yield Refusal(f"line {number}", f"it is longer than {MAX_LINE_BYTES / 1e6:.0f} MB")
            continue
        if number == 1:
            data = data.removeprefix(_BYTE_ORDER_MARK)
        if stripped := data.strip():
            yield Line(number, stripped)


def _skip_rest(file: BinaryIO) -> None:
    while (part := file.readline(_SKIPPED_BYTES)) and not part.endswith(b"\n"):
        pass


def object_in(line: bytes, any_bytes: bool = False) -> dict[str, Any]:
    """The JSON object in a line. With `any_bytes`, each byte that is no UTF-8 becomes half of a surrogate pair.

    Such a text gives its bytes back by `encode("utf-8", "surrogateescape")`. Raises RefusedError.
    """
    try:
        text = line.decode("utf-8", "surrogateescape" if any_bytes else "strict")
    except UnicodeDecodeError as error:
        raise RefusedError(f"byte {error.start + 1}: is not UTF-8") from error
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        # Of a line that was cut, a text or a bracket is open at its end.
        cut = error.pos >= len(text) or error.msg.startswith("Unterminated string")
        why = "the line ends in the middle of the JSON; was the file cut?" if cut else f"is no JSON ({error.msg})"
        raise RefusedError(f"column {error.pos + 1}: {why}") from error
    except RecursionError as error:
        raise RefusedError("it is nested too deeply") from error
    except ValueError as error:  # a number of more digits than Python takes
        raise RefusedError(f"is no JSON that can be read ({error})") from error
    if not isinstance(found, dict):
        raise RefusedError("expected a JSON object, found another value")
    return found
