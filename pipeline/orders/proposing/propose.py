"""Works out a section of the mapping file from records of a topic, with a reason for each guess."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.orders.mapping.currency import digits_of
from pipeline.orders.mapping.paths import Path
from pipeline.orders.mapping.sources import HeaderSource, RecordSource
from pipeline.orders.mapping.values import Instant, JsonNumber
from pipeline.orders.proposing import names
from pipeline.orders.proposing.amounts import Lines, guess_price
from pipeline.orders.proposing.events import find_orders, orders_by_state, without_deletions
from pipeline.orders.proposing.guess import FILL_IN, Guess, Tried, has_each, kinds_of, share_words, tried
from pipeline.orders.proposing.sample import Sample, Seen, is_beside_the_record
from pipeline.orders.proposing.section_text import comment, header_line, source_text, toml_value
from pipeline.records import Currency

WRITTEN_BY = ("format", "descriptor", "message", "avro_schema")
"""The keys that say how the values are written: nobody guesses them."""
LOOKED_AT = 10
LEAST = 20.0
"""What scores less is no guess worth a try."""
ORDER_ID_DISTINCT = 0.9
KEY_SCORE = {"order_id": 42, "customer_id": 50}
ENVELOPE_LESS = 8
"""An event's own number, beside what it is about, is less likely an order's."""
_CODE = re.compile(r"[A-Za-z]{3}")
_ISO_DAY = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}")
_ZONE = re.compile(r"(?:Z|[+-]\d{2}(?::?\d{2})?)$")
_UNIT_FROM = ((10**17, "ns"), (10**14, "us"), (10**11, "ms"), (10**8, "s"))
_YEARS_MS = (631_152_000_000, 4_102_444_800_000)
"""1990 to 2100."""
FORMATS_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Proposal:
    """A section as it is proposed: what was looked at, and a guess for each key, in the order of the file."""

    topic: str
    told: tuple[str, ...]
    guesses: tuple[Guess, ...]

    @property
    def table(self) -> dict[str, Any]:
        """The section's table."""
        return {each.key: each.value for each in self.guesses if each.value is not None}

    @property
    def text(self) -> str:
        """The section, with its comments, as it stands in the file."""
        lines = [header_line(self.topic), *map(comment, self.told)]
        for each in self.guesses:
            lines.append(comment(each.comment))
            if each.value is not None:
                lines.append(f"{each.key} = {toml_value(each.value)}")
        return "\n".join(lines) + "\n"

    @property
    def open_keys(self) -> list[str]:
        """The keys that somebody has to say."""
        return [each.key for each in self.guesses if each.is_open]


def propose(sample: Sample, code_in_force: str = "", kept: Mapping[str, str] | None = None) -> Proposal:
    """A section that the mapping file takes as it is.

    `code_in_force`: the currency that the file has already; `kept`: what it says of how the values are written.
    """
    orders = find_orders(sample)
    where, among = orders.guess, orders.numbers
    order_id, seen = _guess_order_id(sample, among)
    if where is None and seen is not None and _repeats(sample, seen, among):
        by_state = orders_by_state(sample, among)
        if by_state is not None:
            where, among = by_state.guess, by_state.numbers
            order_id, seen = _guess_order_id(sample, among)
    where = where or without_deletions(sample, seen)
    money, currency = _guess_currency(sample, among, code_in_force)
    price, lines = guess_price(sample, among, currency)
    found = [
        where,
        order_id,
        _guess_customer(sample, among, seen),
        _guess_product(sample, among, lines, price),
        price,
        _guess_time(sample, among),
        _guess_region(sample, among),
        money,
        *(Guess(key, value, "as the file has it") for key, value in (kept or {}).items()),
    ]
    return Proposal(sample.topic, _told(sample, len(among)), tuple(each for each in found if each is not None))


def _told(sample: Sample, orders: int) -> tuple[str, ...]:
    read = len(sample.read)
    formats = ", ".join(f"{name} ({count})" for name, count in sample.formats[:FORMATS_SHOWN])
    told = [f"Proposed from the newest {len(sample.records)} records: {formats or 'none could be read'}"]
    told += [f"{count} cannot be read: {reason}" for reason, count in sample.reasons[:FORMATS_SHOWN]]
    return tuple(told) if read else (*told, "Nothing could be guessed: say where each field comes from")


# ---- texts


def _candidates(sample: Sample, among: Sequence[int], key: str) -> Iterator[tuple[float, Seen, str]]:
    """What may be a field by its name, the likeliest first: how likely, what, and how the file writes it."""
    scored = []
    for seen in sample.seen:
        if isinstance(seen.source, RecordSource):
            score: float = KEY_SCORE.get(key, 0)
        else:
            score = names.SCORES[key](seen.steps) - _less(sample, seen, key)
        if score > 0 and any(number in seen.values for number in among):
            scored.append((score, seen))
    for score, seen in sorted(scored, key=lambda each: -each[0])[:LOOKED_AT]:
        text = source_text(seen.source)
        if text is not None:
            yield score, seen, text


def _less(sample: Sample, seen: Seen, key: str) -> int:
    """What counts against a source whatever its name: where it stands."""
    if isinstance(seen.source, HeaderSource):
        return 4
    if is_beside_the_record(seen):
        return 40
    return ENVELOPE_LESS if key == "order_id" and len(seen.steps) == 1 and sample.is_enveloped else 0


def _guess_order_id(sample: Sample, among: list[int]) -> tuple[Guess, Seen | None]:
    found = []
    for score, seen, text in _candidates(sample, among, "order_id"):
        values = tried(sample, among, "order_id", {"path": text})
        worth = score * values.share * (0.3 + 0.7 * values.distinct)
        if isinstance(seen.source, RecordSource) and values.distinct < ORDER_ID_DISTINCT:
            continue
        if worth >= LEAST:
            found.append((worth, seen, text, values))
    if not found:
        return Guess("order_id", FILL_IN, "no field looks like an order's number; say where it comes from"), None
    (_, seen, text, values), *rest = sorted(found, key=lambda each: -each[0])
    different = share_words(len(set(values.values.values())), len(values.values))
    why = f"{_how(seen)}; {_kind_and_share(seen, values, among)}, {different} different"
    return Guess("order_id", text, why, tuple(each[2] for each in rest)), seen


def _how(seen: Seen) -> str:
    return "by the key" if isinstance(seen.source, RecordSource) else "by name"


def _kind_and_share(seen: Seen, values: Tried, among: Sequence[int]) -> str:
    return f"{kinds_of(seen.all(among))} in {share_words(len(values.values), len(among))}"


def _repeats(sample: Sample, seen: Seen, among: list[int]) -> bool:
    text = source_text(seen.source)
    return text is not None and tried(sample, among, "order_id", {"path": text}).distinct < ORDER_ID_DISTINCT


def _guess_customer(sample: Sample, among: list[int], order_id: Seen | None) -> Guess:
    found, seconds = [], []
    for score, seen, text in _candidates(sample, among, "customer_id"):
        values = tried(sample, among, "customer_id", {"path": text})
        if order_id is not None and (seen is order_id or _are_alike(seen, order_id, among)):
            continue
        alike = len(values.values) > 20 and len(set(values.values.values())) == 1
        worth = score * values.share * (0.4 if alike else 1)
        if worth >= LEAST:
            found.append((worth, seen, text, values))
        elif score >= LEAST and values.values:
            seconds.append((worth, seen, text, values))
    if not found:
        return Guess(
            "customer_id", {"constant": "unknown"}, "no field looks like a customer's number: all count as one customer"
        )
    (_, seen, text, values), *rest = sorted(found, key=lambda each: -each[0])
    why = f"{_how(seen)}; {_kind_and_share(seen, values, among)}"
    others = [each[2] for each in rest]
    if values.share == 1.0:
        return Guess("customer_id", text, why, tuple(others))
    # Who buys as a guest has another number, or none.
    second = next((each for each in (*rest, *seconds) if values.missing & each[3].values.keys()), None)
    paths = [text, second[2]] if second else text
    left = values.missing - second[3].values.keys() if second else values.missing
    if not left:
        return Guess(
            "customer_id", paths, f"{why}, else the second", tuple(each for each in others if each not in paths)
        )
    return Guess("customer_id", {"path": paths, "default": "unknown"}, f"{why}; {len(left)} have none", tuple(others))


def _are_alike(seen: Seen, other: Seen, among: Sequence[int]) -> bool:
    both = [number for number in among if number in seen.values and number in other.values]
    same = sum(str(seen.values[number][-1]) == str(other.values[number][-1]) for number in both)
    return bool(both) and same >= 0.9 * len(both)


def _guess_product(sample: Sample, among: list[int], lines: Lines | None, price: Guess) -> Guess:
    found = []
    for score, seen, text in _candidates(sample, among, "product"):
        table: dict[str, Any] = {"path": text}
        values = tried(sample, among, "product", table)
        if has_each(seen) and (line := _line_of(seen, lines, price)):
            dearest = tried(sample, among, "product", table | {"by": lines.expression if lines else ""} | line)
            # Lines whose amounts only `price` can read, such as base64, have no dearest one.
            if len(dearest.values) >= len(values.values):
                table, values = table | line, dearest
        repeats = 1.0 if values.distinct < 0.8 or len(values.values) < 20 else 0.8
        named = 1.06 if not all(str(each).isdigit() for each in values.values.values()) else 1.0
        worth = score * values.share * repeats * named
        if worth >= LEAST:
            found.append((worth, seen, text, values, table))
    if not found:
        return Guess(
            "product", {"constant": "unknown"}, "no field looks like a product: all orders count as one product"
        )
    (_, seen, _, values, table), *rest = sorted(found, key=lambda each: -each[0])
    why = f"by name; {_kind_and_share(seen, values, among)}, {len(set(values.values.values()))} different"
    if "line" in table:
        why += "; of an order's lines that with the highest amount"
    elif has_each(seen):
        why += "; of an order's lines the first"
    if values.share < 1.0:
        table = {**table, "default": "unknown"}
    value = table["path"] if set(table) == {"path"} else table
    return Guess("product", value, why, tuple(each[2] for each in rest))


def _line_of(seen: Seen, lines: Lines | None, price: Guess) -> dict[str, Any]:
    """Which line's product counts: the dearest where lines have prices."""
    if lines is None or not isinstance(seen.source, Path) or seen.source.list_steps != lines.list_steps:
        return {}
    summed = price.value["path"] if isinstance(price.value, dict) else price.value
    return {"line": "dearest"} | ({} if summed == lines.expression else {"by": lines.expression})


def _guess_region(sample: Sample, among: list[int]) -> Guess:
    found = []
    for score, seen, text in _candidates(sample, among, "region"):
        values = tried(sample, among, "region", {"path": text})
        count = len(set(values.values.values()))
        # Regions are few, and more than one; an address is not.
        fits = 1.0 if 1 < count <= max(3, min(60, len(values.values) // 3)) else 0.5 if count == 1 else 0.3
        worth = score * (0.3 + 0.7 * values.share) * fits
        if worth >= LEAST and values.share > 0.1:
            found.append((worth, seen, text, values, count))
    if not found:
        return Guess("region", None, "no field looks like a region, country or channel: it is `unknown`")
    (_, seen, text, values, count), *rest = sorted(found, key=lambda each: -each[0])
    why = f"by name; {_kind_and_share(seen, values, among)}, {count} different"
    return Guess("region", {"path": text, "default": "unknown"}, why, tuple(each[2] for each in rest))


# ---- the currency


def _guess_currency(sample: Sample, among: list[int], code_in_force: str) -> tuple[Guess | None, Currency]:
    best: tuple[float, Seen, str, Counter[str]] | None = None
    for seen in sample.seen:
        score = names.currency(seen.steps) if not isinstance(seen.source, RecordSource) else 0
        text = source_text(seen.source) if score > 0 else None
        if text is None:
            continue
        found = seen.all(among)
        # Small letters are the same code.
        codes = Counter(each.upper() for each in found if isinstance(each, str) and _CODE.fullmatch(each))
        share = len([number for number in among if number in seen.values]) / max(1, len(among))
        if codes and codes.total() >= 0.9 * len(found) and (best is None or score * share > best[0]):
            best = (score * share, seen, text, codes)
    if best is None:
        return _currency_in_force(code_in_force)
    _, seen, text, codes = best
    code = code_in_force or codes.most_common(1)[0][0]
    value = {"code": code, "path": text}
    told = ", ".join(f"{each} ({count})" for each, count in codes.most_common(5))
    why = f"by name and values, {told}"
    if set(codes) != {code}:
        why += "; a buffer sums one currency, so that orders in another one become dead letters"
    missing = len([number for number in among if number not in seen.values])
    if missing:
        why += f"; so do the {missing} that name none"
    return Guess("currency", value, why), Currency(code, digits_of(code))


def _currency_in_force(code: str) -> tuple[Guess | None, Currency]:
    if code:
        told = "no field names one; this is the one of the file's other topics"
        return Guess("currency", {"code": code}, told), Currency(code, digits_of(code))
    return Guess("currency", None, 'no field names one; say which: currency = { code = "EUR" }'), Currency()


# ---- the time


def _guess_time(sample: Sample, among: list[int]) -> Guess:
    found = []
    for seen in sample.seen:
        text = source_text(seen.source)
        if text is None or isinstance(seen.source, RecordSource) or has_each(seen):
            continue
        score = names.SCORES["created_at"](seen.steps) - (6 if isinstance(seen.source, HeaderSource) else 0)
        if is_beside_the_record(seen):
            score -= 40
        told = _time_table(text, seen.all(among)) if score > 0 else None
        if told is None:
            continue
        table, why = told
        values = tried(sample, among, "created_at", table)
        plausible = sum(_YEARS_MS[0] < value < _YEARS_MS[1] for value in values.values.values())
        worth = score * plausible / max(1, len(among))
        if worth >= LEAST:
            found.append((worth, seen, table, values, why))
    if not found:
        return _record_time(sample)
    (_, seen, table, values, why), *rest = sorted(found, key=lambda each: -each[0])
    others = [each[2]["path"] for each in rest]
    told_words = "; ".join(["by name", *why, f"{share_words(len(values.values), len(among))} have it"])
    value = table["path"] if set(table) == {"path"} else table
    return Guess("created_at", value, told_words, (*others, "timestamp"))


def _record_time(sample: Sample) -> Guess:
    appended = any(each.record.append_time for each in sample.records)
    why = "no field looks like the time of an order: the record's timestamp"
    if appended:
        return Guess(
            "created_at", {"path": "timestamp", "append_time": True}, f"{why}, which is when the broker wrote it"
        )
    return Guess("created_at", "timestamp", why)


def _time_table(text: str, values: Sequence[Any]) -> tuple[dict[str, Any], list[str]] | None:
    """How the file says what these values are as times, and why so; None where they are none."""
    if not values:
        return None
    if all(isinstance(each, Instant) for each in values):
        if all(each.zoned for each in values):
            return {"path": text}, ["a time by its type"]
        return {"path": text, "zone": "UTC"}, ["a time by its type, without a zone: say in which zone it was taken"]
    texts = [each for each in values if isinstance(each, str) and not isinstance(each, JsonNumber)]
    dates = [each for each in texts if _ISO_DAY.match(each)]
    if len(dates) >= 0.5 * len(values):
        if all(_ZONE.search(each) for each in dates):
            return {"path": text}, ["ISO 8601 with a zone"]
        return {"path": text, "zone": "UTC"}, ["ISO 8601, not all with a zone: say in which zone the others were taken"]
    numbers = [float(each) for each in values if _is_epoch(each)]
    if len(numbers) < 0.5 * len(values):
        return None
    middle = sorted(numbers)[len(numbers) // 2]
    unit = next((unit for least, unit in _UNIT_FROM if middle >= least), None)
    if unit is None:
        return None
    words = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}[unit]
    return {"path": text} | ({} if unit == "ms" else {"unit": unit}), [f"{words} since 1970 by their size"]


def _is_epoch(value: Any) -> bool:
    if isinstance(value, bool | float):
        return False
    return isinstance(value, int) or (
        isinstance(value, str) and bool(re.fullmatch(r"[0-9]{9,19}(?:\.[0-9]{1,9})?", value))
    )
