"""A section as people edit it: for each key where the value comes from, and options, each a line of text."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.errors import UsageError
from pipeline.orders.fields import ORDER_FIELDS
from pipeline.orders.proposing.section_text import comment, header_line, toml_key, toml_value

EDITED_KEYS = ("where", *(each.avro_name for each in ORDER_FIELDS), "currency")
"""What is edited, in the order of the file."""
_OPENING, _CLOSING = "([{", ")]}"


@dataclass(frozen=True, slots=True)
class Cells:
    """What stands in a key's two cells: paths, with commas between, and options as the file has them in braces."""

    source: str = ""
    options: str = ""

    @classmethod
    def of(cls, value: Any) -> Cells:
        """The cells that show a value of the file; None shows nothing."""
        if value is None:
            return cls()
        if isinstance(value, str):
            return cls(value)
        if isinstance(value, Mapping):
            options = ", ".join(f"{toml_key(key)} = {toml_value(each)}" for key, each in value.items() if key != "path")
            return cls(cls.of(value.get("path")).source, options)
        return cls(", ".join(value))

    def value(self, key: str) -> Any:
        """The value of the file that these cells show; None: the key is left out. Raises UsageError."""
        source = self.source.strip()
        if key == "where":
            return source or None
        paths = list(_apart(source))
        options = self._options(key)
        if not paths:
            return options or None
        path = paths[0] if len(paths) == 1 else paths
        return {**options, "path": path} if key == "currency" else {"path": path, **options} if options else path

    def _options(self, key: str) -> dict[str, Any]:
        try:
            return tomllib.loads(f"options = {{ {' '.join(self.options.split())} }}")["options"]  # type: ignore[no-any-return]
        except tomllib.TOMLDecodeError as error:
            raise UsageError(f'{key}: options are written as in unit = "minor", float = true ({error})') from error


def _apart(text: str) -> Iterator[str]:
    """The parts of a text between its commas, but for those in quotes and brackets."""
    part, depth, quoted, escaped = "", 0, False, False
    for letter in text:
        if quoted:
            quoted = escaped or letter != '"'
            escaped = letter == "\\" and not escaped
        elif letter == "," and depth == 0:
            if part.strip():
                yield part.strip()
            part = ""
            continue
        else:
            quoted = letter == '"'
            depth += (letter in _OPENING) - (letter in _CLOSING)
        part += letter
    if part.strip():
        yield part.strip()


def section_of_cells(
    topic: str,
    cells: Mapping[str, Cells],
    comments: Mapping[str, str],
    told: Sequence[str] = (),
    kept: Mapping[str, Any] | None = None,
) -> str:
    """The section that these cells write, with a comment above each key that has one; `kept` are keys that no cell has.

    Raises UsageError.
    """
    lines = [header_line(topic), *map(comment, told)]
    for key in EDITED_KEYS:
        value = cells[key].value(key) if key in cells else None
        if key in comments:
            lines.append(comment(comments[key]))
        if value is not None:
            lines.append(f"{key} = {toml_value(value)}")
    lines += [f"{key} = {toml_value(value)}" for key, value in (kept or {}).items()]
    return "\n".join(lines) + "\n"
