"""More than can be taken at once: the flow slows, says why, stays within its bounds, and catches up by itself."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pipeline.kafka import Sender
from pipeline.processing.processor import BATCH_RECORDS
from pipeline.running.statusboard import read_roles
from scripts.waiting import wait_for
from tests.support.kafkas import own_names
from tests.support.running_pipeline import RunningPipeline
from tests.support.slow_disk import slow_disk

FLOOD = 100_000
MAX_PARKED = 3000
PAGE_S = 1.0
LOOK_EVERY_S = 0.05


class Looks:
    """What somebody who watches meanwhile has seen."""

    def __init__(self) -> None:
        self.details: set[str] = set()
        self.outboxes: list[int] = []
        self.took_s: list[float] = []
        self.alerts: set[str] = set()


@contextmanager
def looks_at(pipeline: RunningPipeline) -> Iterator[Looks]:
    """Reads what the pages read, again and again, while the block runs."""
    looks, stop = Looks(), threading.Event()

    def watch() -> None:
        with pipeline.reader() as reader:
            while not stop.wait(LOOK_EVERY_S):
                began_s = time.monotonic()
                reader.totals()
                reader.flow("second", 300_000)
                reader.status_counts()
                looks.outboxes.append(reader.outbox_count())
                looks.took_s.append(time.monotonic() - began_s)
                looks.alerts |= set(reader.alerts(10).column("rule"))
                looks.details |= {role.detail for role in read_roles(pipeline.data_dir) if role.role == "processor"}

    thread = threading.Thread(target=watch, name="looks")
    thread.start()
    try:
        yield looks
    finally:
        stop.set()
        thread.join()


@contextmanager
def held(pid: int) -> Iterator[None]:
    """A process stands still while the block runs."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def flood(pipeline: RunningPipeline, records: int) -> None:
    """Writes records of which none can be read."""
    errors: list[str] = []
    sender = Sender(pipeline.settings, pipeline.cluster)
    for number in range(records):
        sender.send(
            pipeline.settings.orders_topic,
            b"C-%d" % number,
            b"no order %d" % number,
            (),
            lambda delivery: errors.append(delivery.error) if delivery.error else None,
        )
    assert sender.flush(60.0) == 0
    sender.close()
    assert errors == []


def test_a_flood_of_records_that_all_fail_is_slowed_down_and_loses_nothing(
    pipeline_with: Callable[..., RunningPipeline], apache_kafka
) -> None:
    name = f"flood-{time.time_ns()}"
    pipeline = pipeline_with(
        bootstrap_servers=apache_kafka.bootstrap_servers,
        orders_topic=name,
        dlq_topics=f"{name}-dlq",
        group_id=name,
        topic_partitions=4,
        max_parked=MAX_PARKED,
    )
    pipeline.up()
    with looks_at(pipeline) as looks:
        # None is read before all of them are there: no machine can be offered more a second.
        with held(pipeline.role("processor").pid):
            flood(pipeline, FLOOD)
        wait_for("every dead letter", lambda: pipeline.settled() == FLOOD, deadline_s=120)
        wait_for("an empty outbox", lambda: looks.outboxes[-1] == 0)
        wait_for("the alert", lambda: "dead-letter-rate" in looks.alerts)
    # One batch on its way into the buffer and one that was read meanwhile come on top.
    assert max(looks.outboxes) <= MAX_PARKED + 2 * BATCH_RECORDS
    assert any(detail.startswith("reading is paused") for detail in looks.details), looks.details
    assert sorted(looks.took_s)[len(looks.took_s) * 9 // 10] < PAGE_S
    role = wait_for("an end of the pause", lambda: not pipeline.role("processor").detail and pipeline.role("processor"))
    assert role.state == "running"
    checked = pipeline.command("check", deadline_s=120)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_a_slow_disk_slows_the_flow_which_says_so_and_recovers_by_itself(
    pipeline_with: Callable[..., RunningPipeline], apache_kafka
) -> None:
    pipeline = pipeline_with(
        bootstrap_servers=apache_kafka.bootstrap_servers,
        topic_partitions=4,
        alert_trouble_s=3,
        alert_hold_s=0,
        **own_names(),
    )
    pipeline.up()
    slowed = [pipeline.role(name).pid for name in ("processor", "collector")]
    alert = "trouble of processor-0"
    with looks_at(pipeline) as looks:
        with slow_disk(slowed, delay_ms=5):
            queued = pipeline.command("produce", "--count", "60000", "--invalid-share", "0.01", "--no-wait")
            assert queued.returncode == 0, queued.stderr
            wait_for("the reason", lambda: any("its disk is slow" in detail for detail in looks.details))
            wait_for("an alert of it", lambda: alert in pipeline.firing())
        wait_for("every record", lambda: pipeline.settled() == 60_000)
        wait_for("the end of the alert", lambda: alert not in pipeline.firing())
    assert sorted(looks.took_s)[len(looks.took_s) * 9 // 10] < PAGE_S
    checked = pipeline.command("check", deadline_s=120)
    assert checked.returncode == 0, checked.stdout + checked.stderr
