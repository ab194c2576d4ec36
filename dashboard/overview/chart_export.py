"""Charts as files: PNG, SVG, and HTML that needs nothing from the network."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa
import streamlit as st
import vl_convert

from dashboard.overview.charts import PALETTES, ChartKind, Spec, specification
from dashboard.shared.context import shown_errors
from dashboard.shared.kept_files import kept_files
from dashboard.shared.mapping import Wording, wording
from dashboard.shared.snapshots import Overview, overview
from dashboard.shared.time_ranges import TimeRange

WIDTH = 900
HEIGHT = 420
PADDING = 16
PNG_SCALE = 2
# A character that Unicode keeps free: no script of the page has it.
SHIELD = "\ue000"


def download_popover(kind: ChartKind, time_range: TimeRange, zone: str, topic: str | None) -> None:
    """Offers a chart of all topics, or of this one, as files that are made when it is opened.

    Belongs outside of what refreshes.
    """
    said = wording()
    # Files that Streamlit makes at the click belong to no session: it drops them when any two runs have ended,
    # which with a few viewers is before the browser has fetched them. Those that are made here stay.
    with (
        st.popover(
            "Download", icon=":material/download:", type="tertiary", key=f"export_{kind.name}", on_change="rerun"
        ) as popover,
        shown_errors(),
    ):
        container = st.empty()

        def make() -> tuple[bytes, ...]:
            # Instead of the buttons of before: nobody presses one whose file is about to go.
            container.caption("Making the files…")
            table = kind_table(kind, overview(time_range, zone, topic))
            spec = export_specification(kind, table, time_range, zone, said, topic)
            return tuple(format_.convert(spec) for format_ in FORMATS)

        files = kept_files(f"files_{kind.name}", (time_range, topic, said), bool(popover.open), make)
        if files is not None:
            with container.container():
                for format_, content in zip(FORMATS, files, strict=True):
                    _offer(kind, format_, content, topic)


def _offer(kind: ChartKind, format_: _Format, content: bytes, topic: str | None) -> None:
    st.download_button(
        format_.label,
        data=content,
        file_name=f"{kind.name if topic is None else f'{kind.name}-{topic}'}.{format_.suffix}",
        mime=format_.mime,
        key=f"export_{kind.name}_{format_.suffix}",
        on_click="ignore",
        type="tertiary",
        icon=format_.icon,
    )


def kind_table(kind: ChartKind, shown: Overview) -> pa.Table:
    """The rows that a chart draws."""
    return shown.products if kind.name == "products" else shown.flow


def export_specification(
    kind: ChartKind, table: pa.Table, time_range: TimeRange, zone: str, wording: Wording, topic: str | None = None
) -> Spec:
    """A specification that is whole: with all rows, a title that names the topic, and a light background."""
    title = kind.title_in(time_range, wording)
    return specification(kind.name, zone, "light", wording) | {
        "data": {"values": table.select(kind.columns).to_pylist()},
        "title": {"text": title if topic is None else f"{title} of {topic}", "limit": WIDTH - 2 * PADDING},
        "background": PALETTES["light"].background,
        "width": WIDTH,
        "height": HEIGHT,
        "padding": PADDING,
        # No menu: its entries would lead to a site on the network.
        "usermeta": {"embedOptions": {"actions": False}},
    }


def png(spec: Spec) -> bytes:
    """The picture at twice its size in points, for sharp screens and print."""
    picture: bytes = vl_convert.vegalite_to_png(spec, scale=PNG_SCALE)
    return picture


def svg(spec: Spec) -> bytes:
    """The drawing."""
    drawing: str = vl_convert.vegalite_to_svg(spec)
    return drawing.encode()


def html(spec: Spec) -> bytes:
    """A page with the chart, its rows and all scripts inside."""
    # The converter writes the rows into a script, where HTML must find none of its own characters. All of them stand in
    # JSON strings, in which the same character can be written so that HTML does not see it.
    shielded = json.loads(json.dumps(spec).replace("<", SHIELD))
    page: str = vl_convert.vegalite_to_html(shielded, bundle=True)
    return page.replace(SHIELD, "\\u003c").encode()


@dataclass(frozen=True, slots=True)
class _Format:
    label: str
    suffix: str
    mime: str
    icon: str
    convert: Callable[[Spec], bytes]


FORMATS = (
    _Format("PNG picture", "png", "image/png", ":material/image:", png),
    _Format("SVG drawing", "svg", "image/svg+xml", ":material/image:", svg),
    _Format("HTML page", "html", "text/html", ":material/web:", html),
)
