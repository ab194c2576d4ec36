"""Every rule says the same of one order as of many, and what it says at the edge of each of its settings is right."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from pipeline import errors
from pipeline.errors import RuleBrokenError
from pipeline.orders.fields import NUMBER_FIELDS
from pipeline.orders.rules import RULES, Price, Rule, Rules
from pipeline.records import Currency, Order
from pipeline.settings import PROJECT_DIR
from tests.support.order_values import BOUNDS
from tests.support.rule_samples import (
    EVERY_RULE,
    FEWEST,
    NOW_MS,
    ORDER,
    SAMPLES,
    TEXT_FIELDS,
    Change,
    Edge,
    Row,
    Settings,
    columns_of,
    order_with,
    rules_of,
)

ROWS = [
    pytest.param(name, row, id=f"{name}-{row.key}-{number}")
    for name, samples in SAMPLES.items()
    for number, row in enumerate(samples.rows)
]
FIRST_FOUND = settings(phases=[Phase.generate], database=None)
by_rule = pytest.mark.parametrize("rule", EVERY_RULE, ids=lambda rule: rule.name)


def broken_rule(rules: Rules, order: Order) -> tuple[str, str] | None:
    """The rule that the order breaks and the reason; None when it keeps all. Any other exception is a fault."""
    try:
        rules.check(order, NOW_MS)
    except RuleBrokenError as error:
        return error.rule, error.reason
    return None


def mask_of(rules: Rules, orders: list[Order]) -> list[bool]:
    mask = rules.valid_mask(columns_of(orders), NOW_MS)
    assert (mask.dtype, mask.shape) == (np.bool_, (len(orders),))
    return list(mask.tolist())


def samples_of(rule: type[Rule]) -> Any:
    assert rule.name in SAMPLES, f"the rule {rule.name} has no entry in tests/support/rule_samples.py"
    return SAMPLES[rule.name]


def leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping | list):
        for inner in value.values() if isinstance(value, Mapping) else value:
            yield from leaves(inner)
    else:
        yield value


def has_amounts(rule: type[Rule], key: str) -> bool:
    """Whether the key's values are numbers, as text or not, by the rows of the rule."""
    [row, *_] = [row for row in samples_of(rule).rows if row.key == key]
    return all(re.fullmatch(r"-?[0-9.]+", str(leaf)) for leaf in leaves(row.settings[key]))


def is_one_step(accepted: Change, refused: Change) -> bool:
    """Whether two orders are one cent or one millisecond apart, and else the same."""
    differ = [
        (getattr(order_with(accepted), field), getattr(order_with(refused), field))
        for field in Order.__slots__
        if getattr(order_with(accepted), field) != getattr(order_with(refused), field)
    ]
    return len(differ) == 1 and isinstance(differ[0][0], int) and abs(differ[0][0] - differ[0][1]) == 1


def texts_of(*changes: Change) -> set[str]:
    return {text for change in changes for field, text in change.items() if field in TEXT_FIELDS}


def assert_no_edge_is_left_out(rule: type[Rule], key: str, value: Any, edges: Sequence[Edge | Row]) -> None:
    """Where the key holds amounts, two orders one step apart; where it is a table, an order that is in no entry."""
    own = [edge for edge in edges if edge.key == key]
    assert own, f"{key}: no edge"
    if has_amounts(rule, key):
        assert narrow(own), f"{key}: no two orders that are one cent or one millisecond apart"
    if isinstance(value, Mapping):
        texts = texts_of(*(change for edge in own for change in (edge.accepted, edge.refused)))
        assert texts - value.keys(), f"{key}: no order that is not in the table"


def narrow(edges: Sequence[Edge | Row]) -> list[Edge | Row]:
    return [edge for edge in edges if is_one_step(edge.accepted, edge.refused)]


def test_every_rule_has_samples_and_none_is_left_over() -> None:
    assert set(SAMPLES) == {rule.name for rule in EVERY_RULE}


@by_rule
def test_every_key_has_rows_on_both_sides_of_its_edge(rule: type[Rule]) -> None:
    rows = samples_of(rule).rows
    for key in rule.file_keys():
        values = [row.settings[key] for row in rows if row.key == key]
        assert values, f"{rule.name}: no row for {key}"
        assert_no_edge_is_left_out(rule, key, values[0], rows)


@pytest.mark.parametrize(("rule", "row"), ROWS)
def test_an_order_is_accepted_up_to_the_edge_and_refused_beyond_it(rule: str, row: Row) -> None:
    rules = rules_of(row.settings)
    accepted, refused = order_with(row.accepted), order_with(row.refused)
    assert broken_rule(rules, accepted) is None
    assert broken_rule(rules, refused) == (rule, row.reason)
    assert mask_of(rules, [accepted, refused]) == [True, False]


@by_rule
@given(data=st.data())
@settings(deadline=None, max_examples=50)
def test_one_order_and_many_have_the_same_edges_under_any_settings(rule: type[Rule], data: st.DataObject) -> None:
    samples = samples_of(rule)
    drawn = data.draw(samples.settings)
    edges = samples.edges(drawn)
    for key in rule.file_keys():
        assert_no_edge_is_left_out(rule, key, drawn[key], edges)
        if isinstance(drawn[key], Mapping) and has_amounts(rule, key):
            last = [edge.accepted for edge in narrow(edges) if edge.key == key]
            assert texts_of(*last) >= drawn[key].keys(), f"{key}: an entry without an edge"
        if isinstance(drawn[key], Mapping):
            texts = texts_of(*(change for edge in edges for change in (edge.accepted, edge.refused)))
            other_case = {entry.swapcase() for entry in drawn[key]} - drawn[key].keys()
            assert texts >= other_case, f"{key}: no order that has an entry in capitals for small letters"
    rules = rules_of(drawn)
    accepted = [order_with(edge.accepted) for edge in edges]
    refused = [order_with(edge.refused) for edge in edges]
    assert [broken_rule(rules, order) for order in accepted] == [None] * len(edges)
    assert {(broken_rule(rules, order) or ("none", ""))[0] for order in refused} == {rule.name}
    assert mask_of(rules, accepted) == [True] * len(edges)
    assert mask_of(rules, refused) == [False] * len(edges)
    assert mask_of(rules, [*refused, *accepted]) == [False] * len(edges) + [True] * len(edges)


@by_rule
def test_a_list_or_a_table_is_tried_with_several_entries(rule: type[Rule]) -> None:
    samples = samples_of(rule)
    for key in rule.file_keys():
        if isinstance(samples.rows[0].settings.get(key), Mapping | list):
            # `find` raises where none is drawn.
            find(samples.settings, lambda drawn, key=key: len(drawn[key]) >= 2, settings=FIRST_FOUND)


@by_rule
def test_one_order_and_many_agree_at_the_bounds_of_every_number_in_no_table(rule: type[Rule]) -> None:
    texts = dict.fromkeys(TEXT_FIELDS, "in no list and in no table")
    names = [field.name for field in NUMBER_FIELDS]
    bounds = product(*(BOUNDS[field.kind] for field in NUMBER_FIELDS))
    orders = [order_with(texts | dict(zip(names, numbers, strict=True))) for numbers in bounds]
    for row in samples_of(rule).rows:
        rules = rules_of(row.settings)
        kept = [broken_rule(rules, order) is None for order in orders]
        assert mask_of(rules, orders) == kept, row
        # Again and the other way round: nothing depends on which orders were there before.
        assert mask_of(rules, orders[::-1]) == kept[::-1], row


@given(data=st.data())
@settings(deadline=None, max_examples=150)
def test_any_rules_together_say_the_same_of_one_order_and_of_many(data: st.DataObject) -> None:
    chosen: Settings = {}
    pool: dict[str, list[Any]] = {field: [getattr(ORDER, field)] for field in Order.__slots__}
    for field in TEXT_FIELDS:
        pool[field] += ["", "in no list and in no table"]
    for rule in data.draw(st.lists(st.sampled_from(EVERY_RULE), min_size=1, unique=True)):
        drawn = data.draw(samples_of(rule).settings)
        chosen = {**chosen, **drawn}
        for edge in samples_of(rule).edges(drawn):
            for field, value in [*edge.accepted.items(), *edge.refused.items()]:
                pool[field].append(value)
    # Fields at their edges meet in any combination.
    changes = st.fixed_dictionaries({field: st.sampled_from(values) for field, values in pool.items()})
    orders = [order_with(change) for change in data.draw(st.lists(changes, max_size=20))]
    rules = rules_of(chosen)
    assert mask_of(rules, orders) == [broken_rule(rules, order) is None for order in orders]


@by_rule
def test_a_rule_takes_an_empty_batch_and_changes_no_order(rule: type[Rule]) -> None:
    row = samples_of(rule).rows[0]
    rules = rules_of(row.settings)
    assert mask_of(rules, []) == []
    orders = [order_with(row.accepted), order_with(row.refused)]
    columns = columns_of(orders)
    rules.valid_mask(columns, NOW_MS)
    assert [columns.order(index) for index in range(2)] == orders


@by_rule
def test_a_rule_that_may_be_off_is_off_without_its_keys(rule: type[Rule]) -> None:
    in_force = {type(each) for each in rules_of({}).in_force}
    assert (rule in in_force) == (not rule.may_be_off)


def test_a_rules_file_of_the_first_release_stays_complete() -> None:
    """A new rule may be off: the files that people have do not know its keys."""
    first = {"required": ["order_id"], "price_min": "0.01", "price_max": "100000.00", "max_ahead_s": 600}
    assert [rule.name for rule in rules_of(first, RULES).in_force] == ["required", "price", "ahead"]
    assert set(first) == set(FEWEST)


def test_the_first_broken_rule_is_named_in_the_order_of_the_list() -> None:
    everything = {"required": ["order_id"], "price_min": "1", "products": ["Tea"], "max_ahead_s": 60, "max_age_s": 60}
    rules = rules_of(everything, RULES)
    order = order_with({"order_id": "", "price_cents": 1, "product": "Rum", "created_at_ms": NOW_MS + 60_001})
    named = []
    for kept in ({"order_id": "1"}, {"price_cents": 100}, {"product": "Tea"}, {"created_at_ms": NOW_MS - 60_001}, {}):
        named.append((broken_rule(rules, order) or ("none", ""))[0])
        order = order_with({field: getattr(order, field) for field in Order.__slots__} | kept)
    assert named == ["required", "price", "product", "ahead", "age"]


def test_no_two_rules_share_a_name_or_a_key_and_none_has_the_name_of_another_failure() -> None:
    names = [rule.name for rule in EVERY_RULE]
    keys = [key for rule in EVERY_RULE for key in rule.file_keys()]
    assert len(set(names)) == len(names)
    assert len(set(keys)) == len(keys)
    assert [name for name in (*names, *keys) if not re.fullmatch("[a-z][a-z_]*", name)] == []
    failures = {
        inspect.signature(kind).parameters["rule"].default
        for _, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, errors.RecordError)
    }
    assert {"avro", "handler"} <= failures
    assert not failures.union({"headers"}) & set(names)


def test_every_rule_of_the_module_is_in_the_list_once() -> None:
    assert len(set(RULES)) == len(RULES)
    assert {rule for rule in Rule.__subclasses__() if rule.__module__ == Price.__module__} == set(RULES)


def test_the_rules_file_that_is_shipped_documents_every_rule_with_its_keys() -> None:
    text = (PROJECT_DIR / "rules.toml").read_text()
    parts = re.split(r"rule: (\S+)\n", text)
    documented = dict(zip(parts[1::2], parts[2::2], strict=True))
    assert sorted(parts[1::2]) == sorted(rule.name for rule in RULES)
    for rule in RULES:
        for key in rule.file_keys():
            assert re.search(rf"^(# )?({key} = |\[{key}\]$)", documented[rule.name], re.MULTILINE), key


@pytest.mark.parametrize(
    ("digits", "accepted", "refused", "reason"),
    [
        (0, 1, 0, "price 0 is below the minimum 0.01"),
        (0, 250, 251, "price 251 is above the maximum 250"),
        (2, 25_000, 25_001, "price 250.01 is above the maximum 250.00"),
        (3, 10, 9, "price 0.009 is below the minimum 0.010"),
        (3, 250_000, 250_001, "price 250.001 is above the maximum 250.000"),
    ],
)
def test_prices_of_the_file_are_in_units_of_the_currency_whatever_its_digits(
    digits: int, accepted: int, refused: int, reason: str
) -> None:
    rules = rules_of({"price_min": "0.01", "price_max": 250}, RULES)
    orders, currency = [order_with({"price_cents": each}) for each in (accepted, refused)], Currency(digits=digits)
    assert rules.valid_mask(columns_of(orders), NOW_MS, currency).tolist() == [True, False]
    rules.check(orders[0], NOW_MS, currency)
    with pytest.raises(RuleBrokenError, match=f"^{re.escape(reason)}$"):
        rules.check(orders[1], NOW_MS, currency)
