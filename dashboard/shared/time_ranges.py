"""The spans of time that charts show, and the buffer's figures laid out over one without gaps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from zoneinfo import ZoneInfo

import pyarrow as pa

from pipeline.buffer.views import Grain, Rows, Totals
from pipeline.records import Currency

MIN_BUCKETS = 60


@dataclass(frozen=True, slots=True)
class TimeRange:
    """The last `span_ms`, in buckets of one `grain`."""

    grain: Grain
    span_ms: int

    @property
    def bucket_ms(self) -> int:
        """Length of one bucket."""
        return 1000 if self.grain == "second" else 60_000


TIME_RANGES = {
    "5 min": TimeRange("second", 5 * 60_000),
    "1 h": TimeRange("minute", 60 * 60_000),
    "24 h": TimeRange("minute", 24 * 60 * 60_000),
}


def flow_table(flow: Rows, time_range: TimeRange, totals: Totals, zone: str, currency: Currency) -> pa.Table:
    """One row a bucket up to the newest one in `flow`: zeros where nothing happened.

    Columns: at (clock time in `zone`, as milliseconds), orders, revenue, average (running, since the first order;
    null before it), dead_letters, retries. Money in whole units of the currency. The quiet time before the first bucket
    is left out, down to 60 buckets.
    """
    unit = 10**currency.digits
    times = _times(flow.column("at_ms"), time_range)
    index_of = {at_ms: index for index, at_ms in enumerate(times)}
    filled: dict[str, list[int]] = {}
    for name in ("orders", "revenue_cents", "dead_letters", "retries"):
        filled[name] = [0] * len(times)
        for at_ms, value in zip(flow.column("at_ms"), flow.column(name), strict=True):
            if at_ms in index_of:
                filled[name][index_of[at_ms]] = value
    return pa.table(
        {
            "at": pa.array(_clock_times(times, zone), pa.float64()),
            "orders": pa.array(filled["orders"], pa.int64()),
            "revenue": pa.array([cents / unit for cents in filled["revenue_cents"]], pa.float64()),
            "average": pa.array(
                [
                    None if each is None else each / unit
                    for each in _running_average(filled["orders"], filled["revenue_cents"], totals)
                ],
                pa.float64(),
            ),
            "dead_letters": pa.array(filled["dead_letters"], pa.int64()),
            "retries": pa.array(filled["retries"], pa.int64()),
        }
    )


def _times(met: Sequence[int], time_range: TimeRange) -> range:
    if not met:
        return range(0)
    # The newest figure ends the range, not the clock: what nobody changes can be shared, and need not be sent again.
    newest = max(met)
    earliest = newest - time_range.span_ms + time_range.bucket_ms
    least = newest - (MIN_BUCKETS - 1) * time_range.bucket_ms
    return range(max(earliest, min(min(met), least)), newest + 1, time_range.bucket_ms)


def _running_average(orders: list[int], revenue_cents: list[int], totals: Totals) -> list[float | None]:
    # What was before the time range is what the totals have more. They are read first, and may be a moment older.
    count = max(0, totals.orders - sum(orders))
    cents = max(0, totals.revenue_cents - sum(revenue_cents)) if count else 0
    counts = list(accumulate(orders, initial=count))[1:]
    sums = list(accumulate(revenue_cents, initial=cents))[1:]
    return [part / whole if whole else None for part, whole in zip(sums, counts, strict=True)]


def _clock_times(times: range, zone: str) -> list[float]:
    # Charts draw them as UTC, in the browser and in exports alike, whatever zone the machine that draws is in.
    info = ZoneInfo(zone)
    return [at_ms + _offset_ms(at_ms, info) for at_ms in times]


def _offset_ms(at_ms: int, zone: ZoneInfo) -> float:
    offset = datetime.fromtimestamp(at_ms / 1000, zone).utcoffset()
    return offset.total_seconds() * 1000 if offset is not None else 0.0
