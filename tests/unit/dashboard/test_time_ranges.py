from __future__ import annotations

from dashboard.shared.time_ranges import MIN_BUCKETS, TIME_RANGES, flow_table
from pipeline.buffer.views import Rows, Totals
from pipeline.orders.mapping.currency import DEFAULT_CURRENCY

NOON_MS = 1_767_268_800_000
FIVE_MINUTES = TIME_RANGES["5 min"]
COLUMNS = ("at_ms", "orders", "revenue_cents", "retries", "dead_letters")


def _rows(*rows: tuple[int, ...]) -> Rows:
    return Rows(COLUMNS, list(rows))


def test_nothing_makes_an_empty_table() -> None:
    assert flow_table(_rows(), FIVE_MINUTES, Totals(0, 0, 0), "UTC", DEFAULT_CURRENCY).num_rows == 0


def test_seconds_without_a_figure_are_zeros() -> None:
    table = flow_table(
        _rows((NOON_MS - 100_000, 2, 500, 0, 1), (NOON_MS, 1, 100, 3, 0)),
        FIVE_MINUTES,
        Totals(3, 600, 1),
        "UTC",
        DEFAULT_CURRENCY,
    )
    assert table.num_rows == 101
    assert table.column("orders").to_pylist() == [2] + [0] * 99 + [1]
    assert table.column("retries").to_pylist()[-1] == 3


def test_a_window_is_never_longer_than_its_span_nor_shorter_than_sixty_buckets() -> None:
    long = _rows(*((NOON_MS - second * 1000, 1, 1, 0, 0) for second in range(400)))
    assert flow_table(long, FIVE_MINUTES, Totals(400, 400, 0), "UTC", DEFAULT_CURRENCY).num_rows == 300
    assert (
        flow_table(_rows((NOON_MS, 1, 1, 0, 0)), FIVE_MINUTES, Totals(1, 1, 0), "UTC", DEFAULT_CURRENCY).num_rows
        == MIN_BUCKETS
    )


def test_the_running_average_counts_what_was_before_the_window() -> None:
    rows = _rows((NOON_MS - 60_000, 1, 300, 0, 0), (NOON_MS, 1, 500, 0, 0))
    table = flow_table(rows, FIVE_MINUTES, Totals(3, 900, 0), "UTC", DEFAULT_CURRENCY)
    assert table.column("average").to_pylist()[0] == 2.0  # (100 + 300) / 2 cents
    assert table.column("average").to_pylist()[-1] == 3.0


def test_the_running_average_begins_with_the_first_order() -> None:
    rows = _rows((NOON_MS - 90_000, 0, 0, 1, 0), (NOON_MS, 1, 500, 0, 0))
    assert flow_table(rows, FIVE_MINUTES, Totals(1, 500, 0), "UTC", DEFAULT_CURRENCY).column("average").to_pylist()[
        :2
    ] == [None, None]


def test_times_are_what_clocks_in_the_zone_show() -> None:
    rows = _rows((NOON_MS, 1, 1, 0, 0))
    tokyo = flow_table(rows, FIVE_MINUTES, Totals(1, 1, 0), "Asia/Tokyo", DEFAULT_CURRENCY).column("at").to_pylist()
    assert tokyo[-1] == NOON_MS + 9 * 3_600_000
