"""A section of the mapping file, compiled once: which paths it needs, and how an order is made of what they lead to.

`Recipe.order` makes one order and says of a record what is wrong with it. `Recipe.columns` makes many at once, of those
that are plain; it declines the others, and what it does not decline is the same order as the first one makes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from pipeline.errors import UndecodableError
from pipeline.orders.fields import ORDER_FIELDS
from pipeline.orders.mapping.amounts import AmountExpression, product, products_of_lines
from pipeline.orders.mapping.conditions import Condition, parse_condition
from pipeline.orders.mapping.currency import is_code
from pipeline.orders.mapping.paths import Path
from pipeline.orders.mapping.sections import (
    AmountRule,
    CurrencyRule,
    FieldRule,
    Section,
    TextRule,
    TimeRule,
)
from pipeline.orders.mapping.sources import (
    KEY,
    TIMESTAMP,
    HeaderSource,
    Parts,
    RecordSource,
    Source,
    header_text,
    key_text,
)
from pipeline.orders.mapping.values import (
    Amounts,
    Instant,
    JsonNumber,
    Times,
    ValueMismatchError,
    described,
    is_money,
    scaled_decimal,
    text_of,
    unscaled_base64,
)
from pipeline.records import Currency, Order, OrderField, PassedOver

RULE = "mapping"
"""How dead letters name what the mapping file asks for."""
PASSED_OVER = PassedOver("the mapping's `where` says that it is no order")

_NANO = Decimal("1e-9")
_PARTS = ("units", "nanos")

Get = Callable[[Parts], Any]
"""A value of a record, None when it is not there. Raises ValueMismatchError."""
Make = Callable[[Parts], Any]
"""A field of the order. Raises UndecodableError."""


@dataclass(frozen=True, slots=True)
class FieldRecipe:
    """How one field of an order is made."""

    field: OrderField
    make: Make
    slot: int | None
    """The one path whose value it is, where it needs nothing else, so that many can be converted at once."""
    convert: Callable[[Any], Any]
    fallback: Any = None
    """What the field is where there is no value."""
    is_constant: bool = False
    """Whether it is the same in all orders: the fallback."""
    plain: Amounts | Times | None = None
    """What makes the field of a plain number, text or time, where nothing else is done with it."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What is read of a topic's records (`paths`), and what is made of it."""

    section: Section
    currency: Currency
    paths: tuple[Path, ...]
    fields: tuple[FieldRecipe, ...]
    condition: Condition | None
    check_currency: Callable[[Parts], None] | None

    def order(self, parts: Parts) -> Order | PassedOver:
        """The order that a record is. Raises UndecodableError naming path, expected and found."""
        if (passed_over := self.passed_over(parts)) is not None:
            return passed_over
        values = [each.make(parts) for each in self.fields]
        if self.check_currency is not None:
            self.check_currency(parts)
        return Order(*values)

    def passed_over(self, parts: Parts) -> PassedOver | None:
        """Why a record is no order by the mapping's `where`; None: it is one. Raises UndecodableError."""
        if self.condition is None:
            return None
        try:
            return None if self.condition(parts) else PASSED_OVER
        except ValueMismatchError as error:
            raise UndecodableError(f"where: {error}", RULE) from error

    @property
    def looks_at_headers_only(self) -> bool:
        """Whether `where` can be answered without reading the value."""
        return self.condition is not None and not _condition_paths(self.section)


def compile_section(section: Section, currency: Currency) -> Recipe:
    """The recipe of a section that was found good."""
    return _Compiler(section, currency).recipe()


class _Compiler:
    """Collects the paths, each once, while it makes the parts of a recipe."""

    def __init__(self, section: Section, currency: Currency) -> None:
        self._section = section
        self._currency = currency
        self._slots: dict[Path, int] = {}

    def recipe(self) -> Recipe:
        section = self._section
        condition = parse_condition(section.where, self._get) if section.where else None
        fields = tuple(self._field(each) for each in ORDER_FIELDS)
        check = self._currency_check(section.currency) if section.currency and section.currency.path else None
        return Recipe(section, self._currency, tuple(self._slots), fields, condition, check)

    def _slot(self, path: Path) -> int:
        return self._slots.setdefault(path, len(self._slots))

    def _get(self, source: Source) -> Get:
        if isinstance(source, Path):
            slot = self._slot(source)
            return lambda parts: _raised(parts.values[slot])
        if isinstance(source, HeaderSource):
            name = source.name
            return lambda parts: header_text(parts.headers, name)
        if source.name == KEY:
            return lambda parts: key_text(parts.key)
        return lambda parts: None if parts.timestamp_ms < 0 else Instant(parts.timestamp_ms, 1000)

    # -- fields

    def _field(self, field: OrderField) -> FieldRecipe:
        rule = self._section.fields.get(field.avro_name)
        if rule is None:
            return _constant(field, field.default)
        convert, wanted = _conversion(rule, self._currency)
        fallback = None if rule.default is None else convert_told(rule, rule.default, self._currency)
        if rule.constant is not None:
            return _constant(field, convert_told(rule, rule.constant, self._currency))
        gets = [self._candidate(each, rule) for each in rule.path]
        make = _first_of(field, gets, list(map(str, rule.path)), convert, wanted, fallback)
        plain = _plain_conversion(rule, self._currency)
        return FieldRecipe(field, make, self._only_slot(rule), convert, fallback, plain=plain)

    def _only_slot(self, rule: FieldRule) -> int | None:
        if len(rule.path) != 1:
            return None
        (source,) = rule.path
        if isinstance(source, AmountExpression):
            (source, *others) = source.factors
            if others:
                return None
        return self._slot(source) if isinstance(source, Path) and not source.has_each else None

    def _candidate(self, source: Source | AmountExpression, rule: FieldRule) -> Get:
        if isinstance(source, AmountExpression):
            assert isinstance(rule, AmountRule)
            return self._amount(source, _amounts(rule, self._currency), _plain_value(rule, self._currency))
        if isinstance(rule, TimeRule) and source == RecordSource(TIMESTAMP) and not rule.append_time:
            return _not_when_appended(self._get(source))
        if isinstance(source, Path) and source.has_each:
            return self._line(source, rule)
        return self._get(source)

    def _amount(self, expression: AmountExpression, amounts: Amounts, plain: Callable[[Any], Any]) -> Get:
        gets = [self._get(each) for each in expression.factors]
        if expression.is_sum:
            return lambda parts: _total(_lines(gets, parts, plain), amounts, expression)
        if len(gets) == 1:
            return gets[0]
        return lambda parts: product([plain(get(parts)) for get in gets], amounts)

    def _line(self, path: Path, rule: FieldRule) -> Get:
        get = self._get(path)
        if not isinstance(rule, TextRule) or rule.line == "first":
            return lambda parts: _first(get(parts))
        price = self._section.fields.get("price")
        summed = _summed(price)
        by = rule.by or summed
        if by is None or not by.is_sum:
            raise ValueError('line = "dearest" needs `by`, such as by = "sum(lines[].price)"')
        if not by.goes_through(path.list_steps):
            raise ValueError(f'line = "dearest" needs `by`: {by} adds up another list than that of {path}')
        # Amounts of lines are written as the price is, whichever of them it adds up.
        plain = _plain_value(price, self._currency) if isinstance(price, AmountRule) else lambda value: value
        gets = [self._get(each) for each in by.factors]

        def dearest(parts: Parts) -> Any:
            texts = get(parts)
            try:
                return _dearest(texts, _lines(gets, parts, plain), by)
            except ValueMismatchError as error:
                if by != summed:
                    raise
                # It is the price that is wrong, though the product is what looks at it first.
                raise UndecodableError(f"{_in_words(str(by), 'an amount', error)} (price)", RULE) from error

        return dearest

    # -- currency

    def _currency_check(self, rule: CurrencyRule) -> Callable[[Parts], None]:
        gets = [(str(source), self._get(source)) for source in rule.path]

        def check(parts: Parts) -> None:
            for name, get in gets:
                found = _got(name, "a currency's code", get, parts)
                if found is None or found == []:
                    continue
                for each in found if isinstance(found, list) else [found]:
                    if not is_code(each, rule.code):
                        raise UndecodableError(f"{name} is {described(each)}; expected {rule.code}", RULE)
                return
            raise UndecodableError(f"{' and '.join(name for name, _ in gets)} is missing; expected {rule.code}", RULE)

        return check


def _summed(price: FieldRule | None) -> AmountExpression | None:
    """What the price adds up, if it does."""
    found = price.path if isinstance(price, AmountRule) else ()
    return next((each for each in found if each.is_sum), None)


def _condition_paths(section: Section) -> list[Path]:
    found: list[Path] = []

    def note(source: Source) -> Get:
        if isinstance(source, Path):
            found.append(source)
        return lambda parts: None

    parse_condition(section.where, note)
    return found


def _raised(value: Any) -> Any:
    """A slot's value; where looking it up has failed, the slot holds why."""
    if isinstance(value, ValueMismatchError):
        raise value
    return value


def _got(name: str, wanted: str, get: Get, parts: Parts) -> Any:
    try:
        return get(parts)
    except ValueMismatchError as error:
        raise UndecodableError(_in_words(name, wanted, error), RULE) from error


def _in_words(name: str, wanted: str, error: ValueMismatchError) -> str:
    # What stands in the way of a path says for itself what was expected there.
    return str(error) if "; expected" in str(error) else f"{name} is {error}; expected {wanted}"


# ---- one field


def _constant(field: OrderField, value: Any) -> FieldRecipe:
    return FieldRecipe(field, lambda parts: value, None, lambda found: found, value, is_constant=True)


def _first_of(
    field: OrderField,
    gets: Sequence[Get],
    names: Sequence[str],
    convert: Callable[[Any], Any],
    wanted: str,
    fallback: Any,
) -> Make:
    def make(parts: Parts) -> Any:
        for name, get in zip(names, gets, strict=True):
            try:
                found = get(parts)
                if found is not None:
                    return convert(found)
            except ValueMismatchError as error:
                raise UndecodableError(f"{_in_words(name, wanted, error)} ({field.avro_name})", RULE) from error
        if fallback is None:
            missing = " and ".join(names)
            verb = "are" if len(names) > 1 else "is"
            raise UndecodableError(f"{missing} {verb} missing; expected {wanted} ({field.avro_name})", RULE)
        return fallback

    return make


def _conversion(rule: FieldRule, currency: Currency) -> tuple[Callable[[Any], Any], str]:
    """How a value becomes the field, and what is expected of it, in words."""
    if isinstance(rule, TextRule):
        return text_of, "a text or a number"
    if isinstance(rule, TimeRule):
        return Times(rule.unit, rule.zone).millis, "a time"
    amounts, plain = _amounts(rule, currency), _plain_value(rule, currency)
    wanted = f"an amount of {currency.code}" if currency.code else "an amount"
    return lambda value: amounts.minor_units(plain(value)), wanted


def _plain_conversion(rule: FieldRule, currency: Currency) -> Amounts | Times | None:
    if isinstance(rule, TimeRule):
        return Times(rule.unit, rule.zone)
    return _amounts(rule, currency) if isinstance(rule, AmountRule) and rule.base64_scale is None else None


def convert_told(rule: FieldRule, text: str, currency: Currency) -> Any:
    """A constant or a default of the file as the field. Raises ValueMismatchError."""
    # Amounts are written as people write them, whatever unit records have.
    known = replace(_amounts(rule, currency), minor=False).minor_units if isinstance(rule, AmountRule) else None
    return known(text) if known else _conversion(rule, currency)[0](text)


def _amounts(rule: AmountRule, currency: Currency) -> Amounts:
    return Amounts(currency.digits, rule.unit == "minor", rule.float_allowed)


def _plain_value(rule: AmountRule, currency: Currency) -> Callable[[Any], Any]:
    """Makes numbers of the records and texts that formats write numbers as; leaves any other value as it is."""
    scale = rule.base64_scale

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return _of_money(scaled_decimal(value), currency)
        is_text = isinstance(value, str) and not isinstance(value, JsonNumber)
        return unscaled_base64(value, scale) if scale is not None and is_text else value

    return plain


def _of_money(value: Any, currency: Currency) -> Any:
    """Google's Money as a number; any other value as it is."""
    if not is_money(value):
        return value
    code = value.get("currency_code") or value.get("currencyCode") or ""
    if currency.code and code and not is_code(code, currency.code):
        raise ValueMismatchError(f"an amount of another currency, {described(code)}")
    known = Amounts()
    units, nanos = (known.exact(value[part]) if value.get(part) is not None else Decimal(0) for part in _PARTS)
    return known.plus(units, known.times(nanos, _NANO))


# ---- lines


def _first(lines: Any) -> Any:
    return lines[0] if lines else None


def _lines(gets: Sequence[Get], parts: Parts, plain: Callable[[Any], Any]) -> list[list[Any]] | None:
    columns = [get(parts) for get in gets]
    return None if None in columns else [[plain(each) for each in column] for column in columns]


def _total(columns: list[list[Any]] | None, amounts: Amounts, name: AmountExpression) -> Any:
    """The sum over all lines, a number or None; an order of no lines comes to nothing."""
    if columns is None:
        return None
    total = Decimal(0)
    for index, each in enumerate(products_of_lines(columns, amounts, name)):
        if each is None:
            raise ValueMismatchError(f"{name} has nothing in line {index}; expected an amount")
        total = amounts.plus(total, each)
    return total


def _dearest(texts: Any, columns: list[list[Any]] | None, name: AmountExpression) -> Any:
    """The text of the line whose amount is the highest; of several, of the first of them."""
    if not texts or columns is None:
        return _first(texts)
    prices = products_of_lines(columns, Amounts(inexact=True), name)
    known = [(price, -index) for index, price in enumerate(prices) if price is not None]
    return texts[-max(known)[1]] if known else texts[0]


def _not_when_appended(get: Get) -> Get:
    def known(parts: Parts) -> Any:
        if parts.append_time:
            raise ValueMismatchError("when the broker wrote it (LogAppendTime), which `append_time = true` would take")
        return get(parts)

    return known
