"""Where README and docs count something, the number is that of the code."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.crash_points import POINTS
from pipeline.headers import DIALECTS
from pipeline.settings import PROJECT_DIR
from tests.chaos.faults import Faults

WORDS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty"
).split()
NUMBER = rf"(\d+|{'|'.join(WORDS)})"
NOBODY: Any = SimpleNamespace(pipeline=None)
COUNTS = {
    f"{NUMBER} dialects": len(DIALECTS),
    f"{NUMBER} names are in `pipeline/crash_points.py`": len(POINTS),
    f"faults of {NUMBER} kinds": len(Faults(NOBODY, NOBODY, NOBODY, NOBODY, NOBODY).kinds),
}
"""What is counted, with the number of now; each is in README or docs at least once."""


@pytest.mark.parametrize(("counted", "number"), COUNTS.items())
def test_a_number_in_the_docs_is_that_of_the_code(counted: str, number: int) -> None:
    found = {
        (path.name, match)
        for path in (PROJECT_DIR / "README.md", *(PROJECT_DIR / "docs").glob("*.md"))
        for match in re.findall(counted.replace(" ", r"\s+"), path.read_text(encoding="utf-8"))
    }
    assert found
    for name, match in found:
        assert match in (str(number), WORDS[number] if number < len(WORDS) else ""), f"{name} says {match}"
