"""The section as an editable table: where each field comes from, its options, and why that was proposed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from dashboard.shared.formats import plain
from pipeline.errors import UsageError
from pipeline.orders.fields import ORDER_FIELDS
from pipeline.orders.proposing.cells import EDITED_KEYS, Cells, section_of_cells

LABELS = {
    "where": "Which records are orders",
    **{each.avro_name: each.label for each in ORDER_FIELDS},
    "currency": "Currency",
}
_HINTS = {
    "where": 'A condition such as type == "order.created"; records that do not meet it are passed over.',
    "price": "A path, a product such as price * quantity, or sum(lines[].price * lines[].qty).",
    "currency": 'The path of its code; options: code = "EUR".',
}
_HINT = "A path such as order.id, key, header:name or timestamp; several with commas between: the first that is there."
_OPTIONS = {
    "product": 'line = "dearest", constant = "…", default = "…"',
    "price": 'unit = "minor", float = true, base64_scale = 2',
    "created_at": 'unit = "s", zone = "Europe/Berlin"',
    "currency": 'code = "EUR"',
}


def edit_section(topic: str, number: int, answer: Mapping[str, Any]) -> str | None:
    """Draws the table; returns the section as it stands there, None where a cell cannot be read, which it says.

    `number` is that of the sample: another one brings other cells.
    """
    guesses = {each["key"]: each for each in answer["guesses"]}
    proposed = {key: each["value"] for key, each in guesses.items()}
    st.markdown("**How orders are made of its records**")
    begun, name = proposed, _prefix(number, "new")
    if in_file := answer["in_file"]:
        st.caption("The mapping file has a section of this topic, which is shown.")
        if not st.toggle("Begin with the proposal", key=f"{name}_anew"):
            begun, name = in_file, _prefix(number, "file")
    cells = {key: _edit(key, name, Cells.of(begun.get(key)), guesses.get(key)) for key in EDITED_KEYS}
    comments = {key: _comment(each) for key, each in guesses.items() if cells.get(key) == Cells.of(each["value"])}
    try:
        kept = {key: value for key, value in begun.items() if key not in EDITED_KEYS}
        return section_of_cells(topic, cells, comments, answer["told"], kept)
    except UsageError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return None


def _prefix(number: int, of: str) -> str:
    """What the keys of the cells begin with: those of another sample are others."""
    return f"connect_{number}_{of}"


def _edit(key: str, name: str, proposed: Cells, guess: Mapping[str, Any] | None) -> Cells:
    label = LABELS[key]
    with st.container(gap=None):
        if key == "where":
            source = st.text_input(label, proposed.source, key=f"{name}_{key}", help=_HINTS[key])
            options = ""
        else:
            left, right = st.columns([3, 2], gap="small", vertical_alignment="bottom")
            hint = _HINTS.get(key, _HINT)
            with left:
                source = st.text_input(label, proposed.source, key=f"{name}_{key}", help=hint)
            with right:
                options = st.text_input(
                    f"{label}: options",
                    proposed.options,
                    key=f"{name}_{key}_options",
                    placeholder=_OPTIONS.get(key, 'default = "…"'),
                    label_visibility="collapsed",
                )
        if guess is not None:
            st.caption(f"Proposed: {plain(_why(guess))}")
    return Cells(source, options)


def _why(guess: Mapping[str, Any]) -> str:
    others = ", ".join(guess["others"][:4])
    return f"{guess['why']}; else: {others}" if others else str(guess["why"])


def _comment(guess: Mapping[str, Any]) -> str:
    return f"{guess['key']}: {_why(guess)}"
