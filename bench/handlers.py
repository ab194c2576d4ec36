"""The handler of the measurements with failures: a program outside that is away now and again.

It declares which header it looks at, as a team's handler may that does nothing with most records.
"""

from __future__ import annotations

from pipeline.errors import TransientError
from pipeline.orders.handlers import only_with_headers
from pipeline.records import Order, RecordContext

FAILS_ONCE = "bench.fails-once"
"""A record with this header is taken at the second attempt."""

NAME = "bench.handlers:fail_once"


@only_with_headers(FAILS_ONCE)
def fail_once(order: Order, context: RecordContext) -> None:
    """Accepts every order, one with the header FAILS_ONCE at its second attempt."""
    if context.attempt == 1 and any(name == FAILS_ONCE for name, _ in context.headers):
        raise TransientError("simulated transient failure (attempt 1 of 1 that fail)")
