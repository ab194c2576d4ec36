"""Faults of every kind under load: nothing is lost, nothing is there twice."""

from __future__ import annotations

from tests.chaos.harness import Chaos, surroundings

SEED = 20_261_124


def test_nothing_is_lost_or_doubled_whatever_fails(tmp_path):
    with surroundings(tmp_path, disk_mb=500) as around:
        result = Chaos(around, SEED, print).run(faults=30, rate_per_s=500)
    assert min(result.faults.values()) >= 1
    assert result.account.orders > 1000
    assert result.account.dead_letters > 10
    assert result.replays > 50
