"""Answers of the buffer that all sessions share until it changes: many viewers cost what one costs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, TypeVar

import pyarrow as pa
import streamlit as st

from dashboard.shared.configuration import settings
from dashboard.shared.context import now_ms, reader
from dashboard.shared.mapping import wording
from dashboard.shared.tables import money_cells
from dashboard.shared.time_ranges import TimeRange, flow_table
from pipeline.buffer import Reader
from pipeline.buffer.views import JobView, Rows, Totals
from pipeline.clock import Clock
from pipeline.records import Currency

RATE_OVER_MS = 10_000
ANSWERS_KEPT = 200
TOP_PRODUCTS = 10

Answer = TypeVar("Answer")


class Snapshots:
    """Remembers answers by key. All are forgotten when the buffer has changed, but not before they are `least_age_ms`
    old: viewers whose refreshes fall close together share one query under load too."""

    def __init__(self, source: Reader, clock: Clock, least_age_ms: int) -> None:
        self._source = source
        self._clock = clock
        self._least_age_ms = least_age_ms
        self._lock = threading.Lock()
        self._answers: dict[Hashable, Any] = {}
        self._version: tuple[object, ...] = ()
        self._since_ms = 0

    def get(self, key: Hashable, ask: Callable[[Reader], Answer]) -> Answer:
        """The answer to `ask`, which is only called when nobody has asked since the buffer changed."""
        with self._lock:
            self._forget_what_is_old()
            if key not in self._answers:
                self._answers[key] = ask(self._source)
            answer: Answer = self._answers[key]
            return answer

    def _forget_what_is_old(self) -> None:
        # The version is read before the answers: what is written while they are made is seen the next time.
        version, now_ms = self._source.data_version(), self._clock()
        young = 0 <= now_ms - self._since_ms < self._least_age_ms
        if len(self._answers) >= ANSWERS_KEPT or (version != self._version and not young):
            self._answers.clear()
            self._version, self._since_ms = version, now_ms


@dataclass(frozen=True, slots=True)
class Overview:
    """What the overview shows.

    `flow` is as `time_ranges.flow_table` makes it; `products` has product, orders, revenue.
    """

    totals: Totals
    parked: int
    flow: pa.Table
    products: pa.Table
    recent: Rows

    @property
    def settled(self) -> int:
        """Records whose fate is known: accepted or dead-lettered."""
        return self.totals.orders + self.totals.dead_letters

    def rate_per_s(self, now_ms: int) -> float:
        """Orders a second over the last ten seconds."""
        oldest_ms = now_ms - RATE_OVER_MS
        seconds = zip(self.recent.column("at_ms"), self.recent.column("orders"), strict=True)
        recent: int = sum(orders for at_ms, orders in seconds if oldest_ms < at_ms <= now_ms)
        return recent * 1000 / RATE_OVER_MS


@st.cache_resource(show_spinner=False)
def snapshots() -> Snapshots:
    """The answers of this server process."""
    return Snapshots(reader(), now_ms, settings().refresh_ms // 4)


def totals() -> Totals:
    """Orders, revenue and dead letters."""
    return snapshots().get("totals", lambda source: source.totals())


def has_records() -> bool:
    """Whether anything was ever accepted or dead-lettered."""
    # Until there is, everybody waits for the first one: no answer of a moment ago will do.
    return _any(totals()) or _any(reader().totals())


def _any(known: Totals) -> bool:
    return bool(known.orders or known.dead_letters)


def overview(time_range: TimeRange, zone: str, topic: str | None = None) -> Overview:
    """Everything on the overview, of all topics or of this one, times as clocks in `zone` show them."""
    currency = wording().currency
    return snapshots().get(
        ("overview", time_range, zone, topic, currency),
        lambda source: overview_of(source, time_range, zone, currency, topic),
    )


def newest_job() -> JobView | None:
    """The unfinished job that is next, or the one that was asked for last."""
    return snapshots().get("newest job", _newest_job)


def _newest_job(source: Reader) -> JobView | None:
    return source.unfinished_job() or next(iter(source.jobs(1)), None)


def overview_of(
    source: Reader, time_range: TimeRange, zone: str, currency: Currency, topic: str | None = None
) -> Overview:
    """The same, asked of a buffer now; money in whole units of the currency."""
    totals = source.totals() if topic is None else source.topic_totals().get(topic, Totals(0, 0, 0))
    products = source.product_totals(TOP_PRODUCTS, topic)
    return Overview(
        totals,
        source.parked_count(topic),
        flow_table(source.flow(time_range.grain, time_range.span_ms, topic), time_range, totals, zone, currency),
        pa.table(
            {
                "product": pa.array(products.column("product"), pa.string()),
                "orders": pa.array(products.column("orders"), pa.int64()),
                "revenue": money_cells(products.column("revenue_cents"), currency),
            }
        ),
        source.flow("second", RATE_OVER_MS, topic),
    )
