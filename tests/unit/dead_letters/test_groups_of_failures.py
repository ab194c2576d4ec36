"""Groups of real failures hold: one cause is one group, two causes are two, also of programs that no rule knows."""

from __future__ import annotations

import random
from statistics import median
from time import process_time

import pytest

from pipeline.dead_letters.causes import fingerprint
from pipeline.dead_letters.causes.fingerprint import forget
from pipeline.dead_letters.letters import dead_letter_row
from pipeline.records import TopicIdentity
from tests.support.failures import SEEN, UNSEEN, Failed, dead_letter, failures
from tests.support.grouping import agreement

FILES = {"seen": failures(SEEN), "unseen": failures(UNSEEN)}
UNSEEN_US_AT_MOST = 300
"""Five times what is asked for, on a machine that has much else to do."""
KNOWN_US_AT_MOST = 50


def group(failed: Failed) -> str:
    """As the collector groups it."""
    return dead_letter_row(dead_letter(failed), 1, TopicIdentity("cluster", "letters", "id"), None).fingerprint


@pytest.mark.parametrize("file", FILES)
def test_one_cause_is_one_group_and_two_causes_are_two(file: str) -> None:
    found = agreement([failed.cause for failed in FILES[file]], list(map(group, FILES[file])))
    assert min(found.precision, found.recall) >= 0.97
    assert min(found.precision_over_causes, found.recall_over_causes) >= 0.95


@pytest.mark.parametrize("file", FILES)
def test_whatever_comes_first_the_groups_are_the_same(file: str) -> None:
    forget()
    before = {failed: group(failed) for failed in FILES[file]}
    for seed in range(3):
        forget()
        shuffled = random.Random(seed).sample(FILES[file], len(FILES[file]))
        assert {failed: group(failed) for failed in shuffled} == before


def test_what_is_stored_of_a_dead_letter_is_all_that_its_fingerprint_needs() -> None:
    for failed in FILES["seen"][::25]:
        row = dead_letter_row(dead_letter(failed), 1, TopicIdentity("cluster", "letters", "id"), None)
        asked = fingerprint(row.error_class, row.reason, row.rule, row.source_topic, row.stacktrace, row.topic)
        assert (row.fingerprint, row.title) == asked


def microseconds(failed: Failed, known: bool) -> float:
    taken = []
    for _ in range(3):
        if not known:
            forget()
        begin_s = process_time()
        fingerprint(failed.error_class, failed.message, None, None, failed.stacktrace)
        taken.append((process_time() - begin_s) * 1e6)
    return min(taken)


def test_a_fingerprint_is_made_in_no_time_and_what_is_known_in_less() -> None:
    some = FILES["seen"][::5]
    assert median(microseconds(failed, known=False) for failed in some) < UNSEEN_US_AT_MOST
    assert median(microseconds(failed, known=True) for failed in some) < KNOWN_US_AT_MOST
