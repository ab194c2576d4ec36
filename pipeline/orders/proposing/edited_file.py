"""Puts a section into the text of a mapping file, and leaves all else in it as it is."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import tempfile
import tomllib
from pathlib import Path

from pipeline.errors import MappingFileError, UsageError
from pipeline.orders.mapping.mapping_file import Mapped, parse_mappings
from pipeline.orders.toml_file import Keys, statements_of

_TOPICS = "topics"
_LINE = re.compile(r"[^\n]*\n|[^\n]+")


def edited(path: Path, topic: str, section: str) -> tuple[bytes, Mapped]:
    """What the file is to hold with this section in it, and what that says. One that is not there yet is empty.

    Raises MappingFileError where that would be no mapping file, and UsageError as `with_section`.
    """
    try:
        before = path.read_bytes()
    except FileNotFoundError:
        before = b""
    except OSError as error:
        raise MappingFileError(f"the mapping file {path} cannot be read: {error.strerror}") from error
    # Found good before it is taken apart.
    parse_mappings(before, path)
    content = with_section(before.decode(), topic, section).encode()
    return content, parse_mappings(content, path)


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file so that nobody ever reads half of it. Raises MappingFileError.

    Where the file is mounted alone into a container, it cannot be replaced and is written in its place.
    """
    target = path.resolve()
    try:
        _replace(target, content)
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise MappingFileError(f"the mapping file {path} cannot be written: {error.strerror}") from error
        try:
            target.write_bytes(content)
        except OSError as failed:
            raise MappingFileError(f"the mapping file {path} cannot be written: {failed.strerror}") from failed


def _replace(target: Path, content: bytes) -> None:
    handle, name = tempfile.mkstemp(prefix=f".{target.name}-", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, target.stat().st_mode & 0o7777 if target.exists() else 0o644)
        os.replace(name, target)
    finally:
        # It is gone where it has taken the other one's place.
        with contextlib.suppress(OSError):
            os.unlink(name)


def with_section(text: str, topic: str, section: str) -> str:
    """A valid file's text with this section of a topic: in the place of the one that is there, else at the end.

    Comments within the section go with it; those above it and above the next one stay.
    Raises UsageError where the file has the topic in a form that is not to be replaced by lines.
    """
    lines = _LINE.findall(text)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    own = _lines_of(text, topic)
    if own is None:
        before = "".join(lines).rstrip("\n")
        return f"{before}\n\n{section}" if before else section
    begin, end = own
    return "".join([*lines[:begin], section, *lines[end:]])


def _lines_of(text: str, topic: str) -> tuple[int, int] | None:
    """The lines of a topic's section, from its header up to its last statement; None where it has none."""
    begin: int | None = None
    end = 0
    table: Keys = ()
    for line, statement in statements_of(text):
        first = line - 1
        stripped = statement.strip()
        if not stripped or stripped.startswith("#"):
            continue
        if stripped.startswith("["):
            table = _header_keys(statement)
            if table[:2] == (_TOPICS, topic):
                if begin is not None and end < first and _has_statement_between(text, end, first):
                    raise UsageError(f"the section of {topic} is in several places of the file; edit it by hand")
                begin = first if begin is None else begin
        elif table[:2] != (_TOPICS, topic) and _names(table, statement, topic):
            raise UsageError(f"line {line} of the file has {topic} within another table; edit it by hand")
        if table[:2] == (_TOPICS, topic):
            end = first + statement.rstrip("\n").count("\n") + 1
    return None if begin is None else (begin, end)


def _has_statement_between(text: str, end: int, first: int) -> bool:
    return any(
        end <= line - 1 < first and statement.strip() and not statement.strip().startswith("#")
        for line, statement in statements_of(text)
    )


def _header_keys(statement: str) -> Keys:
    keys: list[str] = []
    table = tomllib.loads(statement)
    while table:
        (key, table) = next(iter(table.items()))
        keys.append(key)
        if isinstance(table, list):
            break
    return tuple(keys)


def _names(table: Keys, statement: str, topic: str) -> bool:
    """Whether a statement outside of the topic's own table says something of it."""
    found = tomllib.loads(statement)
    for key in reversed(table):
        found = {key: found}
    topics = found.get(_TOPICS)
    return isinstance(topics, dict) and topic in topics
