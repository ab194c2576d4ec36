"""What is odd about a decoded value beside good ones."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.dead_letters.letter.comparing import Comparison, Difference, compare
from pipeline.orders.mapping.values import JsonNumber

GOOD: dict[str, Any] = {
    "id": "A-1",
    "price": JsonNumber("19.99"),
    "customer": {"country": "DE", "email": "a@example.com"},
    "lines": [{"sku": "x", "count": 1}, {"sku": "y", "count": 2}],
    "paid": True,
}


def odd(value: Any, *good: Any) -> list[tuple[str, str]]:
    return [(each.kind, each.path) for each in compare(value, good or (GOOD,)).differences]


def test_nothing_is_odd_about_a_value_like_the_good_one() -> None:
    assert compare(GOOD, [GOOD]) == Comparison(())
    assert odd({**GOOD, "id": "B-2", "price": JsonNumber("5.00"), "lines": []}, GOOD, {**GOOD, "lines": []}) == []


@pytest.mark.parametrize(
    ("value", "difference"),
    [
        ({**GOOD, "price": "19.99"}, Difference("price", "type", '"19.99"', "number, as 19.99")),
        ({**GOOD, "price": None}, Difference("price", "null", "null", "number, as 19.99")),
        ({**GOOD, "id": ""}, Difference("id", "empty", '""', 'text, as "A-1"')),
        ({**GOOD, "lines": []}, Difference("lines", "empty", "[]", "list")),
        ({**GOOD, "note": "<b>"}, Difference("note", "extra", '"<b>"', "not there")),
        ({**GOOD, "paid": 1}, Difference("paid", "type", "1", "true or false, as true")),
        (
            {**GOOD, "customer": {"country": "DE"}},
            Difference("customer.email", "missing", "", 'text, as "a@example.com"'),
        ),
        ({**GOOD, "customer": "C-1"}, Difference("customer", "type", '"C-1"', "object")),
        (
            {**GOOD, "lines": [{"sku": "x", "count": 1}, {"sku": None, "count": 1}]},
            Difference("lines[1].sku", "null", "null", 'text, as "x"'),
        ),
        ([1], Difference("(all of it)", "type", "[1]", "object")),
    ],
)
def test_each_kind_of_difference_is_told_with_its_path(value: Any, difference: Difference) -> None:
    assert compare(value, [GOOD]).differences == (difference,)


def test_the_worst_comes_first() -> None:
    value = {"id": "", "extra": 1, "price": None, "customer": 3, "lines": GOOD["lines"]}
    assert [kind for kind, _ in odd(value)] == ["missing", "type", "null", "empty", "extra"]


def test_what_some_good_ones_lack_is_optional() -> None:
    without = {name: each for name, each in GOOD.items() if name != "paid"}
    assert odd(without, GOOD, without) == []
    assert odd({**GOOD, "paid": None}, GOOD, {**GOOD, "paid": None}) == []


def test_a_number_is_out_of_range_once_enough_were_seen() -> None:
    good = [{"price": JsonNumber(f"{price}.50")} for price in range(1, 6)]
    value = {"price": JsonNumber("-3.00")}
    assert compare(value, good).differences == (Difference("price", "value", "-3.00", "from 1.50 to 5.50"),)
    assert odd(value, *good[:4]) == []
    assert odd({"price": JsonNumber("5.50")}, *good) == []


def test_a_text_that_is_none_of_a_few_is_odd_once_enough_were_seen() -> None:
    good = [{"state": ("paid", "new")[number % 2]} for number in range(20)]
    assert compare({"state": "PAID"}, good).differences == (
        Difference("state", "value", '"PAID"', 'one of "paid", "new"'),
    )
    assert odd({"state": "PAID"}, *good[:10]) == []
    assert odd({"id": "x"}, *({"id": f"id {number}"} for number in range(30))) == []


@pytest.mark.parametrize(
    ("seen", "value"),
    [
        ("2026-01-0{}T10:00:00.000Z", "yesterday"),
        ("1{}.50", "12,50"),
        ("0f8fad5b-d9cb-469f-a165-70867728950{}", "0f8fad5b"),
        ("a{}@example.com", "nobody"),
    ],
)
def test_a_text_of_another_shape_is_odd_where_all_others_have_one(seen: str, value: str) -> None:
    good = [{"at": seen.format(number)} for number in range(1, 7)]
    assert odd({"at": value}, *good) == [("value", "at")]
    assert odd({"at": seen.format(9)}, *good) == []


def test_long_values_and_many_differences_are_cut_and_it_is_said() -> None:
    told = compare({f"new{number}": "x" * 1_000 for number in range(10)}, [{}], most=4)
    assert len(told.differences) == 4
    assert told.cut == "the first 4 of 10 differences"
    assert all(len(each.here) < 130 for each in told.differences)
    large = compare({"items": list(range(1_000))}, [{"items": [1]}], room=100)
    assert large.cut == "only the first 100 fields and items were compared"


def test_names_that_are_no_plain_words_are_written_as_paths_are() -> None:
    assert odd({"a.b": 1, "c d": {"e": 2}}, {}) == [("extra", '"a.b"'), ("extra", '"c d"')]


@pytest.mark.parametrize("value", [None, "", 0, {}, []])
def test_without_a_good_one_nothing_is_odd(value: Any) -> None:
    assert compare(value, []) == Comparison(())
