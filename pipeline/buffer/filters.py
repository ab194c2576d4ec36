"""Which rows are meant: one filter an entity, used alike by tables, exports, counts and replays."""

from __future__ import annotations

import json
from dataclasses import dataclass

OPEN_STATUSES = ("open",)
"""Statuses a replay takes by default. What is dead again is open as the new dead letter that its replay became: taking
both would send one order twice."""

Arguments = dict[str, object]


@dataclass(frozen=True, slots=True)
class OrderFilter:
    """Orders by what people look for; empty fields do not narrow. Times are epoch ms, `to` is exclusive."""

    text: str = ""
    """An order id or customer id, or how one begins."""
    products: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    created_from_ms: int | None = None
    created_to_ms: int | None = None
    min_price_cents: int | None = None
    max_price_cents: int | None = None
    retried_only: bool = False

    def where(self) -> tuple[str, Arguments]:
        """An SQL condition over the view `orders` and its named arguments."""
        conditions, arguments = ["TRUE"], Arguments()
        if self.text:
            # Ranges instead of LIKE, so that the index on order_id serves a prefix too.
            conditions.append(
                "(order_id >= :text AND order_id < :text_end OR customer_id >= :text AND customer_id < :text_end)"
            )
            arguments |= {"text": self.text, "text_end": self.text + "\U0010ffff"}
        _any_of(conditions, arguments, "product", self.products)
        _any_of(conditions, arguments, "region", self.regions)
        _compare(conditions, arguments, "created_at_ms", ">=", "created_from", self.created_from_ms)
        _compare(conditions, arguments, "created_at_ms", "<", "created_to", self.created_to_ms)
        _compare(conditions, arguments, "price_cents", ">=", "min_price", self.min_price_cents)
        _compare(conditions, arguments, "price_cents", "<=", "max_price", self.max_price_cents)
        if self.retried_only:
            conditions.append("attempts > 1")
        return " AND ".join(conditions), arguments


@dataclass(frozen=True, slots=True)
class DeadLetterFilter:
    """Dead letters by what people look for; empty fields do not narrow. Times are epoch ms, `to` is exclusive."""

    ids: tuple[int, ...] | None = None
    """Only these; of none given nothing matches."""
    statuses: tuple[str, ...] = ()
    fingerprint: str | None = None
    topics: tuple[str, ...] = ()
    source_topics: tuple[str, ...] = ()
    dialects: tuple[str, ...] = ()
    text: str = ""
    """Part of the order id, customer id, product, error class or reason, in any case."""
    failed_from_ms: int | None = None
    failed_to_ms: int | None = None
    up_to_id: int | None = None
    """Leaves out what arrived after somebody looked."""

    def where(self) -> tuple[str, Arguments]:
        """An SQL condition over the table `dead_letters` and its named arguments."""
        conditions, arguments = ["TRUE"], Arguments()
        if self.ids is not None:
            # JSON instead of one argument an id: SQLite takes at most 32,766 arguments.
            conditions.append("id IN (SELECT value FROM json_each(:ids))")
            arguments["ids"] = json.dumps(self.ids)
        _any_of(conditions, arguments, "status", self.statuses)
        _compare(conditions, arguments, "fingerprint", "=", "fingerprint", self.fingerprint)
        _any_of(conditions, arguments, "topic", self.topics)
        _any_of(conditions, arguments, "source_topic", self.source_topics)
        _any_of(conditions, arguments, "dialect", self.dialects)
        if self.text:
            columns = ("order_id", "customer_id", "product", "error_class", "reason")
            conditions.append("(" + " OR ".join(f"instr(lower({column}), :text) > 0" for column in columns) + ")")
            arguments["text"] = self.text.lower()
        _compare(conditions, arguments, "failed_at_ms", ">=", "failed_from", self.failed_from_ms)
        _compare(conditions, arguments, "failed_at_ms", "<", "failed_to", self.failed_to_ms)
        _compare(conditions, arguments, "id", "<=", "up_to_id", self.up_to_id)
        return " AND ".join(conditions), arguments


def _any_of(conditions: list[str], arguments: Arguments, column: str, values: tuple[object, ...]) -> None:
    if values:
        names = [f"{column}_{index}" for index in range(len(values))]
        conditions.append(f"{column} IN ({', '.join(':' + name for name in names)})")
        arguments |= dict(zip(names, values, strict=True))


def _compare(
    conditions: list[str], arguments: Arguments, column: str, operator: str, name: str, value: object | None
) -> None:
    if value is not None:
        conditions.append(f"{column} {operator} :{name}")
        arguments[name] = value
