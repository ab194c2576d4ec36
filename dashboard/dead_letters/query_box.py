"""The box with the query, which says all of which dead letters are meant. It is in the page's address too."""

from __future__ import annotations

import streamlit as st

from dashboard.dead_letters.address import QUERY_PARAMETER, address_says, note_in_address
from dashboard.dead_letters.facets import with_choices
from dashboard.dead_letters.keyboard import draw_help
from dashboard.shared.context import now_ms, reader
from dashboard.shared.formats import plain
from dashboard.shared.mapping import wording
from dashboard.shared.session import RenewableKey
from pipeline.buffer import DeadLetterFilter
from pipeline.errors import QueryError
from pipeline.orders.fields import DEAD_LETTER_FIELDS
from pipeline.search.completion import complete
from pipeline.search.fields import FIELDS, Field
from pipeline.search.parser import parse, pointed
from pipeline.search.query import EVERYTHING, Named, Query

SUGGESTIONS = 8
_EXAMPLE = 'status:open price>100 failed:<1h -dialect:spring-kafka "any text"'
_VALUES_KNOWN = ("class", "source", "topic", "dialect", "product", "rule", "stage", "consumer-group")
"""Fields of few values, which are offered."""
_NAMES_IN_FILE = {field.name: field.avro_name for field in DEAD_LETTER_FIELDS}
_QUERY = RenewableKey[str]("letters_query_")
_NEXT = RenewableKey[str]("letters_next_")


def query_box() -> DeadLetterFilter | None:
    """Draws the box. None while it holds no query, of which it says what is wrong, and where."""
    _begin()
    text, error = _QUERY.get_or(""), None
    try:
        query = _read(text)
        narrowed = with_choices(query)
        if narrowed != query:
            _QUERY.set(str(narrowed))
    except QueryError as found:
        error = found
    note_in_address(QUERY_PARAMETER, _QUERY.get_or(""))
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
        # A hidden label hides the help too: `draw_help` has it.
        st.text_input(
            "Query", key=_QUERY.name, placeholder=_EXAMPLE, icon=":material/search:", label_visibility="collapsed"
        )
        st.button("Clear", icon=":material/filter_alt_off:", type="tertiary", on_click=clear, key="letters_clear")
        draw_help(_help())
    _draw_suggestions(_QUERY.get_or(""))
    if error is not None:
        st.error(plain(str(error)), icon=":material/error:")
        st.code(pointed(text, error), language=None)
        return None
    return DeadLetterFilter(narrowed)


def _help() -> str:
    """What a query may hold, with what the mapping file calls the fields of an order."""
    return "\n".join(
        (
            "Texts and fields; all of them must be so. `OR`, `-` or `NOT`, parentheses, and quotes around spaces.",
            "",
            *(f"- `{field.name}`: {field.means}{_called(field)}" for field in FIELDS),
            "- `header.NAME`: a header; `value.PATH`: what is inside the value",
            "",
            "Times are ages, `failed:<1h`, or of UTC where no zone is said: `failed>=2026-11-28T10:30+01:00`.",
        )
    )


def _called(field: Field) -> str:
    name = _NAMES_IN_FILE.get(field.column)
    label = wording().of(name, "") if name else ""
    return f", here called {plain(label)}" if label else ""


def choose(field: str, *values: str) -> None:
    """Has the query ask for these values of a field, whatever it asked of that field before; of none, for any."""
    try:
        query = _read(_QUERY.get_or(""))
    except QueryError:
        # What is no query means nothing that could be kept.
        query = EVERYTHING
    _QUERY.set(str(query.choosing(field, tuple(Named(field, value) for value in values))))


def clear() -> None:
    """Has the query mean all dead letters."""
    _QUERY.set("")


def _begin() -> None:
    """Takes the query of a link, or the suggestion that was chosen."""
    if not _QUERY.is_set():
        _QUERY.set(address_says(QUERY_PARAMETER))
    if chosen := _NEXT.get():
        text = _QUERY.get_or("")
        _QUERY.set(complete(text, len(text), _known_values).applied(text, chosen))
        _NEXT.renew()


def _read(text: str) -> Query:
    return parse(text, now_ms(), reader().currency().digits)


def _draw_suggestions(text: str) -> None:
    options = complete(text, len(text), _known_values).options[:SUGGESTIONS] if text else ()
    if options:
        st.pills("Go on with", options, format_func=plain, key=_NEXT.name, label_visibility="collapsed")


@st.cache_data(ttl=15, show_spinner=False)
def _known_values(field: str) -> list[str]:
    # Hardly ever is there anything new.
    if field == "group":
        return reader().groups().column("title")
    return reader().dead_letter_values(field) if field in _VALUES_KNOWN else []


def take_query_from_address() -> None:
    """The box has what the address says."""
    _QUERY.set(address_says(QUERY_PARAMETER))
