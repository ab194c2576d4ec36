"""What is known of one dead letter in single facts, and what stands in the way of a replay."""

from __future__ import annotations

import streamlit as st

from dashboard.dead_letters.topics import dead_letter_topics
from dashboard.shared.configuration import settings
from dashboard.shared.context import viewer_zone
from dashboard.shared.facts import Facts, draw_facts
from dashboard.shared.formats import moment, money, plain
from dashboard.shared.mapping import wording
from pipeline.buffer.views import DeadLetterDetail
from pipeline.dead_letters.importing.kcat import may_lack_bytes
from pipeline.headers import NO_DIALECT, original_key_and_value, why_not_replayed


def draw_all_facts(detail: DeadLetterDetail) -> None:
    """Its failure and its order."""
    draw_facts(_failure_facts(detail))
    st.markdown("**Order**")
    draw_facts(_order_facts(detail))


def say_what_hinders(detail: DeadLetterDetail) -> None:
    """Why it cannot be replayed, or what a replay does otherwise than one would think."""
    row = detail.row
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


def _say_imported(detail: DeadLetterDetail) -> None:
    st.info(
        f"It was imported from {plain(detail.imported_from or '')}, and is sent nowhere.", icon=":material/inventory_2:"
    )
    if detail.import_kind == "kcat" and may_lack_bytes(detail.key, detail.value, detail.headers):
        st.caption(
            "It holds U+FFFD. That is in the record, or a program that rewrote kcat's file put it in place of bytes."
        )


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
