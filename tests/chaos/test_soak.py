"""Hours of load with retention on, in seconds: the buffer and the process come to a size and stay there."""

from pipeline.buffer import Reader, recount
from pipeline.buffer.filters import OrderFilter
from scripts.soak import Load, growth, soak

LOAD = Load(hours=6, rate=20, batch_every_ms=20_000)


def test_a_buffer_under_steady_load_comes_to_a_size_and_stays_there(tmp_path):
    path = tmp_path / "orderpulse.db"
    measured = list(soak(path, LOAD))
    assert len(measured) == LOAD.hours
    assert max(growth(measured, LOAD.kept_hours + 2).values()) < 1.1
    assert max(each.wal_bytes for each in measured) < 64_000_000
    assert recount(path) == []
    with Reader(path) as reader:
        assert reader.totals().orders == measured[-1].orders
        assert reader.totals().orders + reader.totals().dead_letters == LOAD.rate * 3600 * LOAD.hours
        # An hour of them is there, and a little more that the next step takes.
        hour = LOAD.rate * 3600
        assert 0.95 * hour < reader.count_orders(OrderFilter()).rows < 1.1 * hour
