"""Runs every fuzz test at length and says how many cases ran."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from tests.fuzz.cases import LONG, RAN

LEAST_CASES = 200_000


def main() -> int:
    """Exit code 0 when all passed and enough ran."""
    os.environ[LONG] = "1"
    began = time.monotonic()
    result = pytest.main([str(Path(__file__).parent), "-v", *sys.argv[1:]])
    for name, count in sorted(RAN.items()):
        print(f"{count:9,}  {name}")
    print(f"{RAN.total():9,}  cases in {time.monotonic() - began:.0f} s")
    return int(result) or int(RAN.total() < LEAST_CASES)


if __name__ == "__main__":
    sys.exit(main())
