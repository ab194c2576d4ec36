"""What the mapping file may say: one section a topic, and how pages call the fields."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, NamedTuple, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, create_model, field_validator, model_validator

from pipeline.orders.fields import ORDER_FIELDS
from pipeline.orders.mapping.amounts import AmountExpression, parse_amount
from pipeline.orders.mapping.conditions import parse_condition
from pipeline.orders.mapping.currency import MAXIMUM_DIGITS, digits_of
from pipeline.orders.mapping.paths import Path
from pipeline.orders.mapping.sources import Source, parse_source
from pipeline.orders.mapping.values import TIME_UNITS
from pipeline.records import Currency, OrderField

_STRICT = ConfigDict(extra="forbid", frozen=True, strict=True, arbitrary_types_allowed=True)
FORMATS = ("json", "avro", "protobuf")
REQUIRED = tuple(each.avro_name for each in ORDER_FIELDS if each.default is None)


def _sources(value: Any) -> tuple[Source, ...]:
    texts = value if isinstance(value, list) else [value]
    if not texts or not all(isinstance(each, str) for each in texts):
        raise ValueError("must be a path, or a list of paths of which the first counts that is there")
    return tuple(map(parse_source, texts))


def _expressions(value: Any) -> tuple[AmountExpression, ...]:
    texts = value if isinstance(value, list) else [value]
    if not texts or not all(isinstance(each, str) for each in texts):
        raise ValueError("must be a path or sum(…), or a list of which the first counts that is there")
    return tuple(map(parse_amount, texts))


def _zone(value: Any) -> ZoneInfo:
    try:
        return ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, TypeError, OSError) as error:
        raise ValueError('must be a time zone such as "Europe/Berlin"') from error


class _FieldRule(BaseModel):
    model_config = _STRICT

    @model_validator(mode="after")
    def _says_where_from(self) -> Self:
        if "path" in self.model_fields_set and "constant" in self.model_fields_set:
            raise ValueError("has both path and constant; one of them says where the value comes from")
        if not self.model_fields_set & {"path", "constant"}:
            raise ValueError("needs path or constant")
        return self


class TextRule(_FieldRule):
    """Where a text comes from. `line`: of a path with [], which line's text it is."""

    path: Annotated[tuple[Source, ...], BeforeValidator(_sources)] = ()
    constant: str | None = None
    default: str | None = None
    line: Literal["first", "dearest"] = "first"
    by: Annotated[AmountExpression | None, BeforeValidator(parse_amount)] = None
    """What the dearest line is told by; the amount that `price` adds up where it is not said."""


class AmountRule(_FieldRule):
    """Where an amount comes from, and what its numbers count."""

    path: Annotated[tuple[AmountExpression, ...], BeforeValidator(_expressions)] = ()
    constant: str | None = None
    default: str | None = None
    unit: Literal["major", "minor"] = "major"
    float_allowed: bool = Field(False, alias="float")
    base64_scale: int | None = Field(None, ge=0, le=64)
    """Texts are base64 of an unscaled number with so many digits after the point, as Connect writes decimals."""


class TimeRule(_FieldRule):
    """Where a time comes from. `unit` is that of plain numbers; `zone` is where times without a zone were taken."""

    path: Annotated[tuple[Source, ...], BeforeValidator(_sources)] = ()
    constant: str | None = None
    default: str | None = None
    unit: Literal["s", "ms", "us", "ns"] = "ms"
    zone: Annotated[ZoneInfo | None, BeforeValidator(_zone)] = None
    append_time: bool = False
    """Whether `timestamp` may be when the broker wrote the record (LogAppendTime)."""


class CurrencyRule(BaseModel):
    """The currency of the amounts, and where a record says its own: one that says another is a dead letter."""

    model_config = _STRICT

    code: str
    path: Annotated[tuple[Source, ...], BeforeValidator(_sources)] = ()

    @field_validator("code")
    @classmethod
    def _three_letters(cls, value: str) -> str:
        if not re.fullmatch(r"[A-Z][A-Z0-9]{2,7}", value):
            raise ValueError('must be a currency\'s code such as "EUR"')
        return value


assert set(TIME_UNITS) == {"s", "ms", "us", "ns"}

FieldRule = TextRule | AmountRule | TimeRule
RULE_OF_KIND: Mapping[str, type[FieldRule]] = {"text": TextRule, "cents": AmountRule, "millis": TimeRule}


def _as_rule(value: Any) -> Any:
    """A bare path, or a list of them, is short for a table with that path."""
    return value if isinstance(value, dict) else {"path": value}


def _condition(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("must be a condition in quotes")
    parse_condition(value, _checked)
    return value


def _checked(source: Source) -> Any:
    if isinstance(source, Path) and source.has_each:
        raise ValueError(f"{source} goes through a list; a condition looks at one value")
    return lambda parts: None


@dataclass(frozen=True, slots=True)
class Section:
    """How the records of one topic become orders."""

    fields: Mapping[str, FieldRule]
    """By the name of the field in the file. One that has a default may be missing."""
    where: str = ""
    currency: CurrencyRule | None = None
    format: str = ""
    """What the values are where their bytes do not tell; empty: they do."""
    descriptor: str = ""
    """A descriptor set file: the values are Protobuf without a framing, the message that `message` names."""
    message: str = ""
    avro_schema: str = ""
    """A schema's file: the values are Avro without a framing."""

    @property
    def schema_file(self) -> str:
        """The file that says what values without a framing are, as the section names it."""
        return self.descriptor or self.avro_schema


class _SectionModel(BaseModel):
    """A section's table. The fields of an order are checked each by its own rule, see `section_of`."""

    model_config = _STRICT

    where: Annotated[str, BeforeValidator(_condition)] = ""
    currency: Annotated[CurrencyRule | None, BeforeValidator(lambda value: _as_code(value))] = None
    format: Literal["", "json", "avro", "protobuf"] = ""
    descriptor: str = ""
    message: str = ""
    avro_schema: str = ""

    @model_validator(mode="after")
    def _format_and_its_file(self) -> Self:
        if bool(self.descriptor) != bool(self.message):
            raise ValueError("needs both descriptor and message: the file, and the message in it that the records are")
        if self.descriptor and self.avro_schema:
            raise ValueError("has both descriptor, which is Protobuf's, and avro_schema")
        of_file = "protobuf" if self.descriptor else "avro" if self.avro_schema else ""
        if of_file and self.format not in ("", of_file):
            raise ValueError(f"has a file of {of_file} and format {self.format}")
        if self.format in ("avro", "protobuf") and not of_file:
            wanted = "avro_schema" if self.format == "avro" else "descriptor and message"
            raise ValueError(f"has format {self.format}, which needs {wanted}; a framing tells the format by itself")
        return self


def _as_code(value: Any) -> Any:
    return value if isinstance(value, dict) else {"code": value}


SECTION_KEYS = (*(each.avro_name for each in ORDER_FIELDS), *_SectionModel.model_fields)


class Part(NamedTuple):
    """A part of a section's table, and the model that it must keep. `key` is empty for the section's own part."""

    key: str
    model: type[BaseModel]
    value: Any
    short_for: str = ""
    """The key that the value stands for, where it was written without a table."""


def section_parts(table: Mapping[str, Any]) -> list[Part]:
    """What a section's table is made of."""
    own = {key: value for key, value in table.items() if key in _SectionModel.model_fields}
    parts = [Part("", _SectionModel, own)]
    for each in ORDER_FIELDS:
        if each.avro_name in table:
            value = table[each.avro_name]
            short_for = "" if isinstance(value, dict) else "path"
            parts.append(Part(each.avro_name, RULE_OF_KIND[each.kind], _as_rule(value), short_for))
    return parts


def section_of(own: BaseModel, fields: Mapping[str, Any]) -> Section:
    """The section of its parts, each of which was found good."""
    assert isinstance(own, _SectionModel)
    return Section(dict(fields), own.where, own.currency, own.format, own.descriptor, own.message, own.avro_schema)


_Label = Annotated[str, Field(min_length=1, max_length=40)]


class _CurrencyLabels(BaseModel):
    model_config = _STRICT

    currency_symbol: str = Field("", max_length=8)
    currency_digits: int | None = Field(None, ge=0, le=MAXIMUM_DIGITS)


_LABELS: dict[str, Any] = {each.avro_name: (_Label, each.label) for each in ORDER_FIELDS}


class Labels(create_model("_FieldLabels", __base__=_CurrencyLabels, **_LABELS)):  # type: ignore[misc] # made when it runs
    """How pages, charts and exports call the fields of an order, and how they show amounts."""

    def of(self, field: OrderField) -> str:
        """What a field is called."""
        return str(getattr(self, field.avro_name))

    def said(self) -> dict[str, str]:
        """What the file itself calls fields, by their names in it; those that it does not name are left out."""
        return {each.avro_name: self.of(each) for each in ORDER_FIELDS if each.avro_name in self.model_fields_set}


@dataclass(frozen=True, slots=True)
class Mappings:
    """What the whole file says."""

    sections: Mapping[str, Section] = field(default_factory=dict)
    """By topic."""
    labels: Labels = field(default_factory=Labels)

    @property
    def currency(self) -> Currency:
        """The one currency of all sections; of no code where none names it."""
        codes = [each.currency.code for each in self.sections.values() if each.currency is not None]
        code = codes[0] if codes else ""
        digits = self.labels.currency_digits
        return Currency(code, digits_of(code) if digits is None else digits, self.labels.currency_symbol)


def currencies_named(sections: Sequence[Section]) -> set[str]:
    """The codes of all sections that name one."""
    return {each.currency.code for each in sections if each.currency is not None}
