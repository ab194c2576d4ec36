"""The default handler accepts everything, on the demo cluster but for what was asked to fail; a wrong one is named."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.handlers import NAME as BENCH_NAME
from bench.handlers import fail_once
from pipeline.errors import SettingsError, TransientError
from pipeline.headers.own import FAULT_REASON, TRANSIENT_FAILURES
from pipeline.orders.handlers import (
    DEFAULT_NAME,
    Handler,
    accept,
    headers_needed,
    load_handler,
    name_of_handler,
    only_with_headers,
    simulate_failures,
)
from pipeline.records import Headers, Order, Position, RecordContext
from pipeline.settings import load_settings
from tests.support.faulty_handler import FAIL_AS_ASKED, fail_as_asked

ORDER = Order("ORD-1", "CUST-7", "Espresso beans", 1299, 1_700_000_000_000)


def attempts_that_fail(headers: Headers, attempts: int = 5) -> list[str]:
    """What the demo cluster's handler says at each attempt that it does not accept."""
    reasons = []
    for attempt in range(1, attempts + 1):
        context = RecordContext(Position("orders", 0, 1), b"CUST-7", headers, attempt)
        try:
            simulate_failures(ORDER, context)
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


@pytest.mark.parametrize("demo", [True, False])
@pytest.mark.parametrize(("name", "handler"), [(FAIL_AS_ASKED, fail_as_asked), (BENCH_NAME, fail_once)])
def test_the_handler_that_the_setting_names_is_loaded(name: str, handler: Handler, demo: bool) -> None:
    assert load_handler(name, demo) is handler


# The second was the default of the first release, and stands in people's settings.
@pytest.mark.parametrize("name", ["", "pipeline.handlers:accept", DEFAULT_NAME])
def test_the_default_handler_obeys_fault_headers_on_the_demo_cluster_alone(name: str) -> None:
    assert load_settings(handler=name).handler == name
    assert load_handler(name, demo=True) is simulate_failures
    assert load_handler(name, demo=False) is accept


def test_the_default_handler_of_a_team_s_kafka_looks_at_no_header() -> None:
    headers = ((TRANSIENT_FAILURES, b"3"), (FAULT_REASON, b"stopped from outside"))
    accept(ORDER, RecordContext(Position("orders", 0, 1), b"CUST-7", headers, 1))
    assert headers_needed(accept) == frozenset()


def test_a_handler_may_declare_which_headers_it_looks_at_and_sees_every_record_otherwise() -> None:
    def handle(order: Order, context: RecordContext) -> None:
        """Does nothing."""

    assert headers_needed(handle) is None
    assert headers_needed(only_with_headers("a", "b")(handle)) == {"a", "b"}
    assert headers_needed(simulate_failures) == {TRANSIENT_FAILURES}


@pytest.mark.parametrize(
    ("setting", "name"),
    [
        ("", "pipeline.orders.handlers:accept"),
        ("pipeline.handlers:accept", "pipeline.orders.handlers:accept"),
        ("shop.orders:handle", "shop.orders:handle"),
    ],
)
def test_dead_letters_name_a_handler_that_there_is(setting: str, name: str) -> None:
    assert name_of_handler(setting) == name


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("no_such_module_at_all:handle", "the module no_such_module_at_all cannot be imported"),
        ("pipeline.nothing:handle", "the module pipeline.nothing cannot be imported"),
        ("pipeline.orders.handlers:nothing", "the module pipeline.orders.handlers has no nothing"),
        ("pipeline.orders.handlers:FAULT_REASON", "FAULT_REASON is no function but of type str"),
        ("pipeline.orders.handlers", "the module pipeline.orders.handlers has no function named"),
        (":handle", "it is no module"),
    ],
)
def test_a_handler_that_cannot_be_used_is_named_in_one_line(name: str, problem: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_handler(name, demo=False)
    assert f"the handler {name} (ORDERPULSE_HANDLER) cannot be used: {problem}" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_handler_s_module_that_is_no_python_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shop_with_a_typo.py").write_text("def handle(:\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(SettingsError, match="shop_with_a_typo is no module: invalid syntax"):
        load_handler("shop_with_a_typo:handle", demo=False)
