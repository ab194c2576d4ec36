"""Several processors share a consumer group and one buffer, on Apache Kafka."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, NewPartitions

from pipeline.buffer.sqlite.write_queue import LOCK_SUFFIXES
from pipeline.kafka import ClusterView
from pipeline.running.instances import member_name
from pipeline.running.statusboard import read_roles
from scripts.local.cluster import KafkaCluster
from scripts.waiting import wait_for
from tests.support.order_writer import OrderWriter
from tests.support.running_pipeline import RunningPipeline

PARTITIONS = 12
SESSION_MS = 6000  # the shortest that a broker allows by default
LONGEST_PAUSE_S = 0.5
STEADY_ORDERS = 6000
SAMPLE_EVERY_S = 0.02


with_both_protocols = pytest.mark.parametrize("group", ["classic", "consumer"], indirect=True)
"""Where it makes a difference who deals out the partitions: a member of the group, or the brokers."""


@pytest.fixture
def group(
    request: pytest.FixtureRequest, pipeline_with: Callable[..., RunningPipeline], apache_kafka: KafkaCluster
) -> RunningPipeline:
    """A data folder on Apache Kafka with an orders topic of 12 partitions, and no process yet."""
    classic = getattr(request, "param", "classic") == "classic"
    name = f"group-{time.time_ns()}"
    pipeline = pipeline_with(
        bootstrap_servers=apache_kafka.bootstrap_servers,
        orders_topic=name,
        dlq_topics=f"{name}-dlq",
        group_id=name,
        topic_partitions=PARTITIONS,
        kafka_config={"session.timeout.ms": SESSION_MS} if classic else {"group.protocol": "consumer"},
        alert_trouble_s=3,
        alert_hold_s=0,
    )
    ClusterView(pipeline.settings, pipeline.cluster).ensure_topic(name)
    return pipeline


def owned(pipeline: RunningPipeline) -> dict[int, set[int]]:
    """The partitions of each processor that is heard, by instance."""
    now_ms = time.time_ns() // 1_000_000
    return {
        role.instance: {int(name.rpartition("[")[2][:-1]) for name in role.figures.get("partitions", {})}
        for role in read_roles(pipeline.data_dir)
        if role.role == "processor" and role.state == "running" and not role.silent(now_ms)
    }


def wait_until_shared(pipeline: RunningPipeline, instances: set[int]) -> dict[int, set[int]]:
    """Waits until these processors, and no others, own every partition once and each has some."""

    def shared() -> dict[int, set[int]] | None:
        found = {instance: partitions for instance, partitions in owned(pipeline).items() if instance in instances}
        each_has_some = found.keys() == instances and all(found.values())
        every_one_once = sorted(sum(map(sorted, found.values()), [])) == list(range(PARTITIONS))
        return found if each_has_some and every_one_once else None

    found = wait_for(f"{PARTITIONS} partitions shared by {sorted(instances)}", shared)
    assert found is not None
    return found


def start_processors(pipeline: RunningPipeline, *instances: int) -> None:
    for instance in instances:
        pipeline.start("processor", "--instance", str(instance))


def pid_of(pipeline: RunningPipeline, instance: int) -> int:
    [role] = [role for role in read_roles(pipeline.data_dir) if (role.role, role.instance) == ("processor", instance)]
    return role.pid


def assert_all_is_there_once(pipeline: RunningPipeline, writer: OrderWriter) -> None:
    account = writer.account
    with pipeline.reader() as reader:
        wait_for(f"{account.orders} orders", lambda: reader.totals().orders >= account.orders)
        totals = reader.totals()
    assert (totals.orders, totals.revenue_cents, totals.dead_letters) == (account.orders, account.revenue_cents, 0)
    checked = pipeline.command("check")
    assert checked.returncode == 0, checked.stdout


class Progress:
    """When each partition's next offset moved, as seen every 20 ms."""

    def __init__(self) -> None:
        self.moved_at_s: dict[int, list[float]] = {}

    def all_moved_since(self, moment_s: float) -> bool:
        """Whether each partition's offset was seen to move after this."""
        moved = list(self.moved_at_s.values())
        return len(moved) == PARTITIONS and all(times[-1] > moment_s for times in moved)

    def longest_pause_s(self, partition: int) -> float:
        return max(later - earlier for earlier, later in pairwise(self.moved_at_s[partition]))


@contextmanager
def progress_of(pipeline: RunningPipeline) -> Iterator[Progress]:
    """Watches the buffer while the block runs."""
    progress, stop = Progress(), threading.Event()

    def watch() -> None:
        seen: dict[int, int] = {}
        with pipeline.reader() as reader:
            while not stop.wait(SAMPLE_EVERY_S):
                for role, _, partition, next_offset, *_ in reader.partitions().rows:
                    if role == "processor" and seen.get(partition) != next_offset:
                        seen[partition] = next_offset
                        progress.moved_at_s.setdefault(partition, []).append(time.monotonic())

    thread = threading.Thread(target=watch, name="progress")
    thread.start()
    try:
        yield progress
    finally:
        stop.set()
        thread.join()


@pytest.mark.alone
@with_both_protocols
def test_a_rebalance_moves_partitions_without_stopping_the_others(group):
    start_processors(group, 0, 1)
    before = wait_until_shared(group, {0, 1})
    with OrderWriter(group, 1500) as writer:
        with group.reader() as reader:
            # An idempotent producer's first confirmations take a second; after that nothing of the writer's stands.
            wait_for("a steady flow", lambda: reader.totals().orders > STEADY_ORDERS)
        with progress_of(group) as progress:
            writer.slowest_confirmation_s = 0.0
            start_processors(group, 2)
            after = wait_until_shared(group, {0, 1, 2})
            shared_at_s = time.monotonic()
            # Also what pauses just then is seen to go on.
            wait_for("each goes on", lambda: progress.all_moved_since(shared_at_s))
    untouched = {partition for instance in (0, 1) for partition in before[instance] & after[instance]}
    assert len(untouched) >= PARTITIONS * 2 // 3 - 1
    pauses = {partition: progress.longest_pause_s(partition) for partition in untouched}
    print(f"longest pause of an untouched partition: {max(pauses.values()) * 1000:.0f} ms")
    # What was not there yet could not be read: for that the processors did not pause.
    assert max(pauses.values()) < LONGEST_PAUSE_S + writer.slowest_confirmation_s
    assert_all_is_there_once(group, writer)


@with_both_protocols
def test_a_killed_processor_s_partitions_go_to_the_others(group):
    start_processors(group, 0, 1, 2)
    wait_until_shared(group, {0, 1, 2})
    with OrderWriter(group, 1000) as writer:
        with group.reader() as reader:
            wait_for("a flow", lambda: reader.totals().orders > 500)
        os.kill(pid_of(group, 1), signal.SIGKILL)
        wait_until_shared(group, {0, 2})
    assert_all_is_there_once(group, writer)


@with_both_protocols
def test_a_processor_paused_past_its_session_changes_nothing_when_it_wakes_up(group):
    start_processors(group, 0, 1)
    wait_until_shared(group, {0, 1})
    with OrderWriter(group, 1000) as writer:
        with group.reader() as reader:
            wait_for("a flow", lambda: reader.totals().orders > 500)
        sleeper = pid_of(group, 0)
        try:
            wait_for("a pause outside of a write", lambda: paused_outside_of_a_write(group, sleeper))
            wait_until_shared(group, {1})
        finally:
            os.kill(sleeper, signal.SIGCONT)
        wait_until_shared(group, {0, 1})
        assert pid_of(group, 0) == sleeper
    assert_all_is_there_once(group, writer)


def paused_outside_of_a_write(group, pid):
    """Stops a process; where it, or another one, was writing just then, lets it go on: who stands still in the middle
    of a transaction holds up everybody until it goes on, as SQLite has it."""
    os.kill(pid, signal.SIGSTOP)
    wait_for("the pause", lambda: Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T")
    database = group.settings.database_file
    try:
        with ExitStack() as locks:
            for suffix in LOCK_SUFFIXES:
                file = locks.enter_context(database.with_name(database.name + suffix).open("a"))
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.kill(pid, signal.SIGCONT)
        return False
    return True


def test_a_restarted_processor_gets_its_partitions_back_and_nobody_else_s_move(group):
    start_processors(group, 1)
    leaving = group.start("processor", "--instance", "0")
    before = wait_until_shared(group, {0, 1})
    with OrderWriter(group, 500) as writer:
        leaving.terminate()
        assert leaving.wait(10) == 0
        start_processors(group, 0)
        assert wait_until_shared(group, {0, 1}) == before
        with group.reader() as reader:
            wait_for("a flow", lambda: reader.totals().orders > 500)
    assert_all_is_there_once(group, writer)


@with_both_protocols
def test_a_broker_restarted_under_two_thousand_orders_a_second_loses_and_doubles_nothing(group, apache_kafka):
    start_processors(group, 0, 1)
    wait_until_shared(group, {0, 1})
    with OrderWriter(group, 2000) as writer, group.reader() as reader:
        wait_for("a flow", lambda: reader.totals().orders > 2000)
        apache_kafka.restart(1)
        back = reader.totals().orders
        wait_for("the flow's return", lambda: reader.totals().orders > back + 4000)
    assert_all_is_there_once(group, writer)


def test_a_broker_that_is_away_is_complained_and_alerted_of_until_it_is_back(group, apache_kafka):
    group.up()
    alerts = {"trouble of processor-0", "trouble of collector-0"}

    def details() -> list[str]:
        return [role.detail for role in group.running() if role.role in ("processor", "collector")]

    # Who still joins the group says that, and not what keeps it from it.
    wait_for("both at work", lambda: details() == ["", ""])
    apache_kafka.stop_broker(1)
    try:
        wait_for("both complain", lambda: len([said for said in details() if "does not answer" in said]) == 2)
        wait_for("an alert of each", lambda: group.firing() >= alerts)
    finally:
        apache_kafka.restart(1)
    wait_for("neither complains", lambda: details() == ["", ""], deadline_s=20)
    wait_for("no alert", lambda: not group.firing() & alerts)


HALF_MOVED = """
import os, sys
from confluent_kafka import Consumer

servers, topic, group, old, new = sys.argv[1:]

def member(name):
    return Consumer({
        "bootstrap.servers": servers, "group.id": group, "group.instance.id": name, "session.timeout.ms": 45000,
        "partition.assignment.strategy": "cooperative-sticky",
    })

def end(consumer, partitions):
    os._exit(0)

one = member(old)
one.subscribe([topic], on_revoke=end)
while not one.assignment():
    one.poll(0.1)
two = member(new)
two.subscribe([topic])
while True:
    one.poll(0.05)
    two.poll(0.05)
"""


def test_partitions_on_their_way_when_their_owner_was_restarted_are_not_forgotten(group):
    # Both members end at the moment at which the old owner is told to give up half of what it has, and keep their
    # membership in the group: it is stable, and those partitions have no owner.
    names = [member_name(group.data_dir, instance) for instance in (0, 1)]
    arguments = [group.settings.bootstrap_servers, group.settings.orders_topic, group.settings.group_id, *names]
    subprocess.run([sys.executable, "-c", HALF_MOVED, *arguments], timeout=60, check=True)
    start_processors(group, 0, 1)
    wait_until_shared(group, {0, 1})
    assert "have no owner: joining the group again" in group.log("processor")


@with_both_protocols
def test_partitions_that_are_added_are_read_within_seconds(group):
    start_processors(group, 0, 1)
    wait_until_shared(group, {0, 1})
    admin = AdminClient({"bootstrap.servers": group.settings.bootstrap_servers})
    admin.create_partitions([NewPartitions(group.settings.orders_topic, PARTITIONS + 2)])[
        group.settings.orders_topic
    ].result(10)
    everything = set(range(PARTITIONS + 2))
    wait_for("the new ones' owners", lambda: set().union(*owned(group).values()) == everything)


def test_status_tells_the_lag_and_rate_of_all_processors(group):
    assert json.loads(group.command("status", "--json").stdout)["lag"] is None  # nobody knows
    start_processors(group, 0, 1)
    wait_until_shared(group, {0, 1})
    with OrderWriter(group, 500):
        rate_per_s = wait_for("a rate", lambda: json.loads(group.command("status", "--json").stdout)["rate_per_s"])
    assert rate_per_s > 0
    wait_for("no lag", lambda: json.loads(group.command("status", "--json").stdout)["lag"] == 0)


@pytest.mark.parametrize("group", ["consumer"], indirect=True)
def test_a_running_group_may_go_over_to_the_other_protocol(group, pipeline_with):
    given = group.settings.model_dump(include={"bootstrap_servers", "orders_topic", "group_id"})
    dead_letters = group.settings.own_dlq_topic
    classic = pipeline_with(**given, dlq_topics=dead_letters, kafka_config={"session.timeout.ms": SESSION_MS})
    leaving = classic.start("processor", "--instance", "0")
    wait_until_shared(classic, {0})
    leaving.terminate()
    assert leaving.wait(10) == 0
    # Its static id keeps what it had until its session ends.
    start_processors(group, 0)
    wait_until_shared(group, {0})
    assert group.command("check").returncode == 0


def test_offsets_that_kafka_s_own_tool_resets_have_no_effect_and_that_is_said(group, apache_kafka):
    topic, name = group.settings.orders_topic, group.settings.group_id
    leaving = group.start("processor", "--instance", "0")
    wait_until_shared(group, {0})
    with OrderWriter(group, 500) as writer, group.reader() as reader:
        wait_for("a flow", lambda: reader.totals().orders > 500)
    with group.reader() as reader:
        wait_for("every order", lambda: reader.totals().orders >= writer.account.orders)
    leaving.terminate()
    assert leaving.wait(10) == 0
    assert "has no effect" not in group.log("processor")

    def reset() -> bool:
        said = apache_kafka.tool(
            "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
            *("--group", name, "--topic", topic, "--reset-offsets", "--to-earliest", "--execute"),
        )
        return "Error" not in said  # the tool wants an empty group: the session has to end

    wait_for("the end of the session", reset)
    start_processors(group, 0)
    wait_until_shared(group, {0})
    said = [line for line in group.log("processor").splitlines() if "has no effect" in line]
    assert len(said) == PARTITIONS
    assert f"offset 0 of {topic}[" in said[0]
    assert f"`python -m pipeline reread --topic {topic} --from earliest`" in said[0]
    with group.reader() as reader:
        events = [message for message in reader.events(100).column("message") if "has no effect" in message]
    assert len(events) == PARTITIONS
    assert_all_is_there_once(group, writer)
