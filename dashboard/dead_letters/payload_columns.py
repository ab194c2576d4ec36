"""Columns of the table that are picked from the payload by path: which ones, and what stands in them."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from dashboard.dead_letters.address import address_lists, note_in_address
from dashboard.dead_letters.columns_shown import draw_table_choice, table_choice
from dashboard.dead_letters.payloads import decoded_parts
from dashboard.shared.context import reader
from dashboard.shared.formats import plain, size
from dashboard.shared.session import RenewableKey, StateKey
from dashboard.shared.tables import Column, text_column
from pipeline.buffer.views import Payload
from pipeline.dead_letters.decoded_columns import path_cell
from pipeline.dead_letters.decoding import Decoded
from pipeline.dead_letters.payload_paths import PayloadPath, cell_text, parse_payload_path, paths_in
from pipeline.errors import UsageError

COLUMNS_PARAMETER = "columns"
MOST_COLUMNS = 8
MOST_BYTES = 100_000
"""Of larger dead letters nothing is decoded for the table: a page has 200 of them."""
MOST_SUGGESTED = 200
_SUGGESTED_FROM = 20
_CHOSEN: StateKey[list[str]] = StateKey("letters_columns")
_BOX = RenewableKey[list[str]]("letters_columns_box_")
_WIDTH = 140


def chosen_paths() -> list[PayloadPath]:
    """The paths that are chosen, as the address of the page has them at first."""
    if not _CHOSEN.is_set():
        take_paths_from_address()
    paths = (_path_or_none(text) for text in _CHOSEN.get_or([]))
    return list(dict.fromkeys(path for path in paths if path is not None))


def take_paths_from_address() -> None:
    """What the address says is chosen."""
    _CHOSEN.set(address_lists(COLUMNS_PARAMETER)[:MOST_COLUMNS])
    _BOX.renew()


def payload_columns(ids: Sequence[int], paths: Sequence[PayloadPath]) -> list[Column]:
    """A column for each path, with a cell for each of these dead letters. Costs nothing without paths."""
    if not paths:
        return []
    payloads = reader().payloads(ids, MOST_BYTES)
    rows = [_cells(payloads.get(each), paths) for each in ids]
    return [
        text_column(f"payload {path}", _label(path), [row[index] for row in rows], _WIDTH, plain(str(path)))
        for index, path in enumerate(paths)
    ]


def draw_column_choice(ids: Sequence[int]) -> None:
    """The popover in which columns are chosen. Paths that are suggested are what the first rows hold."""
    chosen = _CHOSEN.get_or([])
    label = f"Columns ({count})" if (count := len(chosen) + len(table_choice().fields)) else "Columns"
    with st.popover(label, icon=":material/view_column:", key="letters_columns_popover", on_change="rerun") as popover:
        draw_table_choice()
        suggested = _suggested(ids) if popover.open else []
        st.multiselect(
            "Columns from the payload",
            list(dict.fromkeys([*chosen, *suggested])),
            # The browser knows nothing of a box in a popover that was never opened: it is not asked what is chosen.
            default=chosen,
            key=_BOX.name,
            on_change=_take_choice,
            accept_new_options=True,
            max_selections=MOST_COLUMNS,
            placeholder="order.customer.country",
            help="Paths into the value, or `key.` and a path into the key. `lines[0].sku` is the first item's, "
            "`lines[].sku` that of all.",
        )
        for text in chosen:
            if (why := _why_no_path(text)) is not None:
                st.error(plain(why), icon=":material/error:")
    note_in_address(COLUMNS_PARAMETER, *chosen)


def _take_choice() -> None:
    _CHOSEN.set(list(_BOX.get() or ()))


def _cells(payload: Payload | None, paths: Sequence[PayloadPath]) -> list[str | None]:
    if payload is None:
        return [None] * len(paths)
    if payload.left_out_bytes:
        return [f"not read: {size(payload.left_out_bytes)}"] * len(paths)
    key, value = _parts(payload)
    return [cell_text(path_cell(path, key, value)) for path in paths]


def _parts(payload: Payload) -> tuple[Decoded, Decoded]:
    return decoded_parts(payload.key, payload.value, payload.headers, payload.topic, payload.source_topic)


def _suggested(ids: Sequence[int]) -> list[str]:
    payloads = reader().payloads(ids[:_SUGGESTED_FROM], MOST_BYTES)
    parts = [_parts(each) for each in payloads.values()]
    return paths_in([value.value for _, value in parts if value.is_data], MOST_SUGGESTED)


def _label(path: PayloadPath) -> str:
    return str(path).removeprefix("value.")


def _path_or_none(text: str) -> PayloadPath | None:
    try:
        return parse_payload_path(text)
    except UsageError:
        return None


def _why_no_path(text: str) -> str | None:
    try:
        parse_payload_path(text)
    except UsageError as error:
        return str(error)
    return None
