"""A rules file gives rules or one line that says what is wrong; a change takes effect by itself, or is refused."""

from __future__ import annotations

import copy
import re
import threading
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import RuleBrokenError, RulesFileError
from pipeline.orders.columns import Flags, OrderColumns
from pipeline.orders.fields import TEXT_FIELDS
from pipeline.orders.rules import RULES, Price, Rule, Rules, Table
from pipeline.orders.rules_file import RulesFile, load_rules, parse_rules
from pipeline.records import Currency, Order
from tests.support.rule_samples import EVERY_RULE, FEWEST, NOW_MS, ORDER, SAMPLES, Settings, toml_of

SHIPPED = Path(__file__).parents[3] / "rules.toml"
A_DATE = date(1979, 5, 27)
TEXT = SHIPPED.read_text()
DEADLINE_S = 2.0
*_FIRST, _LAST = (repr(field.name) for field in TEXT_FIELDS)
ANY_TEXT_FIELD = f"{', '.join(_FIRST)} or {_LAST}"
"""As pydantic lists what is allowed."""
MINIMUM_2 = TEXT.replace('price_min = "0.01"', 'price_min = "2.00"')
MINIMUM_3 = TEXT.replace('price_min = "0.01"', 'price_min = "3.00"')


def minimum_of(rules: Rules) -> int:
    """The lowest price that is accepted, in cents."""
    [price] = [rule for rule in rules.in_force if isinstance(rule, Price)]
    return int(price.price_min * 100)


class Watch:
    """A watched rules file whose changes can be waited for."""

    def __init__(self, path: Path) -> None:
        self._changed = threading.Condition()
        self.changes = 0
        self.file = RulesFile(path, self._on_change)

    def _on_change(self) -> None:
        with self._changed:
            self.changes += 1
            self._changed.notify_all()

    def wait_until(self, condition: Callable[[RulesFile], object]) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: bool(condition(self.file)), DEADLINE_S)

    def sees_minimum(self, cents: int) -> bool:
        return self.wait_until(lambda file: minimum_of(file.rules) == cents and not file.error)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "rules.toml"
    path.write_text(TEXT)
    return path


def broken_rule(order: Order, rules: Rules) -> tuple[str, str]:
    with pytest.raises(RuleBrokenError) as caught:
        rules.check(order, NOW_MS)
    return caught.value.rule, caught.value.reason


def fault_of(path: Path, text: str | bytes) -> str:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(RulesFileError) as caught:
        load_rules(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("change", "rule", "reason"),
    [
        ({"order_id": ""}, "required", "order_id is empty"),
        ({"customer_id": " \t"}, "required", "customer_id is empty"),
        ({"product": ""}, "required", "product is empty"),
        ({"price_cents": -300}, "price", "price -3.00 is below the minimum 0.01"),
        ({"price_cents": 0}, "price", "price 0.00 is below the minimum 0.01"),
        ({"price_cents": -5}, "price", "price -0.05 is below the minimum 0.01"),
        ({"price_cents": 10_000_001}, "price", "price 100000.01 is above the maximum 100000.00"),
        ({"created_at_ms": NOW_MS + 600_001}, "ahead", "created_at is 600.001 s ahead, more than the 600 s allowed"),
    ],
)
def test_an_order_that_breaks_a_shipped_rule_is_refused(change: dict[str, object], rule: str, reason: str) -> None:
    assert broken_rule(replace(ORDER, **change), load_rules(SHIPPED)) == (rule, reason)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"price_cents": 1},
        {"price_cents": 10_000_000},
        {"created_at_ms": NOW_MS + 600_000},
        {"created_at_ms": 0},
        {"product": "Never heard of"},
        {"region": ""},
    ],
)
def test_an_order_that_keeps_the_shipped_rules_is_accepted(change: dict[str, object]) -> None:
    load_rules(SHIPPED).check(replace(ORDER, **change), NOW_MS)


def test_a_rule_that_may_be_off_is_off_in_the_file_that_is_shipped() -> None:
    in_force = load_rules(SHIPPED).in_force
    assert [rule.name for rule in in_force] == [rule.name for rule in RULES if not rule.may_be_off]


def test_the_rules_that_are_commented_out_work_when_they_are_switched_on(path: Path) -> None:
    path.write_text(TEXT.replace("# max_age_s", "max_age_s").replace("# products", "products"))
    switched_on = load_rules(path)
    switched_on.check(replace(ORDER, created_at_ms=NOW_MS - 604_800_000), NOW_MS)
    assert broken_rule(replace(ORDER, product="Tea"), switched_on) == (
        "product",
        "product 'Tea' is not a known product",
    )
    assert broken_rule(replace(ORDER, created_at_ms=NOW_MS - 604_800_001), switched_on) == (
        "age",
        "created_at is 604800.001 s ago, more than the 604800 s allowed",
    )


@pytest.mark.parametrize(
    ("amount", "cents"),
    [('"0.29"', 29), ("0.29", 29), ("1.1", 110), ("5", 500), ('"-2.50"', -250), ('"1e2"', 10_000)],
)
def test_prices_become_cents_exactly_as_text_or_number(path: Path, amount: str, cents: int) -> None:
    path.write_text(TEXT.replace('"0.01"', amount))
    assert minimum_of(load_rules(path)) == cents


@settings(max_examples=100)
@given(st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-(10**9), max_value=0))
def test_no_price_of_two_places_loses_a_cent(tmp_path_factory: pytest.TempPathFactory, amount: Decimal) -> None:
    path = tmp_path_factory.getbasetemp() / "exact.toml"
    path.write_text(TEXT.replace('"0.01"', str(amount)))
    assert minimum_of(load_rules(path)) == int(amount * 100)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("price_min = ", "price_mim = ", "line 9: price_mim is no rule; there are required, price_min, price_max"),
        ("max_ahead_s = 600", "", "max_ahead_s is missing"),
        ("max_ahead_s = 600", 'max_ahead_s = "600"', "line 13: max_ahead_s: Input should be a valid integer"),
        ("max_ahead_s = 600", "max_ahead_s = -1", "max_ahead_s: Input should be greater than or equal to 0"),
        (
            '"0.01"',
            '"0.00001"',
            "line 9: price_min: must be an amount with at most 4 digits after",
        ),
        ('"0.01"', '"cheap"', "price_min: must be an amount such as 0.01, not 'cheap'"),
        ('"0.01"', "true", "price_min: must be an amount such as 0.01"),
        ('"0.01"', '"NaN"', "price_min: must be an amount with at most 4 digits after the point, not NaN"),
        ('"0.01"', "inf", "price_min: must be an amount with at most 4 digits after the point"),
        ('"0.01"', '"100000.01"', "price_min is above price_max"),
        (
            '"product"]',
            '"colour"]',
            f"line 6: required: Input should be {ANY_TEXT_FIELD}",
        ),
        ('"product"]', '"product"', "is not valid TOML"),
        ("# products = [", "products = [] # [", "products: List should have at least 1 item"),
    ],
)
def test_a_rules_file_that_cannot_be_used_is_named_with_the_line_and_the_reason(
    path: Path, old: str, new: str, fault: str
) -> None:
    assert old in TEXT
    assert fault in fault_of(path, TEXT.replace(old, new))


def everything_on(text: str) -> str:
    """The rules file with nothing commented out but prose."""
    return re.sub(r'(?m)^# (?=\[\w+\]$|\w+ = |"[^"]+" = )', "", text)


def test_the_shipped_file_with_everything_switched_on_has_every_rule_and_every_key() -> None:
    text = everything_on(TEXT)
    assert [type(rule) for rule in parse_rules(text.encode(), SHIPPED).in_force] == list(RULES)
    assert sorted(tomllib.loads(text)) == sorted(key for rule in RULES for key in rule.file_keys())


def paths_in(value: object, above: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """What leads to every value that is no table and no list."""
    if isinstance(value, dict | list):
        for step, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from paths_in(inner, (*above, step))
    else:
        yield above


def with_date_at(settings: Settings, path: tuple[str | int, ...]) -> dict[str, Any]:
    """The settings with a date, which no rule takes, as one of the values."""
    changed: Any = copy.deepcopy(dict(settings))
    inner = changed
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = A_DATE
    return changed


def tables_in(value: object, above: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if isinstance(value, dict):
        yield above
        for key, inner in value.items():
            yield from tables_in(inner, (*above, key))


def assert_named_with_its_line(settings: Settings, path: tuple[str | int, ...]) -> None:
    text = toml_of(FEWEST | with_date_at(settings, path))
    [line] = [number for number, each in enumerate(text.splitlines(), 1) if A_DATE.isoformat() in each]
    keys = ".".join(each if each.isidentifier() else f'"{each}"' for each in path if isinstance(each, str))
    with pytest.raises(RulesFileError) as caught:
        parse_rules(text.encode(), SHIPPED, EVERY_RULE)
    assert f"line {line}: {keys}" in str(caught.value)


@pytest.mark.parametrize("rule", EVERY_RULE, ids=lambda rule: rule.name)
def test_a_value_of_the_wrong_type_is_named_with_its_line_in_a_table_too(rule: type[Rule]) -> None:
    for row in SAMPLES[rule.name].rows:
        for path in paths_in(dict(row.settings)):
            assert_named_with_its_line(row.settings, path)


@pytest.mark.parametrize("rule", EVERY_RULE, ids=lambda rule: rule.name)
def test_an_unknown_key_is_named_with_its_line_in_a_table_too(rule: type[Rule]) -> None:
    for row in SAMPLES[rule.name].rows:
        for path in tables_in(dict(row.settings)):
            assert_named_with_its_line(row.settings, (*path, "no_such_key"))


class Limits(Table):
    lowest: int
    highest: int


class Tables(Rule):
    """A rule with each kind of table."""

    name = "tables"
    limits: dict[str, Limits]
    regions: dict[Literal["north", "far south"], int]

    def breaks(self, order: Order, now_ms: int, currency: Currency) -> str | None:
        return None

    def valid(self, orders: OrderColumns, now_ms: int, currency: Currency) -> Flags:
        return np.ones(len(orders), np.bool_)


TABLES = """\
regions.north = 1

# [limits]
limits."Milk, whole" = { lowest = 1, highest = 3 }
[limits.Tea]
lowest = 1
highest = 3
"""


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("regions.north = 1", "regions.east = 1", "line 1: regions.east: Input should be 'north' or 'far south'"),
        ("regions.north = 1", 'regions."far south" = "1"', 'line 1: regions."far south": Input should be a valid int'),
        ("regions.north = 1", "[[regions]]\nnorth = 1\n[other]", "line 1: regions: Input should be a valid dict"),
        ("regions.north = 1", "regions = [\n[1],\n['[x]']]", "line 1: regions: Input should be a valid dictionary"),
        ("highest = 3 }", "hihgest = 3 }", 'line 4: limits."Milk, whole".hihgest is no key of this table'),
        ("highest = 3 }", "hihgest = 3 }", 'line 4: limits."Milk, whole".highest is missing'),
        ("\nhighest = 3", "", "line 5: limits.Tea.highest is missing"),
        ("\nhighest = 3", "\nhighest = 3\nmost = 4", "line 8: limits.Tea.most is no key of this table"),
        ("lowest = 1\n", 'lowest = """\n[x]\n\\"""\n"""\n', "line 6: limits.Tea.lowest: Input should be a valid int"),
        ("\nhighest = 3", "\nhighest = [ # [\n3]", "line 7: limits.Tea.highest: Input should be a valid integer"),
        ("\nhighest = 3", "\nhighest = 3\nregions = 3", "line 8: limits.Tea.regions is no key of this table"),
        ("# [limits]", "[limits]\nregions = 3", "line 4: limits.regions: regions belongs above every [table]"),
        ("# [limits]", "[limits]\n'a\\b' = 3", 'line 4: limits."a\\\\b": Input should be a valid dictionary'),
        ("# [limits]", "[unknown]", "line 3: unknown is no rule; there are limits, regions"),
    ],
)
def test_a_fault_in_a_table_is_named_with_the_keys_that_lead_there_and_the_line(old: str, new: str, fault: str) -> None:
    assert parse_rules(TABLES.encode(), SHIPPED, [Tables])
    assert old in TABLES
    with pytest.raises(RulesFileError) as caught:
        parse_rules(TABLES.replace(old, new).encode(), SHIPPED, [Tables])
    assert fault in str(caught.value)
    assert "\n" not in str(caught.value)


def test_tables_are_read_to_the_depth_that_is_set() -> None:
    assert parse_rules(TABLES.encode(), SHIPPED, [Tables], maximum_depth=2)
    with pytest.raises(RulesFileError, match="is nested too deeply"):
        parse_rules(TABLES.encode(), SHIPPED, [Tables], maximum_depth=1)


def test_a_rules_file_that_is_no_text_or_not_there_is_named(path: Path) -> None:
    assert "is not UTF-8 text" in fault_of(path, b"\xff")
    path.unlink()
    with pytest.raises(RulesFileError, match="No such file"):
        RulesFile(path)


def test_a_rules_file_that_is_cut_short_is_never_taken_for_one_with_fewer_rules(path: Path) -> None:
    assert "required is missing" in fault_of(path, "")
    assert "max_ahead_s is missing" in fault_of(path, TEXT.partition("max_ahead_s")[0])


@settings(max_examples=200)
@given(st.text(max_size=200))
def test_no_text_breaks_more_than_the_rules_file(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "any.toml"
    fault_of(path, text.encode("utf-8", "surrogatepass"))


def test_a_change_takes_effect_within_two_seconds(path: Path) -> None:
    watch = Watch(path)
    before = watch.file.version
    with watch.file:
        path.write_text(MINIMUM_2)
        assert watch.sees_minimum(200)
    assert watch.file.version != before


def test_a_file_that_replaces_the_old_one_takes_effect_each_time(path: Path) -> None:
    watch = Watch(path)
    with watch.file:
        for text, cents in ((MINIMUM_2, 200), (MINIMUM_3, 300), (TEXT, 1)):
            draft = path.with_suffix(".swp")
            draft.write_text(text)
            draft.rename(path)
            assert watch.sees_minimum(cents)


def test_a_config_map_s_change_of_links_takes_effect_each_time(tmp_path: Path) -> None:
    for name, text in (("..1", TEXT), ("..2", MINIMUM_2), ("..3", MINIMUM_3)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "rules.toml").write_text(text)
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "rules.toml").symlink_to("..data/rules.toml")
    watch = Watch(tmp_path / "rules.toml")
    with watch.file:
        for name, cents in (("..2", 200), ("..3", 300)):
            (tmp_path / "..new").symlink_to(name)
            (tmp_path / "..new").rename(tmp_path / "..data")
            assert watch.sees_minimum(cents)


def test_a_change_behind_a_link_to_another_folder_takes_effect(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "near").mkdir()
    (tmp_path / "far" / "shop.toml").write_text(TEXT)
    (tmp_path / "near" / "rules.toml").symlink_to(tmp_path / "far" / "shop.toml")
    watch = Watch(tmp_path / "near" / "rules.toml")
    with watch.file:
        (tmp_path / "far" / "shop.toml").write_text(MINIMUM_2)
        assert watch.sees_minimum(200)


def test_a_broken_change_keeps_the_old_rules_and_says_why_until_it_is_repaired(path: Path) -> None:
    watch = Watch(path)
    version = watch.file.version
    with watch.file:
        path.write_text("price_min = cheap")
        assert watch.wait_until(lambda file: "not valid TOML" in file.error)
        assert (minimum_of(watch.file.rules), watch.file.version) == (1, version)
        path.write_text(MINIMUM_2)
        assert watch.sees_minimum(200)


def test_a_file_that_vanishes_keeps_the_old_rules_and_is_reported_until_it_is_back(path: Path) -> None:
    watch = Watch(path)
    with watch.file:
        path.unlink()
        assert watch.wait_until(lambda file: "No such file" in file.error)
        assert minimum_of(watch.file.rules) == 1
        path.write_text(MINIMUM_2)
        assert watch.sees_minimum(200)


def test_a_change_between_reading_and_watching_is_not_lost(path: Path) -> None:
    file = RulesFile(path)
    path.write_text(MINIMUM_2)
    with file:
        assert minimum_of(file.rules) == 200


def test_links_that_go_round_in_a_circle_are_an_error_of_the_file(path: Path) -> None:
    file = RulesFile(path)
    path.unlink()
    path.symlink_to(path.name)
    with file:
        assert "cannot be read" in file.error


def test_refresh_reports_only_changes(path: Path) -> None:
    watch = Watch(path)
    watch.file.refresh()
    assert watch.changes == 0
    path.write_text(MINIMUM_2)
    watch.file.refresh()
    watch.file.refresh()
    assert watch.changes == 1


def test_nothing_is_watched_after_stop(path: Path) -> None:
    file = RulesFile(path)
    before = threading.active_count()
    file.start()
    assert threading.active_count() > before
    file.stop()
    file.stop()
    assert threading.active_count() == before
