"""One dead letter whole: why and where it failed, what it holds byte for byte, and what became of it."""

from __future__ import annotations

import streamlit as st

from dashboard.dead_letters.payload_view import SHOWN_LETTERS, draw_payload
from dashboard.dead_letters.raw_bytes import in_a_line
from dashboard.dead_letters.statuses import STATUSES
from dashboard.dead_letters.topics import dead_letter_topics
from dashboard.shared.configuration import settings
from dashboard.shared.context import reader, viewer_zone
from dashboard.shared.facts import Facts, draw_facts
from dashboard.shared.formats import moment, money, number, plain
from dashboard.shared.imported import imported_badge
from dashboard.shared.mapping import wording
from dashboard.shared.tables import Column, draw_table, number_column, positions, text_column, time_column
from pipeline.buffer.views import DeadLetterDetail, DeadLetterView, Rows
from pipeline.dead_letters.importing.kcat import may_lack_bytes
from pipeline.headers import NO_DIALECT, original_key_and_value, why_not_replayed
from pipeline.records import Headers

SHOWN_HEADERS = 1_000
_ROWS_HIGH = 10


def draw_detail(identifier: int) -> None:
    """The card of one dead letter."""
    detail = reader().dead_letter(identifier)
    if detail is None:
        return
    row = detail.row
    with st.container(border=True, key="letter_detail"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**Dead letter {row.id}**", width="content")
            st.badge(STATUSES[row.status].label, color=STATUSES[row.status].color)
            imported_badge()
        # A code block: a reason may hold any text, and is no Markdown of ours.
        _draw_long(row.reason, wrap_lines=True)
        draw_facts(_failure_facts(detail))
        st.markdown("**Order**")
        draw_facts(_order_facts(detail))
        if row.imported:
            _say_imported(detail)
        elif note := why_not_replayed(detail.headers, detail.key, detail.value):
            st.info(f"It cannot be replayed: {plain(note)}.", icon=":material/info:")
        elif row.source_topic is None and row.topic and dead_letter_topics().source_of(row.topic) is None:
            st.info(
                f"It is in no replay: it names no source topic, and nobody has named one for {plain(row.topic)} in "
                f"{plain(settings().dead_letters_file.name)}.",
                icon=":material/info:",
            )
        elif original_key_and_value(detail.headers, detail.key, detail.value) != (detail.key, detail.value):
            st.info("Its bytes could not be read and are in a header; a replay sends those.", icon=":material/info:")
        draw_payload(detail)
        _draw_headers(detail.headers)
        if detail.stacktrace:
            with st.expander("Stack trace", icon=":material/terminal:"):
                _draw_long(detail.stacktrace, wrap_lines=False)
        _draw_history(row)


def _say_imported(detail: DeadLetterDetail) -> None:
    st.info(
        f"It was imported from {plain(detail.imported_from or '')}, and is sent nowhere.", icon=":material/inventory_2:"
    )
    if detail.import_kind == "kcat" and may_lack_bytes(detail.key, detail.value, detail.headers):
        st.caption(
            "It holds U+FFFD. That is in the record, or a program that rewrote kcat's file put it in place of bytes."
        )


def _draw_long(text: str, wrap_lines: bool) -> None:
    """A text of any length as it stands, of a long one the beginning."""
    st.code(text[:SHOWN_LETTERS], language=None, wrap_lines=wrap_lines)
    if len(text) > SHOWN_LETTERS:
        st.caption(f"The first {number(SHOWN_LETTERS)} of {number(len(text))} letters are shown; the export holds all.")


def _failure_facts(detail: DeadLetterDetail) -> Facts:
    row, zone = detail.row, viewer_zone()
    return [
        ("Error class", row.error_class or "–"),
        ("Rule", detail.rule or "–"),
        ("Stage", detail.stage or "–"),
        ("Attempts", "–" if row.attempts is None else str(row.attempts)),
        ("First failed", moment(row.first_failed_at_ms, zone)),
        ("Failed at", moment(row.failed_at_ms, zone) if row.failed_at_known else "not told"),
        ("Imported" if detail.import_kind == "kcat" else "Collected", moment(detail.received_at_ms, zone)),
        ("Status since", moment(detail.status_at_ms, zone)),
        ("Replays", f"{row.replays} (no outcome was told)" if detail.concluded else str(row.replays)),
        ("Consumer group", detail.consumer_group or "–"),
        ("Dialect", "no failure headers" if row.dialect == NO_DIALECT else row.dialect),
        ("Source", row.source or "not told"),
        ("Written at the source", moment(detail.source_timestamp_ms, zone)),
        ("Dead-letter position", row.position or "in no dead-letter topic: kept in the buffer only"),
    ]


def _order_facts(detail: DeadLetterDetail) -> Facts:
    row, said = detail.row, wording()
    if row.order_id is None:
        return [("Value", "no readable order")]
    return [
        (said.of("order_id", "Order ID"), row.order_id),
        (said.of("customer_id", "Customer"), detail.customer_id or "–"),
        (said.of("product", "Product"), row.product or "–"),
        (said.of("price", "Price"), money(row.price_cents, said.currency)),
        (said.of("created_at", "Timestamp"), moment(row.created_at_ms, viewer_zone())),
    ]


def _draw_headers(headers: Headers) -> None:
    st.markdown("**Headers**")
    if not headers:
        st.caption("none")
        return
    listed = headers[:SHOWN_HEADERS]
    shown = [in_a_line(name, value) for name, value in listed]
    columns = [
        text_column("name", "Name", [name for name, _ in listed], 240),
        text_column("value", "Value", [each.text for each in shown], 420),
        text_column("kind", "Shown as", [each.kind for each in shown], 90),
    ]
    draw_table("letter_headers", columns, _ROWS_HIGH)
    if len(headers) > SHOWN_HEADERS:
        st.caption(f"The first {number(SHOWN_HEADERS)} of {number(len(headers))} are shown; the export holds all.")


def _draw_history(row: DeadLetterView) -> None:
    lives, replays = reader().lives(row.id), reader().replays_of(row.id)
    st.markdown("**History**")
    if len(lives) <= 1 and not replays.rows:
        st.caption(
            "The jobs of its replays are in its own buffer." if row.imported and row.replays else "Never replayed."
        )
        return
    if replays.rows:
        draw_table("letter_replays", _replay_columns(replays))
    if len(lives) > 1:
        st.caption("The same record's dead letters, oldest first")
        draw_table("letter_lives", _life_columns(lives))


def _replay_columns(replays: Rows) -> list[Column]:
    return [
        number_column("job", "Job", replays.column("job_id"), 60, "%d"),
        text_column("state", "Outcome", [state.replace("_", " ") for state in replays.column("state")], 100),
        text_column("sent_to", "Sent to", positions(replays), 180),
        time_column("asked_at", "Asked at", replays.column("created_at_ms")),
        text_column("by", "By", replays.column("requested_by"), 120),
        text_column("error", "Error", replays.column("error")),
    ]


def _life_columns(lives: list[DeadLetterView]) -> list[Column]:
    return [
        number_column("id", "Id", [life.id for life in lives], 60, "%d"),
        text_column("status", "Status", [STATUSES[life.status].label for life in lives], 100),
        time_column("failed_at", "Failed at", [life.failed_at_ms for life in lives]),
        text_column("reason", "Reason", [life.reason for life in lives], 400),
    ]
