"""Which rows are meant: one filter an entity, used alike by tables, exports, counts and replays."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

from pipeline.errors import UsageError
from pipeline.orders.fields import CHOICE_FIELDS
from pipeline.search.query import EVERYTHING, Query, one_of

OPEN_STATUSES = ("open",)
"""Statuses a replay takes by default. What is dead again is open as the new dead letter that its replay became: taking
both would send one order twice."""


class Choice(NamedTuple):
    """Some of the values that a field of an order may have, by the field's name in `Order`."""

    field: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OrderFilter:
    """Orders by what people look for; empty fields do not narrow. Times are epoch ms, `to` is exclusive."""

    text: str = ""
    """An order id or customer id, or how one begins."""
    choices: tuple[Choice, ...] = ()
    """One for each field that narrows, which is one of CHOICE_FIELDS; else UsageError is raised."""
    created_from_ms: int | None = None
    created_to_ms: int | None = None
    min_price_cents: int | None = None
    max_price_cents: int | None = None
    retried_only: bool = False
    topics: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for choice in self.choices:
            if choice.field not in {field.name for field in CHOICE_FIELDS}:
                raise UsageError(f"orders cannot be chosen by {choice.field}")


@dataclass(frozen=True, slots=True)
class DeadLetterFilter:
    """Dead letters by what people look for; what is not given does not narrow."""

    query: Query = EVERYTHING
    ids: tuple[int, ...] | None = None
    """Only these; of none given nothing matches."""
    up_to_id: int | None = None
    """Leaves out what arrived after somebody looked."""

    def settled(self, found: tuple[int, ...]) -> DeadLetterFilter:
        """The same for what acts on all that match: where it looks inside of values, those that were found there."""
        plain, inside = self.query.apart()
        return replace(self, query=plain, ids=found) if inside.parts else self

    def replayable(self) -> DeadLetterFilter:
        """The same for a replay of all that match. Ids that a query settled to are not ids that somebody picked:

        of them too only the open ones are meant, unless the query says which statuses.
        """
        return self if self.ids is None or self.query.names("status") else self.with_status(*OPEN_STATUSES)

    def with_status(self, *statuses: str) -> DeadLetterFilter:
        """Of these dead letters only those that have one of the statuses."""
        return replace(self, query=self.query.narrowed(one_of("status", statuses)))


@dataclass(frozen=True, slots=True)
class JobItemFilter:
    """The ledger items of one job."""

    job_id: int


RowFilter = OrderFilter | DeadLetterFilter | JobItemFilter
