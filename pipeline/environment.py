"""How settings are written: in the environment, in `.env`, in files that hold a secret, as lists.

The same text means the same in each of them, and under `docker compose`, `docker run --env-file` and a shell: a value
in quotes loses them, and nothing in it is replaced, `$` included. What cannot be meant is refused.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import SettingsError

if TYPE_CHECKING:
    from dotenv.parser import Binding

ENV_FILE = ".env"
_NAME = re.compile(r"\s*(?:export\s+)?'?(\w+)")
_SINGLE_QUOTED = re.compile(r"\s*(?:export\s+)?[^=]+=\s*'((?:\\.|[^'\\])*)'", re.DOTALL)
# As Apprise finds its addresses in a line: an address may hold commas of its own.
_BETWEEN_ADDRESSES = re.compile(r"[\s,]+(?=[A-Za-z0-9]{1,32}://)")


def written_values(variables: Mapping[str, str]) -> dict[str, str]:
    """What people wrote for each setting, as text. `variables` has the environment variable of each, by its name.

    The environment stands before `.env`, and in each the variable itself before its `_FILE`. Raises SettingsError for
    what cannot be read, whether or not something stands before it; OSError and UnicodeDecodeError are of `.env`.
    """
    environment = {name.upper(): value for name, value in os.environ.items()}
    places = [found for place in (environment, env_file_variables()) for found in _in(place, variables)]
    return {name: text for place in reversed(places) for name, text in place.items()}


def env_file_variables() -> dict[str, str]:
    """What `.env` in the working directory sets, by names in upper case; nothing where there is none."""
    path = Path(ENV_FILE)
    return {name.upper(): value for name, value in read_env_file(path).items()} if path.is_file() else {}


def _in(place: Mapping[str, str], variables: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """The settings that a place sets itself, and those for which it names files: `ORDERPULSE_KAFKA_CONFIG_FILE`."""
    written = {
        name: plain_value(variable, place[variable]) for name, variable in variables.items() if variable in place
    }
    files = {name: f"{variable}_FILE" for name, variable in variables.items()}
    return written, {name: _text_of(file, place[file]) for name, file in files.items() if file in place}


def _text_of(variable: str, written: str) -> str:
    path = plain_value(variable, written)
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{variable}: {path} cannot be read: {error}") from error
    return plain_value(variable, text)


def plain_value(variable: str, text: str) -> str:
    """The value without space around it and without the quotes that it stands in.

    `docker run --env-file` delivers quotes as they are in the file. Raises SettingsError for one that does not end.
    """
    value = text.strip()
    if value[:1] in ("'", '"'):
        if len(value) < 2 or value[-1] != value[0]:
            raise SettingsError(
                f"{variable}: begins with the quote {value[0]} and does not end with it; put the value in two, or none"
            )
        value = value[1:-1].strip()
    return value


def read_env_file(path: Path) -> dict[str, str]:
    """The variables of a `.env` file, as written: `${NAME}` is not replaced, and single quotes keep backslashes.

    Raises SettingsError for a line that sets nothing, OSError and UnicodeDecodeError.
    """
    from dotenv.parser import parse_stream  # takes 4 ms, and most data folders have no such file

    values: dict[str, str] = {}
    with path.open(encoding="utf-8") as file:
        for binding in parse_stream(file):
            if binding.error or (binding.key is not None and binding.value is None):
                raise SettingsError(_unreadable(path, binding))
            if binding.key is not None:
                values[binding.key] = _as_written(binding)
    return values


def _as_written(binding: Binding) -> str:
    # python-dotenv makes one backslash of two there; a shell and docker compose leave both, which JSON needs.
    quoted = _SINGLE_QUOTED.match(binding.original.string)
    return quoted[1].replace("\\'", "'") if quoted else binding.value or ""


def _unreadable(path: Path, binding: Binding) -> str:
    name = _NAME.match(binding.original.string)
    blank_lines = len(binding.original.string) - len(binding.original.string.lstrip("\r\n"))
    where = f"{path}, line {binding.original.line + blank_lines}"
    return (
        f"{name[1] if name else 'a line'}: cannot be read in {where}: it must look like NAME='value', with no quote "
        "left open and nothing but a comment after it"
    )


def split_list(text: str) -> tuple[str, ...]:
    """The items of a list: a JSON array of texts, or separated by commas. Raises ValueError."""
    items = _json_array(text)
    return tuple(item.strip() for item in items if item.strip()) if items is not None else _by_commas(text)


def split_addresses(text: str) -> tuple[str, ...]:
    """The addresses of a list: a JSON array, or separated by a comma before the next `scheme://`. Raises ValueError."""
    items = _json_array(text)
    found = _BETWEEN_ADDRESSES.split(text.strip(" \t\r\n,")) if items is None else items
    return tuple(item.strip() for item in found if item.strip())


def _by_commas(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _json_array(text: str) -> list[str] | None:
    """None where the text is none."""
    if not text.lstrip().startswith("["):
        return None
    try:
        items = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f'must be separated by commas, or a JSON array such as ["a", "b"]: {error}') from None
    if not all(isinstance(item, str) for item in items):
        raise ValueError('must be a JSON array of texts, such as ["a", "b"]')
    return list(items)


def json_object(text: str) -> dict[str, object]:
    """The object that a JSON text is. Raises ValueError, also for a name that stands in it twice."""
    try:
        value = json.loads(text or "{}", object_pairs_hook=_once)
    except json.JSONDecodeError as error:
        raise ValueError(
            f"must be a JSON object of client properties: {error} (in single quotes a shell and .env leave it alone)"
        ) from None
    if not isinstance(value, dict):
        raise ValueError('must be a JSON object of client properties, such as {"client.rack": "a"}')
    return value


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    names = [name for name, _ in pairs]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"sets {', '.join(twice)} twice")
    return dict(pairs)


def near_match_hint(name: str, known: set[str]) -> str:
    """`; did you mean NAME`, if one of the known names is like it."""
    close = get_close_matches(name, known, 1, 0.8)
    return f"; did you mean {close[0]}" if close else ""
