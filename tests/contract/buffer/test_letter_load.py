"""The load of dead letters that measurements are made with: the same each time, of as many causes as it says."""

from __future__ import annotations

from pathlib import Path

from bench.letters import DAY_MS, LetterLoad, dead_letters, fill_buffer
from pipeline.buffer import Reader

LOAD = LetterLoad(3000, causes=40)


def test_the_same_seed_makes_the_same_dead_letters_and_another_one_others() -> None:
    one, same, another = (list(dead_letters(LetterLoad(50, seed=seed))) for seed in (1, 1, 2))
    assert one == same
    assert [each.record.key for each in one] != [each.record.key for each in another]


def test_causes_go_on_for_days_and_one_began_today(tmp_path: Path) -> None:
    fill_buffer(tmp_path / "orderpulse.db", LOAD)
    with Reader(tmp_path / "orderpulse.db") as reader:
        assert reader.totals().dead_letters == LOAD.letters
        counts = reader.status_counts()
        assert counts["open"] > counts["discarded"] > 0 < counts["recovered"]
        first_seen = reader.groups().column("first_seen_ms")
    today = [first_ms for first_ms in first_seen if first_ms > LOAD.until_ms - DAY_MS]
    assert 36 <= len(first_seen) <= 44
    assert len(today) == 1
