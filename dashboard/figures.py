"""The overview's row of figures, each with the line it drew over the window."""

from __future__ import annotations

from itertools import accumulate

import streamlit as st

from dashboard.formats import money, number, per_second, share
from dashboard.snapshots import Overview

SPARK_POINTS = 60
CARD_WIDTH = 150


def draw_figures(shown: Overview, now_ms: int) -> None:
    """Six cards in a row, or as many in a row as fit."""
    totals = shown.totals
    orders, dead_letters = _line(shown, "orders"), _line(shown, "dead_letters")
    both = [accepted + dead for accepted, dead in zip(orders, dead_letters, strict=True)]
    with st.container(horizontal=True, key="kpis"):
        _card(
            "Total orders",
            number(shown.settled),
            [shown.settled - sum(both) + so_far for so_far in accumulate(both)],
            "Records whose fate is known: accepted, or in a dead-letter topic.",
        )
        _card("Revenue", money(totals.revenue_cents), _line(shown, "revenue"), "Sum of the prices of accepted orders.")
        _card(
            "Average price",
            money(totals.average_cents),
            _line(shown, "average"),
            "Revenue divided by accepted orders, over all time.",
        )
        _card(
            "Successful",
            number(totals.orders),
            orders,
            f"Orders that were accepted: {share(totals.orders, shown.settled)} of all. "
            f"{number(shown.parked)} more wait for a retry.",
        )
        _card(
            "Dead-lettered",
            number(totals.dead_letters),
            dead_letters,
            f"Records in dead-letter topics: {share(totals.dead_letters, shown.settled)} of all. "
            "One that fails again after a replay counts again.",
        )
        _card("Rate", per_second(shown.rate_per_s(now_ms)), orders, "Orders accepted per second, over ten seconds.")


def _card(label: str, value: str, line: list[float], explanation: str) -> None:
    st.metric(label, value, border=True, chart_data=line, chart_type="area", help=explanation, width=CARD_WIDTH)


def _line(shown: Overview, column: str) -> list[float]:
    return [value or 0 for value in shown.flow.column(column).to_pylist()[-SPARK_POINTS:]]
