"""The mapping file: TOML in, recipes by topic out, or an error that names file, line and key."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from pipeline.errors import MappingFileError
from pipeline.orders.avro import UnresolvableError
from pipeline.orders.avro_schemas import WriterSchema
from pipeline.orders.avro_schemas import parse as parse_avro_schema
from pipeline.orders.mapping.recipe import Recipe, compile_section
from pipeline.orders.mapping.sections import (
    REQUIRED,
    SECTION_KEYS,
    AmountRule,
    Labels,
    Mappings,
    Part,
    Section,
    currencies_named,
    section_of,
    section_parts,
)
from pipeline.orders.mapping.values import ValueMismatchError
from pipeline.orders.toml_file import Keys, Problem, WatchedFile, parse, problem_of
from pipeline.settings import Settings

if TYPE_CHECKING:
    from pipeline.orders.formats.protobuf_values import MessageTypes

_KIND = "mapping file"
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")


@dataclass(frozen=True, slots=True)
class Mapped:
    """What the file says, and the recipe of each section, by its topic or pattern."""

    mappings: Mappings
    recipes: Mapping[str, Recipe]
    schema_files: Mapping[str, MessageTypes | WriterSchema] = field(default_factory=dict)
    """By the name of the file as sections have it."""
    _found: dict[str, Recipe | None] = field(default_factory=dict, init=False, compare=False, repr=False)
    """By topic that was asked for."""

    @property
    def float_topics(self) -> list[str]:
        """The topics and patterns whose amounts may be floats, which are rounded: their sections say so."""
        prices = ((topic, section.fields["price"]) for topic, section in self.mappings.sections.items())
        return [topic for topic, price in prices if isinstance(price, AmountRule) and price.float_allowed]

    def recipe(self, topic: str) -> Recipe | None:
        """The recipe of a topic: under its name, else of the first pattern that fits; None: it has no section."""
        if topic not in self._found:
            patterns = (each for each in self.recipes if each.startswith("^") and re.search(each, topic))
            self._found[topic] = self.recipes.get(topic) or self.recipes.get(next(patterns, ""))
        return self._found[topic]


DEFAULT = Mapped(Mappings(), {})
"""Without a file: topics hold `Order` as it is in the schemas folder."""


def parse_mappings(content: bytes, path: Path) -> Mapped:
    """What a file's content says; `path` is for the error's words. Raises MappingFileError with one line."""
    return parse(content, path, _KIND, MappingFileError, partial(_mapped, folder=path.parent))


def _mapped(table: dict[str, Any], folder: Path) -> tuple[Mapped, Sequence[Problem]]:
    problems = [
        Problem((key,), " is no table of this file; there are topics and labels")
        for key in table
        if key not in ("topics", "labels")
    ]
    labels = _checked(Part("labels", Labels, table.get("labels", {})), (), problems)
    topics = table.get("topics", {})
    if not isinstance(topics, dict):
        problems.append(Problem(("topics",), ': must be tables such as [topics."shop.orders"]'))
        topics = {}
    sections = {
        topic: section for topic, inner in topics.items() if (section := _section(topic, inner, problems)) is not None
    }
    codes = currencies_named(list(sections.values()))
    if len(codes) > 1:
        problems.append(
            Problem(("topics",), f": one buffer sums one currency, and there are {', '.join(sorted(codes))}")
        )
    if problems:
        return DEFAULT, problems
    mappings = Mappings(sections, labels or Labels())
    recipes = {topic: _recipe(topic, section, mappings, problems) for topic, section in sections.items()}
    schema_files = _schema_files(sections, folder, problems)
    found = {topic: recipe for topic, recipe in recipes.items() if recipe is not None}
    return Mapped(mappings, found, schema_files), problems


def _section(topic: str, table: Any, problems: list[Problem]) -> Section | None:
    above = ("topics", topic)
    if not isinstance(table, dict):
        problems.append(Problem(above, ": must be a table"))
        return None
    before = len(problems)
    if topic.startswith("^"):
        problems += _pattern_problems(topic)
    elif not _TOPIC.fullmatch(topic):
        problems.append(Problem(above, " is no topic's name, and no pattern, which begins with ^"))
    problems += [
        Problem((*above, key), f" is no key of a topic; there are {', '.join(SECTION_KEYS)}")
        for key in table
        if key not in SECTION_KEYS
    ]
    problems += [Problem((*above, key), " is missing") for key in REQUIRED if key not in table]
    found = {part.key: _checked(part, above, problems) for part in section_parts(table)}
    if len(problems) > before:
        return None
    own = found.pop("")
    assert own is not None
    return section_of(own, found)


def _pattern_problems(pattern: str) -> list[Problem]:
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        return [Problem(("topics", pattern), f" is no pattern: {error}")]
    return []


def _checked(part: Part, above: Keys, problems: list[Problem]) -> Any:
    """The part as its model has it; None when it has problems."""
    keys = (*above, part.key) if part.key else above
    try:
        return part.model.model_validate(part.value)
    except ValidationError as error:
        for each in map(problem_of, error.errors(include_url=False)):
            # What was written in short has no key of its own.
            inner = each.keys[1:] if part.short_for and each.keys[:1] == (part.short_for,) else each.keys
            problems.append(Problem((*keys, *inner), each.words if each.keys else f": {each.words}"))
        return None


def _recipe(topic: str, section: Section, mappings: Mappings, problems: list[Problem]) -> Recipe | None:
    try:
        return compile_section(section, mappings.currency)
    except ValueMismatchError as error:
        problems.append(Problem(("topics", topic), f": a constant or a default is {error}"))
    except ValueError as error:
        problems.append(Problem(("topics", topic), f": {error}"))
    return None


def _schema_files(
    sections: Mapping[str, Section], folder: Path, problems: list[Problem]
) -> dict[str, MessageTypes | WriterSchema]:
    """What the files say that sections name, by the name there, which goes from the mapping file's folder."""
    found: dict[str, MessageTypes | WriterSchema] = {}
    for topic, section in sections.items():
        if not section.schema_file:
            continue
        key = ("topics", topic, "descriptor" if section.descriptor else "avro_schema")
        try:
            found[section.schema_file] = _read_schema_file(folder / section.schema_file, section)
        except OSError as error:
            problems.append(Problem(key, f": {folder / section.schema_file} cannot be read: {error.strerror}"))
        except (ValueError, UnresolvableError) as error:
            problems.append(Problem(key, f": {error}"))
    return found


def _read_schema_file(path: Path, section: Section) -> MessageTypes | WriterSchema:
    """Raises OSError, ValueError or UnresolvableError."""
    content = path.read_bytes()
    if section.avro_schema:
        return parse_avro_schema(content.decode())
    # Only where one is named: the library takes its time to be imported.
    from pipeline.orders.formats.protobuf_values import read_descriptor_set

    types = read_descriptor_set(content)
    types.named(section.message)
    return types


def load_mappings(settings: Settings) -> Mapped:
    """Reads the file, which need not be there unless it was asked for. Raises MappingFileError."""
    return MappingFile(settings).content


class MappingFile(WatchedFile[Mapped]):
    """The mapping as the file has it now. A change that cannot be used leaves the mapping before in force."""

    kind = _KIND
    error_class = MappingFileError

    def __init__(self, settings: Settings, on_change: Callable[[], None] | None = None) -> None:
        """Reads the file, which need not be there unless it was asked for. Raises MappingFileError."""
        self._must_be_there = "mapping_file" in settings.model_fields_set
        super().__init__(settings.mapping_file, on_change)

    def read(self) -> bytes | None:
        """The file's bytes; None where there is no file yet, and need not be one."""
        try:
            return super().read()
        except MappingFileError as error:
            # One that was there may be on its way to another name in an editor: what it said stays in force.
            if isinstance(error.__cause__, FileNotFoundError) and not (self._must_be_there or self.was_read):
                return None
            raise

    def parse(self, content: bytes | None) -> Mapped:
        """What the file's bytes say. Raises MappingFileError."""
        return DEFAULT if content is None else parse_mappings(content, self.path)
