"""The steps that docs/architecture.md lists are those that the code takes, by number and by what they begin with."""

from __future__ import annotations

import inspect
import re

from pipeline.processing.processor import _Flow
from pipeline.settings import PROJECT_DIR

# How the doc's step begins, and a word of the same step's comment in the code.
STEPS = {
    "Read": "Read",
    "Find the valid orders": "Find the valid orders",
    "Judge": "Judge",
    "Conclude the batch before": "the round before",
    "Confirm the topics": "of the topics",
    "Write": "one transaction",
    "Conclude a small batch": "A small batch",
    "Skip": "Skip",
    "Pass what is no record": "what else is no record",
}


def test_the_steps_of_the_processors_round_are_those_of_the_code():
    text = (PROJECT_DIR / "docs" / "architecture.md").read_text()
    section = text.partition("## One round of the processor\n")[2].partition("\n### ")[0]
    in_the_doc = re.findall(r"^(\d+)\. \*\*(.+?)\.?\*\*", section, re.MULTILINE)
    in_the_code = re.findall(r"^ +# (\d+)\. (.+)$", inspect.getsource(_Flow.round), re.MULTILINE)
    assert [number for number, _ in in_the_doc] == [number for number, _ in in_the_code]
    assert [beginning for _, beginning in in_the_doc] == list(STEPS)
    for (_, beginning), (_, comment) in zip(in_the_doc, in_the_code, strict=True):
        assert STEPS[beginning] in comment, f"{beginning}: {comment}"
