"""Handlers that fail now and again, for pipelines on Apache Kafka: the default handler accepts everything there."""

from __future__ import annotations

import zlib

from pipeline.errors import TransientError
from pipeline.orders.handlers import only_with_headers
from pipeline.records import Order, RecordContext

FAILURES = "test.transient-failures"
"""How often `fail_as_asked` fails on this record before it takes it, as decimal text."""

FAIL_AS_ASKED = "tests.support.faulty_handler:fail_as_asked"
FAIL_ON_A_TENTH = "tests.support.faulty_handler:fail_on_a_tenth"


@only_with_headers(FAILURES)
def fail_as_asked(order: Order, context: RecordContext) -> None:
    """Takes an order with the header FAILURES only after so many attempts."""
    asked = int(dict(context.headers).get(FAILURES) or b"0")
    if context.attempt <= asked:
        raise TransientError(f"simulated transient failure (attempt {context.attempt} of {asked} that fail)")


def fail_on_a_tenth(order: Order, context: RecordContext) -> None:
    """Takes a tenth of the orders, always the same ones, only at the second to fourth attempt."""
    fate = zlib.crc32(order.order_id.encode()) % 30
    if context.attempt <= fate < 4:
        raise TransientError(f"simulated transient failure (attempt {context.attempt} of {fate} that fail)")
