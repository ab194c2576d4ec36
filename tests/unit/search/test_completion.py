from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.search.completion import complete

KNOWN = {"dialect": ("kafka-connect", "kafka-streams"), "group": ("stock is missing",), "source": ("orders",)}


def known(field: str) -> tuple[str, ...]:
    return KNOWN.get(field, ())


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        ("sta|", "status:"),
        ("price>1 dia|", "price>1 dialect:"),
        ("dialect:|", "dialect:kafka-connect"),
        ("dialect:kafka-s|", "dialect:kafka-streams"),
        ("-dialect:KAFKA-S|", "-dialect:kafka-streams"),
        ("group:|", 'group:"stock is missing"'),
        ('group:"stock i|', 'group:"stock is missing"'),
        ("status:o|", "status:open"),
        ("status:|open", "status:openopen"),
        ("failed:|", "failed:<15m"),
        ("attempts:|", "attempts:<"),
        ("a O|", "a OR"),
        ("a (so| b)", "a (source: b)"),
        ("|", "status:"),
        ("a |", "a status:"),
    ],
)
def test_offers_what_goes_on_from_there(text: str, taken: str) -> None:
    cursor = text.index("|")
    text = text.replace("|", "")
    completion = complete(text, cursor, known)
    assert completion.applied(text, completion.options[0]) == taken


@pytest.mark.parametrize("text", ["nothing-like-that", "rule:", "header.a:", "status:open", '"any text"'])
def test_offers_nothing_where_nothing_is_known(text: str) -> None:
    assert complete(text, len(text), known).options == ()


@given(st.text(max_size=20), st.integers(0, 20))
def test_offers_something_or_nothing_for_any_text(text: str, cursor: int) -> None:
    cursor = min(cursor, len(text))
    completion = complete(text, cursor, known)
    assert completion.at <= completion.end == cursor
