"""Facets: what the dead letters found have in common. Choosing one writes into the query, and the query says all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import streamlit as st

from dashboard.dead_letters.statuses import STATUSES
from dashboard.shared.context import now_ms, viewer_zone
from dashboard.shared.formats import plain
from dashboard.shared.mapping import wording
from dashboard.shared.session import RenewableKey, StateKey
from pipeline.buffer.views import FacetValue
from pipeline.search.parser import parse
from pipeline.search.query import Compared, Operator, Part, Period, Query, quoted

Facets = dict[str, list[FacetValue]]


@dataclass(frozen=True, slots=True)
class _Choice:
    """A box in which values of a field are chosen."""

    field: str
    label: str
    key: RenewableKey[list[str]]


@dataclass(frozen=True, slots=True)
class _Limit:
    """A box with the time from which on, or before which, dead letters failed."""

    operator: Operator
    label: str
    key: RenewableKey[datetime]


_STATUS = _Choice("status", "Status", RenewableKey("letters_status_"))
_NARROWING = (
    _Choice("group", "Group", RenewableKey("letters_group_")),
    _Choice("class", "Error class", RenewableKey("letters_class_")),
    _Choice("source", "Source topic", RenewableKey("letters_source_")),
    _Choice("topic", "Dead-letter topic", RenewableKey("letters_topic_")),
    _Choice("dialect", "Dialect", RenewableKey("letters_dialect_")),
    _Choice("product", "Product", RenewableKey("letters_product_")),
    _Choice("failed", "Hour (UTC)", RenewableKey("letters_hour_")),
)
_CHOICES = (_STATUS, *_NARROWING)
_LIMITS = (
    _Limit(">=", "Failed from", RenewableKey("letters_from_")),
    _Limit("<", "Failed before", RenewableKey("letters_to_")),
)
_BOXES_END_MS = 32_503_680_000_000
"""Times from 1970 up to the year 3000 are shown in the boxes; others only the query tells."""
_EARLIEST, _LATEST = datetime(1969, 12, 30), datetime(3000, 1, 2)
_DRAWN_FOR: StateKey[str] = StateKey("letters_facets_of")


def with_choices(query: Query) -> Query:
    """The query with what was chosen in the facets since they were drawn for it; now they are drawn for that."""
    if _DRAWN_FOR.get() == str(query):
        for choice in _CHOICES:
            if choice.key.is_set() and set(values := choice.key.get() or ()) != set(query.chosen(choice.field)):
                query = query.choosing(choice.field, tuple(_part(choice.field, value) for value in values))
        for limit in _LIMITS:
            if limit.key.is_set() and (chosen := limit.key.get()) != _limit_of(query, limit):
                query = _limited(query, limit, chosen)
    if _DRAWN_FOR.get() != str(query):
        for choice in _CHOICES:
            choice.key.set(list(query.chosen(choice.field)))
        for limit in _LIMITS:
            _show(limit, query)
        _DRAWN_FOR.set(str(query))
    return query


def draw_statuses() -> None:
    """The statuses, to choose some."""
    st.pills(
        _STATUS.label,
        list(STATUSES),
        selection_mode="multi",
        format_func=lambda status: STATUSES[status].label,
        key=_STATUS.key.name,
        label_visibility="collapsed",
    )


def draw_facets(query: Query, facets: Facets) -> None:
    """The other facets, with how many of the dead letters found have each value."""
    chosen = sum(bool(query.chosen(choice.field)) for choice in _NARROWING)
    chosen += sum(_limit_of(query, limit) is not None for limit in _LIMITS)
    label = f"Narrow ({chosen})" if chosen else "Narrow"
    with st.popover(label, icon=":material/filter_alt:", width="content", key="letters_narrow"):
        for choice in _NARROWING:
            _values_box(choice, facets[choice.field])
        for limit in _LIMITS:
            st.datetime_input(limit.label, value=None, min_value=_EARLIEST, max_value=_LATEST, key=limit.key.name)


def _values_box(choice: _Choice, values: Sequence[FacetValue]) -> None:
    titles = _titles(values)
    # What a link asks for may not be among what was found.
    options = [*titles, *(value for value in choice.key.get() or () if value not in titles)]
    label = plain(wording().of("product", choice.label)) if choice.field == "product" else choice.label
    st.multiselect(
        label,
        options,
        format_func=lambda value: titles.get(value, value),
        key=choice.key.name,
        placeholder="All",
    )


def _titles(values: Sequence[FacetValue]) -> dict[str, str]:
    return {each.value: f"{each.title} ({each.dead_letters:,})" for each in values}


def _part(field: str, value: str) -> Part:
    return parse(f"{field}:{quoted(value)}", now_ms()).parts[0]


def _is_limit(part: Part, limit: _Limit) -> bool:
    return (
        isinstance(part, Compared)
        and (part.field, part.operator) == ("failed", limit.operator)
        and isinstance(part.value, Period)
        and 0 <= part.value.from_ms < _BOXES_END_MS
    )


def _limit_of(query: Query, limit: _Limit) -> datetime | None:
    """The viewer's local time of a limit as its box has it: without its zone, to the minute."""
    for part in query.parts:
        if _is_limit(part, limit) and isinstance(part, Compared) and isinstance(part.value, Period):
            at = datetime.fromtimestamp(part.value.from_ms / 1000, viewer_zone())
            return at.replace(tzinfo=None, second=0, microsecond=0)
    return None


def _limited(query: Query, limit: _Limit, chosen: datetime | None) -> Query:
    kept = query.without(lambda part: _is_limit(part, limit))
    if chosen is None:
        return kept
    text = chosen.replace(tzinfo=viewer_zone()).astimezone(UTC).strftime("%Y-%m-%dT%H:%MZ")
    return kept.narrowed(*parse(f"failed{limit.operator}{text}", now_ms()).parts)


def _show(limit: _Limit, query: Query) -> None:
    at: Any = _limit_of(query, limit)
    if at is None:
        limit.key.renew()
    else:
        limit.key.set(at)
