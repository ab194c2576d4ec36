"""What raises an alert, and what ends it, on a real buffer and a real status board."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.buffer import Buffer, GroupStore, Reader, RereadStore, WatchStore, open_buffer
from pipeline.running.statusboard import StatusWriter
from pipeline.settings import Settings, load_settings
from pipeline.watching.alerts import GROUPS_EVERY_MS, AlertWatch, disk_used
from scripts.local.process import free_ports
from tests.support.buffer_rows import DEAD, NOW_MS, accept, collect, collector, dead_letter, processor
from tests.support.told_people import ToldPeople


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(data_dir=tmp_path, alert_trouble_s=30, alert_disk_share=1.0, alert_hold_s=0)


@pytest.fixture
def buffer(settings: Settings) -> Iterator[Buffer]:
    with open_buffer(settings.database_file) as buffer:
        yield buffer


@pytest.fixture
def watch(settings: Settings, buffer: Buffer) -> Iterator[AlertWatch]:
    watch = AlertWatch(settings, *stores(buffer))
    yield watch
    watch.close()


def stores(buffer: Buffer) -> tuple[WatchStore, RereadStore, GroupStore]:
    """What alerts look at."""
    return buffer.watch, buffer.rereads, buffer.groups


def firing(buffer: Buffer) -> dict[str, str]:
    return dict(buffer.watch.firing())


class Role:
    """A role whose clock is the test's."""

    def __init__(self, folder: Path, name: str) -> None:
        self.now_ms = NOW_MS
        self._status = StatusWriter(folder, name, 0, lambda: self.now_ms)

    def report(self, now_ms: int, state: str, detail: str = "") -> None:
        self.now_ms = now_ms
        self._status.report(state, detail)


def test_a_group_that_is_back_fires_until_somebody_says_something_of_it(watch, buffer):
    dead = collector(buffer)
    collect(buffer, dead, 0, dead_letter(dead.ref, 0), now_ms=NOW_MS)
    watch.check(NOW_MS)
    assert firing(buffer) == {}
    buffer.groups.resolve("price", "ann", NOW_MS)
    collect(buffer, dead, 1, dead_letter(dead.ref, 1), now_ms=NOW_MS + 1)
    watch.check(NOW_MS + GROUPS_EVERY_MS)
    message = "dead letters of a cause that was resolved: the price is negative (group price, 2 in an hour)"
    assert firing(buffer) == {"group price regressed": message}
    buffer.groups.reopen("price", "ann", NOW_MS)
    watch.check(NOW_MS + 2 * GROUPS_EVERY_MS)
    watch.check(NOW_MS + 3 * GROUPS_EVERY_MS)
    assert firing(buffer) == {}


def test_new_groups_raise_an_alert_where_somebody_wants_that(settings, buffer):
    dead = collector(buffer)
    collect(buffer, dead, 0, dead_letter(dead.ref, 0), now_ms=NOW_MS)
    told = settings.model_copy(update={"alert_groups": ("new",)})
    watch = AlertWatch(told, *stores(buffer))
    watch.check(NOW_MS)
    watch.close()
    assert list(firing(buffer)) == ["group price new"]


def test_too_large_a_share_of_dead_letters_fires_until_it_is_small_again(watch, buffer):
    assignment, dead = processor(buffer), collector(buffer)
    accept(buffer, assignment, 0, 95, now_ms=NOW_MS)
    for offset in range(5):
        collect(buffer, dead, offset, dead_letter(dead.ref, offset), now_ms=NOW_MS)
    watch.check(NOW_MS)
    assert firing(buffer) == {
        "dead-letter-rate": "5.0% of the last 100 records are dead letters (threshold 5.0%, window 300 s)"
    }
    # What falls below four fifths of the threshold ends it: fewer than 5 of 125.
    accept(buffer, assignment, 95, 24, now_ms=NOW_MS)
    watch.check(NOW_MS)
    assert set(firing(buffer)) == {"dead-letter-rate"}
    accept(buffer, assignment, 119, 2, now_ms=NOW_MS)
    watch.check(NOW_MS)
    assert firing(buffer) == {}


def test_a_share_that_goes_up_and_down_around_its_threshold_is_one_alert_and_one_end(settings, buffer):
    assignment, dead = processor(buffer), collector(buffer)
    accepted = collected = 0
    with ToldPeople() as people:
        told = {"alert_urls": (people.url,), "alert_hold_s": 60, "alert_window_s": 40}
        watch = AlertWatch(settings.model_copy(update=told), *stores(buffer))
        for second in range(600):
            now_ms = NOW_MS + second * 1000
            # 19 good ones and a bad one, again and again, one every 2 s; none from the fourth minute on.
            if second % 2 == 0 and second < 240:
                if second // 2 % 20 == 19:
                    collect(
                        buffer, dead, collected, dead_letter(dead.ref, collected, failed_at_ms=now_ms), now_ms=now_ms
                    )
                    collected += 1
                else:
                    accept(buffer, assignment, accepted, 1, now_ms=now_ms)
                    accepted += 1
            watch.check(now_ms)
        watch.close()
    assert collected == 6
    assert [message.startswith("over: ") for message in people.messages] == [False, True]


def test_a_first_look_at_old_letters_and_letters_of_long_ago_alarm_nobody(watch, buffer):
    dead = buffer.flow.assign("collector", DEAD, 0, 0, NOW_MS, 100)
    for offset in range(100):
        collect(buffer, dead, offset, dead_letter(dead.ref, offset, failed_at_ms=NOW_MS), now_ms=NOW_MS)
    for offset in range(100, 130):
        row = dead_letter(dead.ref, offset, failed_at_ms=NOW_MS - 30 * 86_400_000)
        collect(buffer, dead, offset, row, now_ms=NOW_MS)
    watch.check(NOW_MS)
    assert firing(buffer) == {}
    for offset in range(130, 150):
        collect(buffer, dead, offset, dead_letter(dead.ref, offset, failed_at_ms=NOW_MS + 5000), now_ms=NOW_MS)
    watch.check(NOW_MS)
    assert set(firing(buffer)) == {"dead-letter-rate"}


def test_records_that_kafka_removed_unread_fire_until_somebody_says_that_it_is_known(watch, buffer):
    assignment = processor(buffer)
    buffer.flow.skip(assignment.ref, 0, 500, NOW_MS, "gone")
    watch.check(NOW_MS)
    assert firing(buffer) == {
        "lost-offsets": "Kafka removed records before they were read: orders (up to 500 records); "
        "`check --accept-lost` says it is known"
    }
    assert buffer.watch.accept_losses(NOW_MS) == 500
    watch.check(NOW_MS)
    assert firing(buffer) == {}
    assert buffer.watch.accept_losses(NOW_MS) == 0


@pytest.mark.parametrize(
    ("state", "detail"),
    [("waiting", "Kafka does not answer"), ("failing", "the buffer is damaged"), ("running", "reading is paused")],
)
def test_a_role_that_is_held_up_for_long_fires_with_its_reason_and_ends_when_it_goes_on(
    settings, watch, buffer, state, detail
):
    role = Role(settings.data_dir, "processor")
    for second in range(0, 30):
        role.report(NOW_MS + second * 1000, state, detail)
        watch.check(NOW_MS + second * 1000)
        assert firing(buffer) == {}
    role.report(NOW_MS + 30_000, state, detail)
    watch.check(NOW_MS + 30_000)
    assert firing(buffer) == {"trouble of processor-0": f"processor-0: {detail} (for 30 s or more)"}
    role.report(NOW_MS + 31_000, "running")
    watch.check(NOW_MS + 31_000)
    assert firing(buffer) == {}


def test_trouble_that_comes_and_goes_begins_again_each_time(settings, watch, buffer):
    role = Role(settings.data_dir, "collector")
    for second in range(0, 60):
        role.report(
            NOW_MS + second * 1000, "running" if second == 29 else "waiting", "" if second == 29 else "no answer"
        )
        watch.check(NOW_MS + second * 1000)
        assert firing(buffer) == {}


def test_a_role_that_says_nothing_fires_and_one_that_has_ended_does_not(settings, watch, buffer):
    Role(settings.data_dir, "processor").report(NOW_MS, "running")
    Role(settings.data_dir, "collector").report(NOW_MS, "stopped")
    for second in range(0, 60):
        watch.check(NOW_MS + second * 1000)
    assert firing(buffer) == {"trouble of processor-0": "processor-0: says nothing (for 30 s or more)"}


def test_an_alert_of_a_worker_before_this_one_is_ended_too(watch, buffer):
    buffer.watch.fire("trouble of processor-7", 40, 30, "processor-7: waits", NOW_MS - 60_000)
    watch.check(NOW_MS)
    assert firing(buffer) == {}


def test_an_alert_ends_when_all_has_been_well_for_the_time_to_hold(settings, buffer):
    watch = AlertWatch(settings.model_copy(update={"alert_hold_s": 60}), *stores(buffer))
    buffer.watch.fire("trouble of processor-7", 40, 30, "processor-7: waits", NOW_MS)
    for second in range(60):
        watch.check(NOW_MS + second * 1000)
        assert set(firing(buffer)) == {"trouble of processor-7"}
    watch.check(NOW_MS + 60_000)
    watch.close()
    assert firing(buffer) == {}


def test_people_are_told_of_the_beginning_and_the_end(settings, buffer):
    role = Role(settings.data_dir, "processor")
    with ToldPeople() as people:
        watch = AlertWatch(
            settings.model_copy(update={"alert_urls": (people.url,)}), buffer.watch, buffer.rereads, buffer.groups
        )
        for second in range(0, 31, 10):
            role.report(NOW_MS + second * 1000, "waiting", "Kafka does not answer")
            watch.check(NOW_MS + second * 1000)
        role.report(NOW_MS + 31_000, "running")
        watch.check(NOW_MS + 31_000)
        watch.close()
    message = "processor-0: Kafka does not answer (for 30 s or more)"
    assert people.messages == [message, f"over: {message}"]
    assert buffer.watch.pending_notifications() == []


def test_who_was_not_told_because_the_worker_died_is_told_by_the_next_one(settings, buffer):
    ended = buffer.watch.fire("disk-full", 0.99, 0.95, "almost full", NOW_MS, notify=True)
    buffer.watch.noticed(ended, "sent")
    buffer.watch.resolve("disk-full", NOW_MS, notify=True)
    buffer.watch.fire("trouble of processor-7", 40, 30, "processor-7: waits", NOW_MS, notify=True)
    with ToldPeople() as people:
        AlertWatch(
            settings.model_copy(update={"alert_urls": (people.url,)}), buffer.watch, buffer.rereads, buffer.groups
        ).close()
    assert people.messages == ["over: almost full", "processor-7: waits"]
    assert buffer.watch.pending_notifications() == []


def test_an_address_that_does_not_take_the_message_is_named_by_its_kind_only(settings, buffer):
    buffer.watch.fire("disk-full", 0.99, 0.95, "almost full", NOW_MS, notify=True)
    [port] = free_ports(1)
    urls = (f"json://user:secret@127.0.0.1:{port}/",)
    AlertWatch(settings.model_copy(update={"alert_urls": urls}), *stores(buffer)).close()
    with Reader(settings.database_file) as reader:
        assert reader.alerts(1).column("notice") == ["not sent to json"]


def test_a_disk_that_runs_full_fires_before_nothing_can_be_written(settings, buffer):
    used, free_bytes = disk_used(settings)
    disk = os.statvfs(settings.data_dir)
    assert free_bytes <= disk.f_blocks * disk.f_frsize
    for threshold, expected in ((max(used * 0.9, 1e-9), {"disk-full"}), (min(used * 1.1, 1.0), set())):
        watch = AlertWatch(
            settings.model_copy(update={"alert_disk_share": threshold}), buffer.watch, buffer.rereads, buffer.groups
        )
        watch.check(NOW_MS)
        watch.close()
        assert set(firing(buffer)) == expected
