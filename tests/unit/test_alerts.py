"""What raises an alert, and what ends it, on a real buffer and a real status board."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.alerts import AlertWatch, disk_used
from pipeline.buffer import Buffer, open_buffer
from pipeline.settings import Settings, load_settings
from pipeline.statusboard import StatusWriter
from tests.support.buffer_rows import NOW_MS, accept, collect, collector, dead_letter, processor


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(data_dir=tmp_path, alert_trouble_s=30, alert_disk_share=1.0)


@pytest.fixture
def buffer(settings: Settings) -> Iterator[Buffer]:
    with open_buffer(settings.database_file) as buffer:
        yield buffer


@pytest.fixture
def watch(settings: Settings, buffer: Buffer) -> Iterator[AlertWatch]:
    watch = AlertWatch(settings, buffer.watch)
    yield watch
    watch.close()


def firing(buffer: Buffer) -> dict[str, str]:
    return dict(buffer.watch.firing())


class Role:
    """A role whose clock is the test's."""

    def __init__(self, folder: Path, name: str) -> None:
        self.now_ms = NOW_MS
        self._status = StatusWriter(folder, name, 0, lambda: self.now_ms)

    def say(self, now_ms: int, state: str, detail: str = "") -> None:
        self.now_ms = now_ms
        self._status.say(state, detail)


def test_too_large_a_share_of_dead_letters_fires_until_it_is_small_again(watch, buffer):
    place, dead = processor(buffer), collector(buffer)
    accept(buffer, place, 0, 95, now_ms=NOW_MS)
    for offset in range(5):
        collect(buffer, dead, offset, dead_letter(dead.ref, offset), now_ms=NOW_MS)
    watch.check(NOW_MS)
    assert firing(buffer) == {
        "dead-letter-rate": "5.0% of the last 100 records are dead letters (threshold 5.0%, window 300 s)"
    }
    accept(buffer, place, 95, 1, now_ms=NOW_MS)
    watch.check(NOW_MS)
    assert firing(buffer) == {}


@pytest.mark.parametrize(
    ("state", "detail"),
    [("waiting", "Kafka does not answer"), ("failing", "the buffer is damaged"), ("running", "reading is paused")],
)
def test_a_role_that_is_held_up_for_long_fires_with_its_reason_and_ends_when_it_goes_on(
    settings, watch, buffer, state, detail
):
    role = Role(settings.data_dir, "processor")
    for second in range(0, 30):
        role.say(NOW_MS + second * 1000, state, detail)
        watch.check(NOW_MS + second * 1000)
        assert firing(buffer) == {}
    role.say(NOW_MS + 30_000, state, detail)
    watch.check(NOW_MS + 30_000)
    assert firing(buffer) == {"trouble of processor-0": f"processor-0: {detail} (for 30 s or more)"}
    role.say(NOW_MS + 31_000, "running")
    watch.check(NOW_MS + 31_000)
    assert firing(buffer) == {}


def test_trouble_that_comes_and_goes_begins_anew_each_time(settings, watch, buffer):
    role = Role(settings.data_dir, "collector")
    for second in range(0, 60):
        role.say(NOW_MS + second * 1000, "running" if second == 29 else "waiting", "" if second == 29 else "no answer")
        watch.check(NOW_MS + second * 1000)
        assert firing(buffer) == {}


def test_a_role_that_says_nothing_fires_and_one_that_has_ended_does_not(settings, watch, buffer):
    Role(settings.data_dir, "processor").say(NOW_MS, "running")
    Role(settings.data_dir, "collector").say(NOW_MS, "stopped")
    for second in range(0, 60):
        watch.check(NOW_MS + second * 1000)
    assert firing(buffer) == {"trouble of processor-0": "processor-0: says nothing (for 30 s or more)"}


def test_an_alert_of_a_worker_before_this_one_is_ended_too(watch, buffer):
    buffer.watch.fire("trouble of processor-7", 40, 30, "processor-7: waits", NOW_MS - 60_000)
    watch.check(NOW_MS)
    assert firing(buffer) == {}


def test_a_disk_that_runs_full_fires_before_nothing_can_be_written(settings, buffer):
    used, free_bytes = disk_used(settings)
    disk = os.statvfs(settings.data_dir)
    assert free_bytes <= disk.f_blocks * disk.f_frsize
    for threshold, expected in ((max(used * 0.9, 1e-9), {"disk-full"}), (min(used * 1.1, 1.0), set())):
        watch = AlertWatch(settings.model_copy(update={"alert_disk_share": threshold}), buffer.watch)
        watch.check(NOW_MS)
        watch.close()
        assert set(firing(buffer)) == expected
