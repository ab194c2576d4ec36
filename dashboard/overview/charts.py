"""The charts of the overview: specifications made once, one theme for screen and export."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal

import altair as alt
import pyarrow as pa
import streamlit as st

from dashboard.shared.time_ranges import TimeRange

Mode = Literal["light", "dark"]
Spec = dict[str, Any]
Drawing = alt.Chart | alt.LayerChart | alt.FacetChart
"""What altair's own functions return; for all that it knows, layers of charts may become facets."""

HEIGHT = 240
# Read off the clock in the viewer's zone and drawn as UTC; see `time_ranges.flow_table`.
CLOCK: Final = "utcyearmonthdatehoursminutesseconds"
# A date only where a day begins, seconds only where they are not zero.
CLOCK_LABEL = (
    "utcFormat(datum.value, utcseconds(datum.value) ? '%H:%M:%S' : "
    "utchours(datum.value) + utcminutes(datum.value) ? '%H:%M' : '%b %d')"
)


@dataclass(frozen=True, slots=True)
class Palette:
    """The colours of one mode; the same as in `.streamlit/config.toml`."""

    background: str
    text: str
    muted: str
    grid: str
    primary: str
    money: str
    warning: str
    danger: str


PALETTES: dict[Mode, Palette] = {
    "light": Palette("#ffffff", "#17242b", "#5b6b73", "#e4eaec", "#0f766e", "#1d4ed8", "#b45309", "#be123c"),
    "dark": Palette("#0f171b", "#e6eef0", "#9db0b8", "#24333b", "#2dd4bf", "#7aa5ff", "#fbbf24", "#fb7185"),
}


@dataclass(frozen=True, slots=True)
class ChartKind:
    """One chart. `title` may hold `{grain}`; `columns` are those of its table that it needs."""

    name: str
    title: str
    about: str
    columns: tuple[str, ...]
    build: Callable[[Palette, str], Drawing]

    def title_in(self, time_range: TimeRange) -> str:
        """The title, with the grain of the time range where it matters."""
        return self.title.format(grain=time_range.grain)


def screen_mode() -> Mode:
    """Whether the viewer looks at light or dark pages."""
    return "dark" if st.context.theme.type == "dark" else "light"


def draw(kind: ChartKind, table: pa.Table, zone: str) -> None:
    """Draws a chart; only its rows are sent again while its specification stays."""
    st.vega_lite_chart(
        table.select(kind.columns),
        specification(kind.name, zone, screen_mode()),
        theme=None,
        key=f"chart_{kind.name}",
        alt=kind.about,
    )


@lru_cache(maxsize=512)
def specification(name: str, zone: str, mode: Mode) -> Spec:
    """The Vega-Lite specification of a chart without its data. Shared: not to be changed."""
    palette = PALETTES[mode]
    spec = _without_data(KINDS[name].build(palette, zone).to_dict())
    return spec | {"config": theme(palette), "width": "container", "height": HEIGHT, "autosize": AUTOSIZE}


def _without_data(spec: Spec) -> Spec:
    """The rows are handed to the whole chart, so that no layer may have data of its own."""
    layers = {"layer": [_without_data(layer) for layer in spec["layer"]]} if "layer" in spec else {}
    return {part: value for part, value in spec.items() if part not in ("data", "datasets")} | layers


def theme(palette: Palette) -> Spec:
    """How all charts look."""
    return {
        "background": "transparent",
        "font": "Source Sans, Source Sans Pro, Liberation Sans, DejaVu Sans, sans-serif",
        "padding": 4,
        "view": {"stroke": None},
        "title": {"color": palette.text, "fontSize": 16, "fontWeight": 600, "anchor": "start", "offset": 12},
        "axis": {
            "labelColor": palette.muted,
            "labelFontSize": 12,
            "titleColor": palette.muted,
            "titleFontSize": 12,
            "titleFontWeight": "normal",
            "gridColor": palette.grid,
            "domain": False,
            "tickColor": palette.grid,
        },
        "axisX": {"grid": False, "domain": True, "domainColor": palette.grid, "labelOverlap": True},
        "axisY": {"ticks": False, "labelPadding": 6, "tickCount": 4},
        "legend": {
            "labelColor": palette.text,
            "labelFontSize": 12,
            "title": None,
            "orient": "top",
            "symbolType": "stroke",
            "symbolStrokeWidth": 3,
        },
        "bar": {"cornerRadiusEnd": 3},
    }


AUTOSIZE = {"type": "fit", "contains": "padding"}


def _time_axis(zone: str) -> alt.X:
    axis = alt.Axis(title=f"Time ({zone})", tickCount=6, labelExpr=CLOCK_LABEL)
    return alt.X("at:T", timeUnit=CLOCK, axis=axis)


def _time_tooltip() -> alt.Tooltip:
    return alt.Tooltip("at:T", timeUnit=CLOCK, title="Time", format="%Y-%m-%d %H:%M:%S")


def _hover(palette: Palette, zone: str, *tooltips: alt.Tooltip) -> alt.Chart:
    """A thin line at the bucket nearest to the pointer, with its figures."""
    nearest = alt.selection_point(name="hover", fields=["at"], nearest=True, on="pointerover", empty=False)
    rule: alt.Chart = (
        alt.Chart()
        .mark_rule(color=palette.muted)
        .encode(
            x=_time_axis(zone),
            opacity=alt.when(nearest).then(alt.value(0.6)).otherwise(alt.value(0)),
            tooltip=[_time_tooltip(), *tooltips],
        )
        .add_params(nearest)
    )
    return rule


def _area(
    column: str, title: str, color: str, number_format: str, least_step: float
) -> Callable[[Palette, str], Drawing]:
    def build(palette: Palette, zone: str) -> Drawing:
        shade = getattr(palette, color)
        axis = alt.Axis(title=None, format=number_format, tickMinStep=least_step)
        area = (
            alt.Chart()
            .mark_area(color=shade, fillOpacity=0.22, interpolate="monotone", line={"color": shade, "strokeWidth": 1.5})
            .encode(x=_time_axis(zone), y=alt.Y(f"{column}:Q", axis=axis))
        )
        tooltip = alt.Tooltip(f"{column}:Q", title=title, format=number_format)
        return alt.layer(area, _hover(palette, zone, tooltip))

    return build


def _average(palette: Palette, zone: str) -> Drawing:
    axis = alt.Axis(title=None, format=",.2f")
    line = (
        alt.Chart()
        .mark_line(color=palette.money, strokeWidth=2)
        .encode(x=_time_axis(zone), y=alt.Y("average:Q", axis=axis, scale=alt.Scale(zero=False)))
    )
    return alt.layer(
        line, _hover(palette, zone, alt.Tooltip("average:Q", title="Running average price", format=",.2f"))
    )


def _failures(palette: Palette, zone: str) -> Drawing:
    colors = alt.Scale(domain=["Dead letters", "Retries"], range=[palette.danger, palette.warning])
    lines = (
        alt.Chart()
        .transform_calculate(**{"Dead letters": "datum.dead_letters", "Retries": "datum.retries"})
        .transform_fold(["Dead letters", "Retries"], as_=["kind", "records"])
        .mark_line(strokeWidth=1.75, interpolate="monotone")
        .encode(
            x=_time_axis(zone),
            y=alt.Y("records:Q", axis=alt.Axis(title=None, format=",d", tickMinStep=1)),
            color=alt.Color("kind:N", scale=colors),
        )
    )
    return alt.layer(
        lines,
        _hover(
            palette,
            zone,
            alt.Tooltip("dead_letters:Q", title="Dead letters", format=",d"),
            alt.Tooltip("retries:Q", title="Retries", format=",d"),
        ),
    )


def _products(palette: Palette, zone: str) -> Drawing:
    bars: alt.Chart = (
        alt.Chart()
        .mark_bar(color=palette.money)
        .encode(
            x=alt.X("revenue:Q", axis=alt.Axis(title="Revenue", format="~s", tickCount=5)),
            y=alt.Y("product:N", sort="-x", axis=alt.Axis(title=None, labelLimit=150)),
            tooltip=[
                alt.Tooltip("product:N", title="Product"),
                alt.Tooltip("revenue:Q", title="Revenue", format=",.2f"),
                alt.Tooltip("orders:Q", title="Orders", format=",d"),
            ],
        )
    )
    return bars


KINDS: dict[str, ChartKind] = {
    kind.name: kind
    for kind in (
        ChartKind(
            "orders",
            "Orders per {grain}",
            "Area chart of accepted orders over time",
            ("at", "orders"),
            _area("orders", "Orders", "primary", ",d", 1),
        ),
        ChartKind(
            "revenue",
            "Revenue per {grain}",
            "Area chart of revenue over time",
            ("at", "revenue"),
            _area("revenue", "Revenue", "money", ",.2~f", 0.01),
        ),
        ChartKind(
            "average",
            "Running average price",
            "Line chart of the average price of all orders so far",
            ("at", "average"),
            _average,
        ),
        ChartKind(
            "failures",
            "Dead letters and retries per {grain}",
            "Line chart of dead letters and failed attempts over time",
            ("at", "dead_letters", "retries"),
            _failures,
        ),
        ChartKind(
            "products",
            "Top products by revenue",
            "Bar chart of the ten products with the most revenue",
            ("product", "orders", "revenue"),
            _products,
        ),
    )
}
