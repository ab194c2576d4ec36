"""What is proposed for one key of a section, and how a proposal is tried on the sample it was made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from pipeline.errors import UndecodableError
from pipeline.orders.fields import ORDER_FIELDS
from pipeline.orders.mapping.paths import Path, look_up
from pipeline.orders.mapping.recipe import compile_section
from pipeline.orders.mapping.sections import RULE_OF_KIND, Section
from pipeline.orders.mapping.sources import Parts
from pipeline.orders.mapping.values import ValueMismatchError
from pipeline.orders.proposing.sample import Sample, SampleRecord, Seen
from pipeline.records import Currency

FILL_IN = "FILL_IN"
"""Stands where nothing could be guessed that would be worth a try: no record has it, so none becomes an order."""
SHOWN_OTHERS = 4


@dataclass(frozen=True, slots=True)
class Guess:
    """A key of a section, its value as TOML has it, why, and what else it might be, the likeliest first."""

    key: str
    value: Any
    why: str
    others: tuple[str, ...] = ()

    @property
    def is_open(self) -> bool:
        """Whether somebody has to say it."""
        return bool(self.value == FILL_IN)

    @property
    def comment(self) -> str:
        """Why, and what else it might be, in words."""
        others = ", ".join(self.others[:SHOWN_OTHERS])
        return f"{self.key}: {self.why}" + (f"; else: {others}" if others else "")


@dataclass(frozen=True, slots=True)
class Tried:
    """What a field would be in some records: its values, and how many records do not have it or hold something else."""

    values: Mapping[int, Any]
    missing: frozenset[int]
    refused: frozenset[int]

    @property
    def share(self) -> float:
        """How many have it, of all."""
        every = len(self.values) + len(self.missing) + len(self.refused)
        return len(self.values) / every if every else 0.0

    @property
    def distinct(self) -> float:
        """How many different values there are, for each that is there."""
        return len(set(self.values.values())) / len(self.values) if self.values else 0.0


_KIND_OF = {each.avro_name: each.kind for each in ORDER_FIELDS}
NOTHING_TRIED = Tried({}, frozenset(), frozenset())


def tried(
    sample: Sample, among: Iterable[int], key: str, table: Mapping[str, Any], currency: Currency | None = None
) -> Tried:
    """Makes a field of an order of these records, as the mapping would."""
    try:
        rule = RULE_OF_KIND[_KIND_OF[key]].model_validate(dict(table))
        recipe = compile_section(Section({key: rule}), currency or Currency())
    except (ValidationError, ValueError):
        return NOTHING_TRIED
    field = next(each for each in recipe.fields if each.field.avro_name == key)
    values: dict[int, Any] = {}
    missing, refused = set[int](), set[int]()
    for number in among:
        try:
            found = field.make(parts_of(sample.records[number], recipe.paths))
        except UndecodableError as error:
            (missing if " missing; expected" in error.reason else refused).add(number)
            continue
        if found == "":
            missing.add(number)
        else:
            values[number] = found
    return Tried(values, frozenset(missing), frozenset(refused))


def parts_of(each: SampleRecord, paths: Sequence[Path]) -> Parts:
    """A record of the sample, as recipes take it."""
    record = each.record
    found = [_looked_up(each.value, path) for path in paths]
    return Parts(found, record.key, record.headers, record.timestamp_ms, record.append_time)


def _looked_up(value: Any, path: Path) -> Any:
    try:
        return look_up(value, path)
    except ValueMismatchError as error:
        return error


def share_words(count: int, of: int) -> str:
    """How many of all, in words."""
    return f"all {of}" if count == of else f"{count} of {of}"


def kinds_of(values: Iterable[Any]) -> str:
    """What values are, in words."""
    names = {str: "text", bool: "true or false", int: "number", float: "binary floating-point number", bytes: "bytes"}
    found = {
        names.get(
            type(each),
            {"JsonNumber": "number", "Instant": "time", "Decimal": "decimal"}.get(type(each).__name__, "object"),
        )
        for each in values
    }
    return " or ".join(sorted(found))


def has_each(seen: Seen) -> bool:
    """Whether it goes through a list."""
    return isinstance(seen.source, Path) and seen.source.has_each
