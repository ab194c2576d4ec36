"""Counts the functions that are called: a machine that is busy calls no more of them."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable


def counted(work: Callable[[], object]) -> Counter[str]:
    """How many functions were called meanwhile: `call` in Python, `c_call` in C."""
    calls: Counter[str] = Counter()
    sys.setprofile(lambda _, event, __: calls.update((event,)))
    try:
        work()
    finally:
        sys.setprofile(None)
    return calls
