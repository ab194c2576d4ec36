"""How many cases a fuzz test runs, and how many really ran."""

from __future__ import annotations

import functools
import os
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, settings

LONG = "FUZZ_LONG"
"""The environment variable that `python -m tests.fuzz` sets."""
SHORT_SHARE = 400
LEAST = 40
RAN: Counter[str] = Counter()


def cases(count: int) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Runs a `given` test with that many cases in a long run, a few in a short one; each ends within two seconds.

    Counted is every call of the test's body, also those that hypothesis makes to find a smaller example.
    """
    long = LONG in os.environ
    profile = settings(
        max_examples=count if long else max(LEAST, count // SHORT_SHARE),
        deadline=timedelta(seconds=2),
        derandomize=not long,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture],
    )

    def decorate(test: Callable[..., Any]) -> Callable[..., Any]:
        inner = test.hypothesis.inner_test  # type: ignore[attr-defined]

        @functools.wraps(inner)
        def counted(*arguments: Any, **named: Any) -> Any:
            RAN[inner.__name__] += 1
            return inner(*arguments, **named)

        test.hypothesis.inner_test = counted  # type: ignore[attr-defined]
        return profile(test)

    return decorate
