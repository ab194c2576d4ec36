"""Runs every fuzz test at length, and says how many cases ran and what memory they left behind in our code."""

from __future__ import annotations

import gc
import os
import sys
import time
import tracemalloc
from pathlib import Path

import pytest

from tests.fuzz.cases import LONG, RAN

LEAST_CASES = 200_000
MOST_LEFT_BYTES = 8_000_000
FOLDER = Path(__file__).parent


def main() -> int:
    """Exit code 0 when all passed, enough ran, and nothing was left behind."""
    os.environ[LONG] = "1"
    began = time.monotonic()
    tracemalloc.start()
    result = pytest.main([str(FOLDER), "-q", *sys.argv[1:]])
    gc.collect()
    ours = [tracemalloc.Filter(True, f"{FOLDER.parent.parent}/pipeline/*")]
    left = sum(trace.size for trace in tracemalloc.take_snapshot().filter_traces(ours).traces)
    for name, count in sorted(RAN.items()):
        print(f"{count:9,}  {name}")
    print(f"{RAN.total():9,}  cases in {time.monotonic() - began:.0f} s; pipeline's code holds {left / 1e6:.1f} MB")
    return int(result) or int(RAN.total() < LEAST_CASES or left > MOST_LEFT_BYTES)


if __name__ == "__main__":
    sys.exit(main())
