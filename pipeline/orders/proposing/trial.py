"""What would come of records: which would be orders, which are passed over, and why the rest would be dead letters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from pipeline.errors import RecordError
from pipeline.orders.fields import ORDER_FIELDS
from pipeline.orders.rules import Rules
from pipeline.records import Currency, Order, PassedOver, Record

ROWS = 20
REASONS = 20
CELL_CHARACTERS = 120

Read = Callable[[Record], Order | PassedOver]
"""Makes an order of a record. Raises RecordError."""
Shape = Callable[[str], str]
"""What reasons of one cause have in common."""


@dataclass(slots=True)
class Trial:
    """What would come of some records. `rows` are the first orders, by the names of their fields, as text."""

    records: int = 0
    accepted: int = 0
    passed_over: int = 0
    rows: list[dict[str, str]] = field(default_factory=list)
    reasons: list[tuple[int, str]] = field(default_factory=list)
    """How many for this reason, and the first of them in words, the most first."""

    @property
    def refused(self) -> int:
        """How many would be dead letters."""
        return self.records - self.accepted - self.passed_over


def try_records(
    records: Iterable[Record], read: Read, rules: Rules, currency: Currency, shape: Shape, now_ms: int
) -> Trial:
    """Reads and judges records as the processor does. Raises RegistryUnavailableError."""
    trial = Trial()
    counts: Counter[str] = Counter()
    words: dict[str, str] = {}
    for record in records:
        trial.records += 1
        try:
            found = read(record)
            if isinstance(found, Order):
                rules.check(found, now_ms, currency)
        except RecordError as error:
            cause = shape(error.reason)
            counts[cause] += 1
            words.setdefault(cause, error.reason)
            continue
        if isinstance(found, PassedOver):
            trial.passed_over += 1
            continue
        trial.accepted += 1
        if len(trial.rows) < ROWS:
            trial.rows.append(_row(found, currency))
    trial.reasons = [(count, words[cause]) for cause, count in counts.most_common(REASONS)]
    return trial


def _row(order: Order, currency: Currency) -> dict[str, str]:
    return {each.avro_name: _cell(getattr(order, each.name), each.kind, currency) for each in ORDER_FIELDS}


def _cell(value: Any, kind: str, currency: Currency) -> str:
    if kind == "cents":
        return f"{Decimal(value).scaleb(-currency.digits):f} {currency.code}".strip()
    if kind == "millis":
        seconds, rest = divmod(value, 1000)
        try:
            return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}.{rest:03}Z"
        except (ValueError, OverflowError, OSError):
            return str(value)
    text = str(value)
    return text if len(text) <= CELL_CHARACTERS else f"{text[: CELL_CHARACTERS - 1]}…"
