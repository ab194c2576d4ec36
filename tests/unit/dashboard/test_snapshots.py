from __future__ import annotations

from pathlib import Path

from dashboard.shared.snapshots import Snapshots
from pipeline.buffer import Reader
from tests.support.sample_buffer import add_orders


class Clock:
    now_ms = 0

    def __call__(self) -> int:
        return self.now_ms


def test_an_answer_is_asked_for_once_until_the_buffer_changes(tmp_path: Path) -> None:
    file, asked = tmp_path / "orderpulse.db", []
    add_orders(file, 1)
    with Reader(file) as reader:
        snapshots = Snapshots(reader, Clock(), 0)

        def ask(source: Reader) -> int:
            asked.append(1)
            return source.totals().orders

        assert [snapshots.get("orders", ask) for _ in range(3)] == [1, 1, 1]
        assert len(asked) == 1
        add_orders(file, 2)
        assert snapshots.get("orders", ask) == 3
        assert len(asked) == 2


def test_a_young_answer_is_shared_even_when_the_buffer_has_changed(tmp_path: Path) -> None:
    file, clock = tmp_path / "orderpulse.db", Clock()
    clock.now_ms = 10_000
    add_orders(file, 1)
    with Reader(file) as reader:
        snapshots = Snapshots(reader, clock, 250)
        assert snapshots.get("orders", lambda source: source.totals().orders) == 1
        add_orders(file, 1)
        clock.now_ms += 249
        assert snapshots.get("orders", lambda source: source.totals().orders) == 1
        clock.now_ms += 1
        assert snapshots.get("orders", lambda source: source.totals().orders) == 2
