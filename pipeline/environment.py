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
from typing import Any

from dotenv.parser import Binding, parse_stream
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, DotEnvSettingsSource, EnvSettingsSource, PydanticBaseSettingsSource

from pipeline.errors import SettingsError

_NAME = re.compile(r"\s*(?:export\s+)?'?(\w+)")
_SINGLE_QUOTED = re.compile(r"\s*(?:export\s+)?[^=]+=\s*'((?:\\.|[^'\\])*)'", re.DOTALL)
# As Apprise finds its addresses in a line: an address may hold commas of its own.
_BETWEEN_ADDRESSES = re.compile(r"[\s,]+(?=[A-Za-z0-9]{1,32}://)")


def sources_of(settings_cls: type[BaseSettings]) -> tuple[PydanticBaseSettingsSource, ...]:
    """Where settings are looked for, the first first. Their values are texts, as people wrote them."""
    dotenv = _PlainDotEnv(settings_cls)
    return (
        _PlainEnvironment(settings_cls),
        _SecretFiles(settings_cls, {name.lower(): value for name, value in os.environ.items()}),
        dotenv,
        _SecretFiles(settings_cls, dotenv.env_vars),
    )


def env_file_variables(settings_cls: type[BaseSettings]) -> set[str]:
    """The names that `.env` sets, in upper case."""
    return set(map(str.upper, _PlainDotEnv(settings_cls).env_vars))


class _PlainEnvironment(EnvSettingsSource):
    """The environment, with lists left to the validators (pydantic would ask for JSON)."""

    def prepare_field_value(self, field_name: str, field: FieldInfo, value: Any, value_is_complex: bool) -> Any:
        return value if value is None else plain_value(f"{self.env_prefix}{field_name}".upper(), value)


class _PlainDotEnv(DotEnvSettingsSource):
    """The `.env` file, read as it is written and with lists left to the validators."""

    def prepare_field_value(self, field_name: str, field: FieldInfo, value: Any, value_is_complex: bool) -> Any:
        return value if value is None else plain_value(f"{self.env_prefix}{field_name}".upper(), value)

    def _read_env_file(self, file_path: Path) -> Mapping[str, str | None]:
        return {name.lower(): value for name, value in read_env_file(file_path).items()}


class _SecretFiles(PydanticBaseSettingsSource):
    """Values that stand in files: `ORDERPULSE_KAFKA_CONFIG_FILE=/run/secrets/kafka.json`."""

    def __init__(self, settings_cls: type[BaseSettings], variables: Mapping[str, str | None]) -> None:
        super().__init__(settings_cls)
        self._variables = variables

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        variable = f"{self.config.get('env_prefix')}{field_name}_FILE".upper()
        path = self._variables.get(variable.lower())
        if path is None:
            return None, field_name, False
        path = plain_value(variable, path)
        try:
            text = Path(path).read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"{variable}: {path} cannot be read: {error}") from error
        return plain_value(variable, text), field_name, False

    def __call__(self) -> dict[str, Any]:
        values = {name: self.get_field_value(field, name)[0] for name, field in self.settings_cls.model_fields.items()}
        return {name: value for name, value in values.items() if value is not None}


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
