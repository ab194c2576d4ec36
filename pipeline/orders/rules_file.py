"""The rules file: TOML in, rules out, or an error that names file, line and key; followed whenever it changes."""

from __future__ import annotations

import hashlib
import json
import re
import threading
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pydantic import ValidationError

from pipeline.errors import RulesFileError
from pipeline.orders.file_watch import FileWatch
from pipeline.orders.rules import RULES, Rule, Rules

MAXIMUM_DEPTH = 16

_Keys = tuple[str, ...]
"""The keys that lead to a value, from the top of the file."""

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
# What may hold a bracket or a line's end without meaning it comes first: texts and comments.
_TOKEN = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}' r"|'''.*?'{3,5}" r'|"(?:\\.|[^"\\])*"' r"|'[^']*'" r"|#[^\n]*" r"|[\[\]{}\n]", re.DOTALL
)


def load_rules(path: Path) -> Rules:
    """Reads a rules file. Raises RulesFileError with one line: the file, the line and key, what is allowed."""
    return parse_rules(_read(path), path)


def parse_rules(
    content: bytes, path: Path, known: Sequence[type[Rule]] = RULES, maximum_depth: int = MAXIMUM_DEPTH
) -> Rules:
    """The rules that a file's content switches on; `path` is for the error's words.

    `known` are the rules there are. `maximum_depth` is how many tables and lists may hold one another.
    Raises RulesFileError with one line.
    """
    try:
        text = content.decode("utf-8")
        # A price written as a number must not pass through a float.
        table = tomllib.loads(text, parse_float=Decimal)
    except UnicodeDecodeError as error:
        raise RulesFileError(f"the rules file {path} is not UTF-8 text") from error
    except tomllib.TOMLDecodeError as error:
        raise RulesFileError(f"the rules file {path} is not valid TOML: {error}") from error
    except RecursionError as error:
        raise RulesFileError(f"the rules file {path} is nested too deeply") from error
    if _is_deeper_than(maximum_depth, table):
        raise RulesFileError(f"the rules file {path} is nested too deeply")
    rules, problems = _rules_of(table, known)
    if problems:
        lines = _lines_of(text)
        raise RulesFileError(f"the rules file {path}: {'; '.join(_in_words(each, lines) for each in problems)}")
    return Rules(rules)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise RulesFileError(f"the rules file {path} cannot be read: {error.strerror}") from error


def _is_deeper_than(maximum_depth: int, table: Mapping[str, Any]) -> bool:
    within: list[Any] = [table]
    for _ in range(maximum_depth + 1):
        within = [
            inner
            for each in within
            for inner in (each.values() if isinstance(each, dict) else each)
            if isinstance(inner, dict | list)
        ]
    return bool(within)


@dataclass(frozen=True, slots=True)
class _Problem:
    """One fault: the keys that lead to it (none: it is between several), and the words that follow them."""

    keys: _Keys
    words: str


def _rules_of(table: Mapping[str, Any], known: Sequence[type[Rule]]) -> tuple[list[Rule], list[_Problem]]:
    rules: list[Rule] = []
    problems: list[_Problem] = []
    for rule in known:
        own = {key: table[key] for key in rule.file_keys() if key in table}
        if not own and rule.may_be_off:
            continue
        try:
            rules.append(rule.model_validate(own))
        except ValidationError as error:
            problems += map(_problem, error.errors(include_url=False))
    every_key = [key for rule in known for key in rule.file_keys()]
    is_no_rule = f" is no rule; there are {', '.join(every_key)}"
    problems += [_Problem((key,), is_no_rule) for key in table if key not in every_key]
    # In TOML a line below a [table] belongs to it: a rule's key there would switch nothing on, and be a product's name.
    problems += [
        _Problem((name, key), f": {key} belongs above every [table]")
        for name, inner in table.items()
        if isinstance(inner, dict)
        for key in inner
        if key in every_key
    ]
    return rules, problems


def _problem(error: Any) -> _Problem:
    """What pydantic found, with the keys that lead there; of a fault in a list, those that lead to the list."""
    keys: list[str] = []
    for each in error["loc"]:
        # pydantic puts "[key]" after a table's key that is itself not allowed.
        if isinstance(each, int) or (each == "[key]" and len(keys) > 1):
            break
        keys.append(each)
    if error["type"] == "missing":
        return _Problem(tuple(keys), " is missing")
    if error["type"] == "extra_forbidden":
        return _Problem(tuple(keys), " is no key of this table")
    message = error["msg"].removeprefix("Value error, ")
    return _Problem(tuple(keys), f": {message}" if keys else message)


def _in_words(problem: _Problem, lines: Mapping[_Keys, int]) -> str:
    # What is missing has no line; the table that it is missing from has one.
    line = lines.get(problem.keys) or lines.get(problem.keys[:-1])
    return f"{f'line {line}: ' if line else ''}{_dotted(problem.keys)}{problem.words}"


def _dotted(keys: _Keys) -> str:
    """The keys as TOML writes them."""
    return ".".join(
        key if _BARE_KEY.fullmatch(key) else json.dumps(key, ensure_ascii=not key.isprintable()) for key in keys
    )


def _lines_of(text: str) -> dict[_Keys, int]:
    """The first line of every table and key of a valid TOML text."""
    lines: dict[_Keys, int] = {}
    table: _Keys = ()
    for line, statement in _statements(text):
        found = list(_keys_in(tomllib.loads(statement)))
        above = table
        if statement.lstrip().startswith("["):
            above, table = (), found[-1]
        for keys in found:
            lines.setdefault((*above, *keys), line)
    return lines


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """The statements of a valid TOML text, each with the number of its first line: a value may go over several."""
    text += "\n"
    depth, begin, line = 0, 0, 1
    for token in _TOKEN.finditer(text):
        if token.group() in ("[", "{"):
            depth += 1
        elif token.group() in ("]", "}"):
            depth -= 1
        elif token.group() == "\n" and depth == 0:
            yield line, text[begin : token.end()]
            line += text.count("\n", begin, token.end())
            begin = token.end()


def _keys_in(table: Any, above: _Keys = ()) -> Iterator[_Keys]:
    """Every key in tables within tables."""
    for key, inner in table.items():
        yield (*above, key)
        if isinstance(inner, dict):
            yield from _keys_in(inner, (*above, key))


@dataclass(frozen=True, slots=True)
class _State:
    rules: Rules
    version: str
    error: str = ""


class RulesFile:
    """The rules as the file has them now. A change that cannot be used leaves the old rules in force.

    Between `start` and `stop` (or in a `with` block) the file is watched. `on_change` is called, in the watching
    thread, after the rules or the error changed. Safe to read from any thread.
    """

    def __init__(self, path: Path, on_change: Callable[[], None] | None = None) -> None:
        """Reads the file. Raises RulesFileError when it cannot be used: there are no old rules yet."""
        self.path = path
        self._on_change = on_change
        self._lock = threading.Lock()
        self._state = _state_of(path)
        self._watch: FileWatch | None = None

    @property
    def rules(self) -> Rules:
        """The rules in force."""
        return self._state.rules

    @property
    def version(self) -> str:
        """A short hash of the file that the rules in force came from."""
        return self._state.version

    @property
    def error(self) -> str:
        """Why the file as it is now cannot be used; empty when it can."""
        return self._state.error

    def refresh(self) -> None:
        """Reads the file again, now."""
        with self._lock:
            before = self._state
            try:
                after = _state_of(self.path)
            except RulesFileError as error:
                after = _State(before.rules, before.version, str(error))
            # One assignment: a reader sees the old rules or the new ones, never a mixture.
            self._state = after
            changed = (after.version, after.error) != (before.version, before.error)
        if changed and self._on_change is not None:
            self._on_change()

    def start(self) -> None:
        """Begins to watch the file. Raises RulesFileError when the system refuses that."""
        watch = FileWatch(self.path, self.refresh)
        try:
            watch.start()
        except OSError as error:
            raise RulesFileError(f"the rules file {self.path} cannot be watched: {error.strerror}") from error
        self._watch = watch
        # What changed between reading and watching has caused no event.
        self.refresh()

    def stop(self) -> None:
        """Ends watching."""
        if self._watch is not None:
            self._watch.stop()
            self._watch = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _state_of(path: Path) -> _State:
    content = _read(path)
    return _State(parse_rules(content, path), hashlib.blake2b(content, digest_size=6).hexdigest())
