"""The load of dead letters that measurements are made with: the same each time, of as many causes as it says."""

from __future__ import annotations

from pathlib import Path

from bench.letters import DAY_MS, LetterLoad, dead_letters, fill_buffer
from bench.many_letters import fill_with_many
from pipeline.buffer import DeadLetterFilter, Reader, open_buffer
from pipeline.buffer.sqlite.reconcile.figures import recount
from pipeline.search.parser import parse

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
        first_seen = reader.groups(LOAD.until_ms).column("first_seen_ms")
    today = [first_ms for first_ms in first_seen if first_ms > LOAD.until_ms - DAY_MS]
    assert 36 <= len(first_seen) <= 44
    assert len(today) == 1


def test_many_are_made_of_some_and_every_figure_is_theirs(tmp_path: Path) -> None:
    load, times = LetterLoad(1200, causes=40), 8
    file = tmp_path / "orderpulse.db"
    fill_with_many(file, load, times)
    assert recount(file) == []
    with open_buffer(file) as buffer:
        while buffer.texts.merge_some() or buffer.texts.index_some():
            pass
    assert recount(file) == []
    with Reader(file) as reader:
        count = load.letters * times
        assert (reader.totals().dead_letters, reader.newest_dead_letter()) == (count, count)
        groups = reader.groups(load.until_ms).dicts()
        began_today = [each["first_seen_ms"] > load.until_ms - DAY_MS for each in groups]
        assert began_today == [True] + [False] * (len(groups) - 1)
        assert groups[0]["state"] == "new"
        for group in (groups[0], groups[-1]):
            found = reader.find(DeadLetterFilter(parse(f"group:{group['fingerprint']}", load.until_ms)))
            assert found.count.rows == group["total"]
        # A dead letter of one customer is so throughout.
        detail = reader.dead_letter(count // 2)
        assert detail is not None
        assert detail.key is not None
        assert detail.value is not None
        assert detail.key in detail.value
        its_key = DeadLetterFilter(parse(f"key:{detail.key.decode()}", load.until_ms))
        assert detail.row.id in reader.find(its_key).ids
