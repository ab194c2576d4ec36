"""Key and value of one dead letter, as what they are: decoded, as text, and byte for byte."""

from __future__ import annotations

import streamlit as st

from dashboard.dead_letters.payloads import decoded_parts
from dashboard.dead_letters.raw_bytes import SHOWN_BYTES, as_text, hex_dump
from dashboard.shared.formats import number, plain, size
from pipeline.buffer.views import DeadLetterDetail
from pipeline.dead_letters.decoded_columns import format_in_words
from pipeline.dead_letters.decoding import EMPTY, HEX, NULL, TEXT, Decoded
from pipeline.headers import original_key_and_value
from pipeline.orders.formats.plain_values import json_text

SHOWN_LETTERS = 20_000


def draw_payload(detail: DeadLetterDetail) -> None:
    """Value and key side by side: of those whose bytes could not be read, the bytes that a header has."""
    row = detail.row
    decoded_key, decoded_value = decoded_parts(detail.key, detail.value, detail.headers, row.topic, row.source_topic)
    raw_key, raw_value = original_key_and_value(detail.headers, detail.key, detail.value)
    value, key = st.columns([2, 1], gap="medium")
    with value:
        _draw_part("Value", decoded_value, raw_value or b"", f"dead-letter-{row.id}-value.bin")
    with key:
        _draw_part("Key", decoded_key, raw_key or b"", f"dead-letter-{row.id}-key.bin")


def _draw_part(title: str, decoded: Decoded, raw: bytes, file_name: str) -> None:
    st.markdown(f"**{title}**")
    if decoded.format in _WITHOUT_BYTES:
        st.caption(_WITHOUT_BYTES[decoded.format])
        return
    st.caption(f"{plain(_what_it_is(decoded))}, {size(len(raw))}")
    if decoded.waits:
        st.caption(":material/hourglass_top: A schema is still to come: it is drawn again then.")
    _draw_views(decoded, raw)
    if decoded.declined:
        with st.expander("How it was read", icon=":material/troubleshoot:", key=f"letter_{title.lower()}_readers"):
            st.code(_readers(decoded), language=None, wrap_lines=True)
    st.download_button(
        f"Download the {title.lower()}",
        raw,
        file_name,
        "application/octet-stream",
        icon=":material/download:",
        type="tertiary",
        on_click="ignore",
        key=f"letter_{title.lower()}",
    )


_WITHOUT_BYTES = {NULL: "null: the record has none", EMPTY: "empty: there, with 0 bytes"}


def _what_it_is(decoded: Decoded) -> str:
    return {TEXT: "UTF-8 text", HEX: "Bytes, not UTF-8 text"}.get(decoded.format) or format_in_words(decoded)


def _draw_views(decoded: Decoded, raw: bytes) -> None:
    text = as_text(raw)
    names = [*(["Decoded"] if decoded.is_data else []), *(["Text"] if text is not None else []), "Hex"]
    for name, tab in zip(names, st.tabs(names), strict=True):
        with tab:
            if name == "Decoded":
                _draw_json(decoded)
            else:
                shown = hex_dump(raw) if name == "Hex" or text is None else text
                st.code(shown, language=None, wrap_lines=name == "Text")
    if len(raw) > SHOWN_BYTES:
        st.caption(f"The first {size(SHOWN_BYTES)} are shown; the file holds all.")


def _draw_json(decoded: Decoded) -> None:
    text = json_text(decoded.value, indent=2, maximum_letters=SHOWN_LETTERS)
    st.code(text[:SHOWN_LETTERS], language="json", wrap_lines=True)
    if len(text) > SHOWN_LETTERS:
        st.caption(f"The first {number(SHOWN_LETTERS)} letters are shown; a decoded export holds all.")


def _readers(decoded: Decoded) -> str:
    tried = [f"{each.reader}: {each.reason}" for each in decoded.declined]
    return "\n".join([*tried, f"read as {format_in_words(decoded)}"])
