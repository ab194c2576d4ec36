"""Which generation of a topic is read, by the ids that a cluster tells, and by the records where it tells none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipeline.buffer import ReadUpTo, TopicGeneration
from pipeline.consuming.generations import compare, is_certain, known_generation, recreated
from pipeline.kafka import Found
from pipeline.records import LastRead, TopicIdentity

NONE = TopicIdentity("cluster", "orders")
FIRST = replace(NONE, topic_id="first-id")
SECOND = replace(NONE, topic_id="second-id")
OURS = replace(NONE, topic_id="recreated-1")
ZERO = replace(NONE, topic_id="AAAAAAAAAAAAAAAAAAAAAA")
LAST = LastRead.of(9, 1000, b"key", b"value")


@pytest.mark.parametrize(
    ("told", "known", "found", "certain"),
    [
        pytest.param(FIRST, [], None, False, id="never read"),
        pytest.param(FIRST, [FIRST], FIRST, True, id="the same id"),
        pytest.param(SECOND, [FIRST], None, False, id="another id"),
        pytest.param(FIRST, [FIRST, SECOND], FIRST, True, id="an older id again"),
        pytest.param(NONE, [NONE], NONE, False, id="never an id"),
        pytest.param(NONE, [NONE, OURS], OURS, False, id="never an id, and recreated"),
        pytest.param(NONE, [FIRST], FIRST, False, id="no id any more"),
        pytest.param(FIRST, [NONE], NONE, False, id="an id from now on"),
        pytest.param(FIRST, [NONE, OURS], OURS, False, id="an id from now on, after it was recreated"),
        pytest.param(SECOND, [NONE, FIRST], None, False, id="another id after that"),
        pytest.param(NONE, [ZERO], ZERO, False, id="none, which was kept as an id"),
        pytest.param(NONE, [replace(NONE, topic="other"), replace(NONE, cluster_id="x")], None, False, id="others"),
    ],
)
def test_which_generation_the_cluster_s_word_can_mean(told, known, found, certain):
    assert known_generation(told, known) == found
    assert found is None or is_certain(told, found) == certain


def test_whoever_finds_a_topic_recreated_makes_the_same_generation_of_it():
    before = TopicGeneration(7, NONE, {})
    assert recreated(FIRST, before) == FIRST
    assert recreated(NONE, before) == replace(NONE, topic_id="recreated-7")
    assert recreated(NONE, replace(before, topic_ref=8)) != recreated(NONE, before)


@pytest.mark.parametrize(
    ("read", "found", "verdict"),
    [
        pytest.param({0: ReadUpTo(10, LAST)}, {0: Found(0, 10, LAST)}, "same", id="the same record"),
        pytest.param({0: ReadUpTo(10, LAST)}, {0: Found(0, 99, LAST._replace(digest="x"))}, "another", id="another"),
        pytest.param({0: ReadUpTo(10, LAST)}, {0: Found(0, 9, None)}, "another", id="an end before it"),
        pytest.param({0: ReadUpTo(10, None)}, {0: Found(0, 9, None)}, "another", id="an end before it, digest or not"),
        pytest.param({0: ReadUpTo(10, LAST)}, {}, "another", id="no such partition"),
        pytest.param({0: ReadUpTo(10, LAST)}, {0: Found(10, 20, None)}, "not known", id="removed by retention"),
        pytest.param({0: ReadUpTo(10, LAST)}, {0: Found(0, 20, None)}, "not known", id="compacted away"),
        pytest.param({0: ReadUpTo(10, None)}, {0: Found(0, 20, None)}, "not known", id="read before digests were kept"),
        pytest.param({0: ReadUpTo(0, None)}, {0: Found(0, 20, None)}, "same", id="nothing was read"),
        pytest.param({0: ReadUpTo(30, None)}, {0: Found(30, 40, None)}, "same", id="begun at its beginning"),
        pytest.param(
            {0: ReadUpTo(30, None, 30)}, {0: Found(0, 40, None)}, "same", id="begun later, and nothing was read"
        ),
        pytest.param({0: ReadUpTo(31, None, 30)}, {0: Found(0, 40, None)}, "not known", id="begun later"),
        pytest.param({}, {}, "same", id="no partition was read"),
        pytest.param(
            {0: ReadUpTo(10, LAST), 1: ReadUpTo(10, LAST)},
            {0: Found(0, 20, LAST)},
            "same",
            id="a broker has not heard of all partitions yet",
        ),
        pytest.param(
            {0: ReadUpTo(10, LAST), 1: ReadUpTo(10, LAST)},
            {0: Found(10, 20, None)},
            "another",
            id="a partition is gone and nothing proves the others",
        ),
        pytest.param(
            {0: ReadUpTo(10, None), 1: ReadUpTo(10, LAST)},
            {0: Found(0, 20, None), 1: Found(0, 20, LAST)},
            "same",
            id="one partition proves it",
        ),
        pytest.param(
            {0: ReadUpTo(10, LAST), 1: ReadUpTo(10, LAST)},
            {0: Found(0, 20, LAST), 1: Found(0, 9, None)},
            "another",
            id="one partition disproves it",
        ),
    ],
)
def test_what_the_records_say(read, found, verdict):
    assert compare("orders", read, found).verdict == verdict


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        pytest.param({0: Found(0, 20, LAST)}, "same", id="another partition proves it"),
        pytest.param({0: Found(0, 9, None)}, "another", id="another partition disproves it"),
        pytest.param({0: Found(10, 20, None)}, "not known", id="no other partition says anything"),
        pytest.param({}, "another", id="another partition is not there"),
    ],
)
def test_a_partition_that_gives_no_answer_proves_nothing(found, verdict):
    read = {0: ReadUpTo(10, LAST), 1: ReadUpTo(10, LAST)}
    assert compare("orders", read, found, {1}).verdict == verdict
    assert compare("orders", {1: read[1]}, {}, {1}).verdict == "not known"


def test_records_that_differ_anywhere_are_different():
    same = LastRead.of(9, 1000, b"key", b"value")
    assert same == LAST
    others = [(1001, b"key", b"value"), (1000, b"ke", b"yvalue"), (1000, None, b"value"), (1000, b"key", None)]
    others += [(1000, b"", b"value"), (1000, b"key", b"")]
    assert len({LAST, *(LastRead.of(9, *other) for other in others)}) == len(others) + 1
