"""Proposes where an order's price comes from: its total, a sum over its lines, or the price of a piece and how many."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pipeline.orders.mapping.paths import EACH, Path, Step
from pipeline.orders.mapping.values import Amounts, JsonNumber, ValueMismatchError, is_money
from pipeline.orders.proposing import names
from pipeline.orders.proposing.guess import FILL_IN, Guess, Tried, has_each, share_words, tried
from pipeline.orders.proposing.sample import Sample, Seen, is_beside_the_record
from pipeline.orders.proposing.section_text import source_text, toml_value
from pipeline.records import Currency

LOOKED_AT = 8
"""So many of the likeliest are tried."""
LEAST = 0.3
"""What fewer records have is no price of theirs."""
SUM_SCORE = 89
PRODUCT_SCORE = 91
_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4}){0,3}(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{4})")
_ROUND = 100


@dataclass(frozen=True, slots=True)
class Priced:
    """A way to the price: the table of the mapping, how likely it is, and what the sample makes of it."""

    table: dict[str, Any]
    score: float
    tried: Tried
    why: str

    @property
    def text(self) -> str:
        """As the file has it."""
        return str(self.table["path"]) if set(self.table) == {"path"} else toml_value(self.table)


@dataclass(frozen=True, slots=True)
class Lines:
    """The lines of an order: how its price adds up, and the price alone of each line."""

    list_steps: tuple[Step, ...]
    expression: str
    score: float
    parts: tuple[Seen, ...]


def guess_price(sample: Sample, among: list[int], currency: Currency) -> tuple[Guess, Lines | None]:
    """The price, and the lines that it may be added up from."""
    lines = next(iter(sorted(_lines(sample, among), key=lambda each: -each.score)), None)
    found = [*_flat(sample, among, currency), *_products(sample, among, currency)]
    summed = (
        _tried_as(sample, among, lines.expression, lines.parts, lines.score, currency, "by names") if lines else None
    )
    found += [summed] if summed else []
    found = sorted(_with_agreement(found, summed), key=lambda each: -each.score * each.tried.share)
    if not found:
        return Guess("price", FILL_IN, "no field looks like an amount; say where it comes from"), lines
    best, *rest = found
    return Guess("price", _shortest(best.table), best.why, tuple(each.text for each in rest)), lines


def _shortest(table: dict[str, Any]) -> Any:
    return table["path"] if set(table) == {"path"} else table


def _with_agreement(found: list[Priced], summed: Priced | None) -> Iterator[Priced]:
    """A total that is what its lines come to needs no adding up, and leaves no doubt."""
    for each in found:
        if summed is None or each is summed or not summed.tried.values:
            yield each
            continue
        both = each.tried.values.keys() & summed.tried.values.keys()
        same = sum(each.tried.values[number] == summed.tried.values[number] for number in both)
        if both and same >= 0.5 * len(both):
            why = f"{each.why}; equals the sum of its lines in {share_words(same, len(both))}"
            yield Priced(each.table, each.score + 15, each.tried, why)
        else:
            yield each


# ---- one value


def _flat(sample: Sample, among: list[int], currency: Currency) -> Iterator[Priced]:
    there = [each for each in sample.seen if isinstance(each.source, Path) and not is_beside_the_record(each)]
    scored = [(names.SCORES["price"](each.steps), each) for each in there]
    typed = [(score or _by_type(each, among), each) for score, each in scored]
    for score, seen in sorted(typed, key=lambda each: -each[0])[:LOOKED_AT]:
        text = source_text(seen.source)
        if score <= 0 or text is None:
            continue
        if found := _tried_as(sample, among, text, (seen,), score, currency, "by name" if score > 30 else "by type"):
            yield found


def _by_type(seen: Seen, among: Sequence[int]) -> float:
    """What its writer calls a decimal is an amount, if nothing else is."""
    names_of_steps = [step for step in seen.steps if isinstance(step, str)]
    bad = any(
        each in names.plain_name(name)
        for name in names_of_steps
        for each in ("tax", "vat", "rate", "discount", "weight")
    )
    found = seen.all(among)
    is_amount = bool(found) and all(isinstance(each, Decimal) or is_money(each) for each in found)
    return 25 if is_amount and not has_each(seen) and not bad else 0


def _tried_as(
    sample: Sample,
    among: list[int],
    expression: str,
    parts: Sequence[Seen],
    score: float,
    currency: Currency,
    how: str,
) -> Priced | None:
    table, why = _table_of(expression, parts, among, currency)
    found = tried(sample, among, "price", table, currency)
    if found.refused and not table.get("float"):
        rounded = {**table, "float": True}
        again = tried(sample, among, "price", rounded, currency)
        if len(again.values) > len(found.values):
            more = len(again.values) - len(found.values)
            digits = f"`float = true` rounds {more} with more digits than {currency.code or 'the currency'} has"
            table, found, why = rounded, again, [*why, digits]
    if found.share < LEAST:
        return None
    negative = sum(value < 0 for value in found.values.values())
    told = [how, *why, f"{share_words(len(found.values), len(among))} have it"]
    told += [f"{negative} below zero"] if negative else []
    return Priced(table, score, found, "; ".join(told))


def _table_of(
    expression: str, parts: Sequence[Seen], among: Sequence[int], currency: Currency
) -> tuple[dict[str, Any], list[str]]:
    """How an amount is written in the file by what its values are, and why so."""
    table: dict[str, Any] = {"path": expression}
    why: list[str] = []
    amounts = [each for each in parts if not names.quantity(each.steps)] or list(parts)
    values = [value for each in amounts for value in each.all(among)]
    if any(isinstance(value, float) for value in values):
        table["float"] = True
        why.append("`float = true`, as its writer sends binary floating-point numbers")
    elif values and all(isinstance(each, str) and _is_base64(each) for each in values):
        table["base64_scale"] = currency.digits
        why.append(
            f"texts are base64 of a number; say how many of its digits are behind the point if not {currency.digits}"
        )
    if any(names.without_unit(_last_name(each))[1] for each in amounts):
        table["unit"] = "minor"
        why.append("`minor` by its name")
    elif _looks_minor(values, currency):
        table["unit"] = "minor"
        why.append("`minor`, as all are whole numbers that end as cents do; if they count whole units, take `unit` out")
    return table, why


def _last_name(seen: Seen) -> str:
    return names.plain_name(str(next(step for step in reversed(seen.steps) if isinstance(step, str))))


def _is_base64(text: str) -> bool:
    return not isinstance(text, JsonNumber) and bool(_BASE64.fullmatch(text)) and not text.isdigit()


def _looks_minor(values: Sequence[Any], currency: Currency) -> bool:
    """Whole numbers are cents when they are large and most of them are no whole hundreds."""
    if not currency.digits or not values:
        return False
    numbers = []
    for value in values:
        if isinstance(value, dict) or (isinstance(value, str) and not isinstance(value, JsonNumber) and "." in value):
            return False
        try:
            number = Amounts(inexact=True).exact(value)
        except ValueMismatchError:
            return False
        # 19.0 is no whole number: its writer has digits behind the point, and cut them off.
        if number.as_tuple().exponent != 0 or isinstance(value, float):
            return False
        numbers.append(int(number))
    middle = sorted(numbers)[len(numbers) // 2]
    uneven = sum(number % _ROUND != 0 for number in numbers)
    return middle >= 500 and uneven >= 0.4 * len(numbers)


# ---- several values


def _products(sample: Sample, among: list[int], currency: Currency) -> Iterator[Priced]:
    """A price and a quantity beside each other, in an order of one line."""
    by_holder: dict[tuple[Step, ...], list[Seen]] = {}
    for seen in sample.seen:
        if isinstance(seen.source, Path) and not has_each(seen):
            by_holder.setdefault(seen.steps[:-1], []).append(seen)
    for group in by_holder.values():
        price, pieces = _best(group, names.unit_price, among), _best(group, names.quantity, among)
        if price is None or pieces is None or price is pieces:
            continue
        texts = source_text(price.source), source_text(pieces.source)
        if None in texts:
            continue
        found = _tried_as(
            sample,
            among,
            " * ".join(map(str, texts)),
            (price, pieces),
            PRODUCT_SCORE,
            currency,
            "by names, a price and a quantity",
        )
        if found:
            yield found


def _lines(sample: Sample, among: list[int]) -> Iterator[Lines]:
    by_list: dict[tuple[Step, ...], list[Seen]] = {}
    for seen in sample.seen:
        if isinstance(seen.source, Path) and EACH in seen.steps:
            by_list.setdefault(seen.steps[: seen.steps.index(EACH)], []).append(seen)
    for steps, group in by_list.items():
        pieces = _best(group, names.quantity, among)
        price, total = _best(group, names.unit_price, among), _best(group, names.line_total, among)
        if price is not None and pieces is not None and price is not pieces:
            yield from _sum_of(steps, (price, pieces), SUM_SCORE)
        elif total is not None or price is not None:
            yield from _sum_of(steps, tuple(each for each in (total or price,) if each is not None), SUM_SCORE - 4)


def _sum_of(steps: tuple[Step, ...], parts: tuple[Seen, ...], score: float) -> Iterator[Lines]:
    texts = [source_text(each.source) for each in parts]
    if None not in texts:
        yield Lines(steps, f"sum({' * '.join(map(str, texts))})", score - 3 * len(steps), parts)


def _best(group: Sequence[Seen], score_of: Any, among: Sequence[int]) -> Seen | None:
    scored = [(score_of(each.steps), each) for each in group if _is_amount(each, among)]
    best = max(scored, key=lambda each: each[0], default=(0, None))
    return best[1] if best[0] > 25 else None


def _is_amount(seen: Seen, among: Sequence[int]) -> bool:
    values = seen.all(among)
    fits = [value for value in values if _number(value)]
    return bool(values) and len(fits) >= 0.5 * len(values)


def _number(value: Any) -> bool:
    if isinstance(value, dict):
        return True
    try:
        Amounts(inexact=True).exact(value)
    except ValueMismatchError:
        return isinstance(value, str) and _is_base64(value)
    return True
