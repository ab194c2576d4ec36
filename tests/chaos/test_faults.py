"""Faults of every kind under load: nothing is lost, nothing is there twice."""

from __future__ import annotations

from tests.chaos.harness import Chaos

SEED = 20_261_124


def test_nothing_is_lost_or_doubled_whatever_fails(tmp_path, apache_kafka):
    chaos = Chaos(tmp_path, apache_kafka, SEED, print)
    result = chaos.run(faults=9, rate_per_s=500)
    assert min(result.faults.values()) >= 1
    assert result.orders > 1000
    assert result.dead_letters > 10
