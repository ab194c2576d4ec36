"""The overview's figures, each with the line it drew over the time range."""

from __future__ import annotations

from itertools import accumulate

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard.shared.formats import big_money, money, number, per_second, plain, share
from dashboard.shared.mapping import wording
from dashboard.shared.snapshots import Overview

SPARK_POINTS = 60


def draw_figures(shown: Overview, now_ms: int) -> None:
    """Six cards, three in a row, one in a row on a phone."""
    totals, said = shown.totals, wording()
    orders, dead_letters = _line(shown, "orders"), _line(shown, "dead_letters")
    both = [accepted + dead for accepted, dead in zip(orders, dead_letters, strict=True)]
    upper, lower = st.columns(3), st.columns(3)
    _card(
        upper[0],
        "Total orders",
        number(shown.settled),
        [shown.settled - sum(both) + so_far for so_far in accumulate(both)],
        "Records whose fate is known: accepted, or in a dead-letter topic.",
    )
    _card(
        upper[1],
        "Revenue",
        big_money(totals.revenue_cents, said.currency),
        _line(shown, "revenue"),
        f"Sum of the {plain(said.of('price', 'prices'))} of accepted orders.",
    )
    _card(
        upper[2],
        f"Average {plain(said.of('price', 'price'))}",
        money(totals.average_cents, said.currency),
        _line(shown, "average"),
        "Revenue divided by accepted orders, over all time.",
    )
    _card(
        lower[0],
        "Successful",
        number(totals.orders),
        orders,
        f"Orders that were accepted: {share(totals.orders, shown.settled)} of all. "
        f"{number(shown.parked)} more wait for a retry.",
    )
    _card(
        lower[1],
        "Dead-lettered",
        number(totals.dead_letters),
        dead_letters,
        f"Records in dead-letter topics: {share(totals.dead_letters, shown.settled)} of all. "
        "One that fails again after a replay counts again.",
    )
    _card(
        lower[2],
        "Rate",
        per_second(shown.rate_per_s(now_ms)),
        orders,
        "Orders accepted per second, over ten seconds.",
    )


def _card(column: DeltaGenerator, label: str, value: str, line: list[float], explanation: str) -> None:
    column.metric(label, value, border=True, chart_data=line, chart_type="area", help=explanation)


def _line(shown: Overview, column: str) -> list[float]:
    return [value or 0 for value in shown.flow.column(column).to_pylist()[-SPARK_POINTS:]] or [0, 0]
