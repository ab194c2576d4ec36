"""The file of the dead-letter topics: what people say of topics whose dead letters do not say it themselves.

One table for each topic, or for a pattern of topics: where its records came from, and which headers hold the failure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from pipeline.errors import DeadLettersFileError
from pipeline.headers.values import HeadersByName, as_iso_timestamp_ms, as_text, as_timestamp_int64, as_timestamp_ms
from pipeline.orders.toml_file import Problem, WatchedFile, parse, problem_of
from pipeline.records import Failure, Headers
from pipeline.settings import Settings

_KIND = "dead-letters file"
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")
_GROUP = re.compile(r"\\(\d)")
_FIRST_TIMESTAMP_MS = 10**11
"""In 1973: a smaller number counts seconds, or is no time."""


class SaidOfTopic(BaseModel):
    """What is said of one dead-letter topic; the fields are the keys of its table."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    source: str | None = None
    """The topic that its records came from, and that replays go to where the headers name none."""
    reason_header: str | None = Field(None, min_length=1)
    error_class_header: str | None = Field(None, min_length=1)
    timestamp_header: str | None = Field(None, min_length=1)
    """When the record failed: epoch milliseconds as decimal text or as 8 bytes, or ISO 8601 with a zone."""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError(f"says nothing; its keys are {', '.join(type(self).model_fields)}")
        return self

    def completed(self, failure: Failure, headers: Headers) -> Failure:
        """The failure, with what its dialect does not tell."""
        by_name = HeadersByName(headers)
        told: dict[str, Any] = {}
        if self.source is not None and failure.source_topic is None:
            told["source_topic"] = self.source
        if self.source is not None and failure.newest_topic is None:
            told["newest_topic"] = self.source
        if self.reason_header and failure.message is None:
            told["message"] = as_text(by_name.last(self.reason_header))
        if self.error_class_header and failure.error_class is None:
            told["error_class"] = as_text(by_name.last(self.error_class_header))
        if self.timestamp_header and failure.failed_at_ms is None:
            told["failed_at_ms"] = _as_time_ms(by_name.last(self.timestamp_header))
        return failure._replace(**told)


NOTHING_SAID = SaidOfTopic.model_construct()
"""Of a topic that the file does not have."""


@dataclass(frozen=True, slots=True)
class DeadLetterTopics:
    """What the file says, by the topic's name."""

    named: Mapping[str, SaidOfTopic]
    patterns: Sequence[tuple[re.Pattern[str], SaidOfTopic]] = ()
    """In the order of the file."""
    _found: dict[str, SaidOfTopic] = field(default_factory=dict, init=False, compare=False, repr=False)
    """By topic that was asked for: a pattern is tried once, not for each of a million dead letters."""

    def of(self, topic: str) -> SaidOfTopic:
        """What is said of a dead-letter topic: under its name, else under the first pattern that fits."""
        said = self._found.get(topic)
        if said is None:
            said = self._found[topic] = self._look_up(topic)
        return said

    def _look_up(self, topic: str) -> SaidOfTopic:
        said = self.named.get(topic)
        if said is not None:
            return said
        for pattern, said in self.patterns:
            match = pattern.search(topic)
            if match is not None:
                return _with_source_of(match, said)
        return NOTHING_SAID

    def source_of(self, topic: str) -> str | None:
        """The topic that a dead-letter topic's records came from; None where the file does not say."""
        return self.of(topic).source


NOTHING = DeadLetterTopics({})


def load_dead_letter_topics(settings: Settings) -> DeadLetterTopics:
    """Reads the file, which need not be there unless it was asked for. Raises DeadLettersFileError."""
    return DeadLetterTopicsFile(settings).content


def parse_dead_letter_topics(content: bytes, path: Path) -> DeadLetterTopics:
    """What a file's content says; `path` is for the error's words. Raises DeadLettersFileError with one line."""
    return parse(content, path, _KIND, DeadLettersFileError, _topics_of)


class DeadLetterTopicsFile(WatchedFile[DeadLetterTopics]):
    """What the file says now. A change that cannot be used leaves in force what it said before."""

    kind = _KIND
    error_class = DeadLettersFileError

    def __init__(self, settings: Settings) -> None:
        self._must_be_there = "dead_letters_file" in settings.model_fields_set
        super().__init__(settings.dead_letters_file)

    def read(self) -> bytes | None:
        """The bytes; None where there is no file yet, and need not be one."""
        try:
            return super().read()
        except DeadLettersFileError as error:
            # One that was there may be on its way to another name in an editor: what it said stays in force.
            if isinstance(error.__cause__, FileNotFoundError) and not (self._must_be_there or self.was_read):
                return None
            raise

    def parse(self, content: bytes | None) -> DeadLetterTopics:
        """What the file's bytes say. Raises DeadLettersFileError."""
        return NOTHING if content is None else parse_dead_letter_topics(content, self.path)


def _topics_of(table: Mapping[str, Any]) -> tuple[DeadLetterTopics, list[Problem]]:
    named: dict[str, SaidOfTopic] = {}
    patterns: list[tuple[re.Pattern[str], SaidOfTopic]] = []
    problems: list[Problem] = []
    for topic, inner in table.items():
        if not isinstance(inner, dict):
            problems.append(Problem((topic,), ' is no table; a topic is written ["its-name"], and its keys below it'))
            continue
        try:
            said = SaidOfTopic.model_validate(inner)
        except ValidationError as error:
            found = [problem_of(each) for each in error.errors(include_url=False)]
            problems += [Problem((topic, *each.keys), each.words if each.keys else f" {each.words}") for each in found]
            continue
        if topic.startswith("^"):
            _add_pattern(topic, said, patterns, problems)
        elif not _TOPIC.fullmatch(topic):
            problems.append(Problem((topic,), " is no topic's name, and no pattern, which begins with ^"))
        elif said.source is not None and (why_not := _why_no_source(said.source, topic)):
            problems.append(Problem((topic, "source"), f": {why_not}"))
        else:
            named[topic] = said
    return DeadLetterTopics(named, tuple(patterns)), problems


def _add_pattern(
    topic: str, said: SaidOfTopic, patterns: list[tuple[re.Pattern[str], SaidOfTopic]], problems: list[Problem]
) -> None:
    try:
        pattern = re.compile(topic)
    except (re.error, RecursionError, OverflowError) as error:
        problems.append(Problem((topic,), f" is no regular expression: {error}"))
        return
    source = said.source
    if source is not None:
        groups = [int(number) for number in _GROUP.findall(source)]
        if any(not 1 <= number <= pattern.groups for number in groups):
            problems.append(Problem((topic, "source"), ": names a group that the pattern does not have"))
            return
        if why_not := _why_no_source(_GROUP.sub("x", source), topic):
            problems.append(Problem((topic, "source"), f": {why_not}"))
            return
    patterns.append((pattern, said))


def _why_no_source(source: str, topic: str) -> str:
    if not _TOPIC.fullmatch(source):
        return "is no topic's name"
    return "is the dead-letter topic itself" if source == topic else ""


def _with_source_of(match: re.Match[str], said: SaidOfTopic) -> SaidOfTopic:
    if said.source is None:
        return said
    source = _GROUP.sub(lambda group: match[int(group[1])] or "", said.source)
    # A replay that comes back into the dead-letter topic would go round for ever.
    usable = _TOPIC.fullmatch(source) is not None and source != match.string
    return said.model_copy(update={"source": source if usable else None})


def _as_time_ms(value: bytes | None) -> int | None:
    if value is not None and len(value) == 8 and not value.isdigit():
        return as_timestamp_int64(value)
    number = as_timestamp_ms(value)
    if number is not None:
        return number if number >= _FIRST_TIMESTAMP_MS else None
    return as_iso_timestamp_ms(value)
