"""Failures of one cause share a fingerprint; failures of different rules never do."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.dead_letters.fingerprints import REASON_LIMIT, TITLE_LIMIT, _taken_out, fingerprint, without_varying_parts

maybe_text = st.none() | st.text(max_size=20)


def group(reason: str) -> str:
    return fingerprint("Error", reason, "price", "orders")[0]


def title(reason: str) -> str:
    return fingerprint("Error", reason, "price", "orders")[1]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            "orders[2] offset 417: price -3.00 is below the minimum 0.01 (rule price)",
            "orders-eu.v1[11] offset 9: price 0.00 is below the minimum 0.01 (rule price)",
        ),
        ("order ORD-12-000031 is unknown", "order ORD-7-1 is unknown"),
        ("customer CUST-7 is blocked", "customer CUST-123 is blocked"),
        ("no 3f2504e0-4f89-11d3-9a0c-0305e82c3301 here", "no AF2504E0-4F89-11D3-9A0C-0305E82C33FF here"),
        ("unknown schema fingerprint deadbeefcafebabe", "unknown schema fingerprint 0102030405060708"),
        ("value begins with 0x7b: no framing", "value begins with 0xc302: no framing"),
        ("java.lang.Object@1a2b3c4d is no order", "java.lang.Object@ffeeddcc is no order"),
        ("product 'Tea' is not a known product", "product 'Mate 2.0' is not a known product"),
        ('cannot parse "a b c"', 'cannot parse "12"'),
        ("expired at 2026-01-02T03:04:05.678Z already", "expired at 2025-12-31 23:59:59+01:00 already"),
        ("java.lang.Object@1a2b3 is no order", "java.lang.Object@7 is no order"),
        ("took 1.5ms", "took 1200ms"),
        ("timeout after 30 ms", "timeout  after\n1,250.5 ms"),
    ],
)
def test_reasons_that_differ_in_their_varying_parts_only_are_one_group(one: str, other: str) -> None:
    assert fingerprint("Error", one, "price", "orders") == fingerprint("Error", other, "price", "orders")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("price 1 is below the minimum 2", "price 1 is above the maximum 2"),
        ("order_id is empty", "customer_id is empty"),
        ("order_id has a negative length (-5)", "product has a negative length (-5)"),
        ("can't read what they won't write", "can't send what they won't write"),
        ("sha256 differs", "sha512 differs"),
        ("the facade is added", "the decade is added"),
    ],
)
def test_reasons_that_say_different_things_are_different_groups(one: str, other: str) -> None:
    assert group(one) != group(other)


def test_a_group_s_title_names_what_varies() -> None:
    assert title("price -3.00 is below 'the limit' at orders[2] offset 417") == "price <n> is below <value> at <place>"


def test_the_place_that_a_reason_begins_with_is_no_part_of_the_cause() -> None:
    assert title("orders[2] offset 417: price -3.00 is below the minimum 0.01") == "price <n> is below the minimum <n>"


@settings(max_examples=200)
@given(
    st.text(max_size=50), st.tuples(maybe_text, maybe_text, maybe_text), st.tuples(maybe_text, maybe_text, maybe_text)
)
def test_only_failures_of_one_class_rule_and_topic_share_a_group(
    reason: str, one: tuple[str | None, str | None, str | None], other: tuple[str | None, str | None, str | None]
) -> None:
    prints = [fingerprint(error_class, reason, rule, topic)[0] for error_class, rule, topic in (one, other)]
    assert (prints[0] == prints[1]) == (one == other)


@settings(max_examples=300)
@given(maybe_text, st.text(), maybe_text, maybe_text)
def test_any_reason_has_a_fingerprint_and_a_short_title_that_stay(
    error_class: str | None, reason: str, rule: str | None, topic: str | None
) -> None:
    digest, name = fingerprint(error_class, reason, rule, topic)
    assert re.fullmatch("[0-9a-f]{16}", digest)
    assert 0 < len(name) <= TITLE_LIMIT
    assert fingerprint(error_class, reason, rule, topic) == (digest, name)


@settings(max_examples=200)
@given(st.integers(-(10**30), 10**30), st.integers(0, 10**12), st.uuids())
def test_no_number_or_uuid_splits_a_group(price: int, offset: int, trace: object) -> None:
    assert group(f"orders[0] offset {offset}: {price} in {trace}") == group(f"orders[0] offset 1: 2 in {trace}")


PIECES = (
    ["0", "1", "9", "12", "00000000", "٣", "²", "_", "é", "a", "A", "f", "x", "AB", "deadbeef1", "0x", "1x", "0X", "7b"]
    + [" ", "-", ".", ",", ":", "@", "[", "]", "] offset ", "'", '"', "orders", "T03:04:05", "2026-01-02", "ORD-1"]
    + ["3f2504e0-4f89-11d3-9a0c-0305e82c3301", "<n>", "<place>: "]
)


@settings(max_examples=1000)
@given(st.lists(st.sampled_from(PIECES), max_size=9).map("".join))
def test_what_is_remembered_of_a_shape_is_what_the_reason_itself_would_give(reason: str) -> None:
    assert without_varying_parts(reason) == _taken_out.__wrapped__(reason)


@pytest.mark.parametrize("piece", ["1", "a", "0x", "'", '"', "-", "A-1", "1,", "[0]", "a[1] offset ", "f", " ", "é"])
def test_of_a_long_reason_only_the_beginning_is_looked_at(piece: str) -> None:
    beginning = (piece * 20)[:20]
    longer = [f"{beginning}{rest}" for rest in (piece, " and more", "\n", "'")]
    prints = {fingerprint(None, reason, None, None, reason_limit=20) for reason in (beginning, *longer)}
    assert prints == {fingerprint(None, beginning, None, None)}


def test_what_follows_the_beginning_of_a_reason_makes_no_group_of_its_own() -> None:
    beginning = "no " * REASON_LIMIT
    assert group(beginning) == group(beginning + "stock") == group(beginning[:REASON_LIMIT])
    assert group(beginning[: REASON_LIMIT - 9]) != group(beginning[:REASON_LIMIT])


def test_a_failure_without_a_word_still_has_a_title() -> None:
    assert fingerprint(None, "", None, None)[1] == "no reason"
    assert fingerprint("TimeoutException", " ", None, None)[1] == "TimeoutException"
