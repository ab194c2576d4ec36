"""The default handler accepts what nobody asked to fail, and a wrong handler setting is one clear line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import SettingsError, TransientError
from pipeline.headers.dialects.orderpulse import FAULT_REASON, TRANSIENT_FAILURES
from pipeline.orders.handlers import accept, load_handler
from pipeline.records import Headers, Order, Position, RecordContext

ORDER = Order("ORD-1", "CUST-7", "Espresso beans", 1299, 1_700_000_000_000)


def attempts_that_fail(headers: Headers, attempts: int = 5) -> list[str]:
    """What the handler says at each attempt that it does not accept."""
    reasons = []
    for attempt in range(1, attempts + 1):
        context = RecordContext(Position("orders", 0, 1), b"CUST-7", headers, attempt)
        try:
            accept(ORDER, context)
        except TransientError as error:
            reasons.append(error.reason)
    return reasons


def test_an_order_without_fault_headers_is_accepted_at_once() -> None:
    assert attempts_that_fail(()) == []


def test_an_order_fails_as_often_as_its_header_asks_and_is_then_accepted() -> None:
    assert attempts_that_fail(((TRANSIENT_FAILURES, b"2"),)) == [
        "simulated transient failure (attempt 1 of 2 that fail)",
        "simulated transient failure (attempt 2 of 2 that fail)",
    ]


def test_the_reason_is_the_one_in_the_header() -> None:
    headers = ((FAULT_REASON, b"stock service is away"), (TRANSIENT_FAILURES, b"1"))
    assert attempts_that_fail(headers) == ["stock service is away"]


def test_of_repeated_fault_headers_the_last_counts() -> None:
    assert len(attempts_that_fail(((TRANSIENT_FAILURES, b"4"), (TRANSIENT_FAILURES, b"1")))) == 1


@pytest.mark.parametrize("value", [None, b"", b"two", b"-1", b"1.0", b"\xff", "²".encode(), b"9" * 10])
def test_a_number_of_failures_that_is_none_is_ignored(value: bytes | None) -> None:
    assert attempts_that_fail(((TRANSIENT_FAILURES, value),)) == []


@settings(max_examples=200)
@given(st.binary(max_size=12), st.binary(max_size=12))
def test_no_header_makes_it_do_anything_but_accept_or_ask_for_a_retry(count: bytes, reason: bytes) -> None:
    reasons = attempts_that_fail(((TRANSIENT_FAILURES, count), (FAULT_REASON, reason)))
    assert all(reasons)


def test_the_handler_that_the_setting_names_is_loaded() -> None:
    assert load_handler("pipeline.orders.handlers:accept") is accept


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("no_such_module_at_all:handle", "the module no_such_module_at_all cannot be imported"),
        ("pipeline.nothing:handle", "the module pipeline.nothing cannot be imported"),
        ("pipeline.orders.handlers:nothing", "the module pipeline.orders.handlers has no nothing"),
        ("pipeline.orders.handlers:FAULT_REASON", "FAULT_REASON is no function but of type str"),
        ("pipeline.orders.handlers", "the module pipeline.orders.handlers has no function named"),
        ("", "it is no module"),
    ],
)
def test_a_handler_that_cannot_be_used_is_named_in_one_line(name: str, problem: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_handler(name)
    assert f"the handler {name} (ORDERPULSE_HANDLER) cannot be used: {problem}" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_handler_s_module_that_is_no_python_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shop_with_a_typo.py").write_text("def handle(:\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(SettingsError, match="shop_with_a_typo is no module: invalid syntax"):
        load_handler("shop_with_a_typo:handle")
