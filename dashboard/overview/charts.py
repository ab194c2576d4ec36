"""The charts of the overview: specifications made once, one theme for screen and export."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal

import altair as alt
import pyarrow as pa
import streamlit as st

from dashboard.shared.mapping import Wording
from dashboard.shared.time_ranges import TimeRange
from pipeline.records import Currency

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
class Look:
    """What a chart is drawn with: colours, the viewer's zone, and what people call things."""

    palette: Palette
    zone: str
    wording: Wording


@dataclass(frozen=True, slots=True)
class ChartKind:
    """One chart. `title` and `about` may hold `{grain}`, `{price}` and `{products}`.

    `columns` are those of its table that it needs.
    """

    name: str
    title: str
    about: str
    columns: tuple[str, ...]
    build: Callable[[Look], Drawing]

    def title_in(self, time_range: TimeRange, wording: Wording) -> str:
        """The title, with the grain of the time range where it matters."""
        return self.title.format(grain=time_range.grain, **_words(wording))

    def about_in(self, wording: Wording) -> str:
        """What it shows, for those who do not see it."""
        return self.about.format(**_words(wording))


def _words(wording: Wording) -> dict[str, str]:
    return {"price": wording.of("price", "price"), "products": wording.of("product", "products")}


def screen_mode() -> Mode:
    """Whether the viewer looks at light or dark pages."""
    return "dark" if st.context.theme.type == "dark" else "light"


def draw(kind: ChartKind, table: pa.Table, zone: str, wording: Wording) -> None:
    """Draws a chart; only its rows are sent again while its specification stays."""
    st.vega_lite_chart(
        table.select(kind.columns),
        specification(kind.name, zone, screen_mode(), wording),
        theme=None,
        key=f"chart_{kind.name}",
        alt=kind.about_in(wording),
    )


@lru_cache(maxsize=512)
def specification(name: str, zone: str, mode: Mode, wording: Wording) -> Spec:
    """The Vega-Lite specification of a chart without its data. Shared: not to be changed."""
    palette = PALETTES[mode]
    spec = _without_data(KINDS[name].build(Look(palette, zone, wording)).to_dict())
    config = theme(palette) | _locale(wording.currency)
    return spec | {"config": config, "width": "container", "height": HEIGHT, "autosize": AUTOSIZE}


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


def _locale(currency: Currency) -> Spec:
    """What `$` in a number's format stands for, where there is a symbol."""
    if not currency.symbol:
        return {}
    number = {"decimal": ".", "thousands": ",", "grouping": [3], "currency": [currency.symbol, ""]}
    return {"locale": {"number": number}}


def _money(currency: Currency, form: str) -> str:
    """A format of D3 for money, with the symbol where there is one."""
    return f"${form}" if currency.symbol else form


AUTOSIZE = {"type": "fit", "contains": "padding"}


def _time_axis(zone: str) -> alt.X:
    axis = alt.Axis(title=f"Time ({zone})", tickCount=6, labelExpr=CLOCK_LABEL)
    return alt.X("at:T", timeUnit=CLOCK, axis=axis)


def _time_tooltip() -> alt.Tooltip:
    return alt.Tooltip("at:T", timeUnit=CLOCK, title="Time", format="%Y-%m-%d %H:%M:%S")


def _hover(look: Look, *tooltips: alt.Tooltip) -> alt.Chart:
    """A thin line at the bucket nearest to the pointer, with its figures."""
    nearest = alt.selection_point(name="hover", fields=["at"], nearest=True, on="pointerover", empty=False)
    rule: alt.Chart = (
        alt.Chart()
        .mark_rule(color=look.palette.muted)
        .encode(
            x=_time_axis(look.zone),
            opacity=alt.when(nearest).then(alt.value(0.6)).otherwise(alt.value(0)),
            tooltip=[_time_tooltip(), *tooltips],
        )
        .add_params(nearest)
    )
    return rule


def _area(look: Look, column: str, title: str, shade: str, axis: alt.Axis, number_format: str) -> Drawing:
    area = (
        alt.Chart()
        .mark_area(color=shade, fillOpacity=0.22, interpolate="monotone", line={"color": shade, "strokeWidth": 1.5})
        .encode(x=_time_axis(look.zone), y=alt.Y(f"{column}:Q", axis=axis))
    )
    return alt.layer(area, _hover(look, alt.Tooltip(f"{column}:Q", title=title, format=number_format)))


def _orders(look: Look) -> Drawing:
    axis = alt.Axis(title=None, format=",d", tickMinStep=1)
    return _area(look, "orders", "Orders", look.palette.primary, axis, ",d")


def _revenue(look: Look) -> Drawing:
    currency = look.wording.currency
    form = _money(currency, f",.{currency.digits}~f")
    axis = alt.Axis(title=None, format=form, tickMinStep=10**-currency.digits)
    return _area(look, "revenue", "Revenue", look.palette.money, axis, form)


def _average(look: Look) -> Drawing:
    currency = look.wording.currency
    form = _money(currency, f",.{currency.digits}f")
    line = (
        alt.Chart()
        .mark_line(color=look.palette.money, strokeWidth=2)
        .encode(
            x=_time_axis(look.zone),
            y=alt.Y("average:Q", axis=alt.Axis(title=None, format=form), scale=alt.Scale(zero=False)),
        )
    )
    title = f"Running average {look.wording.of('price', 'price')}"
    return alt.layer(line, _hover(look, alt.Tooltip("average:Q", title=title, format=form)))


def _failures(look: Look) -> Drawing:
    palette = look.palette
    colors = alt.Scale(domain=["Dead letters", "Retries"], range=[palette.danger, palette.warning])
    lines = (
        alt.Chart()
        .transform_calculate(**{"Dead letters": "datum.dead_letters", "Retries": "datum.retries"})
        .transform_fold(["Dead letters", "Retries"], as_=["kind", "records"])
        .mark_line(strokeWidth=1.75, interpolate="monotone")
        .encode(
            x=_time_axis(look.zone),
            y=alt.Y("records:Q", axis=alt.Axis(title=None, format=",d", tickMinStep=1)),
            color=alt.Color("kind:N", scale=colors),
        )
    )
    return alt.layer(
        lines,
        _hover(
            look,
            alt.Tooltip("dead_letters:Q", title="Dead letters", format=",d"),
            alt.Tooltip("retries:Q", title="Retries", format=",d"),
        ),
    )


def _products(look: Look) -> Drawing:
    currency = look.wording.currency
    bars: alt.Chart = (
        alt.Chart()
        .mark_bar(color=look.palette.money)
        .encode(
            x=alt.X("revenue:Q", axis=alt.Axis(title="Revenue", format=_money(currency, "~s"), tickCount=5)),
            y=alt.Y("product:N", sort="-x", axis=alt.Axis(title=None, labelLimit=150)),
            tooltip=[
                alt.Tooltip("product:N", title=look.wording.of("product", "Product")),
                alt.Tooltip("revenue:Q", title="Revenue", format=_money(currency, f",.{currency.digits}f")),
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
            _orders,
        ),
        ChartKind(
            "revenue",
            "Revenue per {grain}",
            "Area chart of revenue over time",
            ("at", "revenue"),
            _revenue,
        ),
        ChartKind(
            "average",
            "Running average {price}",
            "Line chart of the average {price} of all orders so far",
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
            "Top {products} by revenue",
            "Bar chart of the ten {products} with the most revenue",
            ("product", "orders", "revenue"),
            _products,
        ),
    )
}
