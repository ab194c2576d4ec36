"""How long Kafka still keeps a record."""

from __future__ import annotations

import pytest

from pipeline.dead_letters.letter.keeping import Kept, how_long_kept
from pipeline.kafka import TopicKeeping

HOUR_MS = 3_600_000
FOREVER = TopicKeeping(True, False, None, None)
HOUR = TopicKeeping(True, False, HOUR_MS, None)


@pytest.mark.parametrize(
    ("keeping", "kept"),
    [
        (HOUR, Kept("until", 1_000 + HOUR_MS)),
        (TopicKeeping(True, False, HOUR_MS, 5_000), Kept("until", 1_000 + HOUR_MS, 5_000)),
        (TopicKeeping(True, False, None, 5_000), Kept("until", None, 5_000)),
        (FOREVER, Kept("for ever")),
        (TopicKeeping(False, True, None, None), Kept("compacted")),
        (TopicKeeping(True, True, HOUR_MS, None), Kept("compacted", 1_000 + HOUR_MS)),
    ],
)
def test_it_follows_from_what_the_topic_says(keeping: TopicKeeping, kept: Kept) -> None:
    assert how_long_kept(50, 10, 100, 1_000, keeping) == kept


def test_what_lies_before_the_first_offset_is_gone() -> None:
    assert how_long_kept(9, 10, 100, 1_000, HOUR) == Kept("gone", why="Kafka keeps records from offset 10 on")
    assert how_long_kept(100, 10, 100, 1_000, HOUR).state == "gone"
    assert how_long_kept(10, 10, 100, 1_000, HOUR).state == "until"


def test_what_nobody_tells_is_not_known() -> None:
    assert how_long_kept(50, 10, 100, 1_000, None, "no right to ask") == Kept("not known", why="no right to ask")
    assert how_long_kept(50, 10, 100, None, HOUR).state == "not known"
    assert how_long_kept(50, 10, 100, -1, HOUR).state == "not known"
    assert how_long_kept(50, 10, 100, None, FOREVER).state == "for ever"
