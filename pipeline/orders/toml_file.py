"""A TOML file that people edit while roles run: read with the line of each fault, and followed whenever it changes."""

from __future__ import annotations

import hashlib
import json
import re
import threading
import tomllib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from pipeline.errors import TomlFileError

if TYPE_CHECKING:
    from pipeline.orders.file_watch import FileWatch

MAXIMUM_DEPTH = 16

Content = TypeVar("Content")
Keys = tuple[str, ...]
"""The keys that lead to a value, from the top of the file."""

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
# What may hold a bracket or a line's end without meaning it comes first: texts and comments.
_TOKEN = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}' r"|'''.*?'{3,5}" r'|"(?:\\.|[^"\\])*"' r"|'[^']*'" r"|#[^\n]*" r"|[\[\]{}\n]", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault: the keys that lead to it (none: it is between several), and the words that follow them."""

    keys: Keys
    words: str


def read_file(path: Path, kind: str, error_class: type[TomlFileError]) -> bytes:
    """The file's bytes. `kind` is what the error calls it, as in "rules file"."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise error_class(f"the {kind} {path} cannot be read: {error.strerror}") from error


def parse(
    content: bytes,
    path: Path,
    kind: str,
    error_class: type[TomlFileError],
    understand: Callable[[dict[str, Any]], tuple[Content, Sequence[Problem]]],
    maximum_depth: int = MAXIMUM_DEPTH,
) -> Content:
    """What `understand` makes of the file's table, unless it finds problems.

    `kind` and `path` are for the error's words; `maximum_depth` is how many tables and lists may hold one another.
    Raises `error_class` with one line: the file, each line and key, what is allowed.
    """
    try:
        text = content.decode("utf-8")
        # A price written as a number must not pass through a float.
        table = tomllib.loads(text, parse_float=Decimal)
    except UnicodeDecodeError as error:
        raise error_class(f"the {kind} {path} is not UTF-8 text") from error
    except tomllib.TOMLDecodeError as error:
        raise error_class(f"the {kind} {path} is not valid TOML: {error}") from error
    except RecursionError as error:
        raise error_class(f"the {kind} {path} is nested too deeply") from error
    except (ValueError, InvalidOperation) as error:
        raise error_class(f"the {kind} {path} has a number of too many digits") from error
    if _is_deeper_than(maximum_depth, table):
        raise error_class(f"the {kind} {path} is nested too deeply")
    understood, problems = understand(table)
    if problems:
        lines = _lines_of(text)
        raise error_class(f"the {kind} {path}: {'; '.join(_in_words(each, lines) for each in problems)}")
    return understood


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


def problem_of(error: Any) -> Problem:
    """What pydantic found, with the keys that lead there; of a fault in a list, those that lead to the list."""
    keys: list[str] = []
    for each in error["loc"]:
        # pydantic puts "[key]" after a table's key that is itself not allowed.
        if isinstance(each, int) or (each == "[key]" and len(keys) > 1):
            break
        keys.append(each)
    if error["type"] == "missing":
        return Problem(tuple(keys), " is missing")
    if error["type"] == "extra_forbidden":
        return Problem(tuple(keys), " is no key of this table")
    message = error["msg"].removeprefix("Value error, ")
    return Problem(tuple(keys), f": {message}" if keys else message)


def _in_words(problem: Problem, lines: Mapping[Keys, int]) -> str:
    # What is missing has no line; the table that it is missing from has one.
    line = lines.get(problem.keys) or lines.get(problem.keys[:-1])
    return f"{f'line {line}: ' if line else ''}{_dotted(problem.keys)}{problem.words}"


def _dotted(keys: Keys) -> str:
    """The keys as TOML writes them."""
    return ".".join(
        key if _BARE_KEY.fullmatch(key) else json.dumps(key, ensure_ascii=not key.isprintable()) for key in keys
    )


def _lines_of(text: str) -> dict[Keys, int]:
    """The first line of every table and key of a valid TOML text."""
    lines: dict[Keys, int] = {}
    table: Keys = ()
    for line, statement in statements_of(text):
        found = list(_keys_in(tomllib.loads(statement)))
        above = table
        if statement.lstrip().startswith("["):
            above, table = (), found[-1]
        for keys in found:
            lines.setdefault((*above, *keys), line)
    return lines


def statements_of(text: str) -> Iterator[tuple[int, str]]:
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


def _keys_in(table: Any, above: Keys = ()) -> Iterator[Keys]:
    """Every key in tables within tables."""
    for key, inner in table.items():
        yield (*above, key)
        if isinstance(inner, dict):
            yield from _keys_in(inner, (*above, key))


@dataclass(frozen=True, slots=True)
class _State(Generic[Content]):
    content: Content
    version: str
    error: str = ""


class WatchedFile(ABC, Generic[Content]):
    """What a file says now. A change that cannot be used leaves the old content in force.

    Between `start` and `stop` (or in a `with` block) the file is watched. `on_change` is called, in the watching
    thread, after the content or the error changed. Safe to read from any thread.
    """

    kind: str
    """What errors call the file."""
    error_class: type[TomlFileError]

    def __init__(self, path: Path, on_change: Callable[[], None] | None = None) -> None:
        """Reads the file. Raises `error_class` when it cannot be used: there is no old content yet."""
        self.path = path
        self._on_change = on_change
        self._lock = threading.Lock()
        self.was_read = False
        """Whether there was a file that could be used."""
        self._state = self._state_now()
        self._watch: FileWatch | None = None

    def read(self) -> bytes | None:
        """The file's bytes; None where it may be missing, and is. Raises `error_class`."""
        return read_file(self.path, self.kind, self.error_class)

    @abstractmethod
    def parse(self, content: bytes | None) -> Content:
        """What the file's bytes say. Raises `error_class`."""

    def _state_now(self) -> _State[Content]:
        content = self.read()
        parsed = self.parse(content)
        if content is None:
            return _State(parsed, "")
        self.was_read = True
        return _State(parsed, hashlib.blake2b(content, digest_size=6).hexdigest())

    @property
    def content(self) -> Content:
        """What is in force."""
        return self._state.content

    @property
    def version(self) -> str:
        """A short hash of the file that the content in force came from."""
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
                after = self._state_now()
            except TomlFileError as error:
                after = _State(before.content, before.version, str(error))
            # One assignment: a reader sees the old content or the new one, never a mixture.
            self._state = after
            changed = (after.version, after.error) != (before.version, before.error)
        if changed and self._on_change is not None:
            self._on_change()

    def start(self) -> None:
        """Begins to watch the file. Raises `error_class` when the system refuses that."""
        # A command reads its files once: it is spared what watching takes to import.
        from pipeline.orders.file_watch import FileWatch

        watch = FileWatch(self.path, self.refresh)
        try:
            watch.start()
        except OSError as error:
            raise self.error_class(f"the {self.kind} {self.path} cannot be watched: {error.strerror}") from error
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
