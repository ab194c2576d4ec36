"""One buffer sums one currency, whoever asks for another one and whenever."""

from __future__ import annotations

from multiprocessing import get_context

import pytest

from pipeline.buffer import Reader, open_buffer, recount
from pipeline.errors import StaleWriterError
from pipeline.records import Currency
from tests.support.buffer_rows import NOW_MS, ORDERS, accept, batch, order_row, processor

EUR, JPY, KWD, UNNAMED = Currency("EUR", 2), Currency("JPY", 0), Currency("KWD", 3), Currency("", 2)
ROUNDS = 40


def kept(store):
    with Reader(store.path) as reader:
        return reader.currency()


def accept_in(buffer, assignment, first, currency):
    step = batch(assignment.ref, first, first + 1)
    step.orders, step.currency = [order_row(assignment.ref, first)], currency
    buffer.flow.commit(step)


def test_a_new_buffer_sums_what_was_not_named_with_two_digits(buffer, store):
    assert kept(store) == UNNAMED
    assert str(kept(store)) == "a currency that was not named (2 digits)"


def test_without_orders_it_takes_on_what_is_asked_for_and_keeps_it(buffer, store):
    for currency in (EUR, JPY, KWD):
        assert buffer.flow.agree_currency(currency) == ""
        assert kept(store) == currency
    buffer.close()
    with store.open() as reopened:
        assert kept(store) == KWD
        assert reopened.flow.agree_currency(KWD) == ""


@pytest.mark.parametrize(
    ("first", "other", "told"),
    [
        (EUR, JPY, "1,200 orders in EUR (2 digits), the mapping says JPY (0 digits): one buffer sums one currency"),
        (EUR, Currency("USD", 2), "in EUR (2 digits), the mapping says USD (2 digits)"),
        (EUR, Currency("EUR", 1), "in EUR (2 digits), the mapping says EUR (1 digit)"),
        (JPY, UNNAMED, "in JPY (0 digits), the mapping says a currency that was not named (2 digits)"),
        (UNNAMED, JPY, "in a currency that was not named (2 digits), the mapping says JPY (0 digits)"),
    ],
)
def test_with_orders_another_one_is_refused_in_one_line(buffer, store, first, other, told):
    assert buffer.flow.agree_currency(first) == ""
    accept(buffer, processor(buffer), 0, 1200)
    reason = buffer.flow.agree_currency(other)
    assert told in reason
    assert reason.endswith("use another data folder")
    assert len(reason.splitlines()) == 1
    assert kept(store) == first
    assert buffer.flow.agree_currency(first) == ""


def test_what_was_not_named_may_be_named_once_and_who_names_none_takes_what_is_there(buffer, store):
    accept(buffer, processor(buffer), 0, 1)
    assert buffer.flow.agree_currency(EUR) == ""
    assert kept(store) == EUR
    assert buffer.flow.agree_currency(UNNAMED) == ""
    assert kept(store) == EUR
    assert "EUR (2 digits)" in buffer.flow.agree_currency(Currency("USD", 2))


def test_who_agreed_on_another_one_before_there_were_orders_writes_none(buffer, other, store):
    mine, others = processor(buffer), processor(buffer, 1)
    assert buffer.flow.agree_currency(EUR) == ""
    assert other.flow.agree_currency(JPY) == ""
    before = store.dump()
    with pytest.raises(StaleWriterError, match=r"EUR \(2 digits\) any more"):
        accept_in(buffer, mine, 0, EUR)
    assert store.dump() == before
    accept_in(other, others, 0, JPY)
    assert "1 orders in JPY" in buffer.flow.agree_currency(EUR)


def test_who_names_none_writes_on_after_somebody_has_named_it(buffer, other):
    mine, others = processor(buffer), processor(buffer, 1)
    assert buffer.flow.agree_currency(UNNAMED) == ""
    accept_in(buffer, mine, 0, UNNAMED)
    assert other.flow.agree_currency(EUR) == ""
    accept_in(other, others, 0, EUR)
    accept_in(buffer, mine, 1, UNNAMED)


def work(path, currency, partition, together):
    """A process that agrees and writes, again and again; each currency has a product of its own."""
    with open_buffer(path) as buffer:
        assignment = buffer.flow.assign("processor", ORDERS, partition, 0, NOW_MS)
        together.wait()
        written = 0
        for _ in range(ROUNDS):
            if buffer.flow.agree_currency(currency):
                continue
            step = batch(assignment.ref, written, written + 1)
            step.orders = [order_row(assignment.ref, written, product=currency.code)]
            step.currency = currency
            try:
                buffer.flow.commit(step)
            except StaleWriterError:
                continue
            written += 1


def test_two_processes_that_agree_at_once_never_write_in_two_currencies(store):
    store.open().close()
    context = get_context("spawn")
    together = context.Barrier(2)
    processes = [
        context.Process(target=work, args=(store.path, currency, partition, together))
        for partition, currency in enumerate((EUR, JPY))
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    rows = store.table("orders")
    assert rows
    assert {row["product"] for row in rows} == {kept(store).code}
    assert recount(store.path) == []
