"""What one dead letter says, and what Kafka tells of it: the reason first, the rest in parts behind each other."""

from __future__ import annotations

import streamlit as st

from dashboard.dead_letters.letter.around import draw_around, draw_good_record, say_what_kafka_warns_of
from dashboard.dead_letters.letter.facts import draw_all_facts, say_what_hinders
from dashboard.dead_letters.letter.history import draw_history
from dashboard.dead_letters.letter.kafka import ask_kafka
from dashboard.dead_letters.letter.texts import draw_headers, draw_reason, draw_stack
from dashboard.dead_letters.payload_view import draw_payload
from dashboard.dead_letters.payloads import ask_for_schemas
from dashboard.dead_letters.statuses import STATUSES
from dashboard.shared.context import reader
from dashboard.shared.imported import imported_badge

_PARTS = ("Payload", "Headers", "Stack trace", "Timeline", "Same key", "Details")


def draw_detail(identifier: int) -> None:
    """All of one dead letter."""
    detail = reader().dead_letter(identifier)
    if detail is None:
        return
    row, told = detail.row, ask_kafka(detail)
    with st.container(key="letter_detail"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**Dead letter {row.id}**", width="content")
            st.badge(STATUSES[row.status].label, color=STATUSES[row.status].color)
            imported_badge()
        draw_reason(row.reason)
        say_what_hinders(detail)
        say_what_kafka_warns_of(told)
        payload, headers, stack, history, around, facts = st.tabs(_PARTS, key="letter_parts")
        with payload:
            draw_payload(detail)
            draw_good_record(told)
        with headers:
            draw_headers(detail.headers)
        with stack:
            draw_stack(detail.stacktrace)
        with history:
            draw_history(detail, told.examined.dead_letter.timestamp_ms if told.examined else None)
        with around:
            draw_around(told)
        with facts:
            draw_all_facts(detail)
    ask_for_schemas()
