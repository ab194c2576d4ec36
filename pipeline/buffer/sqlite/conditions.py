"""Filters as SQL: a condition and its named arguments."""

from __future__ import annotations

import json

from pipeline.buffer.filters import DeadLetterFilter, JobItemFilter, OrderFilter, RowFilter
from pipeline.buffer.sqlite.search.conditions import Arguments, query_condition

_PARTITIONS_OF_TOPICS = (
    "partitions JOIN topics USING (topic_ref) "
    "WHERE role = 'processor' AND topic IN (SELECT value FROM json_each(:topics))"
)
# By the partitions' numbers: rows of the view are not joined to a name to be left out.
_OF_TOPICS = f"record_id >> 40 IN (SELECT partition_ref FROM {_PARTITIONS_OF_TOPICS})"
# These orders alone are looked at, and not all in the order in which they are wanted until enough of these were met.
_OF_FEW = (
    f"record_id IN (SELECT record_id FROM (SELECT partition_ref FROM {_PARTITIONS_OF_TOPICS}) CROSS JOIN order_rows "
    "ON record_id >= partition_ref << 40 AND record_id < partition_ref + 1 << 40)"
)


def condition_of(which: RowFilter) -> tuple[str, Arguments]:
    """The condition over the view or table that the filter is for, and its named arguments."""
    if isinstance(which, OrderFilter):
        return order_condition(which)
    if isinstance(which, DeadLetterFilter):
        return dead_letter_condition(which)
    return job_item_condition(which)


def order_condition(which: OrderFilter, few: bool = False) -> tuple[str, Arguments]:
    """An SQL condition over the view `orders` and its named arguments. `few`: the topics have few of all orders."""
    conditions, arguments = ["TRUE"], Arguments()
    if which.text:
        # Ranges instead of LIKE, so that the index on order_id serves a prefix too.
        conditions.append(
            "(order_id >= :text AND order_id < :text_end OR customer_id >= :text AND customer_id < :text_end)"
        )
        arguments |= {"text": which.text, "text_end": which.text + "\U0010ffff"}
    for choice in which.choices:
        _any_of(conditions, arguments, choice.field, choice.values)
    _compare(conditions, arguments, "created_at_ms", ">=", "created_from", which.created_from_ms)
    _compare(conditions, arguments, "created_at_ms", "<", "created_to", which.created_to_ms)
    _compare(conditions, arguments, "price_cents", ">=", "min_price", which.min_price_cents)
    _compare(conditions, arguments, "price_cents", "<=", "max_price", which.max_price_cents)
    if which.retried_only:
        conditions.append("attempts > 1")
    if which.topics:
        conditions.append(_OF_FEW if few else _OF_TOPICS)
        arguments["topics"] = json.dumps(which.topics)
    return " AND ".join(conditions), arguments


def dead_letter_condition(which: DeadLetterFilter) -> tuple[str, Arguments]:
    """An SQL condition over the table `dead_letters` and its named arguments."""
    query, arguments = query_condition(which.query)
    conditions = [query]
    if which.ids is not None:
        # JSON instead of one argument an id: SQLite takes at most 32,766 arguments.
        conditions.append("id IN (SELECT value FROM json_each(:ids))")
        arguments["ids"] = json.dumps(which.ids)
    _compare(conditions, arguments, "id", "<=", "up_to_id", which.up_to_id)
    return " AND ".join(conditions), arguments


def job_item_condition(which: JobItemFilter) -> tuple[str, Arguments]:
    """An SQL condition over the table `job_items` and its named arguments."""
    return "job_id = :job_id", {"job_id": which.job_id}


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
